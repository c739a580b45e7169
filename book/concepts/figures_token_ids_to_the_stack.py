"""The still picture of the concept card on token ids, and the merges that the card's tokenizer has."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from book.drawing import arrow, blank, box
from source.plots import BLUE, GREEN, ORANGE
from source.tokenizers.byte_level import ByteLevelBPE
from source.tokenizers.first_merges import first_merges

MERGES = 512
C = 5


def tokenizer(merges: int = MERGES) -> ByteLevelBPE:
    """The course's tokenizer (data/tokenizer) with as many merges as the card has."""
    return first_merges(merges)


def embedding(ids: list[int]) -> np.ndarray:
    """The table's rows (T, C) of these ids: numbers between -1 and 1 that look random and are always the same."""
    places = np.array(ids, dtype=np.uint64)[:, None] * C + np.arange(1, C + 1, dtype=np.uint64)
    return places * np.uint64(2654435761) % np.uint64(2**32) / 2**31 - 1


def token_ids_to_the_stack() -> Figure:
    """The text "to be or not to be" as six tokens with their ids; lines from each id to a row of a table of 768 rows,
    and from there to a row of a matrix of six rows. The two tokens " be" have one id and share one row of the table."""
    bpe = tokenizer()
    ids = bpe.encode("to be or not to be")
    fig, ax = plt.subplots(figsize=(8, 3.1), layout="constrained")
    blank(ax, 16, 6.9)
    ax.imshow(embedding(ids), vmin=-1, vmax=1, extent=(9.6, 13.6, 0, 6), aspect="auto")
    box(ax, 6.7, 3, 1.4, 6, "gray")
    box(ax, 15.1, 3, 1.5, 6, GREEN, "the stack")
    arrow(ax, (13.7, 3), (14.3, 3))
    for t, i in enumerate(ids):
        y, row, colour = 5.5 - t, 6 - 6 * i / (256 + MERGES), ORANGE if ids.count(i) > 1 else BLUE
        box(ax, 1.3, y, 2, 0.8, colour, bpe.decode([i]).replace(" ", "␣"))
        ax.text(3.2, y, str(i), ha="center", va="center")
        ax.plot([3.8, 6, 7.4, 9.5], [y, row, row, y], color=colour, lw=1.6)
    for x, name in ((1.3, "tokens"), (3.2, "ids"), (6.7, "table $E$ (V, C)"), (11.6, "$x$ (T, C)")):
        ax.text(x, 6.45, name, ha="center", va="center")
    ax.set(xlim=(0, 16), ylim=(-0.1, 6.9))
    return fig
