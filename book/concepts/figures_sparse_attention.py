"""The still picture of the concept card on sparse attention."""

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from source.plots import BLUE


def sparse_attention() -> Figure:
    """Four causal masks of 12 tokens as grids: full, a window of 3, a dilated window, and a window with global token 6.

    Blue cells are visible pairs. Each title gives their number and after how many layers token 11 has heard of token 0:
    with the window six, with the global token two, with the dilated window never.
    """
    place = torch.arange(12)
    t, s = place[:, None], place[None, :]
    distance = t - s
    masks = {
        "full": distance >= 0,
        "window": (distance >= 0) & (distance < 3),
        "dilated by 3": (distance >= 0) & (distance < 9) & (distance % 3 == 0),
        "window, global 6": (distance >= 0) & ((distance < 3) | (s == 6) | (t == 6)),
    }
    fig, axes = plt.subplots(1, 4, figsize=(8.6, 2.9), layout="constrained")
    for ax, (name, seen) in zip(axes, masks.items(), strict=True):
        for row, column in seen.nonzero().tolist():
            ax.add_patch(plt.Rectangle((column - 0.45, row - 0.45), 0.9, 0.9, color=BLUE))
        powers = (torch.linalg.matrix_power(seen.double(), n)[11, 0].item() for n in range(1, 13))
        layers = next((n for n, ways in enumerate(powers, 1) if ways), None)
        word = f"11 hears of 0 after {layers}" if layers else "11 never hears of 0"
        ax.set_title(f"{name}\n{int(seen.sum())} pairs; {word}", fontsize=8.5)
        ax.set(xlim=(-0.7, 11.7), ylim=(11.7, -0.7), aspect="equal", xticks=[0, 6, 11], yticks=[0, 6, 11])
    axes[0].set(xlabel="looked at", ylabel="looks")
    return fig
