"""The still picture of the concept card on the feed-forward network."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from source.plots import BLUE, GREEN, ORANGE, PINK


def feed_forward() -> Figure:
    """Three dashed lines that each bend once, at -1.5, 0 and 1.5, and their sum as a thick line with three corners."""
    x = torch.linspace(-3, 3, 121)
    fig, ax = plt.subplots(figsize=(6.5, 3), layout="constrained")
    parts = [out * (x - edge).relu() for edge, out in ((-1.5, 1.0), (0.0, -2.0), (1.5, 1.5))]
    for values, colour in zip(parts, (ORANGE, GREEN, PINK), strict=True):
        ax.plot(x, values, "--", color=colour, linewidth=1.2)
    ax.plot(x, sum(parts), color=BLUE, linewidth=3)
    ax.set(xlabel="input", ylabel="output", ylim=(-4, 4))
    return fig
