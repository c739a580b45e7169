"""Lab 0.2, the student's half: how vocabularies, the door for specials, the trie and the tokenizers are driven."""

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise
from source.tokenizers.counting import CountedText, CountedWord, Tally

SPECIALS = ["<unk>", "<eos>"]


def plain(words, name="the result"):
    """A list of exact strings, whatever subclass of str came back; other entries stay as they are. Raises WrongType."""
    if not isinstance(words, list | tuple):
        raise WrongType(f"{name} is of type {type(words).__name__}, not a list")
    return [str(word) if isinstance(word, str) else word for word in words]


def drawn_words(d: Draw, alphabet: str, count: int, longest: int = 4) -> list[str]:
    """`count` different random words, in the order drawn. Raises no error: ask for fewer than there are."""
    words: dict[str, None] = {}
    while len(words) < count:
        letters = d.rng.integers(0, len(alphabet), d.rng.integers(1, longest + 1))
        words["".join(alphabet[i] for i in letters)] = None
    return list(words)


def drawn_text(d: Draw, parts: list[str], count: int) -> str:
    """`count` of the parts, drawn with replacement and joined."""
    return "".join(parts[i] for i in d.rng.integers(0, len(parts), count))


# --- the list --------------------------------------------------------------------------------------------------------


def _list_cases():
    text = ["to", "be", "or", "not", "to", "be", "that", "is", "the", "question"]
    return [
        Case("three words by hand", {"words": list("bacbab"), "specials": ["<unk>"], "size": 3, "min_count": 1}),
        Case("equally frequent words", {"words": text, "specials": SPECIALS, "size": 5, "min_count": 1}),
        Case("rare words left out", {"words": [*text, "the"], "specials": SPECIALS, "size": 50, "min_count": 2}),
        Case(
            "a special among the words",
            {"words": ["a", "<eos>", "b", "<eos>", "b"], "specials": SPECIALS, "size": 4, "min_count": 1},
        ),
    ]


ordered_tokens = Exercise(
    name="ordered_tokens",
    title="Which words get a number",
    minutes=8,
    difficulty=1,
    points=2,
    act=lambda f, i: {"tokens": plain(f(i["words"], i["specials"], i["size"], i["min_count"]))},
    visible=_list_cases,
    forbids=("source.tokenizers.vocabulary.ordered_tokens",),
    hints=(
        "Two words of the same count: which comes first must not depend on the text they came from. And what does "
        "`size` count?",
        "`collections.Counter` counts; `sorted(words, key=...)` accepts a tuple as key, and compares its entries one "
        "after the other. `most_common` leaves ties in the order of first appearance.",
        "count the words; keep those with count >= min_count that are no special; sort by (minus the count, the word); "
        "put the specials in front; cut to size.",
    ),
)


# --- the vocabulary --------------------------------------------------------------------------------------------------

LOOKS = 20  # hashes and comparisons allowed for each word; a dictionary needs two to ten


def _vocabulary_case(kind, tokens, specials, streams, ids, bad=()):
    return Case(kind, {"tokens": tokens, "specials": specials, "streams": streams, "ids": ids, "bad": list(bad)})


def _vocabulary_cases():
    d = Draw(202)
    words = drawn_words(d, "abcdefghij", 600, 5)
    return [
        _vocabulary_case(
            "one known, one unknown", [*SPECIALS, "the", "king"], SPECIALS, [["king", "queen"]], [2, 3], [[4]]
        ),
        _vocabulary_case(
            "a word spelled like a special, and the unknown token last",
            ["the", "king", "<eos>", "<unk>"],
            ["<unk>", "<eos>"],
            [["the", "<eos>", "queen", "<unk>"]],
            [2, 0, 3, 1],
            [[0, -1]],
        ),
        _vocabulary_case(
            "several calls that count together",
            [*SPECIALS, "a", "b"],
            SPECIALS,
            [["a", "x", "x"], [], ["y", "b", "x"]],
            [3, 3, 2],
            [[1, 99]],
        ),
        _vocabulary_case(
            "600 words", [*SPECIALS, *words], SPECIALS, [words[::-20], ["?", *words[1:600:50]]], [601, 2, 300]
        ),
    ]


def _outcome(f):
    # What a call that should refuse does: the name of its error, or what it returned instead.
    try:
        return f"returned {f()}"
    except NotImplementedError:
        raise
    except Exception as error:
        return type(error).__name__


