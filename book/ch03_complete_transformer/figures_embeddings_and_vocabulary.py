"""Draws the embeddings page's figures and computes the numbers in them, each within seconds; it trains nothing."""

import re

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from book.drawing import arrow, blank
from source.corpus import shakespeare
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, SKY

# V, longest context, C, L of the four GPT-2 models (Radford et al., 2019, table 2, with the released vocabulary).
GPT2 = {"124M": (50257, 1024, 768, 12), "355M": (50257, 1024, 1024, 24), "774M": (50257, 1024, 1280, 36)}
GPT2["1558M"] = (50257, 1024, 1600, 48)


def lookup_is_a_product() -> Figure:
    """Three grids in a row: a matrix of five one-hot rows, times a table of six coloured rows, equals five rows, each
    in the colour of the table's row that its one picks. Ids are 2, 0, 2, 5 and 3; rows 1 and 4 of the table are picked
    by nobody, and row 2 twice.
    """
    ids, V = (2, 0, 2, 5, 3), 6
    colours = (BLUE, ORANGE, GREEN, PINK, SKY, RED)
    fig, ax = plt.subplots(figsize=(7.2, 3.5))
    blank(ax, 17.2, 8.6)
    faint = plt.rcParams["grid.color"]

    def cell(x: float, y: float, colour: str | None, text: str = "") -> None:
        ax.add_patch(plt.Rectangle((x, y), 0.9, 0.9, fill=False, edgecolor=faint, lw=0.8))
        if colour:
            ax.add_patch(plt.Rectangle((x, y), 0.9, 0.9, facecolor=colour, alpha=0.65, edgecolor="none"))
        ax.text(x + 0.45, y + 0.45, text, ha="center", va="center", fontsize=9)

    for t, v in enumerate(ids):
        y = 5.7 - t
        ax.text(0.2, y + 0.45, str(v), ha="center", va="center", fontsize=10)
        for column in range(V):
            cell(0.7 + column, y, colours[v] if column == v else None, "1" if column == v else "")
        for column in range(4):
            cell(12.9 + column, y, colours[v])
    for v in range(V):
        for column in range(4):
            cell(8.0 + column, 6.2 - v, colours[v])
        ax.text(7.75, 6.65 - v, str(v), ha="right", va="center", fontsize=10)
    ax.text(12.45, 4.15, "=", ha="center", va="center", fontsize=14)
    for x, label in ((3.7, "one-hot rows (T, V)"), (10.0, "table (V, C)"), (14.9, "vectors (T, C)")):
        ax.text(x, 7.9, label, ha="center", va="center", fontsize=11)
    ax.text(0.2, 7.0, "id", ha="center", va="center", fontsize=10)
    arrow(ax, (14.9, 1.4), (10.0, 0.75), connectionstyle="arc3,rad=-0.12")
    ax.text(11.9, 0.25, "back: each row's gradient is added to its row", ha="center", va="center", fontsize=10)
    fig.tight_layout()
    return fig


def rows_touched() -> Figure:
    """Distinct words in a batch against the batch's tokens, both logarithmic, for batches of 64 to 65,536 running words
    of Shakespeare. The curve stays far below the dashed line of one new row for each token, and below the dotted line
    of the whole vocabulary.
    """
    words = np.array(re.findall(r"[a-z']+", shakespeare("train").lower()))
    _, ids = np.unique(words, return_inverse=True)
    V = int(ids.max()) + 1
    rng = np.random.default_rng(0)
    sizes = 2 ** np.arange(6, 17)
    touched = []
    for size in sizes:
        starts = rng.integers(0, len(ids) - size, 8)
        touched.append(np.mean([len(np.unique(ids[s : s + size])) for s in starts]))
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    ax.plot(sizes, touched, "o-", color=BLUE, lw=2, label="rows that get a gradient")
    ax.plot(sizes, np.minimum(sizes, V), "--", color=plt.rcParams["text.color"], lw=1, label="one row for each token")
    ax.axhline(V, color=ORANGE, ls=":", lw=2, label=f"the vocabulary, {V:,} words")
    last = f"{touched[-1] / V:.0%} of the rows\nin a batch of {sizes[-1]:,}"
    ax.annotate(last, (sizes[-1], touched[-1]), xytext=(0, -62), textcoords="offset points", ha="right", fontsize=10)
    ax.set(xscale="log", yscale="log", xlabel="tokens in the batch", ylabel="rows of the table", ylim=(30, 9 * V))
    ax.legend(fontsize=9, loc="upper left")
    fig.tight_layout()
    return fig


def share_of_the_table() -> Figure:
    """Stacked bars for the four GPT-2 models: the share of the parameters in the token table, in the position table and
    in the blocks. The token table falls from 31 percent in the smallest to 5 percent in the largest model; the rest is
    nearly all blocks.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.5))
    left = np.zeros(len(GPT2))
    parts = {"token table": [], "position table": [], "blocks": []}
    for V, context, C, L in GPT2.values():
        blocks = L * (12 * C * C + 13 * C) + 2 * C  # with the last norm
        whole = V * C + context * C + blocks
        for name, count in (("token table", V * C), ("position table", context * C), ("blocks", blocks)):
            parts[name].append(100 * count / whole)
    for (name, shares), colour in zip(parts.items(), (ORANGE, PINK, BLUE), strict=True):
        bars = ax.barh(list(GPT2), shares, left=left, color=colour, label=name, alpha=0.85)
        if name != "position table":
            ax.bar_label(bars, [f"{share:.0f}%" for share in shares], label_type="center", fontsize=10)
        left += shares
    ax.invert_yaxis()
    ax.set(xlabel="share of the parameters (%), tied", ylabel="GPT-2, parameters", xlim=(0, 100))
    ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), fontsize=10)
    fig.tight_layout()
    return fig
