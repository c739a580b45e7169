"""Lab 0.4, the student's half: how alphabet, pieces, merging, tokenizer, stream and fuzzer are driven."""

import json
import re
import unicodedata
from functools import cache
from itertools import pairwise

from autograder.acting import WrongType
from autograder.exercise import Case, Exercise, Property
from source.files import data_path
from source.tokenizers.byte_level import ByteLevelBPE
from source.tokenizers.byte_level_naive import read_merges

END = "<|endoftext|>"
# Libraries that hold the whole answer, and the course's own.
LIBRARIES = (
    "tokenizers.Tokenizer",
    "tokenizers.models.Model",
    "tokenizers.pre_tokenizers.PreTokenizer",
    "tiktoken.Encoding",
)
COURSE = ("source.tokenizers.byte_level.ByteLevelBPE.encode", "source.tokenizers.byte_level.ByteLevelBPE.encode_word")


@cache
def gpt2_files() -> tuple[dict[str, int], dict[tuple[str, str], int]]:
    """GPT-2's vocabulary and ranks."""
    vocab = json.loads(data_path("gpt2_tokenizer/encoder.json").read_text(encoding="utf-8"))
    return vocab, read_merges(data_path("gpt2_tokenizer/vocab.bpe").read_text(encoding="utf-8"))


@cache
def gpt2() -> ByteLevelBPE:
    """The course's tokenizer, which the fuzzer's faulty ones are made from."""
    return ByteLevelBPE.gpt2()


def _alphabet_cases():
    return [
        Case("A, b, a space and a line end, by hand", {"bytes": [65, 98, 32, 10]}),
        Case("the bytes below 128", {"bytes": list(range(128))}),
        Case("the bytes from 128 on", {"bytes": list(range(128, 256))}),
    ]


def _alphabet_act(f, i):
    table = f()
    if not isinstance(table, dict):
        raise WrongType(f"a {type(table).__name__} came back, not a dict from byte to character")
    return {"entries": len(table), "spelling": [table.get(b, "(no entry)") for b in i["bytes"]]}


byte_alphabet = Exercise(
    name="byte_alphabet",
    title="A character for every byte",
    minutes=10,
    difficulty=1,
    points=2,
    act=_alphabet_act,
    visible=_alphabet_cases,
    forbids=(
        "source.tokenizers.byte_alphabet.bytes_to_unicode",
        "source.tokenizers.byte_alphabet.spell",
    ),
    hints=(
        "Sort the 256 bytes into two heaps: those that may keep their own character, and the others. Which heap is the "
        "space in? What number does the first of the others get?",
        "`range(33, 127)` ends with 126. `chr(b)` is the character with number b. `enumerate(others)` counts the "
        "others from 0.",
        "own = 33..126, 161..172, 174..255; table[b] = chr(b) for these; others = the bytes of range(256) that are not "
        "in own; table[b] = chr(256 + n) for the n-th of the others; return the table.",
    ),
)


def _pieces_cases():
    return [
        Case("words, a number and a mark, by hand", {"text": "It's 42 cats!"}),
        Case("all seven endings", {"text": "I'd say he's sure we've won, they're late, I'm out, you'll see, don't"}),
        Case("letters of many scripts", {"text": "naïve Привет, 你好 नमस्ते ελλάδα"}),
        Case("runs of white space", {"text": "  a   b\tc \n\n d \t\n e   "}),
        Case("what looks like an ending and is none", {"text": "IT'S we’ve 'sad 'twas rock'n'roll '' 'd"}),
        Case("numerals and letters side by side", {"text": "x2 3½ Ⅷth ٣٤ 10% 1,000.5 a_b snake_case"}),
    ]


def _joined(inputs, outputs):
    return None if "".join(outputs["pieces"]) == inputs["text"] else "something is missing, or there twice"


