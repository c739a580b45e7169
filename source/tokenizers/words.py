"""Cuts a text into words for byte-pair encoding, each with the space before it. Simpler than GPT-2's pattern."""

import re
from collections import Counter

# Letters, digits and apostrophes; signs; white space. The first two take one space in front along.
WORD = re.compile(r" ?[\w']+| ?[^\w\s']+|\s+")


def split(text: str) -> list[str]:
    """The words of a text in order: "It is, Sir" -> ["It", " is", ",", " Sir"]. Joined, they are the text again."""
    return WORD.findall(text)


def byte_counts(text: str) -> dict[tuple[int, ...], int]:
    """How often each word occurs, as the tuple of its UTF-8 bytes: what `source.tokenizers.bpe.train` learns from."""
    return {tuple(word.encode("utf-8")): count for word, count in Counter(split(text)).items()}
