# ---
# jupyter:
#   course:
#     title: Byte-Level BPE
#     level: intermediate
#     minutes: 85
#     hardware: cpu
#     builds: "GPT-2's tokenizer, from bytes up: the same ids as the real one, token for token, on any Unicode text."
#     goals:
#     - Say why bytes, and write any byte so that a file can hold it
#     - Read a pre-tokenizer's pattern, and find what is wrong with one
#     - Encode any text with GPT-2's own merges, specials only where they are allowed
#     - Stream text out of ids, and write the fuzzer that proves two tokenizers equal
#     needs:
#     - "[Byte-pair encoding](../../../book/ch00_text_to_tensors/byte_pair_encoding.md)"
#     - Lab 0.3, Byte-Pair Encoding
#     - Regular expressions as far as `a|b`, `a+` and `[abc]`
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
from autograder import setup; device = setup()

# %% tags=["setup"]
import html
import json
import random
import re
import time
import unicodedata
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import regex
from IPython.display import HTML, display

from autograder import check, earlier
from source.files import data_path
from source.plots import PALETTE
from source.tokenizers import byte_alphabet as course_alphabet
from source.tokenizers import byte_level_naive as course_naive
from source.tokenizers.byte_level import ByteLevelBPE
from source.tokenizers.pretokenizer import pieces as course_pieces

# %% [markdown]
# ## A question first
#
# Lab 0.3 merged letters. Which letters? Unicode has more than a hundred thousand characters, and a vocabulary of
# 50,000 tokens cannot begin with all of them. GPT-2's answer [@radford2019]: begin with the 256 *bytes*. Any text is
# bytes, so no text is ever unknown. It costs something, though. Here is one greeting in several languages, as GPT-2
# sees it. Each box is one token; a box with hexadecimal digits holds bytes that are no whole character.

# %% tags=["look"]
GREETINGS = {
    "English": "Good morning, how are you?",
    "German": "Guten Morgen, wie geht es dir?",
    "Russian": "Доброе утро, как дела?",
    "Arabic": "صباح الخير، كيف حالك؟",
    "Hindi": "सुप्रभात, आप कैसे हैं?",
    "Chinese": "早上好，你好吗？",
    "emoji": "👋🏽 👩‍🚀 🎉",
}
gpt2 = ByteLevelBPE.gpt2()  # the course's; by the end of this lab you have your own


def boxes(tokens):
    """Tokens (bytes) as coloured boxes; a dot is a space, hexadecimal digits are a part of a character."""
    out = []
    for n, token in enumerate(tokens):
        try:
            text = html.escape(token.decode()).replace(" ", "·").replace("\n", "↵")
        except UnicodeDecodeError:
            text = f"<small>{token.hex(' ').upper()}</small>"
        style = f"background:{PALETTE[n % 3]}55;border-radius:3px;padding:0 3px;margin:1px;display:inline-block"
        out.append(f'<span style="{style}">{text}</span>')
    return "".join(out)


def show(texts, tokens_of):
    """A row of boxes for each text, under its name."""
    rows = []
    for name, text in texts.items():
        tokens = tokens_of(text)
        row = f'<td style="text-align:left">{html.escape(name)}</td><td>{len(tokens)}</td>'
        rows.append(f'<tr>{row}<td style="text-align:left" dir="ltr">{boxes(tokens)}</td></tr>')
    display(HTML("<table><tr><th></th><th>tokens</th><th></th></tr>" + "".join(rows) + "</table>"))


show(GREETINGS, lambda text: [gpt2.decode_bytes([i]) for i in gpt2.encode(text)])

# %% tags=["look"]
names = list(GREETINGS)[::-1]
characters = np.array([len(GREETINGS[name]) for name in names])
bytes_each = np.array([len(GREETINGS[name].encode()) for name in names]) / characters
tokens_each = np.array([len(gpt2.encode(GREETINGS[name])) for name in names]) / characters
fig, ax = plt.subplots(figsize=(6.5, 3.4))
ax.barh(np.arange(len(names)) + 0.2, bytes_each, 0.38, label="UTF-8 bytes a character")
ax.barh(np.arange(len(names)) - 0.2, tokens_each, 0.38, label="GPT-2 tokens a character", hatch="//")
ax.set_yticks(range(len(names)), names)
ax.set(xlabel="per character")
ax.legend()
plt.show()

