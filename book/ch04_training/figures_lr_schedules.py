"""Draws the figures of lr_schedules: shapes of schedules, and what they do on a noisy quadratic, each in a second.

The noisy quadratic (Zhang et al., 2019) has 60 independent directions of curvature h, 1 to 1/1000. A step of SGD with
rate r moves x to x - r * (h * x + noise), the noise of variance h / B for a batch of B examples. The expected square of
x then follows a recursion that needs no random number.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from source.plots import BLUE, GREEN, ORANGE, PINK, RED
from source.training import schedules

CURVATURES = np.logspace(0, -3, 60)


def _losses(rates: np.ndarray, batch: float = 1.0, begin: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The expected loss before each step and after the last, and the expected squares at the end."""
    squares = np.ones_like(CURVATURES) if begin is None else begin.copy()
    losses = [0.5 * CURVATURES @ squares]
    for rate in rates:
        squares = (1 - rate * CURVATURES) ** 2 * squares + rate**2 * CURVATURES / batch
        losses.append(0.5 * CURVATURES @ squares)
    return np.array(losses), squares


def schedule_shapes() -> Figure:
    """Learning rate against step for four schedules with the same warm-up and peak. The cosine leaves the peak slowly,
    is steepest in the middle and ends slowly; the linear one falls evenly; warm-up-stable-decay stays at the peak until
    the last fifth and then falls; the inverse square root falls at once and never reaches zero.
    """
    steps = np.arange(1000)
    shapes = {
        "cosine": [schedules.warmup_cosine(s, 1.0, 100, 1000) for s in steps],
        "linear": [schedules.warmup_linear(s, 1.0, 100, 1000) for s in steps],
        "warm-up, stable, decay": [schedules.warmup_stable_decay(s, 1.0, 100, 200, 1000) for s in steps],
        "inverse square root": [schedules.inverse_root(s, 1.0, 100) for s in steps],
    }
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    for (name, rates), colour, line in zip(
        shapes.items(), (BLUE, ORANGE, GREEN, PINK), ("-", "--", "-.", ":"), strict=True
    ):
        ax.plot(steps, rates, line, color=colour, lw=2, label=name)
    ax.set(xlabel="step", ylabel="learning rate (of the peak)", ylim=(0, 1.08))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=10)
    fig.tight_layout()
    return fig


def adams_first_steps() -> Figure:
    """Two curves against the step, on a logarithmic axis. The mean size of Adam's step starts at one rate and falls
    to about a quarter. The share of weights that move in the right direction starts little above one half and rises.
    """
    rng = np.random.default_rng(0)
    weights, steps, signal = 4000, 200, 0.2
    m, v = np.zeros(weights), np.zeros(weights)
    size, right = [], []
    for t in range(1, steps + 1):
        g = signal + rng.standard_normal(weights)  # a gradient of 0.2 under noise of 1
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g * g
        move = (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.99**t))
        size.append(np.abs(move).mean())
        right.append((move > 0).mean())
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    at = np.arange(1, steps + 1)
    ax.semilogx(at, size, color=BLUE, lw=2, label="mean size of a step (rates)")
    ax.semilogx(at, right, "--", color=ORANGE, lw=2, label="share of weights that move the right way")
    ax.set(xlabel="step", ylabel="share", ylim=(0, 1.05))
    ax.legend(fontsize=10)
    fig.tight_layout()
    return fig


def why_it_ends_small() -> Figure:
    """Expected loss against step on a logarithmic axis, 2000 steps. A high constant rate falls fast
    and then stays on a high floor. A low constant rate falls slowly and has not reached its floor. A rate that falls
    in a straight line from high to zero begins like the first, lies above the second most of the way, and ends lowest.
    """
    n = 2000
    ways = {
        "high and constant": np.full(n, 0.5),
        "low and constant": np.full(n, 0.02),
        "high, falling to 0": np.array([schedules.warmup_linear(s, 0.5, 0, n) for s in range(n)]),
    }
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    for (name, rates), colour, line in zip(ways.items(), (RED, GREEN, BLUE), ("--", ":", "-"), strict=True):
        ax.semilogy(_losses(rates)[0], line, color=colour, lw=2, label=name)
    ax.set(xlabel="step", ylabel="expected loss")
    ax.legend(fontsize=10)
    fig.tight_layout()
    return fig


