"""Scaling laws: the closed form against search, slices, the price against its formula, fits that find a known truth."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from source import scaling
from source.scaling import PUBLISHED, REFIT, UNROUNDED, Law

exponents = st.floats(0.2, 0.6)
sizes = st.floats(10, 3000)


def runs(law, n=60, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    N = np.exp(rng.uniform(np.log(1e7), np.log(1e10), n))
    D = N * np.exp(rng.uniform(np.log(2), np.log(300), n))
    loss = law.loss(N, D) * np.exp(noise * rng.standard_normal(n))
    return N, D, loss


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, exponents, exponents, st.floats(12, 25))
def test_the_closed_form_agrees_with_search(A, B, alpha, beta, digits):
    law, C = Law(1.7, A, B, alpha, beta), 10**digits
    size, tokens = scaling.compute_optimal(law, C)
    assert size * tokens == pytest.approx(C / 6, rel=1e-9)
    if 10 < size < C / 60:
        assert scaling.compute_optimal_by_search(law, C)[0] == pytest.approx(size, rel=2e-3)


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, exponents, exponents)
def test_no_other_split_of_the_budget_is_better(A, B, alpha, beta):
    law, C = Law(1.7, A, B, alpha, beta), 1e20
    N, D = scaling.compute_optimal(law, C)
    for factor in (0.5, 0.99, 1.01, 2.0):
        assert law.loss(N * factor, D / factor) >= law.loss(N, D)


def test_the_printed_law_asks_for_ninety_tokens_a_parameter_and_the_refit_for_under_twenty():
    ratio = {law: np.divide(*scaling.compute_optimal(law, 5.76e23)[::-1]) for law in (PUBLISHED, UNROUNDED, REFIT)}
    assert ratio[PUBLISHED] == pytest.approx(93, abs=1)
    assert ratio[UNROUNDED] == pytest.approx(59, abs=1)
    assert ratio[REFIT] == pytest.approx(18.4, abs=0.1)


def test_a_parabola_is_found_again_whatever_the_order():
    N = np.array([1e3, 3e5, 2e4, 5e6])
    loss = 2.5 + 0.07 * (np.log(N) - np.log(4e4)) ** 2
    assert scaling.isoflop_minimum(N, loss) == pytest.approx((4e4, 2.5), rel=1e-9)
    assert scaling.parabola_at(N, loss, N) == pytest.approx(loss)


@pytest.mark.parametrize("loss", [[3.0, 3.1, 3.3], [3.3, 3.1, 3.0], [3.0, 3.2, 3.1], [3.0, 3.0, 3.0]])
def test_a_slice_that_does_not_contain_its_answer_is_refused(loss):
    with pytest.raises(ValueError, match=r"curve upwards|outside"):
        scaling.isoflop_minimum(np.array([1e3, 1e4, 1e5]), np.array(loss))
    with pytest.raises(ValueError, match="three runs"):
        scaling.isoflop_minimum(np.array([1e3, 1e4]), np.array(loss[:2]))


def test_the_frontier_of_a_known_law_is_found_and_edges_are_left_out():
    law = Law(1.2, 20.0, 300.0, 0.42, 0.42)  # equal exponents: a slice is symmetric, and its parabola unbiased
    slices = np.repeat([1e11, 1e12, 1e13, 1e14], 7)
    N = np.concatenate([scaling.compute_optimal(law, C)[0] * 2.0 ** np.arange(-3, 4) for C in slices[::7]])
    D = slices / (6 * N)
    a, log_k, used = scaling.frontier(N, D, law.loss(N, D), slices)
    assert used == 4
    assert a == pytest.approx(0.5, abs=1e-6)
    assert math.exp(log_k) * 1e12**a == pytest.approx(scaling.compute_optimal(law, 1e12)[0], rel=1e-3)
    keep = (slices < 1e14) | (np.arange(28) % 7 < 3)
    assert scaling.frontier(N[keep], D[keep], law.loss(N, D)[keep], slices[keep])[2] == 3
    with pytest.raises(ValueError, match="fewer than two"):
        scaling.frontier(N[:7], D[:7], law.loss(N, D)[:7], slices[:7])


def test_the_price_is_hubers_of_the_logs_summed():
    N, D, loss = runs(REFIT, 9, noise=0.05)
    theta = torch.tensor([math.log(400), math.log(420), math.log(1.7), 0.34, 0.28], dtype=torch.float64)
    r = np.log(1.7 + 400 / N**0.34 + 420 / D**0.28) - np.log(loss)
    naive = sum(x * x / 2 if abs(x) <= 1e-2 else 1e-2 * (abs(x) - 5e-3) for x in r)
    columns = [torch.from_numpy(column) for column in (N, D, loss)]
    assert scaling.fit_objective(theta, *columns, delta=1e-2).item() == pytest.approx(naive, rel=1e-9)


def test_a_fit_without_noise_finds_the_law():
    law = scaling.fit(*[torch.from_numpy(c) for c in runs(REFIT)], scaling.starts()[::8])
    assert (law.E, law.alpha, law.beta) == pytest.approx((REFIT.E, REFIT.alpha, REFIT.beta), rel=1e-3)


def test_a_diverged_run_hardly_moves_the_fit():
    N, D, loss = runs(REFIT, 80, noise=1e-3)
    loss[:3] *= 1.3
    law = scaling.fit(*[torch.from_numpy(c) for c in (N, D, loss)], scaling.starts()[:2])
    assert (law.alpha, law.beta) == pytest.approx((REFIT.alpha, REFIT.beta), rel=0.1)


def test_a_hasty_fit_ends_above_the_lowest_price():
    columns = [torch.from_numpy(c) for c in runs(REFIT, 200, noise=2e-3)]
    ends = []
    for fit in (scaling.fit, scaling.fit_hastily):
        law = fit(*columns, scaling.starts()[:4])
        theta = torch.tensor([math.log(law.A), math.log(law.B), math.log(law.E), law.alpha, law.beta]).double()
        ends.append(scaling.fit_objective(theta, *columns).item())
    assert ends[1] > 1.02 * ends[0]


def test_starts_that_all_end_in_nan_are_named():
    columns = [torch.from_numpy(c) for c in runs(REFIT, 5)]
    with pytest.raises(ValueError, match="NaN"):
        scaling.fit(*columns, torch.full((1, 5), math.nan))


def test_the_recorded_ladder_has_slices_of_equal_work():
    found = scaling.ladder(seed=0)
    assert len(np.unique(found["budget"])) >= 3
    assert found["N"] * found["D"] == pytest.approx(found["budget"] / 6, rel=0.02)
    assert np.isfinite(found["loss"]).all()
    assert (found["loss"] < math.log(256)).all()
    for C in np.unique(found["budget"]):
        assert (found["budget"] == C).sum() >= 4