# %% [markdown]
# **How many tokens does a character cost in English, and how many in each of the others?** Russian letters have two
# bytes where English ones have one, yet they need not twice as many tokens but several times as many. The rest is
# merging: the merges were learned from web pages in English, where whole words became tokens, and what was rare there
# stays close to bare bytes. A model that reads 1,024 tokens reads far less Hindi than English, and whoever pays by the
# token pays for it.
#
# You build this tokenizer in six steps: write bytes, cut text into pieces, merge, put it together, decode text as it
# comes, and prove it equal to the real one.

# %% [markdown]
# ## Step 1. A character for every byte
#
# UTF-8 writes a character as one to four bytes. The first byte says how many, all others begin with the bits `10`:
#
# | code points | bytes | first byte | then |
# |---|---|---|---|
# | U+0000 to U+007F | 1 | `0xxxxxxx` | |
# | U+0080 to U+07FF | 2 | `110xxxxx` | `10xxxxxx` |
# | U+0800 to U+FFFF | 3 | `1110xxxx` | `10xxxxxx` twice |
# | U+10000 to U+10FFFF | 4 | `11110xxx` | `10xxxxxx` three times |

# %% tags=["look"]
for character in "Aéन🙂":
    data = character.encode("utf-8")
    print(f"{character}  U+{ord(character):05X}  ", " ".join(f"{b:08b}" for b in data), "  ", list(data))

# %% [markdown]
# **Copy the x-bits of the second line into one number: is it the code point?** Keep the rule in mind. A token may end
# between two bytes of a character, and in step 5 you have to notice.
#
# Now a nuisance. GPT-2's merges stand in a text file, two tokens to a line with a space between. Such a file cannot
# hold a token that *is* a space, a line end, or half a character. So each byte gets a character that can be printed:
#
# - The 188 bytes 33 to 126, 161 to 172 and 174 to 255 keep the character of their own number.
# - The other 68 get, in ascending order, the characters number 256, 257, 258, ...
#
# It is a bijection: no two bytes share a character, so what is written can be read back. The space, byte 32, is the
# 33rd of the others and becomes character 256 + 32, `Ġ`. That is where the `Ġ` in every listing of GPT-2's tokens
# comes from.

# %% nbgrader={"grade_id": "byte_alphabet", "solution": true}
def byte_alphabet() -> dict[int, str]:
    """The printable character that stands for each byte, 256 entries.

    >>> table = byte_alphabet()
    >>> table[65], table[0], table[10], table[32]     # A is its own; 0, 10 and 32 are others number 0, 10 and 32
    ('A', 'Ā', 'Ċ', 'Ġ')
    """
    ### BEGIN SOLUTION
    own = {*range(33, 127), *range(161, 173), *range(174, 256)}
    table, n = {}, 0
    for b in range(256):
        table[b] = chr(b) if b in own else chr(256 + n)
        n += b not in own
    return table
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_byte_alphabet", "grade": true}
check("ch00/lab04/byte_alphabet", byte_alphabet)

# %% [markdown]
# **Look at it.** Your table lets you read GPT-2's vocabulary. What do its 50,257 tokens look like?

# %% tags=["given"]
alphabet = earlier("ch00/lab04/byte_alphabet", byte_alphabet, course_alphabet.bytes_to_unicode)()
byte_of = {character: b for b, character in alphabet.items()}
END = "<|endoftext|>"

vocab = json.loads(data_path("gpt2_tokenizer/encoder.json").read_text(encoding="utf-8"))  # spelled token -> id
token_bytes = {i: bytes(byte_of[c] for c in token) for token, i in vocab.items() if token != END}
token_bytes[vocab[END]] = END.encode()

# %% tags=["look"]
kinds = dict.fromkeys(("a space, then letters", "letters without a space", "part of a character", "the rest"), 0)
for token in token_bytes.values():
    try:
        text = token.decode()
    except UnicodeDecodeError:
        kinds["part of a character"] += 1
        continue
    letters = text.removeprefix(" ").isalpha()
    kind = "the rest" if not letters else list(kinds)[0 if text[0] == " " else 1]
    kinds[kind] += 1
for kind, count in kinds.items():
    print(f"{count:>6}  {kind}")
longest = sorted((t for t in token_bytes.values() if len(set(t)) > 6), key=len)[-6:]
print("\nthe longest of some variety:", *map(repr, (t.decode(errors="replace") for t in longest)), sep="\n  ")

