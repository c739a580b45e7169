"""Lab 0.2, the instructor's half: references by plain search and sorting, hidden cases, misconceptions."""

from functools import cache

from autograder.cases import Draw
from autograder.checks.ch00_text_to_tensors.lab02_tokenization_and_vocabulary import (
    LOOKS,
    READS,
    SPECIALS,
    _vocabulary_case,
    drawn_text,
    drawn_words,
)
from autograder.exercise import Answer, Case, Misconception

# --- the list --------------------------------------------------------------------------------------------------------


def _list_hidden(seed):
    d = Draw(seed)
    words = drawn_words(d, "abcde", 30)
    stream = [words[min(int(n), 29)] for n in d.rng.geometric(0.15, 200)]
    ties = [words[n] for n in d.rng.permutation(30)]
    return [
        Case("no words at all", {"words": [], "specials": SPECIALS, "size": 10, "min_count": 1}),
        Case("room for the specials alone", {"words": stream, "specials": SPECIALS, "size": 2, "min_count": 1}),
        Case("words that all come once", {"words": ties, "specials": SPECIALS, "size": 12, "min_count": 1}),
        Case("no specials", {"words": stream, "specials": [], "size": 9, "min_count": 1}),
        Case(
            "many words, cut by size", {"words": stream, "specials": [*SPECIALS, "<pad>"], "size": 11, "min_count": 2}
        ),
        Case("many words, cut by count", {"words": stream, "specials": SPECIALS, "size": 500, "min_count": 5}),
        Case("every word too rare", {"words": ties, "specials": SPECIALS, "size": 500, "min_count": 2}),
        Case(
            "frequent specials among the words",
            {"words": [*stream, *["<pad>"] * 50, *ties], "specials": ["<unk>", "<pad>"], "size": 8, "min_count": 1},
        ),
        Case(
            "capitals and accents",
            {"words": [*"éEeÉßZzé", *ties], "specials": ["ß"], "size": 7, "min_count": 1},
        ),
    ]


def _list_reference(i):
    left = sorted(word for word in i["words"] if word not in i["specials"])
    found = list(i["specials"])
    for count in range(len(left), 0, -1):  # the words of each count, most frequent first; they are in order already
        if count >= i["min_count"]:
            found += [word for word in dict.fromkeys(left) if left.count(word) == count]
    return {"tokens": found[: i["size"]]}


ordered_tokens = Answer(
    name="ordered_tokens",
    reference=_list_reference,
    hidden=_list_hidden,
    misconceptions=(
        Misconception(
            "ties-by-appearance",
            "equally frequent words stay in the order in which the text brings them, so that another order of the same "
            "sentences gives other ids",
            edits=(("key=lambda word: (-counts[word], word)", "key=lambda word: -counts[word]"),),
        ),
        Misconception(
            "ties-backwards",
            "the whole order is reversed at once, so that equally frequent words come in reverse alphabetical order",
            edits=(("key=lambda word: (-counts[word], word)", "key=lambda word: (counts[word], word), reverse=True"),),
        ),
        Misconception(
            "cut-before-sorting",
            "the list is cut to size while equally frequent words still stand in the order of the text",
            edits=(("in counts.items() if", "in counts.most_common(size) if"),),
        ),
        Misconception(
            "alphabetical",
            "the words are in alphabetical order, whatever their counts",
            edits=(("key=lambda word: (-counts[word], word)", "key=lambda word: word"),),
        ),
        Misconception(
            "rarest-first",
            "the rarest words come first",
            edits=(("(-counts[word], word)", "(counts[word], word)"),),
        ),
        Misconception(
            "count-too-strict",
            "a word that occurs exactly min_count times is left out",
            edits=(("n >= min_count", "n > min_count"),),
        ),
        Misconception("min-count-ignored", "min_count is not looked at", edits=(("n >= min_count", "n >= 1"),)),
        Misconception(
            "specials-not-counted",
            "size counts the words alone, so that the specials come on top of it",
            edits=(("[*specials, *kept][:size]", "[*specials, *kept[:size]]"),),
        ),
        Misconception(
            "special-twice",
            "a word that is spelled like a special is listed again, with an id of its own",
            edits=((" and word not in specials", ""),),
        ),
        Misconception(
            "specials-last",
            "the specials come after the words",
            edits=(("[*specials, *kept][:size]", "[*kept[: size - len(specials)], *specials]"),),
        ),
    ),
)

