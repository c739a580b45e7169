"""The card on scores: they are the course's scaled scores; tips move by mouse and keys; length cannot turn a sign."""

import pytest
import torch

from source.attention.dot_product import scaled_scores


@pytest.mark.parametrize("D", [1, 2, 5])
def test_scores_are_the_courses(card, D):
    torch.manual_seed(D)
    Q, K = torch.randn(3, D, dtype=torch.float64), torch.randn(4, D, dtype=torch.float64)
    found = torch.tensor(card("relevance_scoring").call("scores", Q.tolist(), K.tolist()), dtype=torch.float64)
    torch.testing.assert_close(found, scaled_scores(Q, K))


def test_angles_and_lengths_explain_the_score(card):
    found = card("relevance_scoring").call("compute", {"query": [3, 0], "keys": [[0, 2], [1, 1], [-2, 0]]})
    assert found["angles"] == pytest.approx([90, 45, 180])
    assert found["sizes"] == pytest.approx([2, 2**0.5, 2])
    assert found["best"] == 1


def test_tips_move_by_mouse_and_by_keys_within_the_plane(card):
    shown = card("relevance_scoring")
    shown.slide("query of “it”", "ArrowLeft", 5)
    assert shown.state()["query"] == pytest.approx([1.9, 0.6])
    shown.drag("key of “sat”", 60, 0)
    x, y = shown.state()["keys"][2]
    assert x > -1.2
    assert y == pytest.approx(1)
    shown.drag("key of “sat”", 0, -5000)
    assert shown.state()["keys"][2][1] == pytest.approx(3.2)


def test_the_question_accepts_only_that_length_does_not_help(card):
    shown = card("relevance_scoring")
    assert shown.answer("Yes, if it is long enough").startswith("Not yet.")
    assert shown.answer("Never").startswith("Right.")


def test_on_a_phone_the_tips_are_as_broad_as_a_finger(card):
    shown = card("relevance_scoring", width=390)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    for grip in shown.page.get_by_role("slider").all():
        assert grip.bounding_box()["width"] >= 24