# %% [markdown]
# **Which kind is the largest?** In GPT-2 the space belongs to the word behind it. So `hello` at the start of a line
# and ` hello` inside a sentence are two tokens that have nothing in common but what the model learns about them.
# The longest tokens tell where the merges were learned: on web pages, boilerplate included.

# %% [markdown]
# ## Step 2. Cut into pieces first
#
# Left alone, BPE would learn `dog.`, `dog!` and `dog?` as three tokens, since all of them are frequent. So text is
# first cut into pieces, and merges never cross from one piece to the next. At each place, GPT-2 takes the first of
# these rules that fits:
#
# | piece | for example |
# |---|---|
# | an English ending: `'s`, `'t`, `'re`, `'ve`, `'m`, `'ll`, `'d` | `he` `'d` |
# | letters of any script, as many as there are; before them, one space if there is one | ` Grüße` |
# | digits and other numerals, likewise | ` 2024` |
# | other signs that are visible, likewise | ` !?` |
# | white space, but without the last character of it if something visible follows | three of four spaces before a word |
# | white space | one line end before a word |
#
# Here is the pattern that a colleague wrote from this table. It runs, and most English comes out right. In these
# patterns `\p{L}` is any letter, `\p{N}` any numeral, `\s` white space, `\S` anything else, and `[^...]` none of these.
# Python's own `re` does not know `\p{L}`; the library `regex` does.

# %% tags=["given"]
SUSPECT = r"'s|'t|'re|'ve|'m|'ll| ?[A-Za-z]+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+"

# %% tags=["look"]
for text in ("It's what we've seen, isn't it?", "for i in range(10):\n    print(i)", "Où est la gare?"):
    found = regex.findall(SUSPECT, text)
    print(found, "" if "".join(found) == text else "   <- joined, these are not the text")

# %% [markdown]
# **The last line lost a letter. Which one, and why did no rule take it?** A tokenizer that loses text cannot be
# repaired by training. Three things are wrong with the pattern, and this is one of them. Find all three, and write the
# repaired split. Try the suspect on texts of your own: that is faster than staring at it.

# %% nbgrader={"grade_id": "pieces", "solution": true}
def pieces(text: str) -> list[str]:
    """The pieces of a text by the rules of the table. Joined, they are the text again.

    >>> pieces("It's 42 cats!")
    ['It', "'s", ' 42', ' cats', '!']
    """
    ### BEGIN SOLUTION
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    return regex.findall(pattern, text)
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_pieces", "grade": true}
check("ch00/lab04/pieces", pieces)

# %% [markdown]
# **Look at it.** Some texts where the cuts matter. A dot is a space, `↵` a line end.

# %% tags=["given"]
split = earlier("ch00/lab04/pieces", pieces, course_pieces)

# %% tags=["look"]
cuts = {
    "straight": "I'm sure they'd say it's fine",
    "curly": "I’m sure they’d say it’s fine",
    "capitals": "I'M SURE THEY'D SAY IT'S FINE",
    "code": "def f(x):\n        return x_1 + 0.5",
    "Hindi": "नमस्ते दुनिया",
}
show(cuts, lambda text: [piece.encode() for piece in split(text)])

# %% [markdown]
# **How many pieces does the same sentence have with a curly apostrophe, and in capitals?** The list of endings knows
# one apostrophe and one case. Hindi's vowel signs are *marks* to Unicode, not letters, so the rule for letters stops at
# them, and words fall apart. And why do eight spaces of indentation become a piece of seven and a word with one in
# front? GPT-2 pays for indentation on every line of code; later tokenizers changed this rule.

# %% [markdown]
# ## Step 3. Merge the bytes of a word
#
# A piece is now spelled in your alphabet, byte by byte, and merges do the rest. Lab 0.3 learned merges; here come
# GPT-2's 50,000, the first learned first. A pair's place in the file is its *rank*.

# %% tags=["given"]
# The first line of the file is its version. Passing over every line that begins with # would lose the merge "# #".
lines = data_path("gpt2_tokenizer/vocab.bpe").read_text(encoding="utf-8").split("\n")
ranks = {tuple(line.split(" ")): rank for rank, line in enumerate(lines[1:-1])}  # (left, right) -> rank

# %% tags=["look"]
print(f"{len(ranks)} merges; the first ten:", *(f"{left}+{right}" for left, right in list(ranks)[:10]))