# --- the vocabulary --------------------------------------------------------------------------------------------------


def _vocabulary_hidden(seed):
    d = Draw(seed)
    words = drawn_words(d, "abcdefghijkl", 1200, 5)
    known, strange = words[:1000], words[1000:]
    mixed = [words[n] for n in d.rng.integers(0, 1200, 80)]
    return [
        _vocabulary_case("nothing to encode or decode", [*SPECIALS, "a"], SPECIALS, [[], []], [], [[-3], [3]]),
        _vocabulary_case("specials alone", ["<unk>"], ["<unk>"], [["a", "a", "<unk>"]], [0, 0], [[1], [-1]]),
        _vocabulary_case(
            "specials in the middle",
            ["x", "<pad>", "y", "<unk>", "z"],
            ["<unk>", "<pad>"],
            [["z", "<pad>", "y", "w"], ["x", "<unk>"]],
            [4, 3, 2, 1, 0],
            [[0, 5], [-5], [2, -1]],
        ),
        _vocabulary_case("1000 words, some unknown", [*SPECIALS, *known], SPECIALS, [mixed, mixed[::3]], [1001, 2, 5]),
        _vocabulary_case("unknown words only", [*SPECIALS, *known], SPECIALS, [strange[:40], strange[30:60]], [7]),
        _vocabulary_case(
            "words that differ in case or accent",
            [*SPECIALS, "The", "the", "é"],
            SPECIALS,
            [["THE", "the", "é", "e"]],
            [2, 3],
        ),
        _vocabulary_case(
            "an ordinary word as the unknown token",
            ["eos", "a", "unk"],
            ["unk", "eos"],
            [["unk", "a", "eos", "b"]],
            [0, 2],
        ),
    ]


def _vocabulary_reference(i):
    tokens, specials = i["tokens"], i["specials"]
    unknown = tokens.index(specials[0])
    missing = [w for stream in i["streams"] for w in stream if w in specials or w not in tokens]
    return {
        "ids": [[unknown if w in specials or w not in tokens else tokens.index(w) for w in s] for s in i["streams"]],
        "unknown_counts": [[w, missing.count(w)] for w in sorted(set(missing))],
        "unknown_counts of another vocabulary": [],
        "decoded": [tokens[n] for n in i["ids"]],
        "decoding ids that do not exist": ["ValueError" for _ in i["bad"]],
        "words looked at for each word encoded": f"{LOOKS} at most",
    }


