"""BERT's corruption against its twin, and what must hold of it whatever is drawn."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from source.masked_tokens import IGNORED, corrupt, corrupt_naive

MASK, V = 4, 1000


def drawn(B, T, seed):
    """Ids of the lower half of the vocabulary, so that a random token is recognised, and a fifth of them special."""
    g = torch.Generator().manual_seed(seed)
    return torch.randint(5, 500, (B, T), generator=g), torch.rand(B, T, generator=g) < 0.2


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 4), st.integers(0, 9), st.integers(0, 10**6), st.sampled_from([0.0, 0.15, 0.6, 1.0]))
def test_it_equals_its_naive_twin(B, T, seed, rate):
    ids, special = drawn(B, T, seed)
    fast, naive = (
        f(ids, special, MASK, V, torch.Generator().manual_seed(seed), rate) for f in (corrupt, corrupt_naive)
    )
    for one, other in zip(fast, naive, strict=True):
        assert one.dtype == torch.int64
        assert torch.equal(one, other)


def test_of_the_guessed_eight_in_ten_are_masked_one_is_random_one_stays():
    ids, special = drawn(200, 500, 1)
    inputs, targets = corrupt(ids, special, MASK, V, torch.Generator().manual_seed(2))
    guessed = targets != IGNORED
    assert guessed[~special].float().mean().item() == pytest.approx(0.15, abs=0.006)
    of_guessed = inputs[guessed]
    assert (of_guessed == MASK).float().mean().item() == pytest.approx(0.8, abs=0.016)
    assert (of_guessed == ids[guessed]).float().mean().item() == pytest.approx(0.1, abs=0.013)
    random = of_guessed[(of_guessed != MASK) & (of_guessed != ids[guessed])]
    assert (random >= 500).float().mean().item() == pytest.approx(0.5, abs=0.06)  # from the whole vocabulary


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_only_what_is_guessed_changes_and_special_tokens_never_are(seed):
    ids, special = drawn(4, 30, seed)
    before = ids.clone()
    inputs, targets = corrupt(ids, special, MASK, V, torch.Generator().manual_seed(seed))
    guessed = targets != IGNORED
    assert torch.equal(ids, before)
    assert not (guessed & special).any()
    assert torch.equal(inputs[~guessed], ids[~guessed])
    assert torch.equal(targets[guessed], ids[guessed])


def test_all_randomness_comes_from_the_generator():
    ids, special = drawn(4, 50, 3)
    state = torch.get_rng_state()
    once, again = (corrupt(ids, special, MASK, V, torch.Generator().manual_seed(7))[0] for _ in range(2))
    assert torch.equal(once, again)
    assert torch.equal(state, torch.get_rng_state())
    g = torch.Generator().manual_seed(7)
    first, second = (corrupt(ids, special, MASK, V, g)[0] for _ in range(2))
    assert not torch.equal(first, second)


def test_a_rate_that_is_no_chance_is_refused():
    with pytest.raises(ValueError, match="from 0 to 1"):
        corrupt(*drawn(1, 2, 0), MASK, V, torch.Generator(), rate=15)
