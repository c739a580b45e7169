"""The still picture of the concept card on sampling."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from source.plots import BLUE


def sampling() -> Figure:
    """Ten tokens, likeliest first: gray bars are softmax of the logits, blue bars what top-p 0.9 leaves of them."""
    tokens = ("the", "a", "his", "her", "my", "gold", "king", "night", "zebra", "qua")
    full = torch.tensor([3.1, 2.6, 1.9, 1.7, 1.2, 0.4, 0.1, -0.6, -2.0, -3.2]).softmax(0)
    kept = full.cumsum(0) - full < 0.9  # a token is in if those before it have not reached p
    drawn = torch.where(kept, full, 0.0) / full[kept].sum()
    fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
    places = torch.arange(len(tokens))
    ax.bar(places + 0.2, full, 0.35, color="gray", alpha=0.6, label="the model's")
    ax.bar(places - 0.2, drawn, 0.35, color=BLUE, label="drawn from, top-p 0.9")
    ax.set_xticks(places, tokens)
    ax.set(ylabel="probability")
    ax.legend()
    return fig
