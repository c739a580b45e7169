"""Every operation's value and rule against PyTorch, finite differences and the naive twins."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from source.autodiff import operations as ops
from source.autodiff import rules
from source.autodiff.numeric import numeric_gradient
from source.autodiff.tape import Node, backward

SEEN = np.tril(np.ones((4, 4), dtype=bool))
IDS, TARGETS = np.array([[1, 0], [1, 1]]), np.array([2, rules.IGNORE, 0])

# Name, shapes of the inputs, ours, PyTorch's.
CASES = [
    ("add", [(2, 3, 4), (4,)], ops.add, torch.add),
    ("add, both stretched", [(2, 1), (1, 3)], ops.add, torch.add),
    ("multiply", [(2, 3), (3, 1, 3)], ops.multiply, torch.mul),
    ("matmul", [(2, 3, 4), (4, 5)], ops.matmul, torch.matmul),
    ("matmul, batched", [(2, 1, 3, 4), (5, 4, 2)], ops.matmul, torch.matmul),
    ("tanh", [(3, 4)], ops.tanh, torch.tanh),
    ("relu", [(3, 4)], ops.relu, torch.relu),
    ("gelu", [(3, 4)], ops.gelu, lambda x: F.gelu(x, approximate="tanh")),
    ("layer norm", [(3, 4)], ops.layer_norm, lambda x: F.layer_norm(x, x.shape[-1:])),
    ("softmax", [(2, 3, 4)], ops.softmax, lambda x: x.softmax(-1)),
    (
        "masked softmax",
        [(2, 4, 4)],
        lambda x: ops.softmax(ops.masked(x, SEEN)),
        lambda x: x.masked_fill(~torch.from_numpy(SEEN), float("-inf")).softmax(-1),
    ),
    (
        "cross-entropy",
        [(3, 5)],
        lambda x: ops.cross_entropy(x, TARGETS),
        lambda x: F.cross_entropy(x, torch.tensor(TARGETS)),
    ),
    ("take", [(3, 4)], lambda x: ops.take(x, IDS), lambda x: x[torch.from_numpy(IDS)]),
    ("reshape", [(2, 3, 4)], lambda x: ops.reshape(x, (6, 4)), lambda x: x.reshape(6, 4)),
    ("swap", [(2, 3, 4)], ops.swap, lambda x: x.transpose(-1, -2)),
    ("mean", [(2, 3)], ops.mean, torch.mean),
]


@pytest.mark.parametrize(("shapes", "ours", "theirs"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_an_operation_equals_pytorchs_forward_and_backward(shapes, ours, theirs):
    rng = np.random.default_rng(0)
    values = [rng.standard_normal(shape) for shape in shapes]
    leaves, tensors = [Node(v) for v in values], [torch.tensor(v, requires_grad=True) for v in values]
    out, wanted = ours(*leaves), theirs(*tensors)
    np.testing.assert_allclose(out.value, wanted.detach().numpy(), rtol=1e-12, atol=1e-14)
    upstream = rng.standard_normal(out.value.shape)
    wanted.backward(torch.tensor(upstream))
    gradients = backward(out, upstream)
    for leaf, tensor in zip(leaves, tensors, strict=True):
        np.testing.assert_allclose(gradients[leaf], tensor.grad.numpy(), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("shapes", "ours"), [c[1:3] for c in CASES], ids=[c[0] for c in CASES])
def test_an_operations_rule_equals_finite_differences(shapes, ours):
    rng = np.random.default_rng(1)
    values = [rng.standard_normal(shape) for shape in shapes]
    out = ours(*(leaves := [Node(v) for v in values]))
    upstream = rng.standard_normal(out.value.shape)
    gradients = backward(out, upstream)
    for n, leaf in enumerate(leaves):

        def run(x, n=n):
            return ours(*[x if m == n else v for m, v in enumerate(values)]).value

        np.testing.assert_allclose(gradients[leaf], numeric_gradient(run, values[n], upstream), atol=1e-7)


@given(st.lists(st.integers(0, 3), max_size=3), st.data())
def test_a_sum_over_a_broadcast_has_the_small_shape_and_counts_every_use(large, data):
    kept = large[data.draw(st.integers(0, len(large))) :]
    small = tuple(data.draw(st.sampled_from([size, 1])) for size in kept)
    g = np.ones(large)
    got = rules.unbroadcast(g, small)
    assert got.shape == small
    assert got.sum() == g.sum()


def test_a_shape_that_does_not_broadcast_is_refused():
    for shape in ((2,), (3, 3), (1, 1, 1, 3)):
        with pytest.raises(ValueError, match="does not broadcast"):
            rules.unbroadcast(np.ones((2, 1, 3))[:, 0] if len(shape) < 4 else np.ones((2, 3)), shape)


def test_rules_equal_their_naive_twins():
    rng = np.random.default_rng(2)
    p, g = rng.random((2, 3, 4)), rng.standard_normal((2, 3, 4))
    p /= p.sum(-1, keepdims=True)
    np.testing.assert_allclose(rules.softmax_rule(g, p), rules.softmax_rule_naive(g, p), atol=1e-15)
    table, ids = rng.standard_normal((5, 2)), rng.integers(0, 5, (3, 4))
    g = rng.standard_normal((3, 4, 2))
    np.testing.assert_allclose(rules.take_rule(g, table, ids), rules.take_rule_naive(g, table, ids), atol=1e-14)


def test_a_loss_that_counts_nothing_is_zero_and_sends_nothing_back():
    logits = Node(np.ones((2, 3)))
    loss = ops.cross_entropy(logits, np.full(2, rules.IGNORE))
    assert loss.value == 0
    assert not backward(loss)[logits].any()


def test_products_of_vectors_and_means_of_nothing_are_refused():
    with pytest.raises(ValueError, match="give matrices"):
        ops.matmul(np.ones(3), np.ones((3, 2)))
    with pytest.raises(ValueError, match="at least one"):
        ops.mean(np.ones((0, 2)))