# %% [markdown]
# Encoding replays training. Among all pairs of neighbours, take the one with the lowest rank, merge it everywhere in
# the word, from left to right, and look again, until no pair has a rank. Not the longest token that fits, and not the
# leftmost pair: whatever was learned first comes first. Only so does a word get the tokens that it had
# when the model was trained.

# %% nbgrader={"grade_id": "merge_word", "solution": true}
def merge_word(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """The tokens of one word, spelled in the byte alphabet. Joined, they are the word.

    ranks: (left, right) -> rank; the lowest rank is merged first.

    >>> merge_word("lower", {("l", "o"): 0, ("e", "r"): 1, ("lo", "w"): 2})    # l o w e r, lo w e r, lo w er, low er
    ['low', 'er']
    """
    ### BEGIN SOLUTION
    tokens = list(word)
    while len(tokens) > 1:
        best = min(pairwise(tokens), key=lambda pair: ranks.get(pair, float("inf")))
        if best not in ranks:
            break
        merged, i = [], 0
        while i < len(tokens):
            two = tuple(tokens[i : i + 2])
            merged.append("".join(two) if two == best else tokens[i])
            i += 2 if two == best else 1
        tokens = merged
    return tokens
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_merge_word", "grade": true}
check("ch00/lab04/merge_word", merge_word)

# %% [markdown]
# **Look at it.** A vocabulary grows merge by merge. Here are four words as GPT-2 would see them, had its training
# stopped earlier.

# %% tags=["given"]
merged = earlier("ch00/lab04/merge_word", merge_word, course_naive.merge_word)

# %% tags=["look"]
words = ["Ġinternationally", "ĠTransformer", "ĠDonaudampfschiff", "ĠĠĠĠĠĠĠĠĠĠĠĠ"]
print(f"{'merges':>7}   tokens")
for n in (0, 100, 1000, 10_000, 50_000):
    first = {pair: rank for pair, rank in ranks.items() if rank < n}
    print(f"{n:>7}   " + "   ".join("|".join(merged(word, first)) for word in words))

# %% [markdown]
# **Which of the four did the last 40,000 merges change, and which did no merge ever touch?** A longer vocabulary of
# English pages does nothing for a long German word. And twelve spaces stay twelve tokens: GPT-2 reads indented code one
# space at a time.

# %% [markdown]
# ## Step 4. The tokenizer
#
# Put it together: pieces, their bytes, your spelling, merges, ids. Two things come on top.
#
# **Remember.** The same few words come again and again, so keep each piece's ids. Real text gets many times faster.
#
# **Specials.** `<|endoftext|>` has id 50256 and marks where a document ends. No merge makes it. If a *user's* text holds
# these thirteen characters, they must stay thirteen ordinary characters. Otherwise anybody could end a document, or
# begin the system's own turn in a chat, by typing it. So the caller says which specials are allowed. Cut the text at
# those first, and each side goes through the pieces by itself. If one special begins like another, the
# longer one counts.

# %% nbgrader={"grade_id": "tokenizer", "solution": true}
class Tokenizer:
    """Text to ids. Uses `split`, `alphabet` and `merged` from the steps before.

    vocab: spelled token -> id, specials included. ranks: (left, right) -> rank.
    """

    def __init__(self, vocab: dict[str, int], ranks: dict[tuple[str, str], int]) -> None:
        self.vocab, self.ranks = vocab, ranks
        self.known: dict[str, list[int]] = {}  # piece -> its ids, once they are worked out

    def encode_ordinary(self, text: str) -> list[int]:
        """The ids of a text in which nothing is special. Works out each piece once, ever.

        >>> Tokenizer(vocab, ranks).encode_ordinary("Hello, world")
        [15496, 11, 995]
        """
        ### BEGIN SOLUTION
        ids = []
        for piece in split(text):
            if piece not in self.known:
                word = "".join(alphabet[b] for b in piece.encode("utf-8"))
                self.known[piece] = [self.vocab[token] for token in merged(word, self.ranks)]
            ids += self.known[piece]
        return ids
        ### END SOLUTION

    def encode(self, text: str, allowed_special: set[str] = frozenset()) -> list[int]:
        """The ids of a text. An allowed special becomes its own id, the longest first; any other is ordinary text.

        >>> Tokenizer(vocab, ranks).encode("a<|endoftext|>", {"<|endoftext|>"})
        [64, 50256]
        >>> Tokenizer(vocab, ranks).encode("a<|endoftext|>")          # not allowed: a, <, |, end, of, text, |, >
        [64, 27, 91, 437, 1659, 5239, 91, 29]
        """
        ### BEGIN SOLUTION
        if not allowed_special:
            return self.encode_ordinary(text)
        longest_first = sorted(allowed_special, key=len, reverse=True)
        ids = []
        for part in re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text):
            ids += [self.vocab[part]] if part in allowed_special else self.encode_ordinary(part)
        return ids
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_tokenizer", "grade": true}
check("ch00/lab04/tokenizer", Tokenizer)

