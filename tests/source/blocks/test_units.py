"""What a look at single units reports is so."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from source.blocks.units import lift, strongest


def test_texts_end_at_the_strongest_places_and_are_filled_up_on_the_left():
    strengths = torch.tensor([[0.0, 9.0, 1.0], [5.0, 0.0, 0.0]])
    ids = torch.tensor([[10, 11, 12], [20, 21, 22]])
    assert strongest(strengths, ids, 2, 3).tolist() == [[-1, 10, 11], [-1, -1, 20]]
    assert strongest(strengths, ids, 0, 3).shape == (0, 3)


def test_of_equal_places_the_earlier_comes_first():
    ids = torch.arange(6).view(2, 3)
    assert strongest(torch.zeros(2, 3), ids, 6, 1).flatten().tolist() == list(range(6))


@given(st.integers(0, 99), st.integers(1, 6))
def test_a_texts_last_token_is_the_one_at_its_place(seed, W):
    generator = torch.Generator().manual_seed(seed)
    strengths = torch.randn(3, 5, generator=generator)
    ids = torch.arange(15).view(3, 5)
    found = strongest(strengths, ids, 4, W)
    assert found[:, -1].tolist() == strengths.flatten().argsort(descending=True)[:4].tolist()
    for row in found:
        real = row[row >= 0]
        assert (real.diff() == 1).all()
        assert real[0] // 5 == real[-1] // 5  # it never reaches into the text before


def test_lift_is_one_for_a_pattern_that_always_holds_and_zero_for_one_that_never_does():
    strengths = torch.randn(3, 5, 7)
    assert lift(strengths, torch.ones(3, 5, dtype=torch.bool), 4).tolist() == [1.0] * 7
    assert lift(strengths, torch.zeros(3, 5, dtype=torch.bool), 4).tolist() == [0.0] * 7


def test_a_unit_that_fires_where_the_pattern_holds_has_the_highest_lift_there_is():
    holds = torch.zeros(4, 5, dtype=torch.bool)
    holds[:, 2] = True
    strengths = torch.stack([holds.float(), 1 - holds.float()], dim=-1)
    assert lift(strengths, holds, 4).tolist() == [5.0, 0.0]
