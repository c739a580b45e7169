"""Lab 0.4, the instructor's half: references from another library or other means, hidden cases, misconceptions."""

import random
import unicodedata
from functools import cache
from itertools import combinations

import tokenizers

from autograder.checks.ch00_text_to_tensors.lab04_byte_level_bpe import END, gpt2_files, tokenizer_inputs, vocabulary
from autograder.exercise import Answer, Case, Misconception

_SCRIPTS = [
    "the quick fox",
    "Straße übt",
    "Привет мир",
    "ελληνικά",
    "שלום עולם",
    "مرحبا",
    "नमस्ते दुनिया",
    "สวัสดี",
    "你好世界",
    "こんにちは",
]
_WORDS = [
    "it's",
    "WE'VE",
    "he’d",
    "don't",
    "I'd",
    "rock'n'roll",
    "'tis",
    "x86",
    "3.14",
    "²½Ⅷ",
    "a_b",
    "re-do",
    "𝔘𝔫𝔦",
    "e\u0301a\u0308",
]
_GAPS = [" ", "  ", "    ", "\n", "\n\n", " \n ", "\t", "\r\n", "\xa0", "\u3000", "\u2003 "]
_SIGNS = [
    "!",
    "...",
    "—",
    "“”",
    "#",
    "👩\u200d🚀",
    "🙂",
    "🏳️\u200d🌈",
    "\x00",
    "\x1b[0m",
    "\ufeff",
    "\u200d",
    "<|endoftext|>",
    "$$",
    "€",
]


def _text(rng: random.Random, parts: int) -> str:
    kinds = [_SCRIPTS, _WORDS, _GAPS, _GAPS, _SIGNS]
    return "".join(rng.choice(rng.choice(kinds)) for _ in range(parts))


def _alphabet_hidden(seed):
    rng = random.Random(seed)
    return [
        Case("no byte", {"bytes": []}),
        Case("one byte", {"bytes": [rng.randrange(256)]}),
        Case("bytes in any order", {"bytes": [rng.randrange(256) for _ in range(50)]}),
        Case("the bytes of a text", {"bytes": list(_text(rng, 6).encode())}),
    ]


def _alphabet_reference(i):
    # Told by Unicode's categories: a byte keeps its character unless that is a control, a space or a format character.
    others = [b for b in range(256) if unicodedata.category(chr(b)) in ("Cc", "Zs", "Cf")]
    return {"entries": 256, "spelling": [chr(256 + others.index(b)) if b in others else chr(b) for b in i["bytes"]]}


byte_alphabet = Answer(
    name="byte_alphabet",
    reference=_alphabet_reference,
    hidden=_alphabet_hidden,
    misconceptions=(
        Misconception(
            "shifted-by-the-byte",
            "the others get chr(256 + the byte) instead of being counted one after the other",
            edits=(("chr(256 + n)", "chr(256 + b)"),),
        ),
        Misconception(
            "all-shifted",
            "every byte gets a new character, the printable ones too",
            edits=(("if b in own", "if b < 0"),),
        ),
        Misconception(
            "own-numbers",
            "every byte has the character of its own number, the space, line ends and controls too",
            edits=(("if b in own", "if True"),),
        ),
        Misconception(
            "printable-space",
            "the space keeps its own character: str.isprintable says yes to it, but a file that separates by spaces "
            "cannot hold it",
            edits=(("own = {", "own = {32, "),),
        ),
        Misconception(
            "soft-hyphen",
            "byte 173, the soft hyphen, which is not shown, keeps its own character",
            edits=(("*range(161, 173), *range(174, 256)", "*range(161, 256)"),),
        ),
        Misconception(
            "ends-too-early",
            "the last byte of each range is left out, because range stops before its end",
            edits=(
                (
                    "*range(33, 127), *range(161, 173), *range(174, 256)",
                    "*range(33, 126), *range(161, 172), *range(174, 255)",
                ),
            ),
        ),
        Misconception(
            "counted-from-one",
            "the others are counted from 1 instead of 0",
            edits=(("chr(256 + n)", "chr(257 + n)"),),
        ),
    ),
)


def _pieces_hidden(seed):
    rng = random.Random(seed)
    return [
        Case("no text", {"text": ""}),
        Case("nothing but white space", {"text": "".join(rng.choice(_GAPS) for _ in range(7))}),
        Case("a short mixture", {"text": _text(rng, 5)}),
        Case("a long mixture", {"text": _text(rng, 60)}),
        Case("another mixture", {"text": _text(rng, 60)}),
        Case("endings", {"text": " ".join(f"w{rng.choice(_APOSTROPHES)}{rng.choice(_ENDINGS)}" for _ in range(40))}),
    ]