_TABLE = "{token: i for i, token in enumerate(tokens) if token not in specials}"
vocabulary = Answer(
    name="vocabulary",
    reference=_vocabulary_reference,
    hidden=_vocabulary_hidden,
    misconceptions=(
        Misconception(
            "specials-forged",
            "specials and words share one table, so that whoever writes a special's name into a text gets its id",
            edits=((_TABLE, "{token: i for i, token in enumerate(tokens)}"),),
        ),
        Misconception(
            "unknown-is-zero",
            "an unknown word always becomes id 0, wherever the unknown token stands",
            edits=(("tokens.index(specials[0])", "0"),),
        ),
        Misconception(
            "id-zero",
            "a word whose id is 0 is taken for unknown, because 0 counts as false",
            edits=(
                ("if word not in self.ids:", "if not self.ids.get(word):"),
                ("self.ids.get(word, self.unknown)", "self.ids.get(word) or self.unknown"),
            ),
        ),
        Misconception(
            "specials-not-decoded",
            "decode leaves the specials out, so that the unknown words vanish and the places shift",
            edits=(
                (
                    "return [self.tokens[i] for i in ids]",
                    "return [self.tokens[i] for i in ids if self.tokens[i] in self.ids]",
                ),
            ),
        ),
        Misconception(
            "unknown-dropped",
            "unknown words leave no id behind",
            edits=(
                ("ids.append(self.ids.get(word, self.unknown))", "ids += [self.ids[word]] if word in self.ids else []"),
            ),
        ),
        Misconception(
            "unknown-learned",
            "an unknown word is given a new id, beyond the end of the vocabulary",
            edits=(
                (
                    "ids.append(self.ids.get(word, self.unknown))",
                    "ids.append(self.ids.setdefault(word, len(self.tokens)))",
                ),
            ),
        ),
        Misconception(
            "unknown-counted-once",
            "each unknown word is counted once, however often it comes",
            edits=(("self.unknown_counts[word] += 1", "self.unknown_counts[word] = 1"),),
        ),
        Misconception(
            "counts-forgotten",
            "every call of encode begins to count anew",
            edits=(("        ids = []\n", "        ids = []\n        self.unknown_counts = Counter()\n"),),
        ),
        Misconception(
            "counts-shared",
            "the Counter belongs to the class, so that all vocabularies count into the same one",
            edits=(("self.unknown_counts = Counter()", "type(self).unknown_counts = Counter()"),),
        ),
        Misconception(
            "negative-ids",
            "only ids that are too large are refused, and -1 becomes the last token",
            edits=(("not 0 <= i < len(self.tokens)", "i >= len(self.tokens)"),),
        ),
        Misconception(
            "ids-not-tested",
            "decode leaves it to Python to notice ids that do not exist: -1 becomes the last token",
            edits=(("not 0 <= i < len(self.tokens)", "False"),),
        ),
        Misconception(
            "last-id-plus-one",
            "the first id after the last one gets past the test",
            edits=(("0 <= i < len(self.tokens)", "0 <= i <= len(self.tokens)"),),
        ),
        Misconception(
            "list-searched",
            "each word is searched in the list of tokens, one after the other, instead of looked up in a table",
            edits=(
                ("if word not in self.ids:", "if word not in self.tokens or word in self.specials:"),
                (
                    "ids.append(self.ids.get(word, self.unknown))",
                    "known = word in self.tokens and word not in self.specials\n"
                    "            ids.append(self.tokens.index(word) if known else self.unknown)",
                ),
                ("self.tokens = list(tokens)", "self.tokens, self.specials = list(tokens), list(specials)"),
            ),
        ),
    ),
)

# --- the door for specials -------------------------------------------------------------------------------------------


def _split_hidden(seed):
    d = Draw(seed)
    names = ["<a>b", "<a>", "<a><b>", "(x)", "x)*"]
    signs = [".", "^$", "\\d", "a+", "(", "[ab]"]
    return [
        Case("an empty text", {"text": "", "specials": ["<eos>"]}),
        Case("an empty text and nothing allowed", {"text": "", "specials": []}),
        Case("the special is the whole text", {"text": "<eos>", "specials": ["<eos>", "<pad>"]}),
        Case("a special that is not finished", {"text": "<eos<eos", "specials": ["<eos>"]}),
        Case("another spelling of the special", {"text": "<EOS> < eos >", "specials": ["<eos>"]}),
        Case(
            "many that overlap", {"text": drawn_text(d, ["<a>", "b", "<b>", "(x)", ")*", "x"], 40), "specials": names}
        ),
        Case("signs of patterns", {"text": drawn_text(d, [*signs, "5", "aa", "b"], 40), "specials": signs}),
        Case(
            "other scripts, and several lines",
            {"text": drawn_text(d, ["ä", "\n", "是", "«x»", "🙂"], 25), "specials": ["«x»", "\n\n", "🙂是"]},
        ),
    ]


