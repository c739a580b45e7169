"""What checks draw their inputs from: the same seed gives the same tensors, of every shape, also of none."""

import pytest
import torch

from autograder.cases import Draw, transposed


@pytest.mark.parametrize("shape", [(), (3,), (2, 0, 4)])
def test_every_kind_is_drawn_in_the_shape_asked_for_and_the_same_again(shape):
    for draw in (lambda d: d.normal(*shape), lambda d: d.integers(2, 5, *shape), lambda d: d.chance(0.5, *shape)):
        one, again = draw(Draw(7)), draw(Draw(7))
        assert one.shape == shape
        assert torch.equal(one, again)


def test_kinds_have_their_types_and_bounds():
    d = Draw(0)
    assert d.normal(4, dtype=torch.bfloat16).dtype == torch.bfloat16
    drawn = d.integers(2, 5, 100)
    assert (drawn.dtype, drawn.min(), drawn.max()) == (torch.int64, 2, 4)
    assert 30 < d.chance(0.5, 100).sum() < 70


def test_transposed_holds_the_same_values_where_view_fails():
    x = Draw(1).normal(3, 4)
    assert torch.equal(transposed(x), x)
    with pytest.raises(RuntimeError, match="view"):
        transposed(x).view(-1)
