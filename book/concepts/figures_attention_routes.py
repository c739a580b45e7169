"""The still picture of the concept card on what the two halves of a block do."""

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from book.drawing import arrow, blank, box
from source.plots import BLUE, GREEN, ORANGE


def attention_routes() -> Figure:
    """Four columns of numbers: before, after attention, which copies -3 from the first to the last, and after the FFN.

    The feed-forward network turns every number into its size, so that the last column ends with 3.
    """
    before, mixed = [-3, 1, 2, 0], [-3, 1, 2, -3]
    fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
    blank(ax, 9.6, 5)
    rows = (
        (before, BLUE, 4.3, "before"),
        (mixed, ORANGE, 2.5, "attention"),
        ([abs(x) for x in mixed], GREEN, 0.7, "FFN"),
    )
    for values, colour, y, name in rows:
        ax.text(0, y, name, va="center")
        for t, value in enumerate(values):
            box(ax, 2.6 + 2 * t, y, 1.2, 0.8, colour, str(value).replace("-", "−"))
    for t in range(4):
        arrow(ax, (2.6 + 2 * t, 2.05), (2.6 + 2 * t, 1.15))
        if t < 3:
            arrow(ax, (2.6 + 2 * t, 3.85), (2.6 + 2 * t, 2.95))
    arrow(ax, (2.6, 3.85), (8.5, 2.95), color=ORANGE)
    return fig