def _split_reference(i):
    pieces, at, text = [], 0, i["text"]
    while at < len(text):
        here = max((s for s in i["specials"] if text[at : at + len(s)] == s), key=len, default="")
        if here:
            pieces.append([here, True])
        elif pieces and not pieces[-1][1]:
            pieces[-1][0] += text[at]
        else:
            pieces.append([text[at], False])
        at += len(here) or 1
    return {"pieces": pieces}


_LONGEST_FIRST = "sorted(specials, key=len, reverse=True)"
split_special = Answer(
    name="split_special",
    reference=_split_reference,
    hidden=_split_hidden,
    misconceptions=(
        Misconception(
            "not-escaped",
            "signs such as | and [ in a special keep their meaning as a pattern",
            edits=(("re.escape(special)", "special"),),
        ),
        Misconception(
            "in-the-order-given",
            "of two specials that begin alike, the one that is listed first is taken instead of the longer one",
            edits=((_LONGEST_FIRST, "specials"),),
        ),
        Misconception(
            "shortest-first",
            "of two specials that begin alike, the shorter one is taken",
            edits=((_LONGEST_FIRST, "sorted(specials, key=len)"),),
        ),
        Misconception(
            "empty-pattern",
            "an empty pattern cuts the text between any two characters when nothing is allowed",
            edits=(("if not specials:", "if specials is None:"),),
        ),
        Misconception(
            "empty-pieces",
            "empty pieces are kept before, between and after the specials",
            edits=((" if part]", "]"), ("[(text, False)] if text else []", "[(text, False)]")),
        ),
        Misconception(
            "one-special-after-the-other",
            "the text is cut at every place of one special before the next special is looked for, so that the order of "
            "the list decides, and not the order in the text",
            code="def split_special(text, specials):\n"
            "    pieces = [(text, False)]\n"
            "    for special in sorted(specials, key=len, reverse=True):\n"
            "        cut = []\n"
            "        for piece, done in pieces:\n"
            "            if done:\n"
            "                cut.append((piece, done))\n"
            "                continue\n"
            "            for part in piece.split(special):\n"
            "                cut += [(part, False), (special, True)]\n"
            "            cut.pop()\n"
            "        pieces = cut\n"
            "    return [(piece, done) for piece, done in pieces if piece]\n",
        ),
        Misconception(
            "specials-lost",
            "the specials are dropped from the result, and only the text between them is left",
            edits=(('re.split(f"({pattern})", text)', "[p for part in re.split(pattern, text) for p in (part, '')]"),),
        ),
    ),
)

# --- the trie --------------------------------------------------------------------------------------------------------


def _trie_hidden(seed):
    d = Draw(seed)
    tokens = drawn_words(d, "abc", 25, 6)
    order = d.rng.permutation(25)
    ids = [int(n) for n in d.rng.permutation(100)[:25]]
    accents = ["e", "é", "e\u0301", "是", "🙂", "🙂🙂", "👩\u200d💻"]
    return [
        Case("an empty text", {"tokens": ["a", "ab"], "ids": [0, 1], "unknown": 2, "text": ""}),
        Case("one character, known", {"tokens": ["a"], "ids": [0], "unknown": 7, "text": "a"}),
        Case("nothing is known", {"tokens": ["xyz"], "ids": [3], "unknown": 0, "text": "abxyab"}),
        Case("no entries", {"tokens": [], "ids": [], "unknown": 4, "text": "ab"}),
        Case(
            "long entries entered first",
            {"tokens": ["abcde", "abcd", "ab", "a"], "ids": [0, 1, 2, 3], "unknown": 9, "text": "abcdeabcdabcababa"},
        ),
        Case(
            "many entries that begin alike",
            {
                "tokens": [tokens[n] for n in order],
                "ids": ids,
                "unknown": 100,
                "text": drawn_text(d, [*tokens, "?", "a", "b"], 60),
            },
        ),
        Case(
            "one letter over and over",
            {
                "tokens": ["a", "aaa", "a" * 20],
                "ids": [2, 1, 0],
                "unknown": 3,
                "text": "a" * int(d.rng.integers(50, 90)),
            },
        ),
        Case(
            "other scripts and joined characters",
            {
                "tokens": accents,
                "ids": list(range(7)),
                "unknown": 7,
                "text": drawn_text(d, [*accents, "👩", "\u0301"], 30),
            },
        ),
        Case(
            "an entry of 200 characters",
            {
                "tokens": [*tokens, "=" * 200],
                "ids": list(range(26)),
                "unknown": 26,
                "text": drawn_text(d, tokens, 60) + "=" * 200 + "==" + drawn_text(d, tokens, 20),
            },
        ),
    ]


