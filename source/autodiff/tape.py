"""A graph of NumPy arrays and the way back through it: reverse-mode automatic differentiation, whatever the operations.

It knows no operation (see operations.py), computes no second derivative and frees nothing on its way.

- Linnainmaa (1976), Taylor Expansion of the Accumulated Rounding Error.
- Baydin et al. (2018), Automatic Differentiation in Machine Learning: a Survey, section 3.2.
"""

from collections.abc import Callable

import numpy as np

# The gradient of a node in, one gradient for each of its parents out.
Rule = Callable[[np.ndarray], tuple[np.ndarray, ...]]


class Node:
    """An array that remembers how it was made.

    value: the array. parents: the nodes that it was computed from. rule: takes the gradient of the loss with respect to
    this node, an array of its shape, and returns one for each parent, in the parents' shapes. A node without parents is
    a leaf: a weight or an input.
    """

    def __init__(
        self, value: object, parents: tuple["Node", ...] = (), rule: Rule | None = None, name: str = ""
    ) -> None:
        self.value = np.asarray(value)
        self.parents = tuple(parents)
        self.rule = rule
        self.name = name

    def __repr__(self) -> str:
        made = f" of {len(self.parents)}" if self.parents else ""
        return f"<{self.name or 'node'}{made}, {self.value.shape}>"


def topological_order(root: Node) -> list[Node]:
    """The root and all that it depends on, each once, every node before its parents.

    Nothing recurses, so the graph may be deeper than Python's stack.
    """
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))  # comes up again when all its parents are in the list
            stack.extend((parent, False) for parent in node.parents)
    return order[::-1]


def backward(root: Node, upstream: np.ndarray | None = None) -> dict[Node, np.ndarray]:
    """The gradient of every node that the root depends on, the root's own included.

    upstream: the gradient of the root, of its shape; None = ones. No array that a rule returned is written to, since a
    rule may hand the same one to two parents. Raises ValueError when upstream has another shape than the root.
    """
    gradients = {root: _start(root, upstream)}
    for node in topological_order(root):
        if node.rule is None:
            continue
        for parent, part in zip(node.parents, node.rule(gradients[node]), strict=True):
            gradients[parent] = gradients[parent] + part if parent in gradients else part
    return gradients


def backward_naive(root: Node, upstream: np.ndarray | None = None) -> dict[Node, np.ndarray]:
    """`backward` along one path at a time: a node is visited once for every path from the root."""
    gradients: dict[Node, np.ndarray] = {}

    def push(node: Node, gradient: np.ndarray) -> None:
        gradients[node] = gradients.get(node, 0) + gradient
        if node.rule is not None:
            for parent, part in zip(node.parents, node.rule(gradient), strict=True):
                push(parent, part)

    push(root, _start(root, upstream))
    return gradients


def _start(root: Node, upstream: np.ndarray | None) -> np.ndarray:
    if upstream is None:
        return np.ones_like(root.value)
    upstream = np.asarray(upstream)
    if upstream.shape != root.value.shape:
        raise ValueError(f"upstream has shape {upstream.shape}: give the root's, {root.value.shape}")
    return upstream
