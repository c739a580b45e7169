"""Draws the figures of the page on scaling laws, from a published law and the recorded ladder; it trains nothing."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from book.drawing import ink
from source import scaling
from source.plots import BLUE, GREEN, ORANGE, RED
from source.scaling import REFIT

BUDGET = 1e21  # operations, in the worked example


def three_prices() -> Figure:
    """Loss over model size at one budget of 1e21 operations, by the refitted law. The price of a small model falls
    with size, the price of little reading rises, the unavoidable part is level. Their sum is a wide valley whose
    lowest point, at 2.8 billion parameters, is where the two slopes cancel.
    """
    N = np.geomspace(2e8, 4e10, 200)
    D = BUDGET / (6 * N)
    best, tokens = scaling.compute_optimal(REFIT, BUDGET)
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    ax.plot(N, REFIT.loss(N, D), color=ink(), lw=2.2, label="all three")
    ax.plot(N, REFIT.E + REFIT.A / N**REFIT.alpha, "--", color=BLUE, label="E + model too small")
    ax.plot(N, REFIT.E + REFIT.B / D**REFIT.beta, "-.", color=ORANGE, label="E + too little reading")
    ax.axhline(REFIT.E, color="gray", lw=0.9, label="E")
    ax.plot(best, REFIT.loss(best, tokens), "*", color=RED, markersize=13, label=f"best: {best / 1e9:.1f} billion")
    ax.set(xscale="log", xlabel="parameters N, with D = C / 6N tokens", ylabel="loss (nats a token)", ylim=(1.75, 2.75))
    ax.legend(fontsize=9, loc="upper center")
    fig.tight_layout()
    return fig


def ladder_slices() -> Figure:
    """Two panels from the course's recorded ladder of tiny models. Left, held-out loss over size for four budgets,
    each with a parabola: valleys that move down and to the right as the budget grows. Right, the lowest points over
    their budgets on logarithmic axes, near a straight line.
    """
    runs = scaling.ladder(seed=0)
    budgets = np.unique(runs["budget"])
    fig, (left, right) = plt.subplots(1, 2, figsize=(7.2, 3.5), layout="constrained")
    points = {}
    for C, colour, marker in zip(budgets, (BLUE, ORANGE, GREEN, RED), "os^D", strict=True):
        mine = runs["budget"] == C
        N, loss = runs["N"][mine], runs["loss"][mine]
        grid = np.geomspace(N.min(), N.max(), 100)
        left.plot(N, loss, marker, color=colour, label=f"{C:.1e}".replace("e+", "e"), markersize=5)
        left.plot(grid, scaling.parabola_at(N, loss, grid), color=colour, alpha=0.6)
        try:
            points[C] = scaling.isoflop_minimum(N, loss)[0]
        except ValueError:  # this slice does not contain its answer
            continue
        right.plot(C, points[C], marker, color=colour, markersize=7)
    a, k = np.polyfit(np.log(list(points)), np.log(list(points.values())), 1)
    line = np.array([budgets[0] / 2, budgets[-1] * 2])
    right.plot(line, np.exp(k) * line**a, "--", color="gray", label=f"exponent {a:.2f}")
    left.set(xscale="log", xlabel="parameters N", ylabel="held-out loss (nats a byte)")
    left.set_xticks((3e3, 1e4, 3e4, 1e5), ("3,000", "10,000", "30,000", "100,000"))
    left.minorticks_off()
    left.legend(title="operations C", fontsize=8, title_fontsize=9, loc="upper left", bbox_to_anchor=(0.08, 1))
    right.set(xscale="log", yscale="log", xlabel="budget C (operations)", ylabel="best size N*")
    right.set_yticks((3e3, 1e4, 3e4), ("3,000", "10,000", "30,000"))
    right.minorticks_off()
    right.legend(fontsize=9)
    return fig


def flat_valley() -> Figure:
    """How much more computing a model off the best size needs for the same loss, at the loss that 1e21 operations buy.
    The curve is flat around one: half or twice the size costs a quarter or a seventh more. Below a quarter of the best
    size it rises steeply, towards a wall at which no amount of data helps.
    """
    best, tokens = scaling.compute_optimal(REFIT, BUDGET)
    target = REFIT.loss(best, tokens)
    wall = (REFIT.A / (target - REFIT.E)) ** (1 / REFIT.alpha) / best
    share = np.geomspace(1.02 * wall, 8, 300)
    left_over = target - REFIT.E - REFIT.A / (share * best) ** REFIT.alpha
    D = (REFIT.B / left_over) ** (1 / REFIT.beta)
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    ax.plot(share, 6 * share * best * D / BUDGET, color=BLUE)
    ax.axvline(wall, color=RED, ls=":", label="no data is enough")
    ax.plot(1, 1, "*", color=RED, markersize=13, label="best size")
    ax.set(xscale="log", yscale="log", xlabel="size, as a multiple of the best", ylabel="operations, as a multiple")
    ax.set_ylim(0.9, 10)
    ax.set_xticks((0.25, 0.5, 1, 2, 4, 8), ("1/4", "1/2", "1", "2", "4", "8"))
    ax.set_yticks((1, 2, 5, 10), ("1", "2", "5", "10"))
    ax.minorticks_off()
    ax.legend(fontsize=9)
    fig.tight_layout()
    return fig


def straight_line_or_not() -> Figure:
    """The lowest loss that a budget buys, on logarithmic axes, by the refitted law. The loss itself bends and levels
    off towards E. The loss minus E is a straight line. A straight line through the beginning of the bent curve runs
    below it at large budgets.
    """
    C = np.geomspace(1e18, 1e26, 100)
    loss = REFIT.loss(*scaling.compute_optimal(REFIT, C))
    early = C < 1e20
    slope, start = np.polyfit(np.log(C[early]), np.log(loss[early]), 1)
    fig, ax = plt.subplots(figsize=(6.5, 3.5))
    ax.plot(C, loss, color=BLUE, label="loss")
    ax.plot(C, np.exp(start) * C**slope, ":", color=ORANGE, label="straight line through its beginning")
    ax.plot(C, loss - REFIT.E, "--", color=GREEN, label="loss − E")
    ax.axhline(REFIT.E, color="gray", lw=0.9)
    ax.text(C[-1], REFIT.E * 0.97, "E", fontsize=10, ha="right", va="top")
    ax.set(xscale="log", yscale="log", xlabel="budget C (operations)", ylabel="loss (nats a token)")
    ax.set_yticks((0.1, 0.2, 0.5, 1, 2, 4), ("0.1", "0.2", "0.5", "1", "2", "4"))
    ax.minorticks_off()
    ax.legend(fontsize=9, loc="lower left")
    fig.tight_layout()
    return fig
