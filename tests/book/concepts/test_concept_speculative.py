"""The card on speculative decoding: what comes out is the target's distribution, whatever the draft proposes."""

from itertools import product

import pytest
import torch

PAIRS = [
    ([0.37, 0.26, 0.15, 0.12, 0.07, 0.03], [0.19, 0.41, 0.1, 0.05, 0.15, 0.1]),
    ([0.5, 0.5, 0, 0, 0, 0], [0, 0, 0.25, 0.25, 0.25, 0.25]),  # nothing in common
    ([0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4]),  # the same: nothing is ever refused
    ([0, 0.9, 0.1], [0.6, 0.4, 0]),
    *[tuple(torch.rand(2, 6, generator=torch.manual_seed(s)).softmax(1).tolist()) for s in range(3)],
]
START = {"target": PAIRS[0][0], "draft": PAIRS[0][1], "share": 0, "gamma": 4, "steps": 1}


def test_summed_over_all_ways_a_token_comes_out_with_the_targets_probability(card):
    shown = card("speculative")
    for p, q in PAIRS:
        kept = torch.tensor(shown.call("acceptance", p, q)).double()
        instead = torch.tensor(shown.call("residual", p, q)).double()
        draft, target, out = torch.tensor(q).double(), torch.tensor(p).double(), torch.zeros(len(p)).double()
        for proposed, final in product(range(len(p)), repeat=2):
            out[final] += draft[proposed] * (1 - kept[proposed]) * instead[final]
            out[final] += draft[proposed] * kept[proposed] * (proposed == final)
        torch.testing.assert_close(out, target, atol=1e-6, rtol=0)
        assert shown.call("outcome", p, q) == pytest.approx(p, abs=1e-6)


def test_the_share_accepted_is_what_the_two_have_in_common(card):
    shown = card("speculative")
    for p, q in PAIRS:
        common = torch.minimum(torch.tensor(p), torch.tensor(q)).sum().item()
        assert shown.call("accepts", p, q) == pytest.approx(common, abs=1e-6)


def test_tokens_a_step_are_the_mean_over_where_the_first_refusal_falls(card):
    shown = card("speculative")
    for a, gamma in product([0, 0.3, 0.7, 1], [1, 4, 8]):
        refused_at = [(a**n) * (1 - a) * (n + 1) for n in range(gamma)]
        assert shown.call("tokensPerStep", a, gamma) == pytest.approx(sum(refused_at) + a**gamma * (gamma + 1))


@pytest.mark.parametrize(("p", "q"), [PAIRS[0], PAIRS[1]])
def test_what_is_drawn_approaches_the_target_and_the_expected_length(card, p, q):
    steps = 4000
    found = card("speculative").call("compute", START | {"target": p, "draft": q, "steps": steps})
    noise = (torch.tensor(p) * (1 - torch.tensor(p)) / found["tokens"]).sqrt()
    assert bool(((torch.tensor(found["shares"]) - torch.tensor(p)).abs() <= 4 * noise + 1e-9).all())
    assert found["tokens"] / steps == pytest.approx(found["perStep"], abs=0.1)
    assert (torch.tensor(found["shares"]) - torch.tensor(q)).abs().max() > 0.1  # and is not the draft's


def test_one_step_keeps_what_is_before_the_first_refusal_and_adds_one_token(card):
    shown = card("speculative")
    script = """all => import('/book/concepts/speculative.js').then(m => all.map(([p, q, uniforms]) => {
      const left = [...uniforms];
      return m.oneStep(p, q, 2, () => left.shift());
    }))"""
    p, q = [0.1, 0.9], [0.5, 0.5]  # token 0 is accepted with probability 0.2, token 1 always
    told = [
        [p, q, [0.9, 0.1, 0.99, 0.21, 0.0]],  # proposes 1, 0; keeps 1; refuses 0; draws from the residual: 1
        [p, q, [0.1, 0.1, 0.19, 0.19, 0.05]],  # proposes 0, 0; keeps both; one more from p: 0
        [p, q, [0.1, 0.9, 0.5, 0.0]],  # refuses the first: the second is not looked at
    ]
    assert shown.page.evaluate(script, told) == [
        {"proposed": [1, 0], "kept": 1, "out": [1, 1]},
        {"proposed": [0, 0], "kept": 2, "out": [0, 0, 0]},
        {"proposed": [0, 1], "kept": 0, "out": [1]},
    ]


def test_the_random_numbers_are_uniform_and_the_same_for_everybody(card):
    shown = card("speculative")
    script = "seed => import('/book/concepts/speculative.js').then(m => Array.from({length: 2000}, m.generator(seed)))"
    numbers = torch.tensor(shown.page.evaluate(script, 7), dtype=torch.float64)
    assert numbers.tolist() == shown.page.evaluate(script, 7)
    assert 0 <= numbers.min() < numbers.max() < 1
    assert torch.histc(numbers, 10, 0, 1).tolist() == pytest.approx([200] * 10, abs=60)


def test_a_bar_moves_by_mouse_and_keys_and_its_distribution_still_sums_to_one(card):
    shown = card("speculative")
    shown.drag("target’s probability of F", 0, -50)
    target = shown.state()["target"]
    assert target[5] > 0.15
    assert sum(target) == pytest.approx(1)
    assert target[0] / target[1] == pytest.approx(0.37 / 0.26)
    shown.slide("draft’s probability of B", "ArrowDown", 5)
    draft = shown.state()["draft"]
    assert draft[1] == pytest.approx(0.36)
    assert sum(draft) == pytest.approx(1)
    shown.drag("draft’s probability of A", 0, -2000)
    shown.drag("target’s probability of A", 0, 2000)
    for distribution in (shown.state()["draft"], shown.state()["target"]):
        assert sum(distribution) == pytest.approx(1)
        assert all(-1e-12 <= value <= 0.6 + 1e-12 for value in distribution)


def test_moving_the_draft_to_the_target_accepts_everything_and_dragging_it_starts_there(card):
    shown = card("speculative")
    assert shown.words().startswith("70 %")
    shown.slide("Draft toward target", "End")
    assert shown.words().startswith("100 %")
    assert "5.00 tokens" in shown.words()
    shown.slide("draft’s probability of A", "ArrowUp")
    assert shown.state()["share"] == 0
    assert shown.state()["draft"][0] == pytest.approx(0.38)
    shown.page.get_by_role("button", name="Reset").click()
    assert shown.words().startswith("70 %")


def test_more_steps_are_counted_and_drawn(card):
    shown = card("speculative")
    shown.page.get_by_role("button", name="100 steps more").click()
    shown.page.get_by_role("button", name="One step more").press("Enter")
    assert "Measured over 102 steps" in shown.words()
    shown.slide("Proposals a step", "Home")
    assert "With 1 proposal one step of the target gives 1.70 tokens" in shown.words()


def test_the_question_accepts_the_share_that_gives_four_tokens_and_explains_others(card):
    shown = card("speculative")
    right = shown.call("shareFor", 4)
    accepted = 1 - (1 - right) * 0.3  # moving the draft by a share takes that share of the distance away
    assert sum(accepted**n for n in range(5)) == pytest.approx(4)
    assert shown.answer(f"{right:.2f}").startswith("Right.")
    assert "closer" in shown.answer("0.3")
    assert "need not" in shown.answer("0.9")
    assert "slider’s value" in shown.answer("62")


def test_on_a_phone_it_fits_and_what_is_dragged_is_as_broad_as_a_finger(card):
    shown = card("speculative", width=390)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    for grip in shown.page.get_by_role("slider").all():
        place = grip.bounding_box()
        assert min(place["width"], place["height"]) >= 24
