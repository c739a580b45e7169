"""The course's multi-head attention against its naive twin and against PyTorch's, forward and backward."""

import pytest
import torch
from torch import nn

from source.attention.against_torch import compare, max_error, to_torch_state, torch_mask
from source.attention.multi_head import MultiHeadAttention, merge, multi_head_attention_naive, split

SIZES = [(2, 5, 5, 12, 3), (1, 1, 1, 4, 1), (2, 3, 6, 8, 4), (3, 4, 2, 6, 6), (0, 3, 3, 4, 2)]


def masks(B, H, T, S):
    """None, causal, padding that hides a whole sequence, and one of its own for every head."""
    padding = torch.arange(S) < torch.arange(B).view(B, 1, 1, 1)  # sequence 0 sees nothing at all
    return [None, torch.ones(T, S, dtype=torch.bool).tril(), padding, torch.rand(B, H, T, S) < 0.6]


def gradients(run, layer, x, context, upstream):
    """What a run returns, then the gradients of both inputs and of every parameter."""
    layer.zero_grad()
    x, context = x.clone().requires_grad_(), context.clone().requires_grad_()
    out, weights = run(x, context)
    out.backward(upstream)
    leaves = [x, context, *layer.parameters()]
    return [out, weights, *[torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in leaves]]


@pytest.mark.parametrize(("B", "T", "S", "C", "H"), SIZES)
def test_multi_head_attention_equals_its_naive_twin(B, T, S, C, H):
    torch.manual_seed(0)
    layer = MultiHeadAttention(C, H).double()
    x, context, upstream = (torch.randn(B, n, C, dtype=torch.float64) for n in (T, S, T))
    for mask in masks(B, H, T, S):
        if not B:  # the twin has no graph to go back through
            assert layer(x, context, mask)[0].shape == multi_head_attention_naive(layer, x, context, mask)[0].shape
            continue
        fast = gradients(lambda a, b, mask=mask: layer(a, b, mask), layer, x, context, upstream)
        naive = gradients(
            lambda a, b, mask=mask: multi_head_attention_naive(layer, a, b, mask), layer, x, context, upstream
        )
        for one, other in zip(fast, naive, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("C", "H"), [(12, 3), (4, 1), (6, 6)])
def test_multi_head_attention_equals_pytorchs_forward_and_backward(C, H):
    torch.manual_seed(0)
    B, T = 2, 5
    ours = MultiHeadAttention(C, H).double()
    theirs = nn.MultiheadAttention(C, H, batch_first=True).double()
    theirs.load_state_dict(to_torch_state(ours.state_dict()))
    x, upstream = torch.randn(2, B, T, C, dtype=torch.float64)
    padding = torch.arange(T) < torch.tensor([3, 5]).view(B, 1, 1, 1)
    causal = torch.ones(T, T, dtype=torch.bool).tril()
    for mask in (None, causal, padding, causal & padding, causal | (torch.rand(B, H, T, T) < 0.5)):
        errors = compare(ours, theirs, x, mask, upstream)
        assert list(errors) == ["out", "weights", "x", *dict(theirs.named_parameters())]
        assert max(errors.values()) < 1e-12, errors


def test_compare_sees_a_difference_in_one_place():
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(8, 2).double(), nn.MultiheadAttention(8, 2, batch_first=True).double()
    state = to_torch_state(ours.state_dict())
    theirs.load_state_dict({**state, "out_proj.bias": state["out_proj.bias"] + 0.25})
    x, upstream = torch.randn(2, 1, 3, 8, dtype=torch.float64)
    errors = compare(ours, theirs, x, None, upstream)
    assert errors.pop("out") == pytest.approx(0.25)
    assert max(errors.values()) < 1e-12


def test_merge_undoes_split_on_any_memory_layout():
    x = torch.randn(6, 3, 2).permute(1, 2, 0)  # (B, T, C) = (3, 2, 6), not contiguous
    assert split(x, 3).shape == (3, 3, 2, 2)
    assert torch.equal(merge(split(x, 3)), x)
    assert torch.equal(split(x, 3)[0, 1, 1], x[0, 1, 2:4])


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="3 heads do not divide a width of 8"):
        MultiHeadAttention(8, 3)


def test_torch_mask_inverts_and_puts_the_heads_of_a_sequence_together():
    mask = torch.zeros(2, 3, 4, 5, dtype=torch.bool)
    mask[1, 2, 3, 4] = True
    assert torch_mask(mask, (2, 3, 4, 5)).logical_not().nonzero().tolist() == [[5, 3, 4]]


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("a", "b", "error"),
    [
        ([1.0, 2.0], [1.5, 1.0], 1.0),
        ([1.0, NAN], [1.0, NAN], 0.0),
        ([1.0, NAN], [1.0, 2.0], INF),
        ([INF, -INF], [INF, -INF], 0.0),
        ([INF], [-INF], INF),
        ([], [], 0.0),
        ([1.0], [[1.0]], INF),
        ([1.0, 1.0], [1.0], INF),
    ],
)
def test_max_error(a, b, error):
    assert max_error(torch.tensor(a), torch.tensor(b)) == error
