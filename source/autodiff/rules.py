"""Backward rules: what each operation sends back, as functions of arrays alone. They keep no graph (see tape.py).

Every rule takes g, the gradient of the loss with respect to the operation's output, and returns those with respect to
its inputs. None of them writes to what it is given. Letters: B batch, T queries, S keys, C width, V classes.

- Baydin et al. (2018), Automatic Differentiation in Machine Learning: a Survey, section 3.2.
- Ba et al. (2016), Layer Normalization.
"""

import math

import numpy as np

IGNORE = -100  # a target that does not count, as in PyTorch
GELU = math.sqrt(2 / math.pi)


def unbroadcast(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """g summed over the axes that broadcasting from `shape` has added or stretched: an array of that shape.

    Raises ValueError when the shape does not broadcast to g's.
    """
    try:
        fits = np.broadcast_shapes(shape, g.shape) == g.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"an array of shape {tuple(shape)} does not broadcast to {g.shape}")
    added = g.ndim - len(shape)
    stretched = [added + i for i, size in enumerate(shape) if size == 1 and g.shape[added + i] != 1]
    return g.sum(axis=(*range(added), *stretched)).reshape(shape)


def matmul_rule(g: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For a @ b, with a (..., T, C), b (..., C, V) and g (..., T, V); the dimensions in front broadcast."""
    return unbroadcast(g @ b.swapaxes(-1, -2), a.shape), unbroadcast(a.swapaxes(-1, -2) @ g, b.shape)


def softmax_rule(g: np.ndarray, p: np.ndarray) -> np.ndarray:
    """For p = softmax(x) over the last axis: each score's share, times how much better than the average it is."""
    return p * (g - (g * p).sum(axis=-1, keepdims=True))


def softmax_rule_naive(g: np.ndarray, p: np.ndarray) -> np.ndarray:
    """`softmax_rule` through the whole matrix of derivatives, row by row."""
    out = np.zeros_like(p)
    for at in np.ndindex(p.shape[:-1]):
        out[at] = g[at] @ (np.diag(p[at]) - np.outer(p[at], p[at]))
    return out


def take_rule(g: np.ndarray, table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """For table[ids]: g (..., C) added into a table of zeros, row by row. An id that stands twice collects twice."""
    out = np.zeros(table.shape, dtype=g.dtype)
    np.add.at(out, ids, g)  # out[ids] += g would keep only the last of equal ids
    return out


def take_rule_naive(g: np.ndarray, table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """`take_rule` as a matrix product with one-hot rows."""
    one_hot = ids.reshape(-1, 1) == np.arange(len(table))  # (n, V)
    return one_hot.T.astype(g.dtype) @ g.reshape(-1, table.shape[-1])


def layer_norm_rule(g: np.ndarray, y: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """For y = (x - mean) / spread over the last axis. g, y: (..., C). spread: (..., 1), which depends on x as well."""
    mean, along = g.mean(axis=-1, keepdims=True), (g * y).mean(axis=-1, keepdims=True)
    return (g - mean - y * along) / spread


def gelu_rule(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """For GELU in its tanh form, x/2 * (1 + tanh(u)) with u = sqrt(2/pi) * (x + 0.044715 x^3)."""
    bend = np.tanh(GELU * (x + 0.044715 * x**3))
    slope = GELU * (1 + 3 * 0.044715 * x**2)  # du/dx
    return g * (0.5 * (1 + bend) + 0.5 * x * (1 - bend**2) * slope)


def cross_entropy_rule(g: np.ndarray, logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """For the mean loss of logits (..., V) against targets (...), IGNORE left out. g: (), the mean's own gradient."""
    counted = targets != IGNORE
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    hit = np.arange(logits.shape[-1]) == targets[..., None]  # (..., V)
    return (p - hit) * counted[..., None] * (g / max(1, counted.sum()))