_APOSTROPHES = ["'", "'", "'", "’", " '"]
_ENDINGS = ["s", "t", "re", "ve", "m", "ll", "d", "S", "LL", "x", "lx", "d1", "st", "m.", " s"]


@cache
def _byte_level():
    return tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)


def _pieces_reference(i):
    return {"pieces": [i["text"][a:b] for _, (a, b) in _byte_level().pre_tokenize_str(i["text"])]}


_FAULTS = {
    "ending": ("the ending 'd is still missing", ("|'d|", "|")),
    "letters": (
        "words still have the letters A to Z alone, so that other letters are in no piece at all",
        (r"| ?\p{L}+|", "| ?[A-Za-z]+|"),
    ),
    "lookahead": (
        "white space still swallows the space that belongs to the word behind it",
        (r"|\s+(?!\S)", ""),
    ),
}
pieces = Answer(
    name="pieces",
    reference=_pieces_reference,
    hidden=_pieces_hidden,
    misconceptions=(
        *(
            Misconception(
                f"{'-and-'.join(left)}-left",
                ", and ".join(_FAULTS[fault][0] for fault in left) if n < 3 else "the pattern is left as it was",
                edits=tuple(_FAULTS[fault][1] for fault in left),
            )
            for n in (1, 2, 3)
            for left in combinations(_FAULTS, n)
        ),
        Misconception(
            "any-case",
            "endings are taken in capitals too; GPT-2's are small letters alone",
            edits=(("'s|'t|'re|'ve|'m|'ll|'d|", "(?i:'s|'t|'re|'ve|'m|'ll|'d)|"),),
        ),
        Misconception(
            "curly-apostrophe",
            "the curly apostrophe begins an ending as well; GPT-2's is the straight one alone",
            edits=(("'s|'t|'re|'ve|'m|'ll|'d|", "['’](?:s|t|re|ve|m|ll|d)|"),),
        ),
        Misconception(
            "word-characters",
            r"words are made of \w, which holds digits, marks and the underscore too",
            edits=((r"| ?\p{L}+|", r"| ?\w+|"),),
        ),
        Misconception(
            "marks-are-letters",
            "combining marks count as letters, so that Hindi words stay whole; GPT-2's pattern cuts them there",
            edits=((r"| ?\p{L}+|", r"| ?[\p{L}\p{M}]+|"), (r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")),
        ),
        Misconception(
            "digits-only",
            r"numbers are made of \d: ½ and Ⅷ are numerals and no digits, so that no rule takes them",
            edits=((r"| ?\p{N}+|", r"| ?\d+|"),),
        ),
        Misconception(
            "no-last-alternative",
            r"\s+(?!\S) replaces \s+, so that white space before a word which cannot take it along is in no piece",
            edits=((r"|\s+(?!\S)|\s+", r"|\s+(?!\S)"),),
        ),
        Misconception(
            "all-spaces-in-front",
            "a word takes along all spaces in front of it instead of one",
            edits=((r"| ?\p{L}+|", r"| *\p{L}+|"),),
        ),
        Misconception(
            "no-space-in-front",
            "a word does not take along the space in front of it",
            edits=((r"| ?\p{L}+|", r"|\p{L}+|"),),
        ),
    ),
)


def toy_merges(rng: random.Random, letters: str, count: int) -> list[list[str]]:
    """Random merges, each of two tokens that there are by then, no token made twice."""
    tokens, merges = list(letters), []
    while len(merges) < count:
        left, right = rng.choice(tokens), rng.choice(tokens[-6:] + list(letters))
        if left + right not in tokens and len(left + right) < 12:
            tokens.append(left + right)
            merges.append([left, right])
    return merges


def _merge_hidden(seed):
    rng = random.Random(seed)
    toys = {n: toy_merges(rng, "abc"[: 1 + n % 3], 6 + n) for n in range(6)}
    words = {n: "".join(rng.choice("abc"[: 1 + n % 3]) for _ in range(12 + n)) for n in range(6)}
    drawn = ["".join(rng.choice("etaoinshrdlu") for _ in range(rng.randrange(6, 16))) for _ in range(3)]
    return [
        Case("no character", {"word": "", "merges": [["a", "b"]]}),
        Case("one character", {"word": "a", "merges": [["a", "a"]]}),
        Case("no merges at all", {"word": "abba", "merges": []}),
        *(Case(f"random merges {n + 1}", {"word": words[n], "merges": toys[n]}) for n in range(6)),
        *(Case(f"a made-up word {n + 1}", {"word": "Ġ" + word, "merges": "gpt2"}) for n, word in enumerate(drawn)),
        Case("bytes of many scripts", {"word": _spelled(rng.choice(_SCRIPTS).split()[-1]), "merges": "gpt2"}),
    ]


def _spelled(piece: str) -> str:
    return "".join(_alphabet_reference({"bytes": list(piece.encode())})["spelling"])


def _merge_reference(i):
    # Every merge once, in order: the same result, since no merge makes a pair that was learned before it.
    merges = list(gpt2_files()[1]) if i["merges"] == "gpt2" else [tuple(pair) for pair in i["merges"]]
    tokens = list(i["word"])
    for left, right in merges:
        n = 0
        while n < len(tokens) - 1:
            if tokens[n] == left and tokens[n + 1] == right:
                tokens[n : n + 2] = [left + right]
            n += 1
    return {"tokens": tokens}


merge_word = Answer(
    name="merge_word",
    reference=_merge_reference,
    hidden=_merge_hidden,
    misconceptions=(
        Misconception(
            "leftmost-first",
            "the first pair from the left that has a rank is merged, not the one of lowest rank",
            edits=(
                (
                    'min(pairwise(tokens), key=lambda pair: ranks.get(pair, float("inf")))',
                    "next((pair for pair in pairwise(tokens) if pair in ranks), None)",
                ),
            ),
        ),
        Misconception(
            "left-to-right",
            "the walk from the left merges whatever pair has a rank and begins anew, whatever was learned first",
            code="def merge_word(word, ranks):\n"
            "    tokens, i = list(word), 0\n"
            "    while i < len(tokens) - 1:\n"
            "        if (tokens[i], tokens[i + 1]) in ranks:\n"
            "            tokens[i : i + 2] = [tokens[i] + tokens[i + 1]]\n"
            "            i = 0\n"
            "        else:\n"
            "            i += 1\n"
            "    return tokens\n",
        ),
        Misconception(
            "highest-rank-first",
            "the pair that was learned last is merged first",
            edits=(
                (
                    'min(pairwise(tokens), key=lambda pair: ranks.get(pair, float("inf")))',
                    "max(pairwise(tokens), key=lambda pair: ranks.get(pair, -1))",
                ),
            ),
        ),
        Misconception(
            "one-merge",
            "only one pair is merged, and what it makes possible is not looked at",
            edits=(("        tokens = merged\n", "        tokens = merged\n        break\n"),),
        ),
        Misconception(
            "longest-token",
            "the longest token that fits is taken from the left, as a dictionary does it, instead of merging by rank",
            code="def merge_word(word, ranks):\n"
            "    known = {a + b for a, b in ranks} | set(word)\n"
            "    tokens, i = [], 0\n"
            "    while i < len(word):\n"
            "        j = next(j for j in range(len(word), i, -1) if word[i:j] in known)\n"
            "        tokens.append(word[i:j])\n"
            "        i = j\n"
            "    return tokens\n",
        ),
        Misconception(
            "replaced-in-a-string",
            "the tokens are joined by spaces and the pair is replaced in that string, which also finds it where one "
            "token ends and another begins like it",
            code="def merge_word(word, ranks):\n"
            '    text = " ".join(word)\n'
            "    while True:\n"
            '        tokens = text.split(" ") if text else []\n'
            '        best = min(pairwise(tokens), key=lambda pair: ranks.get(pair, float("inf")), default=None)\n'
            "        if best not in ranks:\n"
            "            return tokens\n"
            '        text = text.replace(" ".join(best), "".join(best))\n',
        ),
        Misconception(
            "overlapping",
            "after a merge the walk goes on by one token instead of two, so that a letter is used twice",
            edits=(("i += 2 if two == best else 1", "i += 1"),),
        ),
        Misconception(
            "from-the-right",
            "equal pairs are merged from right to left, so that a run of an odd length is cut otherwise",
            edits=(
                (
                    "        tokens = merged\n",
                    "        merged, i = [], len(tokens)\n"
                    "        while i > 0:\n"
                    "            two = tuple(tokens[max(i - 2, 0) : i])\n"
                    '            merged.insert(0, "".join(two) if two == best else tokens[i - 1])\n'
                    "            i -= 2 if two == best else 1\n"
                    "        tokens = merged\n",
                ),
            ),
        ),
    ),
)


def _toy(rng: random.Random) -> dict[str, object]:
    # Ids in another order than GPT-2's, and a special in front.
    merges = [["Ġ", "a"], ["a", "b"], ["b", "a"], ["Ã", "©"], ["ab", "a"], ["Ġa", "b"], ["Ã©", "Ã©"], ["ba", "ba"]]
    bytes_spelled = _alphabet_reference({"bytes": list(range(256))})["spelling"]
    tokens = ["<|toy|>", *sorted(bytes_spelled)]
    tokens += [a + b for a, b in merges]
    first = rng.randrange(5)
    return {"vocab": tokens[first:] + tokens[:first], "merges": merges}


def _tokenizer_hidden(seed):
    rng = random.Random(seed)
    two = {"<|user|>": 50257, "<|model|>": 50258}
    words = _text(rng, 25).replace(END, "")
    toy = _toy(rng)
    return [
        Case("no text", tokenizer_inputs("", again="")),
        Case("nothing but a special", tokenizer_inputs(END + END, [END])),
        Case("a mixture", tokenizer_inputs(words, again=words)),
        Case("a long mixture", tokenizer_inputs(_text(rng, 120))),
        Case("a mixture with its specials", tokenizer_inputs(_text(rng, 20) + END + _text(rng, 20), [END])),
        Case(
            "one of two specials is allowed",
            tokenizer_inputs("<|user|> hi <|model|>\nhello <|endoftext|>", [rng.choice(list(two))], added=two),
        ),
        Case("another vocabulary", tokenizer_inputs("abab éé baba ab<|toy|> abaé", **toy, again="abab baba")),
        Case("another vocabulary and its special", tokenizer_inputs("aba<|toy|><|toy|> b", ["<|toy|>"], **toy)),
        Case("a text that holds parts of a special", tokenizer_inputs(f"a|b <| endoftext |> <|end{END}|>", [END])),
    ]


@cache
def _reference_model():
    vocab, ranks = gpt2_files()
    return _library(vocab, list(ranks))


def _library(vocab, merges):
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=dict(vocab), merges=[tuple(pair) for pair in merges]))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    return made