pieces = Exercise(
    name="pieces",
    title="Find three faults in a pattern",
    minutes=15,
    difficulty=2,
    points=3,
    act=lambda f, i: {"pieces": f(i["text"])},
    visible=_pieces_cases,
    properties=(Property("the pieces, joined, are the text", _joined),),
    forbids=("source.tokenizers.pretokenizer.pieces", *LIBRARIES),
    hints=(
        "Take the rules of the table one by one and try the suspect on a text for each. Which rule has no "
        "alternative in the pattern, or one that says something else?",
        r"`\p{L}` is any letter of any script. `(?!\S)` is a *lookahead*: it matches nothing, and holds "
        "only where what follows is not visible.",
        r"Three repairs: add the ending that is missing; let words have all letters; before the last alternative, take "
        r"white space up to the last one before a word, `\s+(?!\S)`.",
    ),
)


def _ranks(told):
    return gpt2_files()[1] if told == "gpt2" else {tuple(pair): rank for rank, pair in enumerate(told)}


def _merge_cases():
    return [
        Case("three merges, by hand", {"word": "lower", "merges": [["l", "o"], ["e", "r"], ["lo", "w"]]}),
        Case("the later pair has the lower rank", {"word": "abcb", "merges": [["b", "c"], ["a", "b"], ["a", "bc"]]}),
        Case("a run of equal letters", {"word": "aaaaa", "merges": [["a", "a"], ["aa", "a"]]}),
        Case(
            "a longer token is known, but not reached",
            {"word": "abcde", "merges": [["b", "c"], ["d", "e"], ["c", "d"], ["a", "b"], ["ab", "cd"], ["bc", "de"]]},
        ),
        Case("a token that ends like half of a pair", {"word": "babaab", "merges": [["b", "a"], ["a", "b"]]}),
        Case("no pair is known", {"word": "xyz", "merges": [["a", "b"]]}),
        Case("GPT-2's own merges", {"word": "Ġunbelievable", "merges": "gpt2"}),
    ]


merge_word = Exercise(
    name="merge_word",
    title="Merge the bytes of a word",
    minutes=12,
    difficulty=2,
    points=3,
    act=lambda f, i: {"tokens": f(i["word"], _ranks(i["merges"]))},
    visible=_merge_cases,
    forbids=(
        "source.tokenizers.byte_level_naive.merge_word",
        "source.tokenizers.bpe.encode",
        "source.tokenizers.bpe.encode_naive",
        *COURSE,
        *LIBRARIES,
    ),
    hints=(
        "Which of all pairs that stand side by side now was learned first? Merge that one, everywhere, and look again.",
        "`itertools.pairwise(tokens)` gives the neighbours. `min(pairs, key=lambda p: ranks.get(p, float('inf')))` "
        "gives the one of lowest rank, or one that has none: `best not in ranks` tells.",
        "tokens = the characters; while there are two or more: best = pair of lowest rank; stop if it has no rank; "
        "walk through tokens, writing the joined pair where best stands and skipping two, else the "
        "token and skipping one.",
    ),
)


class _Counting(dict):
    """Ranks that count how often they are asked."""

    asked = 0

    def get(self, key, default=None):
        self.asked += 1
        return super().get(key, default)

    def __getitem__(self, key):
        self.asked += 1
        return super().__getitem__(key)

    def __contains__(self, key):
        self.asked += 1
        return super().__contains__(key)


def _tokenizer_cases():
    two = {"<|end|>": 50257, "<|end|>!": 50258}
    return [
        Case("two words and a comma, by hand", tokenizer_inputs("Hello, world", again=" world, world")),
        Case("letters, signs and an emoji", tokenizer_inputs("'dogs', naïve café: नमस्ते, 你好 🙂", again=" café: 你好")),
        Case("a special that is not allowed", tokenizer_inputs(f"the end{END} the end", again=" end the end")),
        Case("a special that is allowed", tokenizer_inputs(f"the end {END} the end", [END], again=" end the end")),
        Case(
            "two specials, of which one begins like the other",
            tokenizer_inputs("so<|end|>! it<|end|> ends", ["<|end|>", "<|end|>!"], added=two, again=" it ends"),
        ),
    ]


def tokenizer_inputs(text, allowed=(), *, again="", added=None, merges="gpt2", vocab=None):
    """A text, the specials allowed in it, and a second text of the same words. added: specials besides GPT-2's.

    merges, vocab: GPT-2's, or a list of pairs and the list of all tokens in the order of their ids.
    """
    return {
        "text": text,
        "allowed": list(allowed),
        "again": again,
        "added": added or {},
        "merges": merges,
        "vocab": vocab or [],
    }


