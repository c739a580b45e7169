"""AdamW from scratch against its naive twin and PyTorch's, and which weights decay."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from source.training.adamw import AdamW, adamw_naive, adamw_step, decay_groups

numbers = st.floats(-5, 5, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(numbers, min_size=2, max_size=2),
    st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=6),
    st.floats(0, 0.9),
    st.floats(0, 0.999),
    st.floats(0, 0.5),
)
def test_it_equals_the_naive_twin(values, gradients, one, two, decay):
    p, state = torch.tensor(values, dtype=torch.float64), {}
    for grad in gradients:
        adamw_step(p, torch.tensor(grad, dtype=torch.float64), state, 0.05, (one, two), 1e-8, decay)
    assert p.tolist() == pytest.approx(adamw_naive(values, gradients, 0.05, (one, two), 1e-8, decay), abs=1e-9)


def a_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)).double()


@pytest.mark.parametrize("scale", [1.0, 1e-8])
def test_a_hundred_steps_equal_pytorchs(scale):
    ours, theirs = a_model(), a_model()
    mine = AdamW(decay_groups(ours, 0.1), lr=1e-2, betas=(0.9, 0.95))
    other = torch.optim.AdamW(decay_groups(theirs, 0.1), lr=1e-2, betas=(0.9, 0.95))
    generator = torch.Generator().manual_seed(1)
    for step in range(100):
        x = torch.randn(5, 6, generator=generator, dtype=torch.float64)
        for model, optimizer in ((ours, mine), (theirs, other)):
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 / (1 + step)
            optimizer.zero_grad()
            (scale * model(x).square().mean()).backward()
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, rtol=0, atol=1e-12)


def test_its_state_is_saved_and_loaded():
    whole, parts = a_model(), a_model()
    x = torch.ones(2, 6, dtype=torch.float64)

    def steps(model, optimizer, n):
        for _ in range(n):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()

    steps(whole, AdamW(whole.parameters()), 6)
    first = AdamW(parts.parameters())
    steps(parts, first, 3)
    second = AdamW(parts.parameters())
    second.load_state_dict(first.state_dict())
    steps(parts, second, 3)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))


def test_a_parameter_without_a_gradient_stays():
    p, q = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    AdamW([p, q], lr=0.1, weight_decay=0.5).step()
    assert q.tolist() == [1.0, 1.0]
    assert p.tolist() != [1.0, 1.0]


@pytest.mark.parametrize("wrong", [{"lr": -1.0}, {"eps": -1.0}, {"betas": (1.0, 0.9)}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        AdamW([nn.Parameter(torch.ones(1))], **wrong)


def test_matrices_decay_and_a_tied_or_frozen_weight_counts_once_or_not():
    model = nn.ModuleDict({"token": nn.Embedding(4, 3), "norm": nn.LayerNorm(3), "head": nn.Linear(3, 4, bias=False)})
    model["head"].weight = model["token"].weight
    model["frozen"] = nn.Linear(3, 3).requires_grad_(False)
    decays, not_ = decay_groups(model, 0.1)
    assert [tuple(p.shape) for p in decays["params"]] == [(4, 3)]
    assert [tuple(p.shape) for p in not_["params"]] == [(3,), (3,)]
    assert (decays["weight_decay"], not_["weight_decay"]) == (0.1, 0.0)