def _vocabulary_act(f, i):
    vocabulary = f(i["tokens"], i["specials"])
    other = f(i["tokens"], i["specials"])  # a second one, which must not share the first one's counts
    outputs = {
        "ids": [list(vocabulary.encode(stream)) for stream in i["streams"]],
        "unknown_counts": sorted([str(word), int(n)] for word, n in dict(vocabulary.unknown_counts).items() if n),
        "unknown_counts of another vocabulary": sorted(str(word) for word in dict(other.unknown_counts)),
        "decoded": plain(vocabulary.decode(i["ids"]), "what decode returned"),
        "decoding ids that do not exist": [_outcome(lambda ids=ids: vocabulary.decode(ids)) for ids in i["bad"]],
    }
    tally = Tally()
    counted = f([CountedWord(token, tally) for token in i["tokens"]], i["specials"])
    words = [CountedWord(word, tally) for stream in i["streams"] for word in stream]
    before = tally.count
    counted.encode(words)
    looks = (tally.count - before) / max(1, len(words))
    outputs["words looked at for each word encoded"] = f"{LOOKS} at most" if looks <= LOOKS else f"more than {LOOKS}"
    return outputs


vocabulary = Exercise(
    name="vocabulary",
    title="Words to ids and back",
    minutes=15,
    difficulty=2,
    points=4,
    act=_vocabulary_act,
    visible=_vocabulary_cases,
    forbids=(
        "source.tokenizers.vocabulary.Vocabulary.__init__",
        "source.tokenizers.vocabulary.Vocabulary.encode",
        "source.tokenizers.vocabulary.Vocabulary.decode",
    ),
    hints=(
        "Which table answers 'what is the id of this word', and may it contain the specials at all? What does Python "
        "make of `tokens[-1]`?",
        "A `dict` from word to id, made once in `__init__`; `ids.get(word)` gives None for an unknown word, and 0 is "
        "an id like any other. A `Counter` made in `__init__` counts for this vocabulary alone.",
        "init: keep the tokens; ordinary = {token: place} without the specials; unknown = the place of specials[0]; an "
        "empty Counter. encode: look each word up, else count it and take unknown. decode: raise ValueError unless "
        "0 <= id < number of tokens, then take the token at that place.",
    ),
)


# --- the door for specials -------------------------------------------------------------------------------------------


def _split_cases():
    return [
        Case("two specials by hand", {"text": "to be<eos>or not<eos>", "specials": ["<eos>"]}),
        Case(
            "signs that mean something in patterns", {"text": "a|b <|eos|> [PAD]? P", "specials": ["<|eos|>", "[PAD]"]}
        ),
        Case("nothing is allowed", {"text": "a<eos>", "specials": []}),
        Case("one special begins like another", {"text": "<s>2x<s><s>2", "specials": ["<s>2x", "<s>", "<s>2"]}),
        Case("specials that overlap in the text", {"text": "=#=.#=#", "specials": ["#=", "=#"]}),
    ]


def _split_act(f, i):
    return {"pieces": [[str(piece), special] for piece, special in f(i["text"], i["specials"])]}


split_special = Exercise(
    name="split_special",
    title="One door for special tokens",
    minutes=10,
    difficulty=2,
    points=3,
    act=_split_act,
    visible=_split_cases,
    forbids=("source.tokenizers.vocabulary.split_special",),
    hints=(
        "Where do you stand in the text, and which special begins right here? If two do, which one? If nothing is "
        "allowed, what is the whole text?",
        '`re.split("(a|b)", text)` keeps what it split at, at the odd places of its result. `|` takes the first '
        "alternative that fits, and `re.escape` takes the meaning from signs such as `|` and `[`.",
        "without specials: the text alone, if it is not empty; else pattern = the escaped specials, longest first, "
        "joined by |; parts = re.split of the pattern in parentheses; keep each part that is not empty, with whether "
        "its place is odd.",
    ),
)


# --- the trie --------------------------------------------------------------------------------------------------------

READS = 3  # characters that may be read for each step that some entry goes along


def _walks(text: str, tokens: list[str], starts: list[int]) -> int:
    """Over these places of the text: the steps for which some token goes along, and the one that ends the walk."""
    beginnings = {token[:n] for token in tokens for n in range(1, len(token) + 1)}
    total = 1
    for start in starts:
        steps = 0
        while start + steps < len(text) and text[start : start + steps + 1] in beginnings:
            steps += 1
        total += steps + 1
    return total


def _trie_cases():
    d = Draw(204)
    many = drawn_words(d, "abcdef", 300, 5)
    long = "-" * 100  # entries like this exist: a ruled line is one token in real vocabularies
    return [
        Case("by hand", {"tokens": ["a", "b", "ab"], "ids": [1, 2, 3], "unknown": 0, "text": "abba"}),
        Case(
            "an entry with id 0, unknown characters",
            {"tokens": ["ab", "c"], "ids": [0, 1], "unknown": 9, "text": "?abcab??"},
        ),
        Case(
            "a longer entry that breaks off",
            {"tokens": ["a", "ab", "abcd", "c"], "ids": [5, 6, 7, 8], "unknown": 0, "text": "abcabcdabceab"},
        ),
        Case(
            "an entry of 100 characters",
            {
                "tokens": ["a", "b", "c", "abc", "bca", long],
                "ids": [1, 2, 3, 4, 5, 6],
                "unknown": 0,
                "text": "abcabcacbbac" * 10 + long + "--" + "bcaabc" * 10,
            },
        ),
        Case(
            "300 entries",
            {"tokens": many, "ids": list(range(300)), "unknown": 300, "text": drawn_text(d, [*many, "?"], 40)},
        ),
    ]