def vocabulary(i) -> dict[str, int]:
    """The vocabulary of a case: spelled token -> id."""
    told = {token: n for n, token in enumerate(i["vocab"])} or gpt2_files()[0]
    return {**told, **i["added"]}


def _tokenizer_act(f, i):
    vocab = vocabulary(i)
    ranks = _Counting(_ranks(i["merges"]))
    tokenizer = f(vocab, ranks)
    ids = tokenizer.encode(i["text"], set(i["allowed"])) if i["allowed"] else tokenizer.encode(i["text"])
    ranks.asked = 0
    again = tokenizer.encode(i["again"])
    return {"ids": ids, "ids of the second text": again, "ranks looked up for words seen before": ranks.asked}


tokenizer = Exercise(
    name="tokenizer",
    title="The tokenizer",
    minutes=20,
    difficulty=2,
    points=5,
    act=_tokenizer_act,
    visible=_tokenizer_cases,
    forbids=(*COURSE, "source.tokenizers.byte_level_naive.Tokenizer.encode", *LIBRARIES),
    hints=(
        "Three steps for an ordinary text: pieces, then each piece's bytes in the alphabet's spelling, then its "
        "tokens. What must happen to the allowed specials *before* the text is cut into pieces?",
        "`piece.encode('utf-8')` gives the bytes. `re.split('(' + ... + ')', text)` keeps what it splits at, since the "
        "pattern stands in parentheses; `re.escape` takes the meaning from `|`.",
        "encode_ordinary: for each piece, if it is not in self.known, spell its bytes, merge, look up the ids and keep "
        "them; add what is kept. encode: without allowed specials, encode_ordinary; else split the text at them, the "
        "longest first; a part that is one of them gives its own id, any other encode_ordinary.",
    ),
)


def _stream_cases():
    def cut(text, *at):
        data = list(text.encode())
        return [data[a:b] for a, b in pairwise([0, *at, len(data)])]

    return [
        Case("an emoji in two halves", {"tokens": cut("🙂", 2), "timed": True}),
        Case("plain words", {"tokens": cut("one two three", 3, 7), "timed": True}),
        Case("every byte a token of its own", {"tokens": cut("aé€🙂z", *range(1, 11)), "timed": True}),
        Case("a character and a half, then the rest", {"tokens": cut("né 你好", 2, 6, 8), "timed": True}),
        Case("it stops in the middle of a character", {"tokens": [[79, 75, 32], [0xE2, 0x82]], "timed": True}),
        Case(
            "a byte that belongs to nothing", {"tokens": [[0x80], [65], [0xC3], [66, 67], [0xC3, 0xA9]], "timed": False}
        ),
    ]


def _stream_act(f, i):
    stream = f({n: bytes(token) for n, token in enumerate(i["tokens"])})
    said = [stream.push(n) for n in range(len(i["tokens"]))]
    last = stream.end()
    for one in (*said, last):
        if not isinstance(one, str):
            raise WrongType(f"push or end returned a {type(one).__name__}, not a string")
    timed = {"push returns": said, "end returns": last} if i["timed"] else {}
    return {**timed, "all together": "".join([*said, last])}


stream = Exercise(
    name="stream",
    title="Text as it comes",
    minutes=12,
    difficulty=2,
    points=3,
    act=_stream_act,
    visible=_stream_cases,
    forbids=(
        "source.tokenizers.byte_level.Stream.push",
        "source.tokenizers.byte_level.ByteLevelBPE.decode",
    ),
    hints=(
        "Look at the last bytes that you hold. How can you tell from them alone that a character has begun and is not "
        "finished? How far back do you have to look at most?",
        "A lead byte of 0xC0 or more says how many bytes its character has: 2 below 0xE0, 3 below 0xF0, else 4. Bytes "
        "from 0x80 to 0xBF continue. `data[-1]` is the last byte, as a number.",
        "data = held + the token's bytes; look back at up to 3 bytes for a lead byte; if it announces more bytes than "
        "there are from it on, hold everything from it on, else nothing; decode the rest with errors='replace'. end: "
        "decode what is held, and hold nothing.",
    ),
)

