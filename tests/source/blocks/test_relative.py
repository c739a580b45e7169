"""Buckets and slopes equal their naive twins, T5's own buckets and ALiBi's published slopes."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from source.blocks.relative import (
    T5Bias,
    alibi_bias,
    alibi_bias_naive,
    alibi_slopes,
    distances,
    mean_by_distance,
    t5_bias_naive,
    t5_bucket,
)


def test_distances_count_back_from_the_last_positions():
    assert distances(2, 4).tolist() == [[2, 1, 0, -1], [3, 2, 1, 0]]
    with pytest.raises(ValueError, match="T is at most S"):
        distances(3, 2)


@pytest.mark.parametrize(("buckets", "furthest"), [(32, 128), (16, 64), (8, 20), (32, 1000)])
def test_buckets_equal_those_of_the_library(buckets, furthest):
    from transformers.models.t5.modeling_t5 import T5Attention

    back = torch.arange(-5, 2000)
    theirs = T5Attention._relative_position_bucket(-back, False, buckets, furthest)
    differ = (t5_bucket(back, buckets, furthest) != theirs).nonzero().flatten()
    # The library's float32 logarithm may fall to the other side of a whole number: never further.
    assert len(differ) <= 1
    assert (t5_bucket(back, buckets, furthest) - theirs).abs().max() <= 1


@pytest.mark.parametrize(("buckets", "furthest"), [(32, 128), (16, 64), (8, 20)])
def test_an_encoders_buckets_equal_those_of_the_library(buckets, furthest):
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = torch.arange(-300, 300)
    theirs = T5Attention._relative_position_bucket(-distance, True, buckets, furthest)
    ours = t5_bucket(distance, buckets, furthest, both_ways=True)
    assert len((ours != theirs).nonzero()) <= 2  # the library's float32 logarithm, once in each direction
    assert ours.unique().tolist() == list(range(buckets // 2)) + list(range(buckets // 2 + 1, buckets))


@given(st.integers(1, 6), st.integers(0, 40), st.sampled_from([(8, 20), (6, 30), (4, 9)]), st.booleans())
def test_the_learned_bias_equals_its_naive_twin(T, more, sizes, both_ways):
    buckets, furthest = sizes
    torch.manual_seed(0)
    bias = T5Bias(3, buckets, furthest, both_ways)
    twin = t5_bias_naive(bias.table.weight, T, T + more, furthest, both_ways)
    torch.testing.assert_close(bias(T, T + more), twin)


def test_the_learned_bias_has_the_gradient_of_its_twin():
    bias = T5Bias(2, 8, 20)
    upstream = torch.randn(2, 5, 30)
    (ours,) = torch.autograd.grad(bias(5, 30), bias.table.weight, upstream)
    (twin,) = torch.autograd.grad(t5_bias_naive(bias.table.weight, 5, 30, 20), bias.table.weight, upstream)
    torch.testing.assert_close(ours, twin)


def test_slopes_are_the_papers():
    assert alibi_slopes(8).tolist() == [2.0**-n for n in range(1, 9)]
    torch.testing.assert_close(alibi_slopes(16)[:3], torch.tensor([2**-0.5, 2**-1.0, 2**-1.5]))
    assert len(alibi_slopes(12)) == 12
    torch.testing.assert_close(alibi_slopes(12)[8:], torch.tensor([2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]))
    with pytest.raises(ValueError, match="at least one"):
        alibi_slopes(0)


@pytest.mark.parametrize("heads", [1, 3, 8])
@pytest.mark.parametrize(("T", "S"), [(1, 1), (4, 4), (1, 7), (3, 9)])
def test_the_linear_bias_equals_its_naive_twin(heads, T, S):
    torch.testing.assert_close(alibi_bias(heads, T, S), alibi_bias_naive(heads, T, S))


def test_means_by_distance_leave_the_future_out():
    scores = torch.tensor([[1.0, 99, 99], [2, 3, 99], [4, 6, 5]])
    assert mean_by_distance(scores).tolist() == [3.0, 4.0, 4.0]
    assert mean_by_distance(torch.stack([scores, -scores])).shape == (2, 3)
