"""Draws the figures of the page on optimizers: small problems, optimised here by a few lines of numpy each."""

from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from source.plots import BLUE, GREEN, ORANGE, RED

State = dict[str, np.ndarray]
Rule = Callable[[np.ndarray, int, State], np.ndarray]  # gradient, step from 1, state -> what is subtracted


def _sgd(rate: float, momentum: float = 0.0) -> Rule:
    def step(g: np.ndarray, t: int, state: State) -> np.ndarray:
        state["m"] = momentum * state.get("m", 0) + g
        return rate * state["m"]

    return step


def _adam(rate: float, beta1: float = 0.9, beta2: float = 0.99, eps: float = 1e-8) -> Rule:
    def step(g: np.ndarray, t: int, state: State) -> np.ndarray:
        state["m"] = beta1 * state.get("m", 0) + (1 - beta1) * g
        state["v"] = beta2 * state.get("v", 0) + (1 - beta2) * g**2
        return rate * (state["m"] / (1 - beta1**t)) / (np.sqrt(state["v"] / (1 - beta2**t)) + eps)

    return step


def _path(start: np.ndarray, gradient: Callable[[np.ndarray], np.ndarray], rule: Rule, steps: int) -> np.ndarray:
    """All points on the way, (steps + 1, ...)."""
    state: State = {}
    path = [start]
    for t in range(1, steps + 1):
        path.append(path[-1] - rule(gradient(path[-1]), t, state))
    return np.array(path)


def ravine() -> Figure:
    """Contours of a long narrow valley, fifty times as steep across as along, and three paths of forty steps. Gradient
    descent zigzags across and hardly gets along. Momentum swings and arrives near the middle. Adam goes straight on,
    about as fast along as across.
    """
    steep = np.array([1.0, 50.0])
    start = np.array([-2.0, 0.6])
    ways = {
        "SGD": (_sgd(0.037), BLUE, "o"),
        "momentum 0.9": (_sgd(0.008, 0.9), ORANGE, "s"),
        "Adam": (_adam(0.12), GREEN, "^"),
    }
    fig, axes = plt.subplots(3, 1, figsize=(6.5, 5.6), sharex=True, layout="constrained")
    a, b = np.meshgrid(np.linspace(-2.3, 0.8, 200), np.linspace(-0.8, 0.8, 120))
    height = (steep[0] * a**2 + steep[1] * b**2) / 2
    for ax, (name, (rule, colour, marker)) in zip(axes, ways.items(), strict=True):
        path = _path(start, lambda w: steep * w, rule, 40)
        ax.contour(a, b, height, levels=np.geomspace(0.02, 16, 12), colors="gray", linewidths=0.5, alpha=0.7)
        ax.plot(*path.T, color=colour, marker=marker, markersize=3.5, lw=1.1)
        ax.plot(0, 0, "*", color=RED, markersize=11)
        left = (steep * path[-1] ** 2).sum() / 2
        ax.set(title=f"{name}: {left:.4f} above the bottom after 40 steps", ylabel="$w_2$", ylim=(-0.8, 0.8))
    axes[-1].set_xlabel("$w_1$")
    return fig


def rare_words() -> Figure:
    """Loss over steps for softmax regression on 200 classes whose frequencies fall like one over the rank. Left, SGD
    with momentum: the frequent tenth of the classes is learned soon, the rare half lags far behind. Right, Adam: both
    groups fall together.
    """
    classes, width, steps = 200, 64, 150
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, classes + 1)
    share /= share.sum()
    x = rng.standard_normal((classes, width)) / np.sqrt(width)  # one fixed input a class

    def losses(W: np.ndarray) -> np.ndarray:
        scores = x @ W
        top = scores.max(1)
        return np.log(np.exp(scores - top[:, None]).sum(1)) + top - np.diag(scores)

    def gradient(W: np.ndarray) -> np.ndarray:
        scores = x @ W
        p = np.exp(scores - scores.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        return x.T @ (share[:, None] * (p - np.eye(classes)))

    fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.4), sharey=True, layout="constrained")
    for ax, name, rule in zip(axes, ("SGD, momentum 0.9", "Adam"), (_sgd(8.0, 0.9), _adam(0.1)), strict=True):
        by_class = np.array([losses(W) for W in _path(np.zeros((width, classes)), gradient, rule, steps)])
        groups = {"most frequent tenth": slice(0, 20), "rarer half": slice(100, 200)}
        for (group, which), colour, line in zip(groups.items(), (BLUE, ORANGE), ("-", "--"), strict=True):
            ax.plot(by_class[:, which].mean(1), line, color=colour, label=group)
        ax.set(title=name, xlabel="step", ylim=(0, 6.5))
    axes[0].set_ylabel("mean loss of the group (nats)")
    axes[1].legend(fontsize=9)
    return fig


def first_steps() -> Figure:
    """The size of Adam's step over the first hundred steps at a constant gradient, as a multiple of the learning rate.
    With bias correction it is one from the first step on. Without it, beta2 of 0.999 begins at 3.2 and rises to 6.6 at
    step 12; beta2 of 0.95 stays between 0.4 and 1.1.
    """
    t = np.arange(1, 101)
    fig, ax = plt.subplots(figsize=(6.5, 3.2))
    for beta2, colour, line in ((0.999, RED, "-"), (0.95, ORANGE, "--")):
        size = (1 - 0.9**t) / np.sqrt(1 - beta2**t)
        ax.plot(t, size, line, color=colour, label=f"without correction, $\\beta_2$ = {beta2}")
    ax.plot(t, np.ones(len(t)), color=BLUE, label="with correction")
    ax.set(xlabel="step", ylabel="step, in learning rates", ylim=(0, 7))
    ax.legend(fontsize=9)
    fig.tight_layout()
    return fig


def decay_coupled_or_not() -> Figure:
    """Two panels, two kinds of weights each, all starting at one; their gradients are pure noise, of one kind a
    hundred times as large. Left, the decay is added to the gradient before Adam divides: the weight with small
    gradients is pulled to zero quickly, the one with large gradients hardly at all. Right, AdamW: both shrink alike,
    whatever their gradients.
    """
    rng = np.random.default_rng(1)
    steps, rate, decay = 400, 3e-3, 1.0
    noise = rng.standard_normal((steps, 200)) * np.repeat([10.0, 0.1], 100)  # 100 weights of each kind
    fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.3), sharey=True, layout="constrained")
    for ax, coupled in zip(axes, (True, False), strict=True):
        w, state, path = np.ones(200), {}, [np.ones(200)]
        rule = _adam(rate, 0.9, 0.99)
        for t, g in enumerate(noise, 1):
            step = rule(g + decay * w, t, state) if coupled else rule(g, t, state) + rate * decay * w
            w = w - step
            path.append(w)
        means = np.array(path).reshape(steps + 1, 2, 100).mean(2)
        for column, name, colour, line in ((0, "gradients of size 10", BLUE, "-"), (1, "of size 0.1", ORANGE, "--")):
            ax.plot(means[:, column], line, color=colour, label=name)
        ax.set(title="decay in the gradient (L2)" if coupled else "decay beside it (AdamW)", xlabel="step")
    axes[0].set(ylabel="mean of 100 weights", ylim=(-0.1, 1.05))
    axes[1].legend(fontsize=9)
    return fig