def _trie_reference(i):
    text, entries = i["text"], list(zip(i["tokens"], i["ids"], strict=True))

    def longest(start):
        fits = [[len(token), number] for token, number in entries if text[start : start + len(token)] == token]
        return max(fits, default=[0, None])

    ids, start = [], 0
    while start < len(text):
        length, number = longest(start)
        ids.append(number if length else i["unknown"])
        start += length or 1
    return {
        "(length, id) at each place": [longest(start) for start in range(len(text) + 1)],
        "ids": ids,
        "(length, id) in a new, empty trie": [0, None],
        "characters read for each step along an entry": f"{READS} at most",
        "characters read by tokenize for each step": f"{READS} at most",
    }


_TOKENIZE = (
    "    def tokenize(self, text, unknown):\n"
    "        ids, start = [], 0\n"
    "        while start < len(text):\n"
    "            length, number = self.longest_prefix(text, start)\n"
    "            ids.append(unknown if number is None else number)\n"
    "            start += max(1, length)\n"
    "        return ids\n"
)
trie = Answer(
    name="trie",
    reference=_trie_reference,
    hidden=_trie_hidden,
    misconceptions=(
        Misconception(
            "id-zero",
            "an entry whose id is 0 is taken for no entry, because 0 counts as false",
            edits=(("if None in node:", "if node.get(None):"),),
        ),
        Misconception(
            "id-zero-in-tokenize",
            "tokenize takes the id 0 for 'nothing found', because 0 counts as false",
            edits=(("unknown if number is None else number", "number or unknown"),),
        ),
        Misconception(
            "shortest",
            "the walk ends at the first entry that it meets, the shortest",
            edits=(
                (
                    "best = (at + 1 - start, node[None])",
                    "return (at + 1 - start, node[None])",
                ),
            ),
        ),
        Misconception(
            "no-way-back",
            "getting stuck counts as finding nothing: the entries that the walk passed before are forgotten",
            edits=(
                (
                    "            if node is None:\n                break",
                    "            if node is None:\n                return (0, None)",
                ),
            ),
        ),
        Misconception(
            "no-way-back-at-all",
            "only the last node of the walk is looked at: when a longer entry breaks off, the shorter one is forgotten",
            edits=(
                (
                    "            node = node.get(text[at])\n            if node is None:\n                break",
                    "            if text[at] not in node:\n                break\n            node = node[text[at]]",
                ),
                (
                    "            if None in node:\n                best = (at + 1 - start, node[None])",
                    "            best = (at + 1 - start, node[None]) if None in node else (0, None)",
                ),
            ),
        ),
        Misconception(
            "length-of-the-walk",
            "the length is that of the whole walk, although its last steps lead to no entry",
            edits=(
                (
                    "        return best\n",
                    "        return (at - start if node is None else at + 1 - start, best[1]) if best[0] else best\n",
                ),
            ),
        ),
        Misconception(
            "beyond-the-end",
            "the walk goes on behind the last character of the text",
            edits=(("range(start, len(text))", "range(start, len(text) + 1)"),),
        ),
        Misconception(
            "rest-sliced",
            "longest_prefix takes a slice of the whole rest of the text, and so reads all of it for each short walk",
            edits=(
                ("for at in range(start, len(text)):", "for at, character in enumerate(text[start:], start):"),
                ("node = node.get(text[at])", "node = node.get(character)"),
            ),
        ),
        Misconception(
            "growing-slices",
            "at each step all characters of the walk are read again, in a slice that grows",
            edits=(("node = node.get(text[at])", "node = node.get(text[start : at + 1][-1])"),),
        ),
        Misconception(
            "branch-overwritten",
            "add makes a new node even where there is one, so that entries which begin alike are lost",
            edits=(
                (
                    "node = node.setdefault(character, {})",
                    "node[character] = {}\n            node = node[character]",
                ),
            ),
        ),
        Misconception(
            "root-shared",
            "the root belongs to the class, so that all tries share their entries",
            edits=(
                (
                    "    def __init__(self) -> None:\n",
                    "    root = {}\n\n    def __init__(self) -> None:\n        return\n",
                ),
            ),
        ),
        Misconception(
            "unknown-dropped",
            "a character that no entry begins with leaves no id behind",
            edits=(("ids.append(unknown if number is None else number)", "ids += [] if number is None else [number]"),),
        ),
        Misconception(
            "stops-at-unknown",
            "tokenize ends at the first character that no entry begins with",
            edits=(
                (
                    "            ids.append(unknown if number is None else number)",
                    "            if number is None:\n                break\n            ids.append(number)",
                ),
            ),
        ),
        Misconception(
            "unknowns-merged",
            "neighbouring unknown characters become one unknown id",
            edits=(
                (
                    "            ids.append(unknown if number is None else number)",
                    "            if number is not None or not ids or ids[-1] != unknown:\n"
                    "                ids.append(unknown if number is None else number)",
                ),
            ),
        ),
        Misconception(
            "stands-still",
            "tokenize does not move on where no entry begins, and never ends",
            edits=(("start += max(1, length)", "start += length"),),
        ),
        Misconception(
            "one-step-a-token",
            "tokenize goes on by one character instead of the token's length, so that tokens overlap",
            edits=(("start += max(1, length)", "start += 1"),),
        ),
        Misconception(
            "rest-copied",
            "the rest of the text is copied for every token before it is walked along",
            edits=(("self.longest_prefix(text, start)", "self.longest_prefix(text[start:], 0)"),),
        ),
        Misconception(
            "every-length-tried",
            "every length is looked up in a dictionary, longest first: the longest entry is paid for at each character",
            code="class Trie:\n"
            "    def __init__(self):\n"
            "        self.ids, self.longest = {}, 0\n\n"
            "    def add(self, token, number):\n"
            "        self.ids[token] = number\n"
            "        self.longest = max(self.longest, len(token))\n\n"
            "    def longest_prefix(self, text, start):\n"
            "        for length in range(min(self.longest, len(text) - start), 0, -1):\n"
            "            if text[start : start + length] in self.ids:\n"
            "                return length, self.ids[text[start : start + length]]\n"
            "        return 0, None\n\n" + _TOKENIZE,
        ),
        Misconception(
            "every-entry-tried",
            "every entry is held against the text at every place, one after the other",
            code="class Trie:\n"
            "    def __init__(self):\n"
            "        self.ids = {}\n\n"
            "    def add(self, token, number):\n"
            "        self.ids[token] = number\n\n"
            "    def longest_prefix(self, text, start):\n"
            "        best = (0, None)\n"
            "        for token, number in self.ids.items():\n"
            "            if len(token) > best[0] and text.startswith(token, start):\n"
            "                best = (len(token), number)\n"
            "        return best\n\n" + _TOKENIZE,
        ),
    ),
)

