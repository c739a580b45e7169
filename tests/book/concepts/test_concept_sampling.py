"""The card on sampling: its cuts are those of transformers' own warpers, in its order; its question is judged truly."""

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

LOGITS = [3.1, 2.6, 1.9, 1.7, 1.2, 0.4, 0.1, -0.6, -2.0, -3.2]


def expected(logits, temperature, k, p):
    """transformers' temperature, then top-k, then top-p."""
    scores = torch.tensor([logits], dtype=torch.float64)
    warpers = [TemperatureLogitsWarper(float(temperature))]
    warpers += [TopKLogitsWarper(k)] if k else []
    warpers += [TopPLogitsWarper(p)] if p < 1 else []
    for warp in warpers:
        scores = warp(None, scores)
    return scores.softmax(-1)[0].tolist()


@pytest.mark.parametrize(
    ("temperature", "k", "p"), [(1, 0, 1), (0.5, 0, 0.9), (2.5, 3, 1), (1, 4, 0.7), (3, 0, 0.05), (0.1, 10, 0.99)]
)
def test_it_cuts_as_transformers_does(card, temperature, k, p):
    found = card("sampling").call("reshaped", LOGITS, {"temperature": temperature, "k": k, "p": p})
    assert found["drawn"] == pytest.approx(expected(LOGITS, temperature, k, p), abs=1e-9)
    assert found["kept"] == sum(value > 0 for value in found["drawn"])


def test_one_token_always_stays(card):
    found = card("sampling").call("reshaped", [0, 0, 0], {"temperature": 1, "k": 1, "p": 0.05})
    assert found["drawn"] == [1, 0, 0]


def test_sliders_by_keyboard_cut_the_tail_and_reset_brings_it_back(card):
    shown = card("sampling")
    assert shown.words().startswith("10 of 10")
    shown.slide("Top-k", "ArrowRight", 3)
    assert shown.words().startswith("3 of 10")
    assert shown.page.locator(".concept-picture text", has_text="cut").count() == 7
    shown.page.get_by_role("button", name="Reset").click()
    assert shown.words().startswith("10 of 10")


def test_warming_keeps_more_tokens_under_top_p_and_not_under_top_k(card):
    shown = card("sampling")
    kept = [
        [shown.call("compute", {"temperature": t, "k": k, "p": p})["kept"] for t in (0.5, 1, 2)]
        for k, p in ((0, 0.9), (4, 1))
    ]
    assert kept[0][0] < kept[0][1] < kept[0][2]
    assert kept[1] == [4, 4, 4]


def test_the_question_accepts_the_lowest_p_and_explains_others(card):
    shown = card("sampling")
    full = torch.tensor(LOGITS, dtype=torch.float64).softmax(0)
    right = shown.call("lowestFor", "gold")
    assert right - 0.01 <= full[:5].sum() < right
    assert shown.answer(f"{right:.2f}").startswith("Right.")
    assert "lower" in shown.answer("0.99")
    assert "cut" in shown.answer("0.5")
    assert "at most 1" in shown.answer("90")
