"""Draws the figures of the page on encoders and decoders, and computes the costs that they show."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from book.drawing import arrow, blank, box, ink
from source.plots import BLUE, GREEN, ORANGE, PINK

SOURCE = ("red", "birds", "sing", "</s>")
TARGET = ("<s>", "kiri", "rosh", "mi")


def _cells(ax, rows: tuple[str, ...], columns: tuple[str, ...], colour_of) -> None:
    # One square a pair of positions: filled in a colour where the row may see the column, else only outlined.
    for t in range(len(rows)):
        for s in range(len(columns)):
            colour = colour_of(t, s)
            corner = (s - 0.46, t - 0.46)
            if colour:
                ax.add_patch(Rectangle(corner, 0.92, 0.92, facecolor=colour, alpha=0.75, edgecolor="none"))
            else:
                ax.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, edgecolor=plt.rcParams["grid.color"], lw=0.8))
    ax.set(xlim=(-0.6, len(columns) - 0.4), ylim=(len(rows) - 0.4, -0.6), aspect="equal")
    ax.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def seen_in_three_architectures() -> Figure:
    """Three grids, rows looking at columns. Encoder: all sixteen squares of four words are filled. Decoder: the lower
    triangle is. Encoder-decoder, four source words and then four target words: source rows see all source columns and
    no target; target rows see all source columns, in another colour, and of the target columns the lower triangle.
    """
    fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.9), width_ratios=(4, 4, 8))
    _cells(axes[0], SOURCE, SOURCE, lambda t, s: BLUE)
    _cells(axes[1], SOURCE, SOURCE, lambda t, s: ORANGE if s <= t else None)
    n = len(SOURCE)

    def both(t: int, s: int) -> str | None:
        if s < n:
            return BLUE if t < n else GREEN
        return ORANGE if n <= s <= t else None

    _cells(axes[2], SOURCE + TARGET, SOURCE + TARGET, both)
    axes[2].axhline(n - 0.5, color=ink(), lw=1)
    axes[2].axvline(n - 0.5, color=ink(), lw=1)
    for ax, title in zip(axes, ("encoder", "decoder", "encoder-decoder"), strict=True):
        ax.set_title(title, pad=8)
    axes[0].set_ylabel("position that looks")
    kinds = (
        (BLUE, "encoder: all see all"),
        (ORANGE, "decoder: back only"),
        (GREEN, "cross-attention: all of the source"),
    )
    handles = [Rectangle((0, 0), 1, 1, facecolor=c, alpha=0.75) for c, _ in kinds]
    fig.legend(handles, [label for _, label in kinds], loc="lower center", ncol=3, fontsize=10)
    fig.tight_layout(rect=(0, 0.09, 1, 1))
    return fig


def three_stacks() -> Figure:
    """Three sketches, data flowing upwards. Encoder: tokens, three blocks, a vector for each token. Decoder: tokens so
    far, three causal blocks, the next token for each place. Encoder-decoder: source tokens through three blocks into
    the memory, from which an arrow leads into each of three decoder blocks; above these, the next target token.
    """
    fig, ax = plt.subplots(figsize=(9.2, 4.6))
    blank(ax, 15, 7.4)

    def stack(x: float, width: float, colour: str, label: str, below: str, above: str) -> list[float]:
        ys = [2.1, 3.2, 4.3]
        for y in ys:
            box(ax, x, y, width, 0.75, colour, label)
        for low, high in ((0.95, 1.7), (2.5, 2.8), (3.6, 3.9), (4.7, 5.35)):
            arrow(ax, (x, low), (x, high))
        ax.text(x, 0.65, below, ha="center", va="center", fontsize=10.5)
        ax.text(x, 5.75, above, ha="center", va="center", fontsize=10.5)
        return ys

    stack(1.9, 2.7, BLUE, "self-attention, FFN", "whole text", "a vector for\neach token")
    stack(5.6, 2.7, ORANGE, "causal, FFN", "text so far", "next token at\neach place")
    stack(9.5, 2.7, BLUE, "self-attention, FFN", "source", "memory (B, S, C)")
    ys = stack(13.3, 2.9, ORANGE, "causal, cross, FFN", "target so far", "next target token\nat each place")
    ax.plot([10.95, 11.25, 11.25], [5.75, 5.75, ys[0]], color=GREEN, lw=2)
    for y in ys:
        arrow(ax, (11.25, y), (11.83, y), color=GREEN, lw=2)
    for x, title in ((1.9, "encoder"), (5.6, "decoder"), (11.4, "encoder-decoder")):
        ax.text(x, 6.95, title, ha="center", va="center", fontsize=12.5)
    fig.tight_layout()
    return fig


WORDS = ("the", "small", "cat", "saw", "two", "birds", "near", "the", "river")


def objectives() -> Figure:
    """One sentence of nine words, three times. Masked: two words are replaced by a mask in the input and asked for at
    their own places. Causal: the whole sentence goes in, and at each place the next word is asked for. Span corruption:
    a run of two words and one of one are replaced by markers X and Y; the decoder is asked for X, the two words, Y, the
    one word, and an end marker.
    """
    rows = [
        (
            "masked words\n(encoder)",
            ["the", "small", "[M]", "saw", "two", "birds", "[M]", "the", "river"],
            [None, None, "cat", None, None, None, "near", None, None],
        ),
        ("next word\n(decoder)", list(WORDS), [*WORDS[1:], None]),
        (
            "spans\n(encoder-decoder)",
            ["the", "<X>", "saw", "two", "birds", "<Y>", "the", "river"],
            ["<X>", "small", "cat", "<Y>", "near", "<Z>"],
        ),
    ]
    fig, ax = plt.subplots(figsize=(9.2, 4.6))
    blank(ax, 12.2, 7.6)

    def cell(x: float, y: float, word: str | None, colour: str) -> None:
        if word is None:
            ax.add_patch(Rectangle((x - 0.48, y - 0.3), 0.96, 0.6, fill=False, edgecolor=plt.rcParams["grid.color"]))
            return
        ax.add_patch(Rectangle((x - 0.48, y - 0.3), 0.96, 0.6, facecolor=colour, alpha=0.35, edgecolor="none"))
        ax.text(x, y, word, ha="center", va="center", fontsize=10)

    for n, (name, read, say) in enumerate(rows):
        y = 6.6 - 2.6 * n
        ax.text(0.1, y - 0.4, name, ha="left", va="center", fontsize=10.5)
        for label, words, colour, line in (("reads", read, BLUE, y), ("says", say, ORANGE, y - 0.85)):
            ax.text(2.75, line, label, ha="right", va="center", fontsize=10)
            for place, word in enumerate(words):
                cell(3.5 + place, line, word, colour)
    fig.tight_layout()
    return fig


def _cost(C: int = 768, L: int = 12, S: int = 400, T: int = 100) -> dict[str, tuple[float, float]]:
    """Parameters and multiply-adds of one text, embeddings and scores left out, in units of 1.

    A block's matrices: 4 C² for an attention, 8 C² for the feed-forward network. Cross-attention's keys and values are
    computed once for each source token, its queries and its output projection once for each target token.
    """
    block, cross = 12 * C**2, 4 * C**2
    return {
        f"decoder, {L} layers": (L * block, L * (S + T) * block),
        f"decoder, {2 * L} layers": (2 * L * block, 2 * L * (S + T) * block),
        f"encoder-decoder, {L} + {L} layers": (L * (2 * block + cross), L * (S + T) * (block + cross // 2)),
    }


def parameters_and_cost() -> Figure:
    """Two bar charts side by side for a decoder of 12 layers, one of 24, and an encoder-decoder of 12 and 12. Weights:
    85, 170 and 198 million. Multiply-adds for 400 source and 100 target tokens: 42, 85 and 50 thousand million. The
    encoder-decoder has the most weights and costs little more than the small decoder.
    """
    found = _cost()
    names = [name.replace(", ", ",\n") for name in found]
    fig, axes = plt.subplots(1, 2, figsize=(9.2, 3.0), sharey=True)
    for ax, values, label, colour in (
        (axes[0], [p / 1e6 for p, _ in found.values()], "weights (millions)", PINK),
        (axes[1], [m / 1e9 for _, m in found.values()], "multiply-adds a text (thousand millions)", BLUE),
    ):
        bars = ax.barh(names, values, color=colour, height=0.55)
        ax.bar_label(bars, fmt="{:.0f}", padding=4)
        ax.set(xlabel=label, xlim=(0, 1.15 * max(values)))
        ax.invert_yaxis() if ax is axes[0] else None
        ax.tick_params(axis="y", length=0)
    fig.tight_layout()
    return fig


def conversation() -> Figure:
    """Tokens that were processed in all, in thousands, against the turns of a conversation of 200 tokens a turn. With a
    decoder and its cache a straight line, 4 thousand after 20 turns. With an encoder that reads the whole conversation
    anew before each answer a curve that bends upwards, to 42 thousand.
    """
    turns, each = np.arange(1, 21), 200
    anew = np.cumsum(turns * each) / 1000
    kept = turns * each / 1000
    fig, ax = plt.subplots(figsize=(6.5, 3.2))
    ax.plot(turns, anew, marker="s", ms=4, color=BLUE, label="encoder: all is read anew before each turn")
    ax.plot(turns, kept, marker="o", ms=4, color=ORANGE, label="decoder with a cache: only what is new")
    ax.set(xlabel="turns of the conversation", ylabel="tokens processed (thousands)", xticks=range(0, 21, 5))
    ax.legend(loc="upper left")
    fig.tight_layout()
    return fig
