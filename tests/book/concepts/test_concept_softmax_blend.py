"""The card on softmax: its numbers are torch's, it moves by mouse and keys, its question accepts only what is right."""

import math

import pytest
import torch

SCORES = [[2, 1, -1], [0, 0, 0], [4, -4, 4], [1000, 999, -1000]]


@pytest.mark.parametrize("scores", SCORES)
@pytest.mark.parametrize("temperature", [0.05, 1, 3.5])
def test_weights_are_torchs_softmax(card, scores, temperature):
    expected = (torch.tensor(scores, dtype=torch.float64) / temperature).softmax(0).tolist()
    found = card("softmax_blend").call("softmax", scores, temperature)
    assert found == pytest.approx(expected, abs=1e-12)


def test_the_blend_and_the_entropy_follow_from_the_weights(card):
    found = card("softmax_blend").call("compute", {"scores": [1, 0, -2], "temperature": 0.5})
    weights = torch.tensor([2.0, 0.0, -4.0], dtype=torch.float64).softmax(0)
    assert found["blend"] == pytest.approx((weights @ torch.tensor([-1.0, 0.5, 1.0], dtype=torch.float64)).item())
    assert found["entropy"] == pytest.approx(-(weights * weights.log()).sum().item())


def test_dragging_a_bar_and_pressing_a_key_move_its_score_within_the_axis(card):
    shown = card("softmax_blend")
    shown.drag("score of mat", 0, -60)
    raised = shown.state()["scores"]
    assert raised[:2] == [2, 1]
    assert raised[2] > 0.5
    shown.slide("score of mat", "ArrowDown", 3)
    assert shown.state()["scores"][2] == pytest.approx(raised[2] - 0.3)
    shown.drag("score of cat", 0, -2000)
    assert shown.state()["scores"][0] == 4


def test_raising_all_scores_alike_changes_no_weight(card):
    shown = card("softmax_blend")
    before = shown.words()
    for key in ("cat", "sat", "mat"):
        shown.slide(f"score of {key}", "ArrowUp", 5)
    assert shown.words() == before


def test_the_slider_moves_the_temperature_and_reset_goes_back(card):
    shown = card("softmax_blend")
    before = shown.words()
    shown.slide("Temperature", "ArrowRight", 10)
    assert shown.state()["temperature"] == pytest.approx(1.5)
    assert shown.words() != before
    shown.page.get_by_role("button", name="Reset").click()
    assert shown.words() == before


def test_the_question_accepts_the_right_temperature_and_explains_wrong_ones(card):
    shown = card("softmax_blend")
    right = shown.call("coldest")
    share = math.exp(2 / right) / sum(math.exp(s / right) for s in (2, 1, -1))
    assert share == pytest.approx(0.9, abs=1e-6)
    assert shown.answer(f"{right:.2f}").startswith("Right.")
    assert "warmer" in shown.answer("0.2")
    assert "Too warm" in shown.answer("1.3")
    assert "above 0" in shown.answer("-1")
    assert "Give a number" in shown.answer("warm")


def test_on_a_phone_it_fits_and_what_is_dragged_is_as_broad_as_a_finger(card):
    shown = card("softmax_blend", width=390)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    for grip in shown.page.get_by_role("slider").all():
        place = grip.bounding_box()
        assert max(place["width"], place["height"]) >= 24
