"""Draws the figures of the page on the block, and computes what is in them, the shipped small model's guesses too."""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from book.drawing import arrow, blank, box, ink
from source.models.gpt import shipped
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, heatmap


def _plus(ax, x: float, y: float) -> None:
    ax.add_patch(plt.Circle((x, y), 0.2, facecolor=plt.rcParams["figure.facecolor"], edgecolor=ink(), lw=1.6, zorder=3))
    ax.text(x, y, "+", ha="center", va="center_baseline", fontsize=15, zorder=4)


def block_shapes() -> Figure:
    """A pre-norm block as a thick vertical line from x below to y above, with a detour at each of two additions. Lower
    detour: norm 1, queries, keys and values (B, H, T, D), weights (B, H, T, T) which the mask enters, blend and
    projection, back to (B, T, C). Upper detour: norm 2, widen to (B, T, 4C), GELU, narrow, back to (B, T, C).
    """
    fig, ax = plt.subplots(figsize=(6.8, 7.4))
    blank(ax, 10, 11)
    line, middle = 1.6, 5.6
    ax.plot([line, line], [0.6, 10.3], color=BLUE, lw=4.5, solid_capstyle="butt", zorder=1)
    arrow(ax, (line, 10.2), (line, 10.55), color=BLUE, lw=4.5)
    ax.text(line, 0.3, "x   (B, T, C)", ha="center", va="center", fontsize=11)
    ax.text(line, 10.8, "y   (B, T, C)", ha="center", va="center", fontsize=11)
    ax.text(line - 0.25, 5.55, "a", ha="right", va="center", fontsize=12)

    def detour(start: float, end: float, steps: list[tuple[str, str, str]]) -> None:
        ys = np.linspace(start + 0.15, end - 0.15, len(steps))
        for (label, shape, colour), y in zip(steps, ys, strict=True):
            box(ax, middle, y, 3.9, 0.62, colour, label)
            ax.text(middle + 2.1, y, shape, ha="left", va="center", fontsize=10)
        for low, high in pairwise(ys):
            arrow(ax, (middle, low + 0.33), (middle, high - 0.33))
        arrow(ax, (line, ys[0]), (middle - 1.97, ys[0]))
        arrow(ax, (middle - 1.97, ys[-1]), (line + 0.22, ys[-1]))
        _plus(ax, line, ys[-1])

    detour(
        1.1,
        5.1,
        [
            ("norm 1", "(B, T, C)", GREEN),
            ("queries, keys, values", "3 × (B, H, T, D)", ORANGE),
            ("scores, softmax", "(B, H, T, T)", ORANGE),
            ("blend, merge, project", "(B, T, C)", ORANGE),
        ],
    )
    detour(
        6.0,
        9.7,
        [
            ("norm 2", "(B, T, C)", GREEN),
            ("widen, GELU", "(B, T, 4C)", PINK),
            ("narrow", "(B, T, C)", PINK),
        ],
    )
    ys = np.linspace(1.25, 4.95, 4)
    ax.text(2.55, ys[2] + 0.42, "mask", ha="center", va="center", fontsize=11)
    arrow(ax, (2.75, ys[2] + 0.22), (middle - 1.97, ys[2]))
    fig.tight_layout()
    return fig


