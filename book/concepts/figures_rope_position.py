"""The still picture of the concept card on rotary positions."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from source.blocks.positions import rope_angles, rotate_halves


def rope_position() -> Figure:
    """The score of a query and a key that are alike, against their distance: a curve that falls from 4 in waves."""
    distance = torch.arange(129)
    ones = torch.ones(129, 16)
    turned = rotate_halves(ones, rope_angles(distance, 16))
    fig, ax = plt.subplots(figsize=(6.5, 2.8), layout="constrained")
    ax.plot(distance, (turned @ torch.ones(16)) / 4)
    ax.set(xlabel="distance between query and key (positions)", ylabel="score")
    return fig
