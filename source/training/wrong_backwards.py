"""Attention with a right output and a wrong gradient, one fault each: something for a gradient checker to find.

Letters: T queries, S keys, D head width, E value width.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from source.attention.dot_product import attention
from source.training.gradients import attention_gradients

Backward = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def with_backward(backward: Backward) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Attention as a function of Q (T, D), K (S, D), V (S, E) whose gradients are backward(Q, K, V, upstream)."""

    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(ctx, Q: Tensor, K: Tensor, V: Tensor) -> Tensor:
            ctx.save_for_backward(Q, K, V)
            return attention(Q, K, V)[0]

        @staticmethod
        def backward(ctx, upstream: Tensor):
            return backward(*ctx.saved_tensors, upstream)

    return Attention.apply


def _by_scores(slope: Callable[[Tensor, Tensor], Tensor]) -> Backward:
    # The right backward pass but for the scores' gradient, which is slope(P, dP).
    def backward(Q: Tensor, K: Tensor, V: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        P = attention(Q, K, V)[1]  # (T, S)
        dS = slope(P, upstream @ V.T) / math.sqrt(Q.shape[-1])
        return dS @ K, dS.T @ Q, P.T @ upstream

    return backward


def _scale_left_out_of_dK(Q: Tensor, K: Tensor, V: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dQ, dK, dV = attention_gradients(Q, K, V, upstream)
    return dQ, dK * math.sqrt(Q.shape[-1]), dV


def _upstream_ignored(Q: Tensor, K: Tensor, V: Tensor, upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return attention_gradients(Q, K, V, torch.ones_like(upstream))


FAULTS: dict[str, Backward] = {
    "softmax without its row sum": _by_scores(lambda P, dP: P * dP),
    "softmax by its diagonal": _by_scores(lambda P, dP: P * (1 - P) * dP),
    "scale left out of dK": _scale_left_out_of_dK,
    "upstream gradient ignored": _upstream_ignored,
}