def _work(read: int, walks: int) -> str:
    over = [times for times in (READS, 10 * READS) if read > times * walks]
    return f"more than {over[-1]}" if over else f"{READS} at most"


def _starts(ids: list, i) -> list[int]:
    # Where tokenize stood, by the ids it gave. Of ids that are wrong themselves the work is never judged.
    lengths = {number: len(token) for number, token in zip(i["ids"], i["tokens"], strict=True)}
    starts, at = [], 0
    for number in ids:
        starts.append(at)
        at += lengths.get(number, 1)
    return starts


def _trie_act(f, i):
    trie = f()
    for token, number in zip(i["tokens"], i["ids"], strict=True):
        trie.add(token, number)
    places = list(range(len(i["text"]) + 1))
    walks = _walks(i["text"], i["tokens"], places)
    text, whole = (CountedText(i["text"], limit=5_000 + 50 * walks) for _ in range(2))
    longest = [list(trie.longest_prefix(text, start)) for start in places]
    ids = list(trie.tokenize(whole, i["unknown"]))
    return {
        "(length, id) at each place": longest,
        "ids": ids,
        "(length, id) in a new, empty trie": list(f().longest_prefix(i["text"], 0)),
        "characters read for each step along an entry": _work(text.read, walks),
        "characters read by tokenize for each step": _work(whole.read, _walks(i["text"], i["tokens"], _starts(ids, i))),
    }


trie = Exercise(
    name="trie",
    title="A trie, and longest match with it",
    minutes=20,
    difficulty=2,
    points=5,
    act=_trie_act,
    visible=_trie_cases,
    forbids=(
        "source.tokenizers.trie.Trie.add",
        "source.tokenizers.trie.Trie.prefixes",
        "source.tokenizers.trie.Trie.longest_prefix",
        "source.tokenizers.trie.Trie.tokenize",
        "source.tokenizers.trie.tokenize_naive",
        "source.tokenizers.trie.tokenize_hashed",
    ),
    hints=(
        "Walk down from the root, one character a step. You may pass several entries and then get stuck: which of "
        "them do you return? How do you tell an entry with id 0 from no entry?",
        "A node can be a dict from character to node: `node.setdefault(character, {})` makes a child where there is "
        "none. Read single characters, `text[start + n]`: a slice of the rest of the text reads all of it.",
        "longest_prefix: best = (0, None); step down as long as there is text and a child for the next character; "
        "whenever the node you reach is an entry, best = (steps so far, its id); return best. tokenize: while there is "
        "text: take the longest prefix's id and go on by its length, or the unknown id and go on by one.",
    ),
)


# --- the fewest tokens -----------------------------------------------------------------------------------------------


def _fewest_cases():
    return [
        Case("longest match takes one too many", {"tokens": ["a", "b", "ab", "abc", "cde", "d", "e"], "text": "abcde"}),
        Case("longest match gets stuck", {"tokens": ["ab", "abc", "cd"], "text": "abcd"}),
        Case("two cuts of two tokens", {"tokens": ["a", "ab", "abc", "bcd", "cd", "d"], "text": "abcd"}),
        Case("no cut exists", {"tokens": ["ab", "bc", "d"], "text": "abcd"}),
        Case(
            "so many cuts that trying all takes for ever", {"tokens": ["a", "aa", "aaa", "b"], "text": "a" * 40 + "b"}
        ),
    ]


def _fewest_act(f, i):
    ids = {token: number for number, token in enumerate(i["tokens"], start=i.get("first id", 0))}
    # Every sensible way reads each stretch of the text a few times at most; one that starts over and over does not end.
    text = CountedText(i["text"], limit=20_000 + 3 * len(i["text"]) ** 3)
    try:
        return {"refuses": False, "ids": list(f(text, ids))}
    except ValueError:
        return {"refuses": True, "ids": []}


fewest_tokens = Exercise(
    name="fewest_tokens",
    title="The fewest tokens",
    minutes=15,
    difficulty=3,
    points=4,
    act=_fewest_act,
    visible=_fewest_cases,
    forbids=(
        "source.tokenizers.trie.fewest_tokens",
        "source.tokenizers.trie.fewest_tokens_naive",
    ),
    hints=(
        "Suppose you knew, for every later place, how few tokens the rest from there needs. What would the first "
        "token have to be?",
        "Fill a list from the end of the text to its beginning, with `fewest[len(text)] = 0` and `math.inf` for 'no "
        "way'. `text[i:j] in ids` asks whether a stretch is a token.",
        "for start from the last place down to 0: try each length, longest first; if the stretch is a token and "
        "1 + fewest[start + length] is smaller than what you have, keep it and remember the length. Raise ValueError "
        "if fewest[0] is infinite; else follow the remembered lengths from 0.",
    ),
)


