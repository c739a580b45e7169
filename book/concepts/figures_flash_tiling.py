"""The still picture of the concept card on FlashAttention's tiles."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


def _rows(count: int, seed: float) -> np.ndarray:
    i, j = np.arange(count)[:, None], np.arange(2)[None, :]
    return 2 * np.sin(seed + 2.3 * i * (j + 1) + 1.1 * j)


def flash_tiling() -> Figure:
    """Scores of four queries for twelve keys, read in four tiles of three keys: four grids, in each one tile coloured.

    Beside each query stand its running maximum and sum after that tile. Where the maximum rises, the sum that was kept
    is multiplied by less than one; the factor is printed.
    """
    scores = _rows(4, 0.5) @ _rows(12, 2.2).T / np.sqrt(2)  # (T, S)
    highest, total = np.full(4, -np.inf), np.zeros(4)
    fig, axes = plt.subplots(4, 1, figsize=(6.6, 6.4), layout="constrained")
    for n, ax in enumerate(axes):
        tile = scores[:, 3 * n : 3 * n + 3]
        raised = np.maximum(highest, tile.max(1))
        factor = np.exp(highest - raised)
        total = total * factor + np.exp(tile - raised[:, None]).sum(1)
        highest = raised
        shown = np.full_like(scores, np.nan)
        shown[:, 3 * n : 3 * n + 3] = tile
        ax.imshow(shown, vmin=scores.min(), vmax=scores.max(), aspect="auto")
        ax.axvline(3 * n + 2.5, color="gray", linewidth=0.8)
        for t in range(4):
            kept = f", kept × {factor[t]:.2f}" if n and factor[t] < 1 else ""
            ax.text(12, t, f"max {highest[t]:.1f}, sum {total[t]:.2f}{kept}", va="center", fontsize=9)
        ax.set(xticks=range(12), yticks=range(4), yticklabels=[f"q{t}" for t in range(4)])
        ax.set_ylabel(f"tile {n + 1}")
    axes[-1].set_xlabel("key")
    return fig