# --- the fewest tokens -----------------------------------------------------------------------------------------------


def _fewest_hidden(seed):
    d = Draw(seed)
    few = ["a", "b", *[w for w in drawn_words(d, "ab", 12, 5) if len(w) > 1]]
    many = ["a", "b", "c", *[w for w in drawn_words(d, "abc", 60, 6) if len(w) > 1]]
    return [
        Case("an empty text", {"tokens": ["a", "ab"], "text": ""}),
        Case("one character", {"tokens": ["b", "a"], "text": "a"}),
        Case("the whole text is a token", {"tokens": ["a", "b", "ab", "abab"], "text": "abab"}),
        Case("the last character has no token", {"tokens": ["a", "ab"], "text": "abax"}),
        Case("few tokens, many ties", {"tokens": few, "text": drawn_text(d, ["a", "b"], 40), "first id": 5}),
        Case("many tokens", {"tokens": many, "text": drawn_text(d, ["a", "b", "c"], 70), "first id": 1}),
        Case(
            "no single characters",
            {"tokens": ["aab", "ba", "aa", "ab"], "text": drawn_text(d, ["aab", "ba", "aa"], 15)},
        ),
        Case("one letter over and over", {"tokens": ["aaaaa", "aaa", "a"], "text": "a" * int(d.rng.integers(60, 90))}),
    ]


