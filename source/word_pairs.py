"""How often each of twenty words follows each in the course's plays: a language model that can be counted by hand."""

import re
from functools import cache

import numpy as np

from source.corpus import shakespeare

WORDS = [
    ".", "the", "my", "your", "i", "you", "he", "is", "are", "have",
    "not", "a", "good", "king", "lord", "love", "and", "to", "be", "what",
]  # fmt: skip


@cache
def counts() -> np.ndarray:
    """How often each of WORDS follows each in the training plays, (V, V): row a word, column the one behind it."""
    spoken = re.sub(r"^[A-Z][^a-z\n]*:$", "", shakespeare("train"), flags=re.MULTILINE)  # without the speakers' names
    number, V = {word: i for i, word in enumerate(WORDS)}, len(WORDS)
    ids = np.array([number.get(word, V) for word in re.findall(r"[a-z']+|[.,;:?!]", spoken.lower())])
    return np.bincount((V + 1) * ids[:-1] + ids[1:], minlength=(V + 1) ** 2).reshape(V + 1, V + 1)[:V, :V]
