"""Clipping by the global norm: its twin, PyTorch's, and what must not change."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from source.training.clipping import clip_by_global_norm, clip_each, clip_naive, global_norm

gradients = st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=4), min_size=1, max_size=4)


def with_gradients(values):
    parameters = [nn.Parameter(torch.zeros(len(v), dtype=torch.float64)) for v in values]
    for p, v in zip(parameters, values, strict=True):
        p.grad = torch.tensor(v, dtype=torch.float64)
    return parameters


@given(gradients, st.floats(0.1, 20))
def test_it_equals_the_naive_twin(values, limit):
    parameters = with_gradients(values)
    norm = clip_by_global_norm(parameters, limit)
    clipped, before = clip_naive(values, limit)
    assert norm == pytest.approx(before)
    for p, right in zip(parameters, clipped, strict=True):
        assert p.grad.tolist() == pytest.approx(right)
    assert global_norm(parameters) <= limit * (1 + 1e-9)


def test_it_equals_pytorchs():
    torch.manual_seed(0)
    values = [torch.randn(n).tolist() for n in (3, 5, 1)]
    ours, theirs = with_gradients(values), with_gradients(values)
    assert clip_by_global_norm(ours, 0.5) == pytest.approx(float(nn.utils.clip_grad_norm_(theirs, 0.5)))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a.grad, b.grad, rtol=1e-5)  # theirs adds 1e-6 to the norm


def test_nothing_to_clip():
    p = nn.Parameter(torch.ones(2))
    assert clip_by_global_norm([p], 1.0) == 0.0
    assert p.grad is None
    assert clip_by_global_norm([], 1.0) == 0.0


def test_a_generator_of_parameters_is_fine():
    parameters = with_gradients([[3.0], [4.0]])
    assert clip_by_global_norm((p for p in parameters), 1.0) == 5.0
    assert parameters[0].grad.item() == pytest.approx(0.6)


def test_a_norm_that_is_not_finite_changes_nothing():
    parameters = with_gradients([[math.nan], [4.0]])
    assert math.isnan(clip_by_global_norm(parameters, 1.0))
    assert parameters[1].grad.item() == 4.0


def test_large_float32_gradients_do_not_overflow():
    p = nn.Parameter(torch.zeros(4))
    p.grad = torch.full((4,), 1e30)
    assert clip_by_global_norm([p], 1.0) == pytest.approx(2e30)
    assert p.grad.tolist() == pytest.approx([0.5] * 4)


def test_the_trap_turns_the_gradient():
    parameters = with_gradients([[10.0], [0.5]])
    clip_each(parameters, 1.0)
    assert [p.grad.item() for p in parameters] == pytest.approx([1.0, 0.5])
