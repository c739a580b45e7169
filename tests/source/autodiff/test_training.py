"""Adam against PyTorch's, and what the two tasks promise."""

import numpy as np
import pytest
import torch

from source.autodiff.training import Adam, lookups, spirals


def test_adam_takes_pytorchs_steps():
    rng = np.random.default_rng(0)
    start = {"W": rng.standard_normal((3, 2)), "b": rng.standard_normal(2)}
    ours = {name: w.copy() for name, w in start.items()}
    theirs = {name: torch.tensor(w, requires_grad=True) for name, w in start.items()}
    adam, torchs = Adam(ours, 0.03), torch.optim.Adam(theirs.values(), lr=0.03)
    for _ in range(20):
        gradients = {name: rng.standard_normal(w.shape) for name, w in start.items()}
        for name, leaf in theirs.items():
            leaf.grad = torch.tensor(gradients[name])
        adam.step(gradients)
        torchs.step()
    for name, w in ours.items():
        np.testing.assert_allclose(w, theirs[name].detach().numpy(), rtol=1e-12)


def test_a_dictionarys_keys_differ_and_the_answer_stands_beside_the_key_asked_for():
    held, beside, asked, answer = lookups(50, 6, 9, 4, np.random.default_rng(1))
    assert held.shape == beside.shape == (50, 6)
    assert asked.shape == answer.shape == (50, 1)
    for row in range(50):
        assert len(set(held[row])) == 6
        (place,) = np.flatnonzero(held[row] == asked[row])
        assert beside[row, place] == answer[row, 0]


def test_more_places_than_keys_are_refused():
    with pytest.raises(ValueError, match="do not fill"):
        lookups(2, 5, 4, 3, np.random.default_rng(0))


def test_spirals_have_as_many_points_of_each_arm():
    points, arm = spirals(20, np.random.default_rng(0))
    assert points.shape == (60, 2)
    assert np.bincount(arm).tolist() == [20, 20, 20]
    assert np.linalg.norm(points, axis=1).max() == pytest.approx(1.0)
