"""The still picture of the concept card on the cost of long context."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from source.plots import BLUE, ORANGE


def long_context_cost() -> Figure:
    """Multiply-adds of one block against the tokens, on logarithmic axes, at widths 768 and 12288.

    Solid, the products over pairs of tokens; dashed, all other products. The solid lines are twice as steep and cross
    the dashed ones at six times the width: at 4608 tokens and at 73728.
    """
    tokens = 2.0 ** np.arange(7, 21)
    fig, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharey=True)
    for ax, width in zip(axes, (768, 12288), strict=True):
        ax.plot(tokens, 2 * tokens**2 * width, color=BLUE, label="pairs of tokens")
        ax.plot(tokens, 12 * tokens * width**2, "--", color=ORANGE, label="all other products")
        meet = 6 * width
        ax.plot([meet], [2 * meet**2 * width], "o", color="gray", markerfacecolor="none", markersize=10)
        ax.annotate(f"{meet} tokens", (meet, 2 * meet**2 * width), (8, -16), textcoords="offset points")
        ax.set(xscale="log", yscale="log", xlabel="tokens", title=f"width {width}")
    axes[0].set_ylabel("multiply-adds of a block")
    axes[0].legend()
    return fig
