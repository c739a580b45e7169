"""GPT-2's pre-tokenizer: cuts text into the pieces within which byte pairs are merged. It knows no ids.

Merges never cross a border between pieces, so that "dog", "dog." and "dog!" share the token "dog". Radford et al.
(2019), section 2.2; the pattern is that of OpenAI's gpt-2/src/encoder.py, alternative by alternative:

    's|'t|'re|'ve|'m|'ll|'d   endings of English, lower case and with the straight apostrophe alone
     ?\\p{L}+                  letters of any script, with one space in front if there is one
     ?\\p{N}+                  digits and other numerals, likewise
     ?[^\\s\\p{L}\\p{N}]+        anything else that is visible, likewise: punctuation, emoji, combining marks
    \\s+(?!\\S)                white space up to the last one before a word, which the word takes along if it is a space
    \\s+                      what white space is left

What a letter is depends on the version of Unicode, and a tokenizer's ids must not change when a library is updated. So
letters and numerals are those of Unicode 16, as in tiktoken 0.14 and Hugging Face's tokenizers 0.23.
"""

import re

import regex

_PATTERN = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
# The same for text that is all ASCII: the standard library's `re` has no \p{L}, and takes half the time.
_ASCII = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII)
# Where Unicode 17 and later put letters and numerals; what else is in these ranges is neither, before and after.
_NEWER = re.compile(
    "[\u0558\u058b-\u058c\u088f\u0c5c\u0cdc\u208f\u209d-\u209f\ua7ce-\ua7cf\ua7d2\ua7d4\ua7dd-\ua7f1\uab6c-\uab6d"
    "\U000107bb-\U000107bf\U00010940-\U00010959\U00010ec5-\U00010eee\U00011b0a\U00011db0-\U00011df1\U0001246f-\U0001247f"
    "\U00012550-\U00012686\U00016ea0-\U00016ed3\U00016ff2-\U00016ff6\U000187f8-\U000187ff\U00018cd6-\U00018cda"
    "\U00018d09-\U000191d2\U0001b123-\U0001b128\U0001b168\U0001d6a6\U0001df1f-\U0001df24\U0001df2b-\U0001dfff"
    "\U0001e6c0-\U0001e6ff\U0002b73a-\U0002b73f\U0002b81e\U0002cea2-\U0002cead\U000323b0-\U0003fc3f]"
)
_NEITHER = "\ue000"  # a character for private use: no letter and no numeral in any version


def pieces(text: str) -> list[str]:
    """The pieces of a text, which together are the text: "It's  2 cats" -> ["It", "'s", " ", " 2", " cats"]."""
    if text.isascii():
        return _ASCII.findall(text)
    if not _NEWER.search(text):
        return _PATTERN.findall(text)
    cut, at = [], 0
    for piece in _PATTERN.findall(_NEWER.sub(_NEITHER, text)):
        cut.append(text[at : at + len(piece)])
        at += len(piece)
    return cut


def pieces_naive(text: str) -> list[str]:
    """What `pieces` returns, character by character from the rules above, without the pattern."""
    cut, at = [], 0
    while at < len(text):
        for ending in ("'s", "'t", "'re", "'ve", "'m", "'ll", "'d"):
            if text.startswith(ending, at):
                end = at + len(ending)
                break
        else:
            first = at + (text[at] == " " and at + 1 < len(text))  # a space may go with what follows
            kind = _kind(text[first])
            if kind == "space":  # nothing visible follows at once: a run of white space
                first = at
            end = first
            while end < len(text) and _kind(text[end]) == kind:
                end += 1
            if kind == "space" and end < len(text) and end - at > 1:
                end -= 1  # the last one is left to the word that follows
        cut.append(text[at:end])
        at = end
    return cut


def _kind(character: str) -> str:
    if _NEWER.match(character):
        return "other"
    for kind, pattern in (("letter", r"\p{L}"), ("numeral", r"\p{N}"), ("space", r"\s")):
        if regex.match(pattern, character):
            return kind
    return "other"
