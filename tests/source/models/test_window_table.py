"""The table model: losses and gradients by loops, by autograd and by differences; what it can learn at most."""

import numpy as np
import pytest
import torch

from source.models.window_table import (
    loss_and_gradient,
    loss_by_autograd,
    numerical_gradient,
    sample,
    weighted_loss,
    weighted_loss_naive,
)


def problem(N=12, W=3, V=5, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((W, V, V)).astype(dtype), rng.integers(0, V, (N, W)), rng.integers(0, V, N)


@pytest.mark.parametrize("weights", [torch.rand(9), torch.rand(9).double(), torch.arange(9) % 2, torch.arange(9) < 4])
def test_the_weighted_loss_and_its_gradient_equal_those_of_a_loop(weights):
    logits = (3 * torch.randn(9, 4)).requires_grad_()
    targets = torch.randint(4, (9,))
    fast, slow = (f(logits, targets, weights) for f in (weighted_loss, weighted_loss_naive))
    assert fast.dtype == torch.float32
    assert fast.allclose(slow)
    for mine, theirs in zip(torch.autograd.grad(fast, logits), torch.autograd.grad(slow, logits), strict=True):
        assert mine.allclose(theirs, atol=1e-6)


def test_the_weighted_loss_changes_no_input_and_survives_large_logits():
    logits, targets = torch.tensor([[1000.0, 0.0], [0.0, 1000.0]]), torch.tensor([0, 0])
    before = logits.clone()
    assert weighted_loss(logits, targets, torch.tensor([1.0, 1.0])) == 500
    assert torch.equal(logits, before)


@pytest.mark.parametrize(("N", "W", "V"), [(12, 3, 5), (1, 1, 2), (40, 2, 3), (4, 4, 4)])
def test_the_gradient_by_hand_is_autograds(N, W, V):
    table, windows, targets = problem(N, W, V)
    loss, gradient = loss_and_gradient(table, windows, targets)
    tensor = torch.from_numpy(table).requires_grad_()
    by_autograd = loss_by_autograd(tensor, torch.from_numpy(windows), torch.from_numpy(targets))
    assert loss == pytest.approx(by_autograd.item(), abs=1e-12)
    assert np.allclose(gradient, torch.autograd.grad(by_autograd, tensor)[0], atol=1e-12)


def test_the_gradient_by_hand_is_that_of_finite_differences():
    table, windows, targets = problem()
    _, gradient = loss_and_gradient(table, windows, targets)
    measured = numerical_gradient(lambda t: loss_and_gradient(t, windows, targets)[0], table, 1e-5)
    assert np.allclose(gradient, measured, atol=1e-9)


def test_the_gradient_keeps_the_tables_dtype_and_the_table_itself():
    table, windows, targets = problem(dtype=np.float32)
    before = table.copy()
    assert loss_and_gradient(table, windows, targets)[1].dtype == np.float32
    assert np.array_equal(table, before)


def test_logits_are_the_sum_over_the_places_of_a_window():
    table, windows, targets = problem(N=6)
    losses = []
    for window, target in zip(windows, targets, strict=True):
        logits = sum(table[w, u] for w, u in enumerate(window))
        losses.append(np.log(np.exp(logits).sum()) - logits[target])
    assert loss_and_gradient(table, windows, targets)[0] == pytest.approx(np.mean(losses))


def test_a_window_of_one_learns_to_count_pairs():
    ids = np.random.default_rng(1).integers(0, 3, 400) // np.array([1, 2] * 200)
    windows, targets = ids[:-1, None], ids[1:]
    counts = np.zeros((3, 3))
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    p = counts / counts.sum(1, keepdims=True)
    least = -(counts * np.log(np.where(p > 0, p, 1))).sum() / counts.sum()
    table = np.zeros((1, 3, 3))
    for _ in range(600):
        loss, gradient = loss_and_gradient(table, windows, targets)
        table -= 4 * gradient
    assert least - 1e-9 <= loss < least + 0.02


def test_samples_follow_the_table_and_the_seed():
    table = np.full((1, 3, 3), -50.0)
    table[0, [0, 1, 2], [1, 2, 0]] = 50.0
    assert sample(table, [0], 5, seed=3) == [1, 2, 0, 1, 2]
    assert sample(np.zeros((2, 4, 4)), [0, 1], 20, seed=1) == sample(np.zeros((2, 4, 4)), [0, 1], 20, seed=1)
    with pytest.raises(ValueError, match="a window of 2 needs 2"):
        sample(np.zeros((2, 4, 4)), [0], 1, seed=0)
