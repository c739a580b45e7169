"""The card on a block's two halves: its numbers are a matrix product and a ReLU network's; neither half does both."""

import pytest
import torch


@pytest.mark.parametrize("share", [0, 0.25, 1])
@pytest.mark.parametrize("feed_forward", [False, True])
def test_a_block_is_a_row_of_weights_and_a_relu_network(card, share, feed_forward):
    x = torch.tensor([-3.0, 1.0, 2.0, 0.5], dtype=torch.float64)
    weights = torch.eye(4, dtype=torch.float64)
    weights[2] = torch.tensor([share, 0, 1 - share, 0])
    expected = weights @ x
    out = expected.abs() if feed_forward else expected
    told = {"from": 0, "to": 2, "share": share, "attention": True, "feedForward": feed_forward}
    found = card("attention_routes").call("block", x.tolist(), told)
    assert found["mixed"] == pytest.approx(expected.tolist())
    assert found["out"] == pytest.approx(out.tolist())


def test_without_attention_no_number_moves_and_without_the_network_none_bends(card):
    shown = card("attention_routes")
    off = shown.call("block", [-3, 4], {"from": 0, "to": 1, "share": 1, "attention": False, "feedForward": True})
    assert off["out"] == [3, 4]
    on = shown.call("block", [-3, 4], {"from": 0, "to": 1, "share": 1, "attention": True, "feedForward": False})
    assert on["out"] == [-3, -3]


def test_switches_and_slider_work_by_keys(card):
    shown = card("attention_routes")
    assert "Position 4 holds −3" in shown.words()
    shown.slide("Feed-forward network", "Space")
    assert "Position 4 holds 3" in shown.words()
    shown.slide("How much position 4 looks at position 1", "Home")
    assert "Position 4 holds 0" in shown.words()
    shown.slide("Attention", "Space")
    assert shown.state()["attention"] is False


def test_the_question_accepts_both_only(card):
    shown = card("attention_routes")
    assert "between" in shown.answer("Attention alone")
    assert "own number" in shown.answer("The feed-forward network alone")
    assert shown.answer("Both").startswith("Right.")