def where_the_work_is() -> Figure:
    """Multiply-adds a token in a block of width 768 against the number of keys, both axes logarithmic. Two level lines:
    attention's projections at 2.4 million and the feed-forward network at 4.7 million. A rising line, scores and blend,
    passes the projections at 1,536 keys and both together at 4,608.
    """
    C = 768
    keys = 2.0 ** np.arange(6, 17)
    fig, ax = plt.subplots(figsize=(6.5, 4))
    millions = 1e6
    ax.plot(keys, 2 * keys * C / millions, color=RED, marker="^", label="scores and blend, 2·S·C")
    ax.plot(keys, np.full_like(keys, 8 * C**2 / millions), color=GREEN, ls="--", label="feed-forward network, 8·C²")
    ax.plot(keys, np.full_like(keys, 4 * C**2 / millions), color=BLUE, ls="-.", label="attention's projections, 4·C²")
    ax.plot([6 * C], [12 * C**2 / millions], "o", color=ink(), ms=6)
    ax.annotate(
        f"S = 6C = {6 * C:,}: as much as\nall matrices together",
        (6 * C, 12 * C**2 / millions),
        xytext=(2.0**12.6, 0.35),
        arrowprops={"arrowstyle": "-", "color": ink(), "lw": 0.8},
        fontsize=10,
    )
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(keys, [f"{int(n)}" if n < 1024 else f"{int(n) // 1024}k" for n in keys])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:,.10g}")
    ax.set(xlabel="keys S that a token looks at", ylabel="multiply-adds a token (millions)")
    ax.grid(axis="y", lw=0.6)
    ax.legend(loc="upper left", fontsize=10)
    fig.tight_layout()
    return fig


TEXT = "ROMEO:\nI will not be "


def _character(byte: int) -> str:
    return {10: "⏎", 32: "␣"}.get(byte, chr(byte) if 32 < byte < 127 else "·")


def early_guesses() -> Figure:
    """A table: one column for each position of a line of text, one row for each number of blocks passed, from none at
    the bottom to all four at the top. Each cell holds the byte guessed next if the stream is read there, and its colour
    is the probability given to the byte that really comes next. The cells become brighter towards the top.
    """
    data = list(TEXT.encode())
    model = shipped()
    with torch.no_grad():
        stream = torch.cat(model.stream(torch.tensor([data[:-1]])))  # L + 1 of (1, T, C) -> (L + 1, T, C)
        chances = model.read(stream).softmax(-1).numpy()  # (L + 1, T, V)
    right = np.take_along_axis(chances, np.array(data[1:])[None, :, None], axis=-1)[..., 0]  # (L + 1, T)
    guesses = chances.argmax(-1)
    columns = [f"{_character(b)}→{_character(n)}" for b, n in pairwise(data)]
    fig, ax = plt.subplots(figsize=(8.2, 3.1))
    image = heatmap(ax, right[::-1], [str(n) for n in range(len(right))][::-1], columns)
    for (row, t), guess in np.ndenumerate(guesses[::-1]):
        colour = "black" if right[::-1][row, t] > 0.5 else "white"
        ax.text(
            t, row, _character(guess), ha="center", va="center", color=colour, fontsize=10, family="DejaVu Sans Mono"
        )
    ax.tick_params(axis="x", rotation=60)
    ax.set(xlabel="byte read → byte that comes next", ylabel="blocks passed")
    fig.colorbar(image, ax=ax, label="probability of the\nbyte that comes next", pad=0.02)
    fig.tight_layout()
    return fig


