"""Gradients by nudging one number at a time, to hold others against: slow, and independent of every rule."""

from collections.abc import Callable

import numpy as np


def numeric_gradient(
    f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, g: np.ndarray, step: float = 1e-5
) -> np.ndarray:
    """The gradient of sum(g * f(x)) with respect to x, by central differences, in float64.

    f: a function of one array, called twice for each entry of x. g: of f(x)'s shape, the gradient that arrives there.
    The error is of the order step**2 as long as rounding (1e-16 / step) stays below it. x is left as it was.
    """
    x = np.array(x, dtype=np.float64)
    out = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        kept = x[at]
        x[at] = kept + step
        above = np.sum(g * f(x))
        x[at] = kept - step
        below = np.sum(g * f(x))
        x[at] = kept
        out[at] = (above - below) / (2 * step)
    return out