def _tokenizer_reference(i):
    def ids(text, allowed):
        if not allowed and not i["vocab"]:
            return _reference_model().encode(text).ids
        made = _library(vocabulary(i), gpt2_files()[1] if i["merges"] == "gpt2" else i["merges"])
        made.add_special_tokens(allowed)
        return made.encode(text).ids

    return {
        "ids": ids(i["text"], i["allowed"]),
        "ids of the second text": ids(i["again"], []),
        "ranks looked up for words seen before": 0,
    }


tokenizer = Answer(
    name="tokenizer",
    reference=_tokenizer_reference,
    hidden=_tokenizer_hidden,
    misconceptions=(
        Misconception(
            "specials-always",
            "the text of a special becomes its id though it is not allowed, so that anyone can write it into a prompt",
            edits=(
                (
                    "if not allowed_special:\n",
                    'allowed_special = {*allowed_special, "<|endoftext|>"}\n        if not allowed_special:\n',
                ),
            ),
        ),
        Misconception(
            "specials-never",
            "an allowed special is cut into pieces like ordinary text",
            edits=(("if not allowed_special:", "if True:"),),
        ),
        Misconception(
            "not-escaped",
            "| keeps its meaning of 'or' in the pattern that splits the text, since re.escape is missing",
            edits=(("map(re.escape, longest_first)", "longest_first"),),
        ),
        Misconception(
            "special-lost",
            "the text is split at the specials, but they are not kept: the pattern has no parentheses",
            edits=(('"(" + "|".join(map(re.escape, longest_first)) + ")"', '"|".join(map(re.escape, longest_first))'),),
        ),
        Misconception(
            "shortest-first",
            "of two specials that begin alike the shorter one is found first",
            edits=((", reverse=True)", ")"),),
        ),
        Misconception(
            "parts-stripped",
            "the white space around a special is thrown away",
            edits=(("self.encode_ordinary(part)", "self.encode_ordinary(part.strip())"),),
        ),
        Misconception(
            "first-special-only",
            "the text is split at the first special in it, and later ones are cut like ordinary text",
            edits=(
                (
                    ", text):\n            ids += [self.vocab[part]]",
                    ", text, maxsplit=1):\n            ids += [self.vocab[part]]",
                ),
            ),
        ),
        Misconception(
            "no-pieces",
            "the text is not cut into pieces, so that merges reach from one into the next, and nothing comes twice",
            edits=(("in split(text)", "in [text]"),),
        ),
        Misconception(
            "characters-for-bytes",
            "characters are spelled instead of their UTF-8 bytes",
            edits=(('alphabet[b] for b in piece.encode("utf-8")', "alphabet[ord(c) % 256] for c in piece"),),
        ),
        Misconception(
            "nothing-remembered",
            "a word that comes again is merged anew, which is right and slow",
            edits=(("if piece not in self.known:", "if True:"),),
        ),
    ),
)


