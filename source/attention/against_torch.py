"""Holds the course's multi-head attention against torch.nn.MultiheadAttention: weights, masks, errors, gradients.

Both compute the same function of the same numbers. They pack the numbers differently, and their masks say the
opposite: here True = may be seen, there True = may not.
"""

import torch
from torch import Tensor, nn


def max_error(a: Tensor, b: Tensor) -> float:
    """The largest absolute difference; infinite for other shapes, or where only one of the two is NaN.

    Equal infinities, and NaN in the same place of both, differ by zero. Two empty tensors differ by zero.
    """
    if a.shape != b.shape:
        return float("inf")
    a, b = a.detach().double(), b.detach().double()
    same = (a == b) | (a.isnan() & b.isnan())
    difference = torch.where(same, 0.0, (a - b).abs())
    difference = difference.masked_fill(difference.isnan(), float("inf"))  # NaN in one of them alone
    return float(difference.max()) if difference.numel() else 0.0


def to_torch_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """W_q, W_k, W_v, W_o (weights and biases) under nn.MultiheadAttention's names, the first three in one.

    Works for weights and for their gradients alike: both have the parameters' shapes.
    """
    return {
        "in_proj_weight": torch.cat([state[f"W_{n}.weight"] for n in "qkv"]),  # three (C, C) -> (3C, C)
        "in_proj_bias": torch.cat([state[f"W_{n}.bias"] for n in "qkv"]),  # three (C,) -> (3C,)
        "out_proj.weight": state["W_o.weight"],  # (C, C)
        "out_proj.bias": state["W_o.bias"],  # (C,)
    }


def torch_mask(mask: Tensor, shape: tuple[int, int, int, int]) -> Tensor:
    """A mask that broadcasts to shape (B, H, T, S), True = may be seen, as (B*H, T, S), True = may not."""
    B, H, T, S = shape
    return ~mask.expand(B, H, T, S).reshape(B * H, T, S)  # row b*H + h is head h of sequence b


def compare(
    ours: nn.Module, theirs: nn.MultiheadAttention, x: Tensor, mask: Tensor | None, upstream: Tensor
) -> dict[str, float]:
    """Run both layers forward and backward on the same input; the max_error of everything that comes out.

    theirs: made with batch_first=True. x, upstream: (B, T, C). mask: as in `torch_mask`, or None.
    Keys: "out", "weights", "x" (the input's gradient), and theirs' parameter names (the parameters' gradients).
    """
    B, T, _ = x.shape
    ours.zero_grad()
    theirs.zero_grad()
    a, b = x.detach().clone().requires_grad_(), x.detach().clone().requires_grad_()
    hidden = None if mask is None else torch_mask(mask, (B, theirs.num_heads, T, T))
    out, weights = ours(a, mask=mask)
    their_out, their_weights = theirs(b, b, b, attn_mask=hidden, average_attn_weights=False)
    out.backward(upstream)
    their_out.backward(upstream)
    errors = {"out": max_error(out, their_out), "weights": max_error(weights, their_weights)}
    errors["x"] = max_error(a.grad, b.grad)
    gradients = to_torch_state({name: p.grad for name, p in ours.named_parameters()})
    return errors | {name: max_error(gradients[name], p.grad) for name, p in theirs.named_parameters()}
