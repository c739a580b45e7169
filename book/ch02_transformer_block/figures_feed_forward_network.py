"""Draws the figures of the page on feed-forward networks and computes the numbers in them; it trains nothing."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from book.drawing import arrow, blank, box, ink
from source.plots import BLUE, GREEN, ORANGE, PINK, RED


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def same_sign_by_hand() -> Figure:
    """Two heatmaps over a plane of two numbers from minus two to two. Left, a linear function, the best fit to the
    question whether the signs agree: one flat colour, near zero everywhere. Right, four ReLU units, made by hand:
    positive in the two quadrants where the signs agree, negative in the other two, zero on the axes.
    """
    axis = np.linspace(-2, 2, 81)
    a, b = np.meshgrid(axis, axis)
    features = np.column_stack([a.ravel(), b.ravel(), np.ones(a.size)])
    weights, *_ = np.linalg.lstsq(features, np.sign(a * b).ravel(), rcond=None)
    linear = (features @ weights).reshape(a.shape)
    units = _relu(a + b) + _relu(-a - b) - _relu(a - b) - _relu(b - a)
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.3), sharey=True, layout="constrained")
    for ax, values, title in zip(axes, (linear, units), ("best linear function", "four ReLU units"), strict=True):
        image = ax.imshow(values, extent=(-2, 2, -2, 2), origin="lower", cmap="PuOr", vmin=-4, vmax=4)
        ax.set(xlabel="$x_1$", title=title, xticks=(-2, 0, 2), yticks=(-2, 0, 2))
    axes[0].set_ylabel("$x_2$")
    fig.colorbar(image, ax=axes, label="output")
    return fig


def bends_add_up() -> Figure:
    """A wavy curve and two approximations of it, each the best sum of ReLU units with evenly placed bends. Four units
    follow the waves roughly with straight pieces; sixteen units lie on the curve almost everywhere.
    """
    x = np.linspace(-3, 3, 601)
    y = np.sin(2 * x) + 0.3 * x
    fig, ax = plt.subplots(figsize=(6.5, 3.3))
    ax.plot(x, y, color=ink(), lw=3, alpha=0.35, label="the curve")
    for hidden, colour, line in ((4, ORANGE, "--"), (16, BLUE, "-")):
        bends = np.linspace(-3, 3, hidden, endpoint=False)
        features = np.column_stack([_relu(x[:, None] - bends), np.ones_like(x)])
        weights, *_ = np.linalg.lstsq(features, y, rcond=None)
        error = np.sqrt(np.mean((features @ weights - y) ** 2))
        ax.plot(x, features @ weights, line, color=colour, label=f"{hidden} units, error {error:.2f}")
    ax.set(xlabel="x", ylabel="output")
    ax.legend(loc="lower right", fontsize=10)
    fig.tight_layout()
    return fig


def activations_and_slopes() -> Figure:
    """Two panels from minus four to four. Left, values: ReLU is zero on the left and the identity on the right; GELU
    and SiLU dip below zero on the left and approach ReLU on both sides. Right, slopes: ReLU's jumps from zero to one;
    the other two rise smoothly, are slightly negative on the far left and slightly above one on the right.
    """
    x = np.linspace(-4, 4, 801)
    curves = {"ReLU": _relu(x), "GELU": _gelu_tanh(x), "SiLU": x * _sigmoid(x)}
    fig, axes = plt.subplots(1, 2, figsize=(7, 3.2), layout="constrained")
    for (name, y), colour, line in zip(curves.items(), (ORANGE, BLUE, GREEN), ("--", "-", ":"), strict=True):
        axes[0].plot(x, y, line, color=colour, lw=2, label=name)
        axes[1].plot(x, np.gradient(y, x), line, color=colour, lw=2)
    axes[0].set(xlabel="x", ylabel="activation", title="value")
    axes[1].set(xlabel="x", ylabel="derivative", title="slope")
    axes[0].legend(fontsize=10)
    return fig


def keys_and_values() -> Figure:
    """A sketch. On the left the input vector; from it arrows to four hidden units, each with a key and a strength
    written beside it: 3, 0, 0 and 1. From each unit an arrow to its value on the right, as thick as the strength, and
    from the values to one output, their sum.
    """
    x = np.array([1.0, 2.0])
    keys = np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1]])
    values = (1, 1, -1, -1)
    strengths = _relu(keys @ x)
    fig, ax = plt.subplots(figsize=(6.5, 3.8))
    blank(ax, 10, 5.6)
    box(ax, 1.0, 2.6, 1.5, 0.8, BLUE, f"({x[0]:.0f}, {x[1]:.0f})")
    ax.text(1.0, 3.3, "input", ha="center", fontsize=10)
    for place, (key, value, strength) in enumerate(zip(keys, values, strengths, strict=True)):
        y = 4.6 - 1.35 * place
        colour = GREEN if strength > 0 else PINK
        name = f"({key[0]:.0f}, {key[1]:.0f})".replace("-", "−")
        box(ax, 4.0, y, 1.9, 0.75, colour, name)
        box(ax, 7.2, y, 1.1, 0.75, colour, f"{value:+d}".replace("-", "−"))
        arrow(ax, (1.8, 2.6), (3.0, y), lw=0.8)
        arrow(ax, (5.0, y), (6.6, y), lw=0.6 + 1.6 * strength, alpha=0.35 if strength == 0 else 1)
        ax.text(5.75, y + 0.22, f"{strength:.0f}", ha="center", fontsize=11)
        arrow(ax, (7.8, y), (8.6, 2.62), lw=0.8)
    total = float(strengths @ values)
    box(ax, 9.2, 2.6, 1.0, 0.8, RED, f"{total:.0f}")
    for at, name in ((4.0, "keys"), (5.75, "strengths"), (7.2, "values"), (9.2, "output")):
        ax.text(at, 5.25 if name != "output" else 3.3, name, ha="center", fontsize=10)
    fig.tight_layout()
    return fig
