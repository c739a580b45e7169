"""The shuffled order: a permutation, the same again, different each epoch, shared by ranks, resumed to the window."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from source.data_pipeline.order import Order, permuted, permuted_naive


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 1 << 40), st.integers(0, 5))
def test_every_number_comes_once(count, seed, epoch):
    assert sorted(permuted(np.arange(count), count, seed, epoch)) == list(range(count))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 1 << 45), st.integers(0, 1 << 40), st.data())
def test_the_loops_agree(count, seed, data):
    place = data.draw(st.integers(0, count - 1))
    number = permuted_naive(place, count, seed, 3)
    assert permuted(np.array([[place]]), count, seed, 3).tolist() == [[number]]
    assert 0 <= number < count


def test_the_order_is_pinned():
    # A change of the network would silently reorder every run that is resumed: then this list must change on purpose.
    assert permuted(np.arange(10), 10, seed=0, epoch=0).tolist() == PINNED


PINNED = [3, 4, 9, 6, 8, 0, 7, 1, 2, 5]


@pytest.mark.parametrize("count", [2, 5, 16, 100])
def test_each_number_is_as_likely_at_each_place(count):
    seeds = 1500
    at = np.stack([permuted(np.arange(count), count, seed, 0) for seed in range(seeds)])  # (seeds, count)
    seen = np.stack([np.bincount(column, minlength=count) for column in at.T])  # place, number
    expected = seeds / count
    # Chi-squared with (count - 1)^2 degrees of freedom: mean k, variance 2k.
    k = (count - 1) ** 2
    assert ((seen - expected) ** 2 / expected).sum() < k + 6 * (2 * k) ** 0.5


def test_neighbours_do_not_stay_together():
    count = 100_000
    order = permuted(np.arange(count), count, 1, 0)
    for lag in (1, 2, 64):
        # The correlation of independent draws has standard deviation 1 / √count.
        assert abs(np.corrcoef(order[:-lag], order[lag:])[0, 1]) < 5 / count**0.5
    assert (np.abs(np.diff(order)) == 1).sum() < 15  # about 2 are expected


def test_epochs_and_seeds_differ():
    orders = {tuple(permuted(np.arange(50), 50, seed, epoch)) for seed in range(6) for epoch in range(6)}
    assert len(orders) == 36


def steps(order: Order, batch: int, count: int) -> list[list[int]]:
    return [order.take(batch).tolist() for _ in range(count)]


def test_an_epoch_takes_no_window_twice_and_the_next_leaves_out_others():
    order = Order(count=23, seed=5)
    first, second = steps(order, 4, 5), steps(order, 4, 5)
    for epoch in (first, second):
        flat = [window for batch in epoch for window in batch]
        assert len(set(flat)) == 20
    assert (order.epoch, order.position) == (1, 20)
    left_out = [set(range(23)) - {w for batch in epoch for w in batch} for epoch in (first, second)]
    assert left_out[0] != left_out[1]


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 40), st.integers(1, 4), st.integers(0, 30), st.integers(0, 99))
def test_a_resumed_run_takes_what_the_uninterrupted_one_takes(count, batch, before, seed):
    whole = Order(count, seed)
    steps(whole, batch, before)
    other = Order(count, seed=seed + 1)  # whatever it was, the state decides
    other.resume(whole.state())
    assert steps(other, batch, 15) == steps(whole, batch, 15)


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 60), st.sampled_from([1, 2, 4]), st.integers(0, 9))
def test_ranks_share_what_one_alone_takes(count, ranks, seed):
    alone = steps(Order(count, seed), 8, 12)
    together = [Order(count, seed, rank, ranks) for rank in range(ranks)]
    for whole in alone:
        assert [window for order in together for window in order.take(8 // ranks).tolist()] == whole
    assert len({tuple(order.state().items()) for order in together}) == 1


def test_a_run_goes_on_with_another_number_of_ranks():
    alone = Order(100, seed=3)
    steps(alone, 8, 5)
    state = alone.state()
    together = [Order(100, 0, rank, 4) for rank in range(4)]
    for order in together:
        order.resume(state)
    for _ in range(20):
        assert [w for order in together for w in order.take(2).tolist()] == alone.take(8).tolist()


def test_a_trillion_windows_need_no_room():
    order = Order(count=10**12, seed=0)
    assert len(set(order.take(1000).tolist())) == 1000


def test_impossible_questions_are_answered_with_what_is_wrong():
    with pytest.raises(ValueError, match="rank 2 of 2"):
        Order(10, 0, rank=2, ranks=2)
    with pytest.raises(ValueError, match="does not fit"):
        Order(10, 0, ranks=3).take(4)
    with pytest.raises(ValueError, match="another file"):
        Order(10, 0).resume({"seed": 0, "epoch": 0, "position": 11})
    with pytest.raises(ValueError, match="0 to 9"):
        permuted(np.array([10]), 10, 0, 0)
    with pytest.raises(ValueError, match="at least 1"):
        permuted(np.array([0]), 0, 0, 0)
