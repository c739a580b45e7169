"""The still picture of the concept card on generating, and the counts that the card's model consists of."""

import re
from collections import Counter
from functools import cache
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from source.corpus import shakespeare
from source.plots import BLUE, ORANGE

WORDS = [
    ".", "the", "my", "your", "i", "you", "he", "is", "are", "have",
    "not", "a", "good", "king", "lord", "love", "and", "to", "be", "what",
]  # fmt: skip


@cache
def counts() -> np.ndarray:
    """How often each of WORDS follows each in data/shakespeare, (V, V): row a word, column the one behind it."""
    spoken = re.sub(r"^[A-Z][^a-z\n]*:$", "", shakespeare("train"), flags=re.MULTILINE)  # without the speakers' names
    found = Counter(pairwise(re.findall(r"[a-z']+|[.,;:?!]", spoken.lower())))
    return np.array([[found[left, right] for right in WORDS] for left in WORDS])


def following(word: str) -> np.ndarray:
    """The probability of each of WORDS behind a word, (V,)."""
    row = counts()[WORDS.index(word)]
    return row / row.sum()


def one_token_at_a_time() -> Figure:
    """Three steps, the likeliest token taken in each: the bars are the six likeliest tokens after "the", after
    "the king" and after "the king ."; the highest is appended to the text, and the next bars are computed from it."""
    fig, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained", sharex=True)
    text = ["the"]
    for ax in axes:
        p = following(text[-1])
        likeliest = np.argsort(-p, kind="stable")[:6]
        bars = [ORANGE] + [BLUE] * 5
        ax.barh([WORDS[i] for i in likeliest][::-1], p[likeliest][::-1], color=bars[::-1])
        ax.set(title=f"“{' '.join(text)}” + ?", xlabel="probability of the next token")
        text.append(WORDS[likeliest[0]])
    return fig
