"""The still picture of the concept card on quantization."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from source.plots import BLUE, RED


def quantization_error() -> Figure:
    """64 weights and the 4-bit steps that they are rounded to: left a usual row, right one with an outlier.

    With the outlier the steps are so wide that most weights become zero.
    """
    places = (torch.arange(64) * 37) % 64
    usual = torch.special.ndtri((places.double() + 0.5) / 64)
    fig, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained", sharex=True)
    for ax, outlier in zip(axes, (2.0, 20.0), strict=True):
        values = usual.clone()
        values[41] = outlier
        scale = values.abs().max() / 7
        steps = (values / scale).round() * scale
        ax.vlines(range(64), values, steps, color=RED, linewidth=1)
        ax.plot(range(64), steps, "_", color="gray")
        ax.plot(range(64), values, ".", color=BLUE, markersize=4)
        ax.set(xlabel="weight", title=f"largest weight {outlier:.0f}", ylim=(-3, 4))
    axes[0].set_ylabel("value")
    return fig
