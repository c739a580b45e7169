"""The course's attention against its naive twin, forward and backward."""

import pytest
import torch

from source.attention.dot_product import attention, attention_naive

SHAPES = [((), 3, 5, 4, 2), ((2,), 1, 1, 4, 4), ((2, 3), 4, 4, 8, 8), ((1, 5), 2, 6, 1, 3), ((0, 2), 3, 3, 4, 4)]
MASKS = {
    "none": lambda T, S: None,
    "causal": lambda T, S: torch.ones(T, S, dtype=torch.bool).tril(),
    "a row sees nothing": lambda T, S: torch.arange(T)[:, None] != torch.zeros(S, dtype=torch.long),
    "nothing is seen": lambda T, S: torch.zeros(T, S, dtype=torch.bool),
}


def run(f, inputs, mask, upstream):
    """Outputs, weights and the gradients of Q, K, V."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    out, weights = f(*leaves, mask)
    if not out.requires_grad:  # nothing was seen or nothing was there: the naive twin's result is a constant
        return [out, weights, *[torch.zeros_like(x) for x in leaves]]
    out.backward(upstream)
    return [out, weights, *[torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]]


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(("lead", "T", "S", "D", "E"), SHAPES)
def test_attention_equals_its_naive_twin(lead, T, S, D, E, name):
    torch.manual_seed(0)
    inputs = [torch.randn(*lead, n, w, dtype=torch.float64) for n, w in ((T, D), (S, D), (S, E))]
    upstream = torch.randn(*lead, T, E, dtype=torch.float64)
    mask = MASKS[name](T, S)
    for fast, naive in zip(
        run(attention, inputs, mask, upstream), run(attention_naive, inputs, mask, upstream), strict=True
    ):
        torch.testing.assert_close(fast, naive, rtol=1e-12, atol=1e-12)


def test_large_scores_do_not_overflow():
    Q = torch.full((2, 4), 1e3)
    out, weights = attention(Q, Q, torch.eye(2))
    assert torch.equal(weights, torch.full((2, 2), 0.5))
    assert torch.equal(out, weights)


def test_gradients_stay_finite_where_a_row_sees_nothing():
    Q, K, V = (torch.randn(3, 4, requires_grad=True) for _ in range(3))
    mask = torch.tensor([[True, False, False], [False, False, False], [True, True, True]])
    attention(Q, K, V, mask)[0].sum().backward()
    assert all(x.grad.isfinite().all() for x in (Q, K, V))
    assert (Q.grad[1] == 0).all()
