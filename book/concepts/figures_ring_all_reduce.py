"""The still picture of the concept card on the ring all-reduce."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from source.plots import BLUE, ORANGE

N = 4


def _ring(ax: Axes, added: np.ndarray, title: str) -> None:
    """How many workers are in each chunk: rows are workers, columns are chunks."""
    ax.imshow(added, vmin=1, vmax=N)
    for (worker, chunk), count in np.ndenumerate(added):
        ax.text(chunk, worker, int(count), ha="center", va="center", color="white" if count < 3 else "black")
    ax.set_xticks(range(N), "abcd")
    ax.set(title=title, xlabel="chunk", yticks=range(N))


def ring_all_reduce() -> Figure:
    """Four workers as rows with four chunks each, three times. At first each cell holds one worker's numbers; after
    reduce-scatter each worker has one cell with all four; after all-gather every cell has four. On the right, what the
    busiest worker sends: through one worker it grows with their number, in a ring it stays below two vectors."""
    added = np.ones((N, N))
    fig, (*grids, cost) = plt.subplots(1, 4, figsize=(8.4, 2.5), layout="constrained", width_ratios=[1, 1, 1, 1.4])
    _ring(grids[0], added, "before")
    for step in range(N - 1):  # each worker passes on the chunk that it received in the step before
        added = added + sum(
            np.outer(np.eye(N)[(r + 1) % N], np.eye(N)[r - step]) * added[r, r - step] for r in range(N)
        )
    _ring(grids[1], added, "reduce-scatter")
    for step in range(N - 1):
        for r in range(N):
            added[(r + 1) % N, (r + 1 - step) % N] = added[r, (r + 1 - step) % N]
    _ring(grids[2], added, "all-gather")
    grids[0].set_ylabel("worker")
    for later in grids[1:]:
        later.set_yticks([])
    workers = np.arange(2, 9)
    cost.plot(workers, workers - 1, "s--", color=ORANGE, label="through one")
    cost.plot(workers, 2 * (workers - 1) / workers, "o-", color=BLUE, label="ring")
    cost.set(xlabel="workers", ylabel="vectors sent, at most", ylim=(0, 7.5))
    cost.legend()
    return fig
