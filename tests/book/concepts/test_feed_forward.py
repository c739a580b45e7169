"""The card on the feed-forward network: activations are torch's, the sum is a real network's, corners are counted."""

import pytest
import torch
import torch.nn.functional as F

KINDS = {"relu": F.relu, "gelu": F.gelu, "silu": F.silu, "none": lambda x: x}
UNITS = [{"edge": -1, "slope": 2, "out": 0.5}, {"edge": 0.3, "slope": -1, "out": 3}, {"edge": 2, "slope": 1, "out": -1}]


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_is_two_layers_of_torch(card, kind):
    x = torch.linspace(-3, 3, 7, dtype=torch.float64)
    slope, edge, out = (torch.tensor([u[n] for u in UNITS], dtype=torch.float64) for n in ("slope", "edge", "out"))
    expected = KINDS[kind](x[:, None] * slope - slope * edge) @ out
    shown = card("feed_forward")
    found = [shown.call("network", value, UNITS, kind) for value in x.tolist()]
    assert found == pytest.approx(expected.tolist(), abs=1e-6)


def test_corners_are_counted_and_can_cancel(card):
    shown = card("feed_forward")
    assert shown.call("corners", UNITS, "relu") == 3
    assert shown.call("corners", [UNITS[0], UNITS[0]], "relu") == 1
    opposite = [{"edge": 0, "slope": 1, "out": 1}, {"edge": 0, "slope": 1, "out": -1}]
    assert shown.call("corners", opposite, "relu") == 0
    assert shown.call("corners", UNITS, "gelu") == 0


def test_edges_move_by_mouse_and_by_keys_and_meet(card):
    shown = card("feed_forward")
    assert "3 corners" in shown.words()
    shown.slide("edge of unit 1", "ArrowRight", 15)
    assert shown.state()["units"][0]["edge"] == pytest.approx(0)
    assert "2 corners" in shown.words()
    shown.drag("edge of unit 3", -5000, 0)
    assert shown.state()["units"][2]["edge"] == -3


def test_the_question_accepts_lines_only(card):
    shown = card("feed_forward")
    for wrong in ("The same as before", "Any smooth curve"):
        assert shown.answer(wrong).startswith("Not yet.")
    assert shown.answer("Straight lines only").startswith("Right.")
