"""Scaled dot-product attention, and the same with plain loops to hold it against.

Letters: T queries, S keys, D head width, E value width; "..." is any number of dimensions in front.

- Vaswani et al. (2017), Attention Is All You Need, section 3.2.1.
"""

import math

import torch
from torch import Tensor


def scaled_scores(Q: Tensor, K: Tensor) -> Tensor:
    """Dot products of every query with every key, divided by √D so that their variance does not grow with D.

    Q: (..., T, D). K: (..., S, D). Returns (..., T, S).
    """
    return Q @ K.transpose(-2, -1) / math.sqrt(Q.shape[-1])  # (..., T, D) @ (..., D, S) -> (..., T, S)


def attention(Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Blend the values by how well their keys answer each query.

    Q: (..., T, D). K: (..., S, D). V: (..., S, E). mask: bool, broadcasts to (..., T, S), True = may be seen.
    Returns the blends (..., T, E) and the weights (..., T, S). A row with nothing to see is all zeros, and its
    gradients are zeros too.
    """
    scores = scaled_scores(Q, K)  # (..., T, S)
    if mask is not None:
        # Filling, not adding: the fill also stops the gradient, which for a row of nothing but -inf is NaN.
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)  # each row sums to one, or is all zeros
    return weights @ V, weights  # (..., T, S) @ (..., S, E) -> (..., T, E)


def attention_naive(Q: Tensor, K: Tensor, V: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """`attention` one query at a time, and one key at a time: slow, and hard to get wrong.

    The same arguments and results; Q, K and V have the same dimensions in front.
    """
    *lead, T, D = Q.shape
    S, E = V.shape[-2:]
    seen = torch.ones(*lead, T, S, dtype=torch.bool) if mask is None else mask.expand(*lead, T, S)
    out, weights = [], []
    for q, k, v, see in zip(
        Q.reshape(-1, T, D), K.reshape(-1, S, D), V.reshape(-1, S, E), seen.reshape(-1, T, S), strict=True
    ):
        for t in range(T):
            keys = [s for s in range(S) if see[t, s]]
            row = [torch.zeros((), dtype=Q.dtype) for _ in range(S)]
            blend = torch.zeros(E, dtype=Q.dtype)
            if keys:
                x = [(q[t] * k[s]).sum() / math.sqrt(D) for s in keys]
                top = max(float(a.detach()) for a in x)  # the largest exponent becomes 0: nothing overflows
                e = [torch.exp(a - top) for a in x]
                for s, a in zip(keys, e, strict=True):
                    row[s] = a / sum(e)
                    blend = blend + row[s] * v[s]
            out.append(blend)
            weights.append(torch.stack(row))
    if not out:
        return Q.new_zeros(*lead, T, E), Q.new_zeros(*lead, T, S)
    return torch.stack(out).reshape(*lead, T, E), torch.stack(weights).reshape(*lead, T, S)