def gpt2_layout() -> Figure:
    """Two rectangles. Left, GPT-2's c_attn.weight, 8 inputs high and 24 outputs wide: its columns are the queries' 8,
    the keys' 8 and the values' 8, each third made of head 0's four columns and head 1's four. Right, the weight that
    nn.Linear wants for the queries alone: the first third turned over, 8 outputs high and 8 inputs wide, so that a head
    is now four rows.
    """
    C, D = 8, 4
    unit = 0.26
    fig, ax = plt.subplots(figsize=(7.4, 3.9))
    blank(ax, 11.2, 5.4)
    left, low = 0.9, 1.6
    thirds = (("queries", ORANGE), ("keys", BLUE), ("values", GREEN))
    for n, (name, colour) in enumerate(thirds):
        for h in range(2):
            x = left + unit * (n * C + h * D)
            corner = (x, low)
            ax.add_patch(
                Rectangle(corner, D * unit, C * unit, facecolor=colour, alpha=0.25 + 0.25 * h, edgecolor="none")
            )
            ax.text(
                x + D * unit / 2, low + C * unit / 2, f"head {h}", ha="center", va="center", rotation=90, fontsize=10
            )
        corner = (left + unit * n * C, low)
        ax.add_patch(Rectangle(corner, C * unit, C * unit, fill=False, edgecolor=colour, lw=1.6))
        ax.text(left + unit * (n + 0.5) * C, low + C * unit + 0.18, name, ha="center", fontsize=11)
    ax.text(left + 1.5 * C * unit, low - 0.22, "outputs, 3C", ha="center", va="top", fontsize=10)
    ax.text(left - 0.2, low + C * unit / 2, "inputs, C", ha="right", va="center", rotation=90, fontsize=10)
    ax.text(left + 1.5 * C * unit, 4.55, "attn.c_attn.weight, as GPT-2 stores it", ha="center", fontsize=11)
    start = left + 3 * C * unit
    arrow(ax, (start + 0.2, low + C * unit / 2), (start + 1.2, low + C * unit / 2))
    ax.text(start + 0.7, low + C * unit / 2 + 0.2, ".T", ha="center", fontsize=11)
    x = start + 1.75
    for h in range(2):
        corner = (x, low + C * unit - (h + 1) * D * unit)
        ax.add_patch(Rectangle(corner, C * unit, D * unit, facecolor=ORANGE, alpha=0.25 + 0.25 * h, edgecolor="none"))
        ax.text(x + C * unit / 2, corner[1] + D * unit / 2, f"head {h}", ha="center", va="center", fontsize=10)
    ax.add_patch(Rectangle((x, low), C * unit, C * unit, fill=False, edgecolor=ORANGE, lw=1.6))
    ax.text(x + C * unit / 2, low - 0.22, "inputs, C", ha="center", va="top", fontsize=10)
    ax.text(x - 0.15, low + C * unit / 2, "outputs, C", ha="right", va="center", rotation=90, fontsize=10)
    ax.text(x + C * unit / 2, 4.55, "W_q.weight", ha="center", fontsize=11)
    fig.tight_layout()
    return fig


def serial_and_parallel() -> Figure:
    """Two wirings side by side. Left, serial: the stream passes attention's addition, then the feed-forward network
    reads what is there. Right, parallel: one norm feeds attention and the feed-forward network at once, and both are
    added to the stream together.
    """
    fig, axes = plt.subplots(1, 2, figsize=(7.4, 4.6))
    for ax, title in zip(axes, ("one after the other", "side by side"), strict=True):
        blank(ax, 6, 7.2)
        ax.plot([1, 1], [0.5, 6.3], color=BLUE, lw=4.5, zorder=1)
        arrow(ax, (1, 6.2), (1, 6.6), color=BLUE, lw=4.5)
        ax.text(1, 0.2, "x", ha="center", va="center", fontsize=12)
        ax.text(1, 6.85, "y", ha="center", va="center", fontsize=12)
        ax.text(3.6, 6.9, title, ha="center", va="center", fontsize=12)
    serial, parallel = axes
    for low, name, colour, n in ((0.9, "attention", ORANGE, 1), (3.8, "feed-forward", PINK, 2)):
        box(serial, 3.6, low, 2.3, 0.65, GREEN, f"norm {n}")
        box(serial, 3.6, low + 1.5, 2.3, 0.65, colour, name)
        arrow(serial, (1, low), (2.42, low))
        arrow(serial, (3.6, low + 0.35), (3.6, low + 1.15))
        arrow(serial, (2.42, low + 1.5), (1.22, low + 1.5))
        _plus(serial, 1, low + 1.5)
    box(parallel, 3.6, 0.9, 2.3, 0.65, GREEN, "norm")
    arrow(parallel, (1, 0.9), (2.42, 0.9))
    for x, name, colour in ((2.75, "attention", ORANGE), (4.95, "feed-\nforward", PINK)):
        box(parallel, x, 3.0, 1.7, 0.9, colour, name)
        arrow(parallel, (3.6, 1.25), (x, 2.53))
        parallel.plot([x, x], [3.45, 5.3], color=ink(), lw=1.4)
    parallel.plot([2.75, 4.95], [5.3, 5.3], color=ink(), lw=1.4)
    arrow(parallel, (2.75, 5.3), (1.22, 5.3))
    _plus(parallel, 1, 5.3)
    fig.tight_layout()
    return fig