# %% [markdown]
# **Look at it.** How does GPT-2 see numbers? Each dot below is a number of four digits as it stands in a sentence,
# with a space in front. The row is its first two digits, the column its last two.

# %% tags=["given"]
Mine = earlier("ch00/lab04/tokenizer", Tokenizer, course_naive.Tokenizer)

# %% tags=["look"]
mine = Mine(vocab, ranks)
lengths = np.array([[len(mine.encode(f" {a:02}{b:02}")) for b in range(100)] for a in range(10, 100)])
fig, ax = plt.subplots(figsize=(6, 5.2))
ax.imshow(lengths == 1, aspect="auto", extent=(-0.5, 99.5, 99.5, 9.5), cmap="cividis", vmin=0, vmax=1)
ax.set(xlabel="last two digits", ylabel="first two digits", title="bright: one token; dark: two or more")
plt.show()
for number in (" 1987", " 2024", " 3987", " 1000000"):
    print(f"{number!r:>12}", [token_bytes[i].decode() for i in mine.encode(number)])

# %% [markdown]
# **One row is bright from end to end, and the next one up to about a fifth. What are these numbers in ordinary text? And
# the lone dots at 1024 and 4096?** ` 1987` is one token and ` 3987` is two, cut wherever the merges left off. A model
# that has to add such numbers must first learn, number by number, where the digits are.
#
# And the space in front, once more:

# %% tags=["look"]
for text in ("hello", " hello", "Hello", " Hello", "HELLO", " HELLO", "hello "):
    ids = mine.encode(text)
    print(f"{text!r:>9}  {ids!s:<22}", [token_bytes[i].decode() for i in ids])

# %% [markdown]
# **Which two lines explain why a prompt should not end with a space?** The model has seen ` world` as one token after
# `hello`. After `hello ` it has to go on with a word *without* its space, which in its training hardly ever came
# there.

# %% [markdown]
# ## Step 5. Text as it comes
#
# A model writes one id at a time, and you want to show the text while it is being written. But `🦊` is four bytes, and
# GPT-2 has no token for all four. Decode token by token, and you show `�`, the sign U+FFFD for bytes that are no text,
# and never the emoji. So hold a character's bytes back until all of them are there. The table of step 1 tells when one
# has begun and is not finished: among the last three bytes there is a first byte that announces more than have come.
#
# Hold back no more than that: whoever waits for a text wants to see it. What is wrong stays wrong: a byte that belongs
# to nothing becomes `�`, and so does a character that was never finished when the stream ends.

# %% nbgrader={"grade_id": "stream", "solution": true}
class Stream:
    """Decodes tokens one at a time. All that is returned, joined, equals decoding all bytes at once."""

    def __init__(self, token_bytes: dict[int, bytes]) -> None:
        self.token_bytes = token_bytes
        self.held = b""  # the bytes of a character that has begun and is not finished

    def push(self, token: int) -> str:
        """The text that is certain with this token; '' if there is none.

        >>> stream = Stream({0: b"Hi \\xf0\\x9f", 1: b"\\x99\\x82!"})
        >>> stream.push(0), stream.push(1), stream.end()
        ('Hi ', '🙂!', '')
        """
        ### BEGIN SOLUTION
        data = self.held + self.token_bytes[token]
        whole = len(data)
        for back in range(1, min(3, len(data)) + 1):
            first = data[-back]
            if first >= 0xC0:  # a first byte: it says how many bytes its character has
                needs = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
                whole = len(data) - back if back < needs else len(data)
            if first < 0x80 or first >= 0xC0:
                break
        self.held = data[whole:]
        return data[:whole].decode("utf-8", errors="replace")
        ### END SOLUTION

    def end(self) -> str:
        """What is left when no token follows: '', or U+FFFD for a character that was never finished."""
        ### BEGIN SOLUTION
        left, self.held = self.held, b""
        return left.decode("utf-8", errors="replace")
        ### END SOLUTION