CALLS = 20_000  # how often a fuzzer may ask each encoder


def faulty(fault, amount=0):
    """GPT-2's encoder with one fault, of a given size; "none" is right. What the learner's fuzzer has to find."""
    right = gpt2().encode

    def cut(text, run):  # encodes the parts between cuts by themselves; every cut is inside a run
        ids, at = [], 0
        for match in re.finditer(run, text):
            for place in range(match.start() + amount, match.end(), amount):
                ids, at = ids + right(text[at:place]), place
        return ids + right(text[at:])

    change = {
        "none": lambda t: t,
        "spaces": lambda t: re.sub(f" {{{amount + 1},}}", " " * amount, t),
        "apostrophe": lambda t: t.replace("’", "'"),
        "accent": lambda t: t.replace("é", "è"),
        "line ends": lambda t: t.replace("\r\n", "\n"),
        "last space": lambda t: t.rstrip(" "),
        "canonical": lambda t: unicodedata.normalize("NFC", t),
        "plane": lambda t: re.sub("[\U00010000-\U0010ffff]", "\ufffd", t),
        "joiner": lambda t: t.replace("\u200d", ""),
        "control": lambda t: t.replace(chr(amount), ""),
        "tab": lambda t: t.replace("\t", " " * amount),
        "hard space": lambda t: t.replace("\xa0", " "),
    }
    if fault == "numbers":
        return lambda text: cut(text, "[0-9]+")
    if fault == "long words":
        return lambda text: cut(text, "[A-Za-z]+")
    if fault == "swapped":  # two tokens have each other's ids
        other = {amount: amount + 1, amount + 1: amount}
        return lambda text: [other.get(i, i) for i in right(text)]
    if fault == "special":
        return lambda text: gpt2().encode(text, "all")
    if fault == "empty":
        return lambda text: right(text) or [50256]
    return lambda text: right(change[fault](text))


def _fuzz_cases():
    return [
        Case("’ is taken for '", {"fault": "apostrophe", "amount": 0}),
        Case("the ids 6 and 7 are swapped", {"fault": "swapped", "amount": 6}),
        Case("more than three spaces become three", {"fault": "spaces", "amount": 3}),
        Case("the two characters \\r\\n become one \\n", {"fault": "line ends", "amount": 0}),
    ]


def _fuzz_act(f, i):
    right, wrong = gpt2().encode, faulty(i["fault"], i["amount"])

    def counted(encode):
        left = CALLS

        def asked(text):
            nonlocal left
            left -= 1
            if left < 0:
                raise RuntimeError(f"an encoder was asked more than {CALLS} times: find faults with fewer texts")
            return encode(text)

        return asked

    found = f(counted(wrong), counted(right))
    nothing = f(counted(right), counted(right))
    for text in (found, nothing):
        if text is not None and not isinstance(text, str):
            raise WrongType(f"a {type(text).__name__} came back, not a text or None")
    return {
        "shows a text on which the two differ": found is not None and wrong(found) != right(found),
        "returns None where both are the same": nothing is None,
    }


difference = Exercise(
    name="difference",
    title="Write the fuzzer",
    minutes=15,
    difficulty=3,
    points=4,
    act=_fuzz_act,
    visible=_fuzz_cases,
    hints=(
        "A fault shows only on a text that has what it is about. Which characters, which neighbours, which lengths "
        "will your texts never have?",
        "`random.Random(0)` draws the same every time. Draw a *kind* first, then a character of it, then how often it "
        "comes: `rng.choice(rng.choice(kinds)) * rng.choice([1, 1, 2, 20])`.",
        "kinds: ASCII letters, digits, marks, white space of every sort, control characters, accented letters, curly "
        "quotes, combining marks after letters, emoji with joiners, characters from all planes, the special's text; "
        "try the empty text; then 2,000 texts of 0 to 12 draws: return the first on which a and b differ, else None.",
    ),
)