# --- the test --------------------------------------------------------------------------------------------------------


def faulty(fault: str, amount: int):
    """A tokenizer class with a named fault; "none" is right. What the learner's test has to tell apart."""

    class Tokenizer:
        def __init__(self, tokens, specials):
            self.tokens, self.specials, self.calls = list(tokens), list(specials), 0
            self.unknown = self.tokens.index(self.specials[0])
            self.entries = [t for t in self.tokens if t not in self.specials or fault == "special forged"]

        def best(self, text, at, allowed):
            fits = [t for t in allowed if text.startswith(t, at)]
            if fits:
                return max(fits, key=len)
            fits = sorted((t for t in self.entries if text.startswith(t, at)), key=len)
            if not fits:
                return None
            if fault == "shortest":
                return fits[0]
            if fault == "no way back":  # the walk went on towards a longer entry, which then broke off
                goes_on = [t for t in self.entries if t.startswith(text[at : at + len(fits[-1]) + 1])]
                if len(text) > at + len(fits[-1]) and goes_on:
                    return None
            return fits[-1]

        def encode(self, text, allowed=()):
            self.calls += 1
            if fault == "permission ignored":
                allowed = ()
            if fault == "all or nothing" and allowed:
                allowed = self.specials
            if fault == "lower case":
                text = text.lower()
            if fault == "strips":
                text = text.strip()
            ids, at = [], 0
            while at < len(text):
                token = self.best(text, at, allowed)
                if token is not None:
                    ids.append(self.tokens.index(token))
                    at += 1 if fault == "pieces overlap" else len(token)
                    continue
                if fault == "stops at unknown":
                    return ids
                repeated = fault == "unknowns merged" and ids and ids[-1] == self.unknown
                if fault != "unknowns dropped" and not repeated:
                    ids.append(self.unknown)
                at += 1
            if fault == "unknown at the end lost" and ids and ids[-1] == self.unknown:
                ids.pop()
            if fault == "cut short":
                ids = ids[:amount]
            if fault == "empty is unknown" and not text:
                ids = [self.unknown]
            if fault == "remembers" and self.calls > amount:
                ids = [*self.last, *ids]
            self.last = ids
            return list(ids)

        def decode(self, ids):
            tokens = [self.tokens[i] for i in ids]
            if fault == "specials not decoded":
                tokens = [t for t in tokens if t not in self.specials]
            return (" " if fault == "spaces between" else "").join(tokens)

    return Tokenizer


def _test_cases():
    # Each case holds a right tokenizer too: a test that says the same to all is worth nothing.
    return [
        Case("a special in the text becomes the special", {"fault": "special forged", "amount": 0}),
        Case("the shortest entry is taken", {"fault": "shortest", "amount": 0}),
        Case("decoding puts spaces between tokens", {"fault": "spaces between", "amount": 0}),
        Case("unknown characters vanish", {"fault": "unknowns dropped", "amount": 0}),
        Case("a longer entry that breaks off hides a shorter one", {"fault": "no way back", "amount": 0}),
        Case("a permitted special is not recognised", {"fault": "permission ignored", "amount": 0}),
    ]


def _test_act(f, i):
    return {"accepts the right one": bool(f(faulty("none", 0))), "accepts the wrong one": bool(f(faulty(**i)))}


tokenizer_test = Exercise(
    name="tokenizer_test",
    title="Write the test that catches them",
    minutes=15,
    difficulty=3,
    points=4,
    act=_test_act,
    visible=_test_cases,
    forbids=(
        "source.tokenizers.longest_match.LongestMatchTokenizer.encode",
        "source.tokenizers.longest_match.LongestMatchTokenizer.decode",
    ),
    hints=(
        "A round trip finds much, but not everything: which wrong tokenizers still give the text back? And a text "
        "without an unknown character, without a special, without a space never shows what goes wrong with those.",
        "Make a small vocabulary in which entries begin alike ('a', 'ab', 'abcd'), and write down the right ids of a "
        "few texts by hand: the empty one, one that ends in an unknown character, one with a special in it, with and "
        "without permission. Compare lists of ids and decoded texts with `==`.",
        "tokenizer = candidate(tokens, specials); for each (text, allowed, right ids): return False if encode gives "
        "anything else, or if decode does not give the right text; go through all texts twice with one tokenizer; "
        "return True at the end.",
    ),
)
