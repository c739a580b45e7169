"""Gradient clipping by the norm of all gradients together, its naive twin, and the trap of clipping each by itself.

- Pascanu, Mikolov and Bengio (2013), On the Difficulty of Training Recurrent Neural Networks, algorithm 1.
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor


def global_norm(parameters: Iterable[Tensor]) -> float:
    """The length of all gradients as one long vector; parameters without a gradient count nothing."""
    squares = [p.grad.double().square().sum() for p in parameters if p.grad is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


@torch.no_grad()
def clip_by_global_norm(parameters: Iterable[Tensor], limit: float) -> float:
    """Shorten all gradients by one factor, in place, so that together they are at most `limit` long.

    Returns the length before, which is what to log. Shorter ones stay as they are, and the direction always stays.
    A norm that is not finite is returned and nothing is changed: no factor mends a NaN, so look before you step.
    """
    parameters = list(parameters)
    norm = global_norm(parameters)
    if math.isfinite(norm) and norm > limit:
        for p in parameters:
            if p.grad is not None:
                p.grad.mul_(limit / norm)
    return norm


def clip_naive(gradients: list[list[float]], limit: float) -> tuple[list[list[float]], float]:
    """`clip_by_global_norm` on lists of numbers: the clipped ones, and the norm before."""
    norm = math.sqrt(sum(g * g for grad in gradients for g in grad))
    factor = limit / norm if norm > limit else 1.0
    return [[g * factor for g in grad] for grad in gradients], norm


@torch.no_grad()
def clip_each(parameters: Iterable[Tensor], limit: float) -> None:
    """The trap, to be looked at: each gradient is shortened by a factor of its own, which turns the whole."""
    for p in parameters:
        if p.grad is not None:
            norm = float(p.grad.norm())
            if norm > limit:
                p.grad.mul_(limit / norm)
