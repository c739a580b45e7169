"""The still picture of the concept card on generating. The counts behind it are those of data/shakespeare."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from source.plots import BLUE, ORANGE
from source.word_pairs import WORDS, counts


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