def stable_then_decay() -> Figure:
    """Expected loss against step on a logarithmic axis. One long run at a constant rate lies almost flat on its floor.
    From it branch three short decays, after 500, 1500 and 3500 steps; each drops steeply, and later ones end lower.
    """
    n, decay = 4000, 400
    trunk, _ = _losses(np.full(n, 0.2), 16)
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    ax.semilogy(trunk, color=BLUE, lw=2, label="at the peak all the time")
    for branch, line in zip((500, 1500, 3500), ("--", "-.", ":"), strict=True):
        _, there = _losses(np.full(branch, 0.2), 16)
        down = np.array([schedules.warmup_linear(s, 0.2, 0, decay) for s in range(decay)])
        falling, _ = _losses(down, 16, there)
        ax.semilogy(
            np.arange(branch, branch + decay + 1),
            falling,
            line,
            color=ORANGE,
            lw=2,
            label=f"decay from step {branch:,}",
        )
    ax.set(xlabel="step", ylabel="expected loss")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=10)
    fig.tight_layout()
    return fig


def rate_and_batch() -> Figure:
    """Two panels. Left: loss after 8192 examples against a rate, a valley for each of four batch sizes; from 1
    to 64 they lie ever farther right and are about as deep, that of 1024 is higher. Right: the best rate
    against the batch size, both logarithmic. It rises in proportion, then bends below a line where the run diverges.
    """
    rates = np.logspace(-4, np.log10(1.99), 140)
    batches = [4**k for k in range(7)]
    examples = 8192

    def final(batch: int) -> np.ndarray:
        squares = np.ones((len(rates), len(CURVATURES)))
        for _ in range(examples // batch):  # all rates together
            shaken = rates[:, None] ** 2 * CURVATURES / batch
            squares = (1 - rates[:, None] * CURVATURES) ** 2 * squares + shaken
        return 0.5 * squares @ CURVATURES

    ends = {batch: final(batch) for batch in batches}
    fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    for batch, colour, line in zip((1, 16, 64, 1024), (BLUE, ORANGE, GREEN, PINK), ("-", "--", "-.", ":"), strict=True):
        left.loglog(rates, ends[batch], line, color=colour, lw=2, label=f"batch of {batch:,}")
    left.set(xlabel="learning rate", ylabel="expected loss after 8,192 examples", ylim=(0.004, 8))
    left.legend(fontsize=9, loc="lower left")
    best = [rates[ends[batch].argmin()] for batch in batches]
    right.loglog(batches, best, "o-", color=BLUE, label="best rate")
    right.axhline(2.0, ls="--", color=RED, label="diverges")
    right.set(xlabel="batch size", ylabel="best constant rate")
    right.legend(fontsize=10)
    fig.tight_layout()
    return fig


def clipping_and_rare_spikes() -> Figure:
    """Loss against step on a logarithmic axis for two runs with the same data, in which one batch in a hundred has a
    gradient a hundred times too long. Without clipping the loss is thrown up a thousandfold at each spike, falls again,
    and is lost where spikes come close together. With clipping it falls and stays low.
    """
    n, width = 600, 20
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    for name, limit, colour, line in (("without clipping", np.inf, RED, "--"), ("clipped at 4", 4.0, BLUE, "-")):
        rng = np.random.default_rng(1)  # the same data for both
        x, losses = np.ones(width), []
        for _ in range(n):
            losses.append(0.5 * x @ x)
            g = (x + 0.3 * rng.standard_normal(width)) * (100 if rng.random() < 0.01 else 1)
            norm = np.linalg.norm(g)
            x = x - 0.05 * g * min(1.0, limit / norm)
        ax.semilogy(losses, line, color=colour, lw=1.6, label=name)
    ax.set(xlabel="step", ylabel="loss")
    ax.legend(fontsize=10)
    fig.tight_layout()
    return fig


def going_on_after_the_end() -> Figure:
    """Expected loss against step for a run whose rate has fallen to zero at step 2000 and that is then continued for
    2000 steps. With the rate put back to the peak the loss jumps up and comes down only as the rate falls again.
    A single run that was planned for 4000 steps is above it at step 2000 and below it at the end.
    """
    n = 2000
    once = np.array([schedules.warmup_linear(s, 0.5, 0, n) for s in range(n)])
    twice = np.array([schedules.warmup_linear(s, 0.5, 0, 2 * n) for s in range(2 * n)])
    first, there = _losses(once)
    again, _ = _losses(once, begin=there)
    fig, ax = plt.subplots(figsize=(6.5, 3.6))
    ax.semilogy(np.concatenate([first, again[1:]]), color=ORANGE, lw=2, label="2,000 steps, and 2,000 more")
    ax.semilogy(_losses(twice)[0], "--", color=BLUE, lw=2, label="4,000 steps in one plan")
    ax.axvline(n, color=plt.rcParams["grid.color"], lw=1)
    ax.set(xlabel="step", ylabel="expected loss")
    ax.legend(fontsize=10)
    fig.tight_layout()
    return fig
