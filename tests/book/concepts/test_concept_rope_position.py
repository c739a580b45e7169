"""The card on rotary positions: it turns as source.blocks.positions does, and only the distance moves its score."""

import pytest
import torch

from source.blocks.positions import rope_angles, rotate_halves


@pytest.mark.parametrize("position", [0, 1, 17, 4000])
def test_it_turns_as_the_course_does(card, position):
    vector = torch.linspace(-2, 3, 16, dtype=torch.float64)
    angles = rope_angles(torch.tensor([position], dtype=torch.float64), 16)
    expected = rotate_halves(vector[None], angles)[0].tolist()
    assert card("rope_position").call("rotated", vector.tolist(), position) == pytest.approx(expected, abs=1e-9)


def test_moving_both_marks_alike_leaves_the_score_and_moving_one_does_not(card):
    shown = card("rope_position")
    before = shown.call("compute", {"query": 40, "key": 30, "pair": 2})["score"]
    assert shown.call("compute", {"query": 90, "key": 80, "pair": 2})["score"] == pytest.approx(before, abs=1e-9)
    assert abs(shown.call("compute", {"query": 41, "key": 30, "pair": 2})["score"] - before) > 1e-3


def test_the_marks_move_by_mouse_and_by_keys_within_the_line(card):
    shown = card("rope_position")
    shown.slide("position of the key", "ArrowRight", 4)
    assert shown.state()["key"] == 34
    shown.drag("position of the query", 60, 0)
    assert shown.state()["query"] > 50
    shown.drag("position of the query", 5000, 0)
    assert shown.state()["query"] == 128
    words = shown.words()
    shown.page.get_by_role("button", name="Move both by 16").click()
    assert shown.words() == words  # there is no room left


def test_a_slow_pair_needs_more_positions_for_a_turn(card):
    shown = card("rope_position")
    turns = [shown.call("frequency", i) for i in range(8)]
    assert turns == sorted(turns, reverse=True)
    assert turns[0] == 1


def test_the_question_accepts_only_that_the_score_stays(card):
    shown = card("rope_position")
    assert shown.answer("It falls").startswith("Not yet.")
    assert shown.answer("It rises").startswith("Not yet.")
    assert shown.answer("It stays").startswith("Right.")
