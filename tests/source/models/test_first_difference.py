"""The comparison of two runs: names the first layer that differs, forgives rounding, and nothing that is not finite."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from source.models.first_difference import FLOAT32, distance, first_difference
from source.models.gpt import GPT, Sizes


def states(*sizes):
    torch.manual_seed(0)
    return {f"layer {n}": size * torch.randn(2, 5, 8) for n, size in enumerate(sizes)}


@given(st.integers(0, 3), st.floats(1e-4, 1e3), st.floats(-3, 3))
def test_the_first_layer_that_is_off_is_named_whatever_its_size(layer, size, power):
    theirs = states(*[size * 10 ** (power * n / 3) for n in range(4)])
    ours = {name: state.clone() for name, state in theirs.items()}
    for name in list(theirs)[layer:]:
        ours[name][1, 3, 2] += 1e-3 * theirs[name].abs().max()
    assert first_difference(ours, theirs) == f"layer {layer}"


def test_rounding_is_forgiven_at_every_size_and_near_zero():
    exact = {name: state.double() / 3 for name, state in states(1e-6, 1.0, 1e4).items()}
    cancelled = exact["layer 1"].clone()
    cancelled[0, 0, 0] = 1e-9  # what is left of a sum of ones may be off by 1e-7
    exact["layer 1"] = cancelled
    rounded = {name: state.float() for name, state in exact.items()}
    rounded["layer 1"][0, 0, 0] = 1e-7
    assert first_difference(rounded, exact) == ""
    assert first_difference(rounded, exact, tolerance=1e-12) == "layer 0"


def test_two_precisions_of_one_model_agree_and_a_port_with_another_eps_does_not():
    torch.manual_seed(0)
    model = GPT(Sizes(vocabulary=17, context=12, width=32, heads=4, layers=3)).eval()
    ids = torch.randint(17, (3, 12))

    def run():
        stream = model.stream(ids)
        return {str(n): x.detach().clone() for n, x in enumerate(stream)} | {"logits": model.read(stream[-1])}

    single = run()
    assert first_difference(single, run()) == ""
    model.double()
    assert first_difference(single, run()) == ""
    model.float()
    model.blocks[1].norm1.eps = 1e-6
    assert first_difference(run(), single) == "2"  # the state after block 1


def test_padding_is_not_compared():
    theirs = states(1.0, 1.0)
    ours = {name: state.clone() for name, state in theirs.items()}
    real = torch.ones(2, 5, dtype=torch.bool)
    real[1, 3:] = False
    ours["layer 0"][1, 3:] = math.nan
    assert first_difference(ours, theirs, real=real) == ""
    assert first_difference(ours, theirs) == "layer 0"


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_what_is_not_finite_is_a_difference_on_either_side(broken):
    theirs = states(1.0)
    ours = {"layer 0": theirs["layer 0"].clone()}
    ours["layer 0"][0, 0, 0] = broken
    assert first_difference(ours, theirs) == first_difference(theirs, ours) == first_difference(ours, ours) == "layer 0"


def test_another_shape_is_a_difference_even_if_it_broadcasts():
    theirs = {"layer 0": torch.ones(2, 5, 8)}
    assert first_difference({"layer 0": torch.ones(1, 5, 8)}, theirs) == "layer 0"


def test_nothing_differs_in_nothing_and_in_zeros():
    assert distance(torch.zeros(0, 5, 8), torch.zeros(0, 5, 8)) == 0.0
    assert distance(torch.zeros(1, 2), torch.zeros(1, 2)) == 0.0
    assert distance(torch.full((1, 2), 1e-30), torch.zeros(1, 2)) == math.inf
    assert 0 < FLOAT32 < 1e-3


def test_layers_of_other_names_are_refused():
    with pytest.raises(ValueError, match="layers differ"):
        first_difference(states(1.0), states(1.0, 1.0))
