"""The still picture of the concept card on queries, keys and values."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from book.drawing import arrow
from source.plots import BLUE, GREEN, ORANGE, heatmap

TOKENS = ("old", "fox", "ran")
X = np.array([[0.9, 0.1], [0.3, 0.8], [-0.7, 0.5]])  # (T, C)


def turning(degrees: float) -> np.ndarray:
    """A projection (C, D) = (2, 2) that turns a row vector to the left."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cos, sin], [-sin, cos]])


def qkv_three_views() -> Figure:
    """Three token vectors as arrows; the same turned by three angles, as queries, keys and values; a 3 × 3 matrix of
    scores, queries times keys, which is not symmetric."""
    q, k, v = X @ turning(0), X @ turning(60), X @ turning(-45)
    fig, axes = plt.subplots(1, 5, figsize=(10, 2.4), layout="constrained", width_ratios=[1, 1, 1, 1, 1.25])
    names = ("tokens $x$", "queries $x W_Q$", "keys $x W_K$", "values $x W_V$")
    for ax, rows, name in zip(axes[:4], (X, q, k, v), names, strict=True):
        ax.add_patch(plt.Circle((0, 0), 1, fill=False, color="gray", alpha=0.5))
        for token, colour, (a, b) in zip(TOKENS, (BLUE, ORANGE, GREEN), rows, strict=True):
            arrow(ax, (0, 0), (a, b), color=colour, lw=2.2)
            ax.text(1.25 * a, 1.25 * b, token, ha="center", va="center", fontsize=9)
        ax.set(xlim=(-1.4, 1.4), ylim=(-1.4, 1.4), aspect="equal", title=name)
        ax.set_axis_off()
    heatmap(axes[4], q @ k.T, TOKENS, TOKENS, numbers=True, low=-1, high=1)
    axes[4].set(xlabel="key", ylabel="query", title="scores")
    return fig
