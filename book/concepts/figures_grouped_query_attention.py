"""The still picture of the concept card on grouped-query attention."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from book.drawing import arrow, blank, box
from source.plots import BLUE, ORANGE


def grouped_query_attention() -> Figure:
    """Eight query heads in two groups of four; each group has lines to one of two key and value heads below."""
    fig, ax = plt.subplots(figsize=(7.5, 2.6), layout="constrained")
    blank(ax, 8, 3)
    for h in range(8):
        colour, x = (BLUE, ORANGE)[h // 4], (2, 6)[h // 4]
        box(ax, h + 0.5, 2.4, 0.7, 0.7, colour, f"q{h}")
        arrow(ax, (h + 0.5, 2.05), (x, 0.95), color=colour)
    for g, x in enumerate((2, 6)):
        box(ax, x, 0.6, 1.2, 0.7, (BLUE, ORANGE)[g], f"k{g}, v{g}")
    return fig