# %% nbgrader={"grade_id": "check_stream", "grade": true}
check("ch00/lab04/stream", Stream)

# %% [markdown]
# **Look at it.** One token a line: its bytes, what decoding it by itself shows, and what your stream shows.

# %% tags=["look"]
Streaming = earlier("ch00/lab04/stream", Stream, lambda token_bytes: gpt2.stream())
stream = Streaming(token_bytes)
print(f"{'id':>6}  {'bytes':<14}{'by itself':<12}{'stream'}")
for i in mine.encode("So 早 好 🦊!"):
    data = token_bytes[i]
    print(f"{i:>6}  {data.hex(' '):<14}{data.decode(errors='replace')!r:<12}{stream.push(i)!r}")

# %% [markdown]
# **How many tokens does the emoji have, and after which of them does it appear?** Interfaces that print `�` while a
# model writes Chinese, and then correct themselves or never do, skipped this step.

# %% [markdown]
# ## Step 6. Write the fuzzer
#
# "The same ids for *any* Unicode text" cannot be tested text by text. You can try to break it: draw texts at random, run
# both tokenizers, and stop at the first difference. That is fuzzing. A tokenizer with a fault can agree on English prose
# for months, so random letters will not find it. What matters is *which* texts you draw. Think of every rule of this
# lab, and of texts that need it: all kinds of white space, and runs of them; both apostrophes; line ends of two
# characters; numbers and long words; combining marks; emoji joined by U+200D; control characters; code points of every
# plane; specials; no text at all.
#
# Your fuzzer is given two encoders. Its check runs it on GPT-2's encoder against faulty copies of it, most of which you
# do not know, and against the right one itself.

# %% nbgrader={"grade_id": "difference", "solution": true}
def difference(a, b) -> str | None:
    """A text on which two encoders differ, or None if thousands of texts show no difference.

    a, b: functions from a text to a list of ids. They refuse surrogates (U+D800 to U+DFFF), which are no characters.
    Each may be asked up to 20,000 times. Draws the same texts every time.

    >>> right = lambda text: [ord(c) for c in text]
    >>> "!" in difference(right, lambda text: right(text.replace("!", "")))     # a faulty one, which is deaf to !
    True
    """
    ### BEGIN SOLUTION
    rng = random.Random(0)
    kinds = [
        list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        list("0123456789½Ⅷ٣"),
        list("'\"’.,!?-_#<|>$"),
        list(" \t\n\r\v\f\xa0\u2003\u3000"),
        [" ", "\n", "\r\n"],
        [chr(n) for n in (*range(32), *range(127, 160))],
        list("éèàüñçßøåÉ"),
        ["e\u0301", "a\u0308", "n\u0303", "\u0301", "\u200d", "\ufeff"],
        ["'s", "'d", "’ll", "'RE", " the", "Hello", "<|endoftext|>"],
        ["👩\u200d🚀", "🏳️\u200d🌈", "👋🏽", "🙂"],
        list("жשعन你好한"),
        [chr(n) for n in range(0xA1, 0x30000, 101) if not 0xD800 <= n < 0xE000],
    ]
    for n in range(2000):
        count = rng.randrange(12) if n else 0  # the first text is empty
        drawn = [rng.choice(rng.choice(kinds)) * rng.choice([1, 1, 1, 2, 5, 20]) for _ in range(count)]
        text = "".join(drawn)
        if a(text) != b(text):
            return text
    return None
    ### END SOLUTION


# %% nbgrader={"grade_id": "check_difference", "grade": true}
check("ch00/lab04/difference", difference)

# %% [markdown]
# **Look at it.** Your tokenizer with one rule left out at a time, and what your fuzzer says to it. Then your tokenizer
# as it is, against the course's.

# %% tags=["look"]
def no_difference(a, b):
    print("(no fuzzer yet)", end=" ")


fuzz = earlier("ch00/lab04/difference", difference, no_difference)


def with_pattern(pattern):
    return lambda text: [i for piece in regex.findall(pattern, text) for i in gpt2.encode_word(piece)]


variants = {
    "the suspect of step 2": with_pattern(SUSPECT),
    "split at white space alone": with_pattern(r"\s*\S+|\s+"),
    "accents composed first": lambda text: gpt2.encode(unicodedata.normalize("NFC", text)),
    "specials always allowed": lambda text: gpt2.encode(text, allowed_special="all"),
    "yours": mine.encode,
}
for name, variant in variants.items():
    print(f"{name:<28}{fuzz(variant, gpt2.encode)!r}")

