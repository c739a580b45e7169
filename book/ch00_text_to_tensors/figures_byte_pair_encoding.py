"""Draws the figures of the page on byte-pair encoding; numbers come from source.tokenizers.bpe or a recorded run."""

import json

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from book.drawing import blank, box, ink
from source.files import data_path
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, SKY
from source.tokenizers import bpe

LETTERS = "achst"
WORDS = {"cat": 4, "cats": 3, "chat": 2, "hat": 1}


def _trained() -> tuple[dict, dict[int, str]]:
    """The table of the page's corpus, and what its ids spell."""
    counts = {tuple(map(LETTERS.index, word)): count for word, count in WORDS.items()}
    table = bpe.train(counts, 9, len(LETTERS))
    return table, bpe.expand(table, dict(enumerate(LETTERS)))


def _token(ax: Axes, x: float, y: float, text: str, colour: str, unit: float = 0.34, height: float = 0.5) -> float:
    """A token as a box as wide as it has letters, from x on; returns where the next one starts."""
    width = unit * len(text)
    box(ax, x + width / 2, y, width - 0.05, height, colour)
    ax.text(x + width / 2, y, text, ha="center", va="center", fontsize=10, family="monospace")
    return x + width


def merges_by_hand() -> Figure:
    """The words cat, cats, chat and hat, one a row, cut into boxes. Column by column the boxes grow together as at,
    cat, hat, cats and chat are merged, until each word is one box. Below each column: how many tokens the corpus has,
    from 35 letters down to 10 words.
    """
    table, spelled = _trained()
    colours = dict(zip(table.values(), (BLUE, ORANGE, GREEN, PINK, SKY), strict=True))
    steps = [
        ("letters", {}),
        *((f"+ {spelled[new]}", dict(list(table.items())[: n + 1])) for n, new in enumerate(table.values())),
    ]
    fig, ax = plt.subplots(figsize=(8.2, 3.2))
    blank(ax, 12.4, 4.6)
    for column, (title, part) in enumerate(steps):
        left, total = 1.55 + 1.83 * column, 0
        ax.text(left + 0.65, 4.3, title, ha="center", va="center", fontsize=10, fontweight="bold")
        for row, (word, count) in enumerate(WORDS.items()):
            x, y = left, 3.5 - 0.8 * row
            ids = bpe.encode(list(map(LETTERS.index, word)), part)
            total += count * len(ids)
            for i in ids:
                x = _token(ax, x, y, spelled[i], colours.get(i, ink()))
        ax.text(left + 0.65, 0.3, str(total), ha="center", va="center", fontsize=10)
    for row, (word, count) in enumerate(WORDS.items()):
        ax.text(1.25, 3.5 - 0.8 * row, f"{word} ×{count}", ha="right", va="center", fontsize=10)
    ax.text(1.25, 0.3, "tokens", ha="right", va="center", fontsize=10)
    fig.tight_layout()
    return fig


def rank_or_length() -> Figure:
    """The word the in three rows. In the first its letters t, h, e, with two brackets: h and e are rank 0, t and h
    rank 1. By rank it becomes t and he; by the longest match from the left it becomes th and e.
    """
    letters = "aehist"
    words = {"he": 8, "this": 4, "that": 3}
    table = bpe.train({tuple(map(letters.index, word)): count for word, count in words.items()}, 2, len(letters))
    spelled = bpe.expand(table, dict(enumerate(letters)))
    ranks = {spelled[new]: new - len(letters) for new in table.values()}
    by_rank = [spelled[i] for i in bpe.encode(list(map(letters.index, "the")), table)]
    fig, ax = plt.subplots(figsize=(6.4, 2.9))
    blank(ax, 9, 4)
    unit, start = 0.9, 3.2
    for n, letter in enumerate("the"):
        _token(ax, start + n * unit, 2.6, letter, ink(), unit)
    for n, pair in ((0, "th"), (1, "he")):
        y = 3.1 if pair == "he" else 3.35
        ends = (start + (n + 0.5) * unit, start + (n + 1.5) * unit)
        ax.plot(
            [ends[0], ends[0], ends[1], ends[1]],
            [y - 0.1, y, y, y - 0.1],
            color=BLUE if pair == "he" else ORANGE,
            lw=1.6,
        )
        side = {"th": (ends[0] - 0.1, "right"), "he": (ends[1] + 0.1, "left")}[pair]
        ax.text(side[0], y + 0.02, f"{pair}: rank {ranks[pair]}", ha=side[1], va="center", fontsize=10)
    for y, name, pieces, colour in (
        (1.6, "by rank", by_rank, BLUE),
        (0.6, "longest from the left", ["th", "e"], ORANGE),
    ):
        ax.text(start - 0.2, y, name, ha="right", va="center", fontsize=10)
        x = start
        for piece in pieces:
            x = _token(ax, x, y, piece, colour if len(piece) > 1 else ink(), unit)
    ax.text(start + 3 * unit + 0.3, 1.6, "as in training", ha="left", va="center", fontsize=10)
    ax.text(start + 3 * unit + 0.3, 0.6, "other ids, same text", ha="left", va="center", fontsize=10)
    fig.tight_layout()
    return fig


def compression_by_size() -> Figure:
    """Bytes a token against the size of the vocabulary on a logarithmic axis. Both curves start at one byte a token and
    rise ever more slowly; the one for held-out plays falls behind the one for training plays as tables grow.
    """
    curve = json.loads(data_path("results/bpe_training-bench.json").read_text(encoding="utf-8"))["curve"]
    sizes = [point["V"] for point in curve]
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    for name, label, colour, marker in (
        ("train", "plays that the table was trained on", BLUE, "o"),
        ("validation", "plays held back", ORANGE, "s"),
    ):
        ax.plot(
            sizes, [point[f"bytes_a_token_{name}"] for point in curve], color=colour, marker=marker, lw=2, label=label
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.set(xlabel="vocabulary V (tokens)", ylabel="bytes a token", ylim=(0, None))
    ax.grid(axis="y", lw=0.6)
    ax.legend(loc="lower right", fontsize=10)
    fig.tight_layout()
    return fig


def rare_tokens() -> Figure:
    """Bars: the share of learned tokens that stand fewer than 100 times in the whole training text, for vocabularies of
    512 to 16,384 tokens. It is almost nothing for small ones and most of the vocabulary for the largest.
    """
    curve = json.loads(data_path("results/bpe_training-bench.json").read_text(encoding="utf-8"))["curve"][1:]
    fig, ax = plt.subplots(figsize=(6.5, 3.2))
    shares = [100 * point["under_100_in_train"] / (point["V"] - 256) for point in curve]
    bars = ax.bar([f"{point['V']:,}" for point in curve], shares, color=RED, width=0.6)
    ax.bar_label(bars, [f"{share:.0f}" for share in shares], fontsize=10, padding=2)
    ax.set(xlabel="vocabulary V (tokens)", ylabel="learned tokens that stand\nfewer than 100 times (%)", ylim=(0, 108))
    fig.tight_layout()
    return fig
