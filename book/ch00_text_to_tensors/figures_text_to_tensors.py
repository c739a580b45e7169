"""Draws the figures of the page on characters and tensors; each computes what it shows."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from book.drawing import arrow, blank, box, ink
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, SKY

TEXT = "banana"
VOCABULARY = sorted(set(TEXT))  # a, b, n
IDS = [VOCABULARY.index(character) for character in TEXT]
TABLE = np.array([[1, 0], [0, 2], [-1, 1]])  # (V, C)
COLOURS = (BLUE, ORANGE, GREEN)  # one for each entry of the vocabulary


def text_to_rows() -> Figure:
    """The word banana in four rows of boxes: its characters, their bytes 98 97 110 97 110 97, their ids 1 0 2 0 2 0,
    and for each id a column of two numbers from a table. To the right the table, one row for each of a, b, n. Equal
    characters have one colour all the way down.
    """
    fig, ax = plt.subplots(figsize=(6.8, 4.6))
    blank(ax, 11.4, 7.6)
    levels = (("text", 6.9), ("bytes", 5.4), ("ids (T,)", 3.9), ("rows (T, C)", 1.8))
    for name, y in levels:
        ax.text(0.0, y, name, ha="left", va="center", fontsize=10.5)
    for t, (character, i) in enumerate(zip(TEXT, IDS, strict=True)):
        x, colour = 2.7 + 0.95 * t, COLOURS[i]
        for label, y in ((character, 6.9), (str(ord(character)), 5.4), (str(i), 3.9)):
            box(ax, x, y, 0.8, 0.75, colour, label)
        for c, number in enumerate(TABLE[i]):
            box(ax, x, 2.15 - 0.7 * c, 0.8, 0.66, colour, f"{number}".replace("-", "−"))
        for top in (6.9, 5.4):
            arrow(ax, (x, top - 0.42), (x, top - 1.08))
        arrow(ax, (x, 3.48), (x, 2.55))
    ax.text(10.0, 4.95, "table (V, C)", ha="center", va="center", fontsize=10.5)
    for i, character in enumerate(VOCABULARY):
        y = 4.3 - 0.75 * i
        ax.text(8.95, y, f"{i} = {character}", ha="right", va="center", fontsize=10)
        for c, number in enumerate(TABLE[i]):
            box(ax, 9.55 + 0.85 * c, y, 0.8, 0.66, COLOURS[i], f"{number}".replace("-", "−"))
    ax.set_xlim(-0.1, 11.1)
    fig.tight_layout()
    return fig


def one_memory_three_views() -> Figure:
    """A row of twelve numbered cells of memory on top. Below, three matrices drawn from it: x, 3 by 4 with strides 4
    and 1; x transposed, 4 by 3 with strides 1 and 4; and the slice of x without its first row and every second column,
    2 by 2 with strides 4 and 2 and offset 4. Each cell holds its place in memory.
    """
    memory = np.arange(12)
    x = memory.reshape(3, 4)
    views = (("x", x), ("x.T", x.T), ("x[1:, ::2]", x[1:, ::2]))
    fig, ax = plt.subplots(figsize=(6.8, 4.4))
    blank(ax, 12.4, 7.4)
    colours = (BLUE, ORANGE, GREEN)

    def cell(place: int, at_x: float, at_y: float) -> None:
        box(ax, at_x, at_y, 0.8, 0.72, colours[place // 4], str(place))

    ax.text(0.1, 7.05, "memory", ha="left", va="center", fontsize=10.5)
    for place in memory:
        cell(place, 1.0 + 0.92 * place, 6.3)
    for (name, view), left in zip(views, (0.9, 5.3, 9.3), strict=True):
        for (i, j), place in np.ndenumerate(view):
            cell(int(place), left + 0.88 * j, 4.2 - 0.8 * i)
        strides = tuple(s // memory.itemsize for s in view.strides)
        offset = (view.ctypes.data - memory.ctypes.data) // memory.itemsize
        label = f"strides {strides}\noffset {offset}"
        ax.text(left - 0.4, 5.1, name, ha="left", va="center", fontsize=11, family="monospace")
        ax.text(left - 0.4, 4.2 - 0.8 * len(view) - 0.25, label, ha="left", va="center", fontsize=10)
    fig.tight_layout()
    return fig


def all_pairs_by_accident() -> Figure:
    """A 4 by 4 grid of differences between predictions 1 2 3 4, in columns, and equal targets, in rows. The diagonal,
    outlined, is zero; the other twelve cells run from minus 3 to 3. The mean of all squares is 2.5, that of the
    diagonal 0.
    """
    predictions, targets = np.arange(1.0, 5.0), np.arange(1.0, 5.0)[:, None]
    differences = predictions - targets  # (4,) - (4, 1) -> (4, 4)
    fig, ax = plt.subplots(figsize=(5.6, 4.2))
    image = ax.imshow(differences, vmin=-3, vmax=3)
    for (i, j), value in np.ndenumerate(differences):
        text = f"{value:+.0f}".replace("-", "−") if value else "0"
        ax.text(j, i, text, ha="center", va="center", color="white" if value < 0 else "black", fontsize=12)
        if i == j:
            ax.add_patch(plt.Rectangle((j - 0.47, i - 0.47), 0.94, 0.94, fill=False, edgecolor=RED, lw=2.4))
    ax.set_xticks(range(4), [f"{p:.0f}" for p in predictions])
    ax.set_yticks(range(4), [f"{t:.0f}" for t in targets[:, 0]])
    ax.spines[:].set_visible(False)
    ax.set(xlabel="predictions, shape (4,)", ylabel="targets, shape (4, 1)")
    all_pairs, wanted = np.square(differences).mean(), np.square(np.diag(differences)).mean()
    ax.set_title(f"mean square: {all_pairs:.1f} over all, {wanted:.0f} over the diagonal", fontsize=11)
    fig.colorbar(image, ax=ax, label="prediction minus target")
    fig.tight_layout()
    return fig


def bytes_of_a_batch() -> Figure:
    """Memory against sequence length from 64 to 8192, both axes logarithmic, for 8 sequences, width 768 and a
    vocabulary of 50,257. Four parallel lines: int64 ids lowest, far above them hidden states in bfloat16 and float32,
    and 65 times above the latter the float32 logits, which pass 1 GiB before 1024 tokens.
    """
    B, C, V = 8, 768, 50257
    lengths = 2.0 ** np.arange(6, 14)
    sizes = (
        ("logits (B, T, V), float32", B * lengths * V * 4, RED, "^"),
        ("hidden (B, T, C), float32", B * lengths * C * 4, BLUE, "o"),
        ("hidden (B, T, C), bfloat16", B * lengths * C * 2, SKY, "s"),
        ("ids (B, T), int64", B * lengths * 8, PINK, "D"),
    )
    fig, ax = plt.subplots(figsize=(6.5, 4.3))
    for label, size, colour, marker in sizes:
        ax.plot(lengths, size / 2**20, color=colour, marker=marker, lw=2, label=label)
    ax.axhline(1024, color=ink(), lw=0.8, ls=":")
    ax.text(64, 1150, "1 GiB", ha="left", va="bottom", fontsize=10)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(lengths, [f"{int(n)}" for n in lengths])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:,.10g}")
    ax.set(xlabel="sequence length T (tokens)", ylabel="size (MiB)", ylim=(2e-3, 1e6))
    ax.grid(axis="y", lw=0.6)
    ax.legend(loc="upper left", fontsize=9.5, ncols=2, bbox_to_anchor=(0, 1.0))
    fig.tight_layout()
    return fig
