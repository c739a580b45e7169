"""A next-character model that is nothing but a table, with its gradient by hand in NumPy and by autograd in PyTorch.

A window of W characters predicts the next one. The table (W, V, V) holds, for each place w in the window and each
character u there, what it says for every next character; the logits are the sum over the places:

    logits[n, v] = sum over w of table[w, windows[n, w], v]

With W = 1 it can say all that counting pairs of neighbours can say, and no more. It has no hidden layer.

Letters: N windows, W their length, V characters.

- Bengio et al. (2003), A Neural Probabilistic Language Model: predicts from a window, through learned vectors.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def weighted_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Mean cross-entropy in nats, weighted: a window of weight 0 counts for nothing.

    logits: (N, V). targets: (N,), int64. weights: (N,), any dtype, not all zero. Returns a scalar of logits' dtype.
    """
    shifted = logits - logits.amax(dim=-1, keepdim=True)  # a new tensor: the caller's logits stay as they are
    losses = shifted.exp().sum(dim=-1).log() - shifted.gather(-1, targets[:, None]).squeeze(-1)  # (N,)
    weights = weights.to(logits.dtype)  # float64 weights would make everything float64
    return (losses * weights).sum() / weights.sum()


def weighted_loss_naive(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """`weighted_loss` one window at a time."""
    total, weight_sum = logits.new_zeros(()), 0.0
    for row, target, weight in zip(logits, targets.tolist(), weights.tolist(), strict=True):
        total = total + weight * (torch.logsumexp(row, 0) - row[target])
        weight_sum += weight
    return total / weight_sum


def loss_and_gradient(table: np.ndarray, windows: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean cross-entropy and its gradient with respect to the table, without autograd.

    table: (W, V, V). windows: (N, W) and targets: (N,), integers below V. Returns the loss in nats and the gradient
    (W, V, V), in the table's dtype.
    """
    N, W = windows.shape
    places, rows = np.arange(W), np.arange(N)
    logits = table[places, windows].sum(axis=1)  # (N, W, V) -> (N, V)
    logits = logits - logits.max(axis=-1, keepdims=True)
    e = np.exp(logits)
    total = e.sum(axis=-1, keepdims=True)  # (N, 1)
    loss = (np.log(total[:, 0]) - logits[rows, targets]).mean()
    slope = e / total
    slope[rows, targets] -= 1  # softmax minus one-hot: (N, V)
    gradient = np.zeros_like(table)
    # The same character comes many times: `gradient[places, windows] += ...` would count each but once.
    np.add.at(gradient, (places, windows), slope[:, None] / N)
    return float(loss), gradient


def loss_by_autograd(table: Tensor, windows: Tensor, targets: Tensor) -> Tensor:
    """The same loss for tensors; autograd has the gradient. table: (W, V, V), windows: (N, W), targets: (N,)."""
    W, V, _ = table.shape
    rows = windows + V * torch.arange(W)  # one table of W * V rows
    return F.cross_entropy(F.embedding_bag(rows, table.flatten(0, 1), mode="sum"), targets)


def numerical_gradient(loss: Callable[[np.ndarray], float], at: np.ndarray, h: float) -> np.ndarray:
    """Central differences, (loss(at + h) - loss(at - h)) / 2h, entry by entry; costs two losses for each entry."""
    gradient = np.zeros(at.shape)
    for index in np.ndindex(*at.shape):
        up, down = at.copy(), at.copy()
        up[index] += h
        down[index] -= h
        # Divided by the step that was really made: at + h rounds.
        gradient[index] = (loss(up) - loss(down)) / (float(up[index]) - float(down[index]))
    return gradient


def sample(table: np.ndarray, start: list[int], length: int, seed: int) -> list[int]:
    """`length` characters after `start`, each drawn from what the model says. start: at least W character ids."""
    W = len(table)
    if len(start) < W:
        raise ValueError(f"a window of {W} needs {W} characters to start from, not {len(start)}")
    rng, ids = np.random.default_rng(seed), list(start)
    for _ in range(length):
        logits = table[np.arange(W), ids[-W:]].sum(axis=0).astype(np.float64)
        p = np.exp(logits - logits.max())
        ids.append(int(rng.choice(len(p), p=p / p.sum())))
    return ids[len(start) :]
