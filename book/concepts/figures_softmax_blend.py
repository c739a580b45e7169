"""The still picture of the concept card on softmax."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from source.plots import BLUE, GREEN, ORANGE


def softmax_blend() -> Figure:
    """Three scores, 2, 1 and -1, as bars; beside them their softmax as one bar in three parts, the largest for cat."""
    keys, colours, scores = ("cat", "sat", "mat"), (BLUE, ORANGE, GREEN), torch.tensor([2.0, 1.0, -1.0])
    weights = scores.softmax(0).tolist()
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.5, 2.6), layout="constrained", width_ratios=[1, 1.6])
    left.bar(keys, scores.tolist(), color=colours)
    left.axhline(0, color="gray", linewidth=0.8)
    left.set(ylabel="score", ylim=(-2, 3))
    start = 0.0
    for key, colour, weight in zip(keys, colours, weights, strict=True):
        right.barh([0], [weight], left=start, color=colour, alpha=0.6)
        right.text(start + weight / 2, 0, f"{key}\n{weight:.2f}", ha="center", va="center")
        start += weight
    right.set(xlabel="share of the blend", xlim=(0, 1), ylim=(-0.8, 0.8), yticks=[])
    return fig
