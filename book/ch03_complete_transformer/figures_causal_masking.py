"""Draws the causal masking page's figures and computes the numbers in them; it trains and loads nothing."""

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from book.drawing import arrow
from source.attention import masks
from source.plots import BLUE, GREEN, ORANGE, PINK, RED


def _cells(ax: Axes, mask: np.ndarray, colour: str = BLUE) -> None:
    """A mask as a grid: filled where True, an outline where False."""
    T, S = mask.shape
    for t in range(T):
        for s in range(S):
            corner = (s - 0.46, t - 0.46)
            ax.add_patch(plt.Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=plt.rcParams["grid.color"], lw=0.8))
            if mask[t, s]:
                ax.add_patch(plt.Rectangle(corner, 0.92, 0.92, facecolor=colour, alpha=0.75, edgecolor="none"))
    ax.set(xlim=(-0.6, S - 0.4), ylim=(T - 0.4, -0.6), aspect="equal")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def one_pass_many_questions() -> Figure:
    """A lower triangle of filled cells for the words the, cat, sat, down, on, it. Each row is one query; an arrow at
    its right end leads to the word that it has to foretell: from the row "the" to "cat", and so on. The last row's word
    is unknown.
    """
    words = ("the", "cat", "sat", "down", "on", "it")
    fig, ax = plt.subplots(figsize=(6.4, 4.1))
    _cells(ax, masks.causal(len(words)).numpy())
    ax.set_xticks(range(6), words)
    ax.set_yticks(range(6), words)
    ax.xaxis.tick_top()
    ax.xaxis.set_label_position("top")
    ax.set_xlabel("keys: what may be seen", loc="left", labelpad=8)
    ax.set(ylabel="queries", xlim=(-0.6, 8.4))
    for t, word in enumerate((*words[1:], "?")):
        arrow(ax, (5.7, t), (6.6, t), color=ORANGE)
        ax.text(6.8, t, word, va="center", color=ORANGE, fontweight="bold")
    ax.text(6.8, -0.85, "to foretell", color=ORANGE, fontsize=10, va="bottom")
    fig.tight_layout()
    return fig


def family_of_masks() -> Figure:
    """Six square grids of eight by eight cells, filled where a key may be seen. Encoder: all filled. Causal: the lower
    triangle. Prefix: the triangle plus a filled square over the first three keys. Padded in front: a triangle that
    begins at the third position, two rows empty. Packed: three small triangles along the diagonal. Window of three: a
    band along the diagonal.
    """
    S = 8
    causal = masks.causal(S)
    place = torch.arange(S)
    front = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1]])
    packed = torch.tensor([[1, 1, 1, 2, 2, 3, 3, 3]])
    family = {
        "encoder": torch.ones(S, S, dtype=torch.bool),
        "causal": causal,
        "prefix of 3": causal | (place < 3),
        "padded in front": masks.visible(front)[0, 0],
        "packed documents": masks.visible(packed)[0, 0],
        "window of 3": causal & (place > place[:, None] - 3),
    }
    fig, axes = plt.subplots(2, 3, figsize=(7.2, 5.2), layout="constrained")
    for ax, (name, mask), colour in zip(
        axes.flat, family.items(), (BLUE, BLUE, GREEN, ORANGE, ORANGE, PINK), strict=True
    ):
        _cells(ax, mask.numpy(), colour)
        ax.set(xticks=[], yticks=[], title=name)
        ax.set(xlabel="key", ylabel="query")
    return fig


def where_the_triangle_begins() -> Figure:
    """Two grids of three queries by seven keys. Left, from the bottom right: the queries stand at positions 4, 5 and 6
    and see five, six and all seven keys. Right, from the top left: they see one, two and three keys, and the newest
    four keys are seen by nobody.
    """
    T, S = 3, 7
    fig, axes = plt.subplots(1, 2, figsize=(7.4, 2.7), layout="constrained")
    for ax, mask, title, colour in (
        (axes[0], masks.causal(T, S), "the last 3 of 7 positions", BLUE),
        (axes[1], torch.ones(T, S, dtype=torch.bool).tril(), "from the top left: wrong", RED),
    ):
        _cells(ax, mask.numpy(), colour)
        ax.set_xticks(range(S), range(S))
        ax.set_yticks(range(T), range(S - T, S))
        ax.set(title=title, xlabel="position of the key", ylabel="query at")
    return fig


def fully_hidden_row() -> Figure:
    """Weights of three keys that are all hidden, as bars. Without any mask, and with -10,000 added in float32, the same
    three bars: 0.67, 0.09 and 0.24. With -1,000,000,000 added, and with the most negative float32, three equal bars of
    one third. With the course's convention, no bars: zeros.
    """
    scores = torch.tensor([3.0, 1.0, 2.0])
    rows = {"no mask": torch.softmax(scores, 0)}
    lowest = torch.finfo(torch.float32).min
    for name, fill in (("$-10^4$", -1e4), ("$-10^9$", -1e9), ("lowest\nfloat32", lowest)):
        rows[name] = torch.softmax(scores + fill, 0)
    rows["the course:\nzeros"] = masks.biased_softmax(scores[None], torch.full((1, 3), float("-inf")))[0]
    fig, ax = plt.subplots(figsize=(6.8, 3.2))
    for key, colour in enumerate((BLUE, ORANGE, PINK)):
        heights = [float(row[key]) for row in rows.values()]
        bars = ax.bar(np.arange(len(rows)) + 0.27 * (key - 1), heights, 0.25, color=colour, label=f"key {key}")
        ax.bar_label(bars, [f"{h:.2f}" for h in heights], fontsize=9, padding=2)
    ax.set_xticks(range(len(rows)), rows)
    ax.set(ylabel="weight", ylim=(0, 0.85), xlabel="what is added to all three scores (float32)")
    ax.legend(ncols=3, loc="upper right", fontsize=9)
    fig.tight_layout()
    return fig
