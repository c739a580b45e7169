"""Schedules: exact at their corners, positive before the end, and what they were compared with."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source.training import schedules as s

falling = pytest.mark.parametrize("shape", [s.warmup_cosine, s.warmup_linear])


@falling
def test_corners_are_exact(shape):
    assert shape(0, 1.0, 10, 100, 0.1) == 0.1
    assert shape(9, 1.0, 10, 100, 0.1) == 1.0
    assert shape(10, 1.0, 10, 100, 0.1) == 1.0
    assert shape(55, 1.0, 10, 100, 0.1) == pytest.approx(0.55)
    assert shape(100, 1.0, 10, 100, 0.1) == 0.1
    assert shape(10**6, 1.0, 10, 100, 0.1) == 0.1


@falling
@given(st.integers(0, 40), st.integers(1, 60), st.floats(0, 1))
def test_no_step_is_wasted_and_the_rate_falls_after_the_peak(shape, warm_up, more, last):
    steps = warm_up + more
    rates = [shape(step, 1.0, warm_up, steps, last) for step in range(steps)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[warm_up] == 1.0
    assert all(a >= b for a, b in zip(rates[warm_up:], rates[warm_up + 1 :], strict=False))


@falling
def test_a_run_of_warm_up_alone_ends_at_the_last_rate(shape):
    assert [shape(step, 1.0, 3, 3, 0.2) for step in range(5)] == pytest.approx([1 / 3, 2 / 3, 1.0, 0.2, 0.2])


def test_the_cosine_is_the_papers():
    for step in range(20, 120):
        expected = 0.1 + 0.5 * 0.9 * (1 + math.cos((step - 20) / 100 * math.pi))
        assert s.warmup_cosine(step, 1.0, 20, 120, 0.1) == pytest.approx(expected)


def test_stable_decay_stays_then_falls():
    rates = [s.warmup_stable_decay(step, 2.0, 5, 20, 100) for step in range(101)]
    assert rates[4:81] == [2.0] * 77
    assert rates[90] == pytest.approx(1.0)
    assert rates[100] == 0.0
    with pytest.raises(ValueError, match="do not fit"):
        s.warmup_stable_decay(0, 1.0, 60, 50, 100)


def test_the_inverse_root_halves_at_four_times_the_step():
    assert s.inverse_root(99, 1.0, 100) == 1.0
    assert s.inverse_root(399, 1.0, 100) == pytest.approx(0.5)
    assert s.inverse_root(0, 1.0, 100) == pytest.approx(0.01)
    with pytest.raises(ValueError, match="warm-up"):
        s.inverse_root(0, 1.0, 0)


def test_restarts_begin_at_the_peak_again():
    rates = [s.cosine_restarts(step, 1.0, 10) for step in range(30)]
    assert rates[:10] == rates[10:20] == rates[20:]
    assert rates[0] == 1.0