def _fewest_reference(i):
    text = i["text"]
    ids = {token: number for number, token in enumerate(i["tokens"], start=i.get("first id", 0))}

    @cache
    def best(start):  # (how many, minus the lengths, the ids) of the best cut from here, or None
        if start == len(text):
            return (0, (), ())
        cuts = []
        for token, number in ids.items():
            if text[start : start + len(token)] == token and (rest := best(start + len(token))) is not None:
                cuts.append((rest[0] + 1, (-len(token), *rest[1]), (number, *rest[2])))
        return min(cuts, default=None)

    found = best(0)
    return {"refuses": found is None, "ids": list(found[2]) if found else []}


fewest_tokens = Answer(
    name="fewest_tokens",
    reference=_fewest_reference,
    hidden=_fewest_hidden,
    misconceptions=(
        Misconception(
            "longest-match",
            "the longest token is taken at each place, which may cost a token later or lead into a dead end",
            code="def fewest_tokens(text, ids):\n"
            "    found, start = [], 0\n"
            "    while start < len(text):\n"
            "        for length in range(len(text) - start, 0, -1):\n"
            "            if text[start : start + length] in ids:\n"
            "                break\n"
            "        else:\n"
            "            raise ValueError('stuck')\n"
            "        found.append(ids[text[start : start + length]])\n"
            "        start += length\n"
            "    return found\n",
        ),
        Misconception(
            "ties-shortest-first",
            "of several cuts with the fewest tokens, one with a short first token is taken",
            edits=(
                (
                    "1 + fewest[start + length] < fewest[start]",
                    "1 + fewest[start + length] < fewest[start] + (fewest[start] < math.inf)",
                ),
            ),
        ),
        Misconception(
            "most-tokens",
            "the cut with the most tokens is taken",
            code="def fewest_tokens(text, ids):\n"
            "    end = len(text)\n"
            "    best = [None] * end + [[]]\n"
            "    for start in range(end - 1, -1, -1):\n"
            "        for length in range(end - start, 0, -1):\n"
            "            rest = best[start + length]\n"
            "            if rest is not None and text[start : start + length] in ids:\n"
            "                if best[start] is None or len(rest) + 1 > len(best[start]):\n"
            "                    best[start] = [ids[text[start : start + length]], *rest]\n"
            "    if best[0] is None:\n"
            "        raise ValueError('no cut')\n"
            "    return best[0]\n",
        ),
        Misconception(
            "all-cuts-tried",
            "every cut is tried, and what was found out about the rest of the text is found out again and again",
            code="def fewest_tokens(text, ids):\n"
            "    def best(start):\n"
            "        if start == len(text):\n"
            "            return []\n"
            "        found = None\n"
            "        for length in range(len(text) - start, 0, -1):\n"
            "            if text[start : start + length] in ids:\n"
            "                rest = best(start + length)\n"
            "                if rest is not None and (found is None or len(rest) + 1 < len(found)):\n"
            "                    found = [ids[text[start : start + length]], *rest]\n"
            "        return found\n"
            "    found = best(0)\n"
            "    if found is None:\n"
            "        raise ValueError('no cut')\n"
            "    return found\n",
        ),
        Misconception(
            "no-refusal",
            "an empty list comes back when no cut exists, as if the text were empty",
            edits=(('raise ValueError("no sequence of tokens spells the text")', "return []"),),
        ),
        Misconception(
            "last-token-lost",
            "the last token of the cut is left out",
            edits=(("    return found\n", "    return found[:-1]\n"),),
        ),
    ),
)

