"""The card on parallel positions: one masked pass gives what each prefix alone gives; it says who sees whom."""

import numpy as np
import pytest
import torch

from book.concepts.figures_one_token_at_a_time import WORDS, counts
from book.concepts.figures_parallel_context import TEXT, predict

T = len(TEXT)


def attended(tokens, *, mask):
    """The card's layer by torch's own attention: scores that fall with the distance, values what follows each word."""
    n = len(tokens)
    place = torch.arange(n, dtype=torch.float64)
    bias = -(place[:, None] - place[None]).abs()
    if mask:
        bias = bias.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), -torch.inf)
    values = torch.tensor(counts() + 1, dtype=torch.float64)[[WORDS.index(token) for token in tokens]]
    values = values / values.sum(1, keepdim=True)
    none = torch.zeros(1, n, 4, dtype=torch.float64)
    return torch.nn.functional.scaled_dot_product_attention(none, none, values[None], attn_mask=bias)[0].numpy()


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("tokens", [list(TEXT), ["my", "love"], ["what", "is", "love", "to", "the", "king", "."]])
def test_predictions_are_attentions(card, tokens, mask):
    found = np.array(card("parallel_context").call("predict", tokens, mask))
    np.testing.assert_allclose(found, attended(tokens, mask=mask), atol=1e-12)
    np.testing.assert_allclose(found, predict(tokens, mask=mask), atol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1)


def test_with_the_mask_one_pass_gives_what_each_prefix_alone_gives(card):
    shown, text = card("parallel_context"), list(TEXT)
    whole = shown.call("predict", text, True)
    for t in range(T):
        assert shown.call("predict", text[: t + 1], True)[-1] == pytest.approx(whole[t], abs=1e-12)
    assert shown.call("predict", text[:3], False)[-1] != pytest.approx(shown.call("predict", text, False)[2], abs=1e-3)


@pytest.mark.parametrize("position", range(T))
def test_a_word_changes_its_own_prediction_and_later_ones(card, position):
    shown = card("parallel_context")
    state = {"position": position, "word": "love", "mask": True}
    assert shown.call("compute", state)["changed"] == list(range(position, T))
    assert shown.call("compute", state | {"mask": False})["changed"] == list(range(T))
    assert shown.call("compute", state | {"word": TEXT[position]})["changed"] == []


def test_losses_are_cross_entropies_with_the_words_behind(card):
    found = card("parallel_context").call("compute", {"position": 1, "word": "love", "mask": True})
    targets = ["love", ".", "you", "are", "a", "good"]
    assert found["targets"] == targets
    predictions = torch.tensor(predict(["the", *targets[:-1]]))
    expected = torch.nn.functional.nll_loss(predictions.log(), torch.tensor([WORDS.index(w) for w in targets]))
    assert found["loss"] == pytest.approx(expected.item())


def test_a_word_is_replaced_and_the_frame_moves_by_mouse_and_by_keys(card):
    shown = card("parallel_context")
    assert "No word is replaced" in shown.words()
    shown.page.get_by_label("Word there").select_option("love")
    assert "4 of 6 positions: 2, 3, 4, 5." in shown.words()
    assert shown.page.locator(".concept-picture text", has_text="changed").count() == 4
    shown.slide("position replaced", "ArrowRight", 2)
    assert "2 of 6 positions: 4, 5." in shown.words()
    shown.drag("position replaced", -1000, 0)
    assert shown.state()["position"] == 0
    shown.page.get_by_label("Causal mask").uncheck()
    shown.slide("position replaced", "ArrowRight", 9)
    assert shown.state()["position"] == 5
    assert "6 of 6 positions" in shown.words()
    shown.page.get_by_role("button", name="Reset").click()
    assert "No word is replaced" in shown.words()


def test_training_uses_six_predictions_and_decoding_the_last(card):
    shown = card("parallel_context")
    assert "6 predictions, all judged" in shown.words()
    shown.page.get_by_label("Used for").select_option("decoding")
    last = predict(list(TEXT))[-1]
    assert f"one used: “{WORDS[last.argmax()]}”, {last.max():.0%}".replace("%", " %") in shown.words()
    assert shown.page.locator(".concept-picture text", has_text="not used").count() == T - 1


def test_the_question_counts_who_can_see_and_explains_other_counts(card):
    shown = card("parallel_context")
    assert shown.call("reach", 2, True) == 4
    assert shown.answer("4").startswith("Right.")
    assert "without the mask" in shown.answer("6")
    assert "ones that stay" in shown.answer("2")
    assert "Its own prediction" in shown.answer("1")
    assert "sees itself" in shown.answer("3")
    assert "count the rows" in shown.answer("5")


def test_on_a_phone_it_fits_and_the_frame_is_as_broad_as_a_finger(card):
    shown = card("parallel_context", width=390)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    place = shown.page.get_by_role("slider", name="position replaced").bounding_box()
    assert min(place["width"], place["height"]) >= 24


def test_on_a_phone_the_mark_of_a_changed_row_is_explained(card):
    shown = card("parallel_context", width=390)
    marks = shown.page.locator(".concept-picture text", has_text="Δ")
    assert marks.count() == 0
    shown.page.get_by_label("Word there").select_option("love")
    assert marks.count() == 5
    assert marks.last.text_content() == "Δ changed"
