"""Operations on the nodes of a graph: forward value and backward rule in one place. Each makes one new node.

They take nodes, or arrays and numbers, which become leaves. Letters as in rules.py.
"""

import numpy as np

from source.autodiff import rules
from source.autodiff.tape import Node


def as_node(x: object) -> Node:
    """x itself if it is a node, otherwise a leaf that holds it."""
    return x if isinstance(x, Node) else Node(x)


def add(a: object, b: object) -> Node:
    """a + b, broadcast."""
    a, b = as_node(a), as_node(b)
    return Node(
        a.value + b.value,
        (a, b),
        lambda g: (rules.unbroadcast(g, a.value.shape), rules.unbroadcast(g, b.value.shape)),
        "add",
    )


def multiply(a: object, b: object) -> Node:
    """a * b, entry by entry, broadcast."""
    a, b = as_node(a), as_node(b)

    def rule(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return rules.unbroadcast(g * b.value, a.value.shape), rules.unbroadcast(g * a.value, b.value.shape)

    return Node(a.value * b.value, (a, b), rule, "multiply")


def matmul(a: object, b: object) -> Node:
    """a @ b: (..., T, C) @ (..., C, V) -> (..., T, V). Raises ValueError for an input of fewer than two dimensions."""
    a, b = as_node(a), as_node(b)
    if min(a.value.ndim, b.value.ndim) < 2:
        raise ValueError(f"matmul of {a.value.shape} and {b.value.shape}: give matrices, reshape a vector to one")
    return Node(a.value @ b.value, (a, b), lambda g: rules.matmul_rule(g, a.value, b.value), "matmul")


def tanh(x: object) -> Node:
    """Hyperbolic tangent, entry by entry."""
    x = as_node(x)
    out = np.tanh(x.value)
    return Node(out, (x,), lambda g: (g * (1 - out * out),), "tanh")


def relu(x: object) -> Node:
    """Zero where x is negative; its derivative at zero is zero."""
    x = as_node(x)
    return Node(np.maximum(x.value, 0), (x,), lambda g: (g * (x.value > 0),), "relu")


def gelu(x: object) -> Node:
    """GELU in its tanh form."""
    x = as_node(x)
    bend = np.tanh(rules.GELU * (x.value + 0.044715 * x.value**3))
    return Node(0.5 * x.value * (1 + bend), (x,), lambda g: (rules.gelu_rule(g, x.value),), "gelu")


def layer_norm(x: object, eps: float = 1e-5) -> Node:
    """(x - mean) / sqrt(variance + eps) over the last axis, without gain or shift."""
    x = as_node(x)
    centred = x.value - x.value.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + eps)
    y = centred / spread
    return Node(y, (x,), lambda g: (rules.layer_norm_rule(g, y, spread),), "layer norm")


def softmax(x: object) -> Node:
    """Softmax over the last axis, stable. A row of -inf alone gives NaN."""
    x = as_node(x)
    p = np.exp(x.value - x.value.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    return Node(p, (x,), lambda g: (rules.softmax_rule(g, p),), "softmax")


def masked(x: object, seen: np.ndarray) -> Node:
    """x where `seen` is True, -inf elsewhere, as scores are masked before a softmax. seen: bool, broadcasts to x."""
    x = as_node(x)
    return Node(np.where(seen, x.value, -np.inf), (x,), lambda g: (np.where(seen, g, 0),), "masked")


def cross_entropy(logits: object, targets: np.ndarray) -> Node:
    """Mean of -log softmax at the targets, in nats. logits: (..., V). targets: (...), rules.IGNORE is left out."""
    logits = as_node(logits)
    shifted = logits.value - logits.value.max(axis=-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    counted = targets != rules.IGNORE
    picked = np.take_along_axis(logs, np.where(counted, targets, 0)[..., None], axis=-1)[..., 0]
    loss = -(picked * counted).sum() / max(1, counted.sum())
    return Node(loss, (logits,), lambda g: (rules.cross_entropy_rule(g, logits.value, targets),), "cross entropy")


def take(table: object, ids: np.ndarray) -> Node:
    """Rows of a table: (V, C) and integers (...) -> (..., C)."""
    table, ids = as_node(table), np.asarray(ids)
    return Node(table.value[ids], (table,), lambda g: (rules.take_rule(g, table.value, ids),), "take")


def reshape(x: object, shape: tuple[int, ...]) -> Node:
    """The same numbers, in order, in another shape."""
    x = as_node(x)
    return Node(x.value.reshape(shape), (x,), lambda g: (g.reshape(x.value.shape),), "reshape")


def swap(x: object, first: int = -1, second: int = -2) -> Node:
    """Two axes exchanged; by default the last two, a transpose of every matrix."""
    x = as_node(x)
    return Node(x.value.swapaxes(first, second), (x,), lambda g: (g.swapaxes(first, second),), "swap")


def mean(x: object) -> Node:
    """The mean of all entries, a number. Raises ValueError for an empty input."""
    x = as_node(x)
    if not x.value.size:
        raise ValueError("the mean of no entries is not defined: give at least one")
    return Node(x.value.mean(), (x,), lambda g: (np.broadcast_to(g / x.value.size, x.value.shape),), "mean")