def _stream_hidden(seed):
    rng = random.Random(seed)

    def cut(data):
        at = sorted(rng.sample(range(len(data) + 1), min(len(data) // 2, len(data))))
        return [list(data[a:b]) for a, b in zip([0, *at], [*at, len(data)], strict=True)]

    text = _text(rng, 12)
    broken = bytes(
        rng.choice([0x41, 0x80, 0xBF, 0xC3, 0xA9, 0xE2, 0x82, 0xF0, 0x9F, 0xFF, rng.randrange(256)]) for _ in range(80)
    )
    return [
        Case("no token", {"tokens": [], "timed": True}),
        Case("a text cut anywhere", {"tokens": cut(text.encode()), "timed": True}),
        Case("a text byte by byte", {"tokens": [[b] for b in text.encode()], "timed": True}),
        Case("an empty token in between", {"tokens": [[0xF0, 0x9F], [], [0x99, 0x82], []], "timed": True}),
        Case("bytes that are no text", {"tokens": cut(broken), "timed": False}),
        Case("bytes that are no text, one by one", {"tokens": [[b] for b in broken], "timed": False}),
        Case("it stops after three bytes of four", {"tokens": [[65], [0xF0, 0x9F, 0x99]], "timed": True}),
    ]


def _could_go_on(tail: bytes) -> bool:
    # Whether some bytes make a character of this beginning: tried, not deduced.
    for second in range(0x80, 0xC0, 0x08):
        for rest in (b"", bytes([second]), bytes([second, 0x80]), bytes([second, 0x80, 0x80])):
            try:
                if rest and len((tail + rest).decode()) == 1:
                    return True
            except UnicodeDecodeError:
                continue
    return False


def _stream_reference(i):
    data, said, shown = b"", [], ""
    for token in i["tokens"]:
        data += bytes(token)
        back = next((n for n in (3, 2, 1) if n <= len(data) and _could_go_on(data[-n:])), 0)
        certain = data[: len(data) - back].decode(errors="replace")
        said.append(certain[len(shown) :])
        shown = certain
    whole = data.decode(errors="replace")
    timed = {"push returns": said, "end returns": whole[len(shown) :]} if i["timed"] else {}
    return {**timed, "all together": whole}


stream = Answer(
    name="stream",
    reference=_stream_reference,
    hidden=_stream_hidden,
    misconceptions=(
        Misconception(
            "each-by-itself",
            "every token is decoded by itself, so that a character in two tokens becomes several U+FFFD",
            edits=(("self.held = data[whole:]", 'self.held, whole = b"", len(data)'),),
        ),
        Misconception(
            "dropped",
            "bytes that are no character are left out instead of being shown as U+FFFD",
            code="class Stream:\n"
            "    def __init__(self, token_bytes):\n"
            "        import codecs\n"
            '        self.token_bytes, self.decoder = token_bytes, codecs.getincrementaldecoder("utf-8")("ignore")\n'
            "    def push(self, token):\n"
            "        return self.decoder.decode(self.token_bytes[token])\n"
            "    def end(self):\n"
            '        return self.decoder.decode(b"", True)\n',
        ),
        Misconception(
            "all-or-nothing",
            "everything is held until all of it decodes, so that one bad byte silences the stream until the end",
            code="class Stream:\n"
            "    def __init__(self, token_bytes):\n"
            '        self.token_bytes, self.held = token_bytes, b""\n'
            "    def push(self, token):\n"
            "        self.held += self.token_bytes[token]\n"
            "        try:\n"
            '            text, self.held = self.held.decode(), b""\n'
            "            return text\n"
            "        except UnicodeDecodeError:\n"
            '            return ""\n'
            "    def end(self):\n"
            '        return self.held.decode(errors="replace")\n',
        ),
        Misconception(
            "four-at-once",
            "bytes are held until they decode or are four, so that a bad byte or the next character's beginning is cut",
            code="class Stream:\n"
            "    def __init__(self, token_bytes):\n"
            '        self.token_bytes, self.held = token_bytes, b""\n'
            "    def push(self, token):\n"
            "        self.held += self.token_bytes[token]\n"
            "        try:\n"
            "            text = self.held.decode()\n"
            "        except UnicodeDecodeError:\n"
            "            if len(self.held) < 4:\n"
            '                return ""\n'
            '            text = self.held.decode(errors="replace")\n'
            '        self.held = b""\n'
            "        return text\n"
            "    def end(self):\n"
            '        return self.held.decode(errors="replace")\n',
        ),
        Misconception(
            "end-forgets",
            "end returns nothing, so that a character which was never completed is lost",
            edits=(('return left.decode("utf-8", errors="replace")', 'return ""'),),
        ),
        Misconception(
            "never-let-go",
            "what was returned is not taken out of what is held, so that it is returned again",
            edits=(("self.held = data[whole:]", "self.held = data"),),
        ),
        Misconception(
            "three-at-most",
            "a character of four bytes is let go after three",
            edits=(("3 if first < 0xF0 else 4", "3"),),
        ),
        Misconception(
            "one-byte-back",
            "only the last byte is looked at, so that a lead byte further back is not seen",
            edits=(("range(1, min(3, len(data)) + 1)", "range(1, min(1, len(data)) + 1)"),),
        ),
    ),
)


def _fuzz_hidden(seed):
    rng = random.Random(seed)
    sizes = {
        "numbers": rng.randrange(3, 6),
        "long words": rng.randrange(9, 14),
        "spaces": rng.randrange(4, 9),
        "control": rng.choice([*range(1, 9), *range(14, 27), 127]),
        "tab": rng.choice([2, 4, 8]),
        "swapped": rng.randrange(30, 90),
    }
    said = {
        "last space": "spaces at the end are dropped",
        "canonical": "text is brought into a canonical form",
        "plane": "characters beyond U+FFFF are lost",
        "joiner": "emoji are taken apart",
        "hard space": "one white space is taken for another",
        "numbers": "long numbers are cut",
        "long words": "long words are cut",
        "spaces": "long runs are shortened",
        "control": "a control character is dropped",
        "tab": "tabs are replaced",
        "special": "a special is taken for one that is allowed",
        "accent": "one letter is taken for another",
        "swapped": "two ids are swapped",
        "empty": "the empty text has an id",
    }
    return [Case(kind, {"fault": fault, "amount": sizes.get(fault, 0)}) for fault, kind in said.items()]


_DRAW = "rng.choice(rng.choice(kinds)) * rng.choice([1, 1, 1, 2, 5, 20])"
difference = Answer(
    name="difference",
    reference=lambda i: {
        "shows a text on which the two differ": True,
        "returns None where both are the same": True,
    },
    hidden=_fuzz_hidden,
    misconceptions=(
        Misconception(
            "ascii-only",
            "all texts are ASCII, so that a fault with other characters never shows",
            edits=(("if a(text) != b(text)", "if text.isascii() and a(text) != b(text)"),),
        ),
        Misconception(
            "no-runs",
            "no character comes several times in a row, so that a fault of runs never shows",
            edits=((_DRAW, "rng.choice(rng.choice(kinds))"),),
        ),
        Misconception(
            "one-character-each",
            "each text has one character, so that a fault of neighbours never shows",
            code="def difference(a, b):\n"
            "    for n in range(0x3000):\n"
            "        if a(chr(n)) != b(chr(n)):\n"
            "            return chr(n)\n"
            "    for n in (0xFEFF, 0x1F600, 0x20000):\n"
            "        if a(chr(n)) != b(chr(n)):\n"
            "            return chr(n)\n"
            "    return None\n",
        ),
        Misconception(
            "all-of-unicode-alike",
            "characters are drawn from all of Unicode alike, so that the few that matter hardly ever come, and never "
            "side by side",
            code="def difference(a, b):\n"
            "    rng = random.Random(0)\n"
            "    for _ in range(2000):\n"
            '        text = "".join(chr(rng.randrange(0xE000, 0x110000)) for _ in range(rng.randrange(12)))\n'
            "        if a(text) != b(text):\n"
            "            return text\n"
            "    return None\n",
        ),
        Misconception(
            "counts-only",
            "only the numbers of ids are compared, not the ids",
            edits=(("if a(text) != b(text)", "if len(a(text)) != len(b(text))"),),
        ),
        Misconception(
            "never-none",
            "a text is returned even where there was no difference",
            edits=(("    return None", "    return text"),),
        ),
    ),
)
