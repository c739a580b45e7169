"""Shifted targets and windows, against loops and by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from source.data_pipeline.targets import next_token, windows, windows_naive


def test_a_run_by_hand():
    inputs, targets = next_token(torch.tensor([[5, 6, 7], [8, 9, 5]]))
    assert inputs.tolist() == [[5, 6], [8, 9]]
    assert targets.tolist() == [[6, 7], [9, 5]]


def test_a_run_of_one_token_asks_nothing_and_one_of_none_is_refused():
    inputs, targets = next_token(torch.tensor([5]))
    assert inputs.shape == targets.shape == (0,)
    with pytest.raises(ValueError, match="T \\+ 1"):
        next_token(torch.zeros(2, 0))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9))
def test_windows_agree_with_the_loops(N, T):
    ids = torch.arange(100, 100 + N)
    for fast, slow in zip(windows(ids, T), windows_naive(ids, T), strict=True):
        assert torch.equal(fast, slow)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9))
def test_every_token_but_the_first_is_a_target_once_as_far_as_windows_reach(N, T):
    inputs, targets = windows(torch.arange(N), T)
    n = len(inputs)
    assert targets.flatten().tolist() == list(range(1, n * T + 1))
    assert n * T + 1 <= N or n == 0
    assert (n + 1) * T + 1 > N  # one more would not fit


def test_windows_are_views():
    ids = torch.arange(9)
    inputs, targets = windows(ids, 4)
    assert inputs.data_ptr() == ids.data_ptr()
    assert targets.data_ptr() == ids[1:].data_ptr()


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        windows(torch.arange(4), 0)