# --- the test --------------------------------------------------------------------------------------------------------


def _test_hidden(seed):
    d = Draw(seed)
    return [
        Case("the rest of a text is lost after an unknown character", {"fault": "stops at unknown", "amount": 0}),
        Case("an unknown character at the end is lost", {"fault": "unknown at the end lost", "amount": 0}),
        Case("neighbouring unknown characters become one", {"fault": "unknowns merged", "amount": 0}),
        Case("tokens overlap", {"fault": "pieces overlap", "amount": 0}),
        Case("permission for one special lets in all", {"fault": "all or nothing", "amount": 0}),
        Case("capitals become small letters", {"fault": "lower case", "amount": 0}),
        Case("white space at the ends is lost", {"fault": "strips", "amount": 0}),
        Case("an empty text becomes an unknown token", {"fault": "empty is unknown", "amount": 0}),
        Case("specials are left out of the decoded text", {"fault": "specials not decoded", "amount": 0}),
        Case("a long text is cut short", {"fault": "cut short", "amount": int(d.rng.integers(4, 8))}),
        Case("a later call remembers an earlier one", {"fault": "remembers", "amount": int(d.rng.integers(1, 4))}),
    ]


_ROUND_TRIP = (
    "def tokenizer_test(candidate):\n"
    "    tokenizer = candidate(['<unk>', '<eos>', 'a', 'b', ' ', 'ab'], ['<unk>', '<eos>'])\n"
    "    return all(tokenizer.decode(tokenizer.encode(text)) == text for text in ('', 'ab a', 'abba'))\n"
)
_FORGED = '("<eos>", (), [0] * 5, "<unk>" * 5),'
_HALF_ALLOWED = '("a<eos><pad>", ["<eos>"], [3, 1, 0, 0, 3, 0, 0], "a<eos><unk><unk>a<unk><unk>"),'
_UNKNOWN = '("ab??abA?", (), [5, 0, 0, 5, 0, 0], "ab<unk><unk>ab<unk><unk>"),'
tokenizer_test = Answer(
    name="tokenizer_test",
    reference=lambda i: {"accepts the right one": True, "accepts the wrong one": False},
    hidden=_test_hidden,
    misconceptions=(
        Misconception(
            "round-trip-alone",
            "only the round trip is tested, and only on known text: any cut whose pieces spell the text passes",
            code=_ROUND_TRIP,
        ),
        Misconception(
            "no-special-in-the-text",
            "no text of the test has a special's name in it without permission",
            edits=((_FORGED, ""), (_HALF_ALLOWED, "")),
        ),
        Misconception(
            "no-unknown-character",
            "no text of the test has an unknown character in it, so that losing one goes unnoticed",
            edits=((_FORGED, ""), (_HALF_ALLOWED, ""), (_UNKNOWN, "")),
        ),
        Misconception(
            "ids-alone",
            "only ids are compared, so that decoding may return anything",
            edits=((" or tokenizer.decode(ids) != back", ""),),
        ),
        Misconception(
            "rejects-all",
            "every candidate is rejected, the right one too",
            code="def tokenizer_test(candidate):\n    return False\n",
        ),
    ),
)
