"""The card on long context: torch counts the same multiply-adds in the course's own block; the lines cross truly."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig

from source.models.gpt import Block, Sizes


def counted(T: int, C: int, H: int) -> int:
    """Multiply-adds of the course's block on T tokens, as torch's counter sees them: it counts each as two."""
    with torch.device("meta"):
        block, x = Block(C, H), torch.zeros(1, T, C)
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            block(x)
    return counter.get_total_flops() // 2


@pytest.mark.parametrize(("T", "C", "H"), [(16, 64, 4), (1024, 768, 12), (300, 160, 5)])
def test_multiply_adds_are_those_that_torch_counts(card, T, C, H):
    found = card("long_context_cost").call("blockCost", T, C)
    assert found["quadratic"] + found["rest"] == counted(T, C, H)
    assert counted(2 * T, C, H) - 2 * counted(T, C, H) == 2 * found["quadratic"]  # only the pairs grow faster than T


def test_where_the_masked_half_is_skipped_the_visible_pairs_are_left(card):
    found = card("long_context_cost").call("blockCost", 50, 64, True)
    assert found["quadratic"] == 2 * 64 * int(torch.ones(50, 50).tril().sum())


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("width", [768, 4096])
def test_the_lines_cross_where_it_says(card, width, skip):
    shown = card("long_context_cost")
    at = shown.call("overtake", width, skip)
    found = shown.call("blockCost", at, width, skip)
    assert found["quadratic"] == found["rest"]
    later = shown.call("blockCost", at + 1, width, skip)
    assert later["quadratic"] > later["rest"]


def test_stored_scores_take_what_the_real_tensor_takes(card):
    q = torch.zeros(1, 12, 200, 64, dtype=torch.float16)
    assert card("long_context_cost").call("scoreBytes", 200, 12) == (q @ q.mT).nbytes


def test_the_small_model_is_the_courses_default_and_the_librarys(card):
    shown = card("long_context_cost")
    models = shown.page.evaluate("import('/book/concepts/long_context_cost.js').then(m => m.MODELS)")
    assert (models["small"]["C"], models["small"]["H"]) == (Sizes.width, Sizes.heads)
    gpt2 = AutoConfig.for_model("gpt2")
    assert (models["small"]["C"], models["small"]["H"]) == (gpt2.n_embd, gpt2.n_head)
    assert all(model["C"] % model["H"] == 0 for model in models.values())


def test_the_mark_moves_by_mouse_by_keys_and_by_the_slider_within_the_axis(card):
    shown = card("long_context_cost")
    before = shown.words()
    shown.slide("number of tokens", "ArrowRight", 8)
    assert shown.state()["length"] == 11
    shown.drag("number of tokens", 100, 0)
    assert 12 < shown.state()["length"] < 14.5
    shown.drag("number of tokens", 3000, 0)
    assert shown.state()["length"] == 20
    shown.page.get_by_role("button", name="Reset").click()
    assert shown.words() == before
    shown.slide("Tokens", "ArrowRight", 8)
    assert "2,048 tokens" in shown.words()


def test_the_switch_and_the_width_change_the_share(card):
    shown = card("long_context_cost")

    def share(T: int, C: int) -> str:
        return f"{100 * T / (T + 6 * C):.0f} % for the pairs"  # 2 T² C of 2 T² C + 12 T C²

    assert share(1024, 768) in shown.words()
    shown.page.get_by_label("Skip the pairs").check()
    assert share(1025 / 2, 768) in shown.words()
    shown.page.get_by_label("Skip the pairs").uncheck()
    shown.slide("Tokens", "End")
    shown.page.get_by_label("Width", exact=True).select_option("4096 (GPT-3 6.7B)")
    assert f"{100 * 2**20 / (2**20 + 6 * 4096):.1f} % for the pairs" in shown.words()


def test_the_question_accepts_the_crossing_and_explains_wrong_lengths(card):
    shown = card("long_context_cost")
    right = shown.call("overtake", 4096)
    assert shown.answer(str(right)).startswith("Right.")
    assert shown.answer(str(round(right * 1.05))).startswith("Right.")
    assert "can be longer" in shown.answer("4096")
    assert "masked half is skipped" in shown.answer(str(2 * right))
    assert "shorter text" in shown.answer("1000000")
    assert "at least 1" in shown.answer("0")


def test_on_a_phone_it_fits_and_the_mark_is_as_broad_as_a_finger(card):
    shown = card("long_context_cost", width=390)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown.page.get_by_role("slider", name="number of tokens").bounding_box()["width"] >= 24