# %% [markdown]
# **Shorten the first text by hand: which characters of it are needed to show the fault?** Libraries such as
# `hypothesis` do that for you: they shrink what they find until nothing can be taken away.

# %% [markdown]
# ## The chapter's milestone
#
# Your tokenizer gives GPT-2's ids, token for token, on any Unicode text, at a measured throughput. The cell below
# holds it against Hugging Face's `tokenizers`, which is written in Rust, built from the same two files. It takes
# thousands of random texts, with and without specials, and a corpus. Then it times both on a megabyte of the corpus, in
# texts of 2,000 characters, one after the other on one thread. Both remember words that they have met.
#
# "Any Unicode text" has small print. Each library carries its own table of what is a letter, from some version of
# Unicode, and a character that is newer than one of the tables is a letter to one library and a mark to the other. So
# the texts are drawn from the characters that your Python's Unicode version knows.

# %% tags=["milestone"]
import tokenizers

from source.corpus import shakespeare

reference = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=vocab, merges=list(ranks)))
reference.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
with_specials = tokenizers.Tokenizer.from_str(reference.to_str())
with_specials.add_special_tokens([END])

Mine = earlier("ch00/lab04/tokenizer", Tokenizer, None)
mine, whose = (Mine(vocab, ranks), "yours") if Mine else (gpt2, "the course's")
rng = random.Random(2019)
assigned = [chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) not in ("Cn", "Cs")]
common = ["'s", "’s", "'LL", " ", "  ", "\n", "\r\n", "\t", "\xa0", " the", "Transformer", "7", "1987", "!", END]
common += ["é", "e\u0301", "🙂", "👩\u200d🚀", "न", "你", "\x00", "\ufeff"]
texts = []
for _ in range(4000):
    drawn = (rng.choice(rng.choice([assigned, common, common])) for _ in range(rng.randrange(30)))
    texts.append("".join(part * rng.choice([1, 1, 2, 9]) for part in drawn))
corpus = shakespeare("train")[:1_000_000]
documents = [corpus[n : n + 2000] for n in range(0, len(corpus), 2000)]
texts += documents[:100]
differing = sum(mine.encode(text) != reference.encode(text).ids for text in texts)
differing += sum(mine.encode(text, {END}) != with_specials.encode(text).ids for text in texts)


def megabytes_a_second(encode):
    seconds = []
    for _ in range(4):  # the first run fills the caches
        start = time.perf_counter()
        for document in documents:
            encode(document)
        seconds.append(time.perf_counter() - start)
    return len(corpus.encode()) / 1e6 / sorted(seconds[1:])[1]


ours = megabytes_a_second(mine.encode)
baseline = megabytes_a_second(lambda text: reference.encode_batch_fast([text]))  # the call that skips what you lack
print(f"{whose}, against tokenizers {tokenizers.__version__}, Unicode {unicodedata.unidata_version}")
print(f"{whose}: {ours:.2f} MB/s | baseline, Hugging Face's: {baseline:.2f} MB/s | ratio {ours / baseline:.2f}")
verdict = "reached" if not differing else "not reached"
print(f"goal: 0 of {2 * len(texts)} texts differ | measured: {differing} | {verdict}")

# %% [markdown]
# ## What you built
#
# - GPT-2's tokenizer, whole: bytes in a printable alphabet, pieces, merges by rank, specials under the caller's control.
# - A stream that shows each character when it is complete, and a fuzzer that finds what a handful of examples never
#   will.
# - Lab 0.5 makes training batches from its ids; chapter 3 feeds them to GPT-2's own weights, which only fit these ids.
#
# ## Going further
#
# - The paper: [@radford2019], section 2.2, says in half a page what you built. [@sennrich2016] has the merges.
# - Production code: `tiktoken`, `src/lib.rs`, function `byte_pair_merge`: your step 3 for short words, in Rust. Python's
#   `codecs.getincrementaldecoder("utf-8")` is your step 5; `source/tokenizers/byte_level.py` uses it.
# - What a tokenizer's languages cost their speakers: [@petrov2023] measured it over many of them.
# - An extension: give your `Tokenizer` another pattern, GPT-4's: numbers in groups of three digits, endings in any
#   case, indentation kept together. Train merges on the files of `source/` with `ByteLevelBPE.train`, and count the
#   tokens of one file with each pattern.
