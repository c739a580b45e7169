"""The card on queries, keys and values: its projections are matrix products, and its scores mirror when W_Q = W_K."""

import pytest
import torch

X = [[0.9, 0.1], [0.3, 0.8], [-0.7, 0.5]]


def turning(degrees):
    """x W for this W is x times e^(i angle), read as complex numbers: computed by other means than the card's."""
    turn = torch.polar(torch.tensor(1.0, dtype=torch.float64), torch.deg2rad(torch.tensor(float(degrees)).double()))
    return torch.view_as_real(torch.view_as_complex(torch.eye(2, dtype=torch.float64)) * turn)


@pytest.mark.parametrize(("q", "k", "v"), [(0, 60, -45), (35, 35, 180), (-120, 10, 5)])
def test_the_views_are_products_and_the_scores_are_queries_times_keys(card, q, k, v):
    x = torch.tensor(X, dtype=torch.float64)
    queries, keys, values = x @ turning(q), x @ turning(k), x @ turning(v)
    found = card("qkv_three_views").call("compute", {"x": X, "q": q, "k": k, "v": v})
    for name, expected in (("queries", queries), ("keys", keys), ("values", values), ("scores", queries @ keys.T)):
        torch.testing.assert_close(torch.tensor(found[name], dtype=torch.float64), expected, atol=1e-12, rtol=0)


def test_scores_mirror_only_with_equal_projections_whatever_the_tokens_are(card):
    shown = card("qkv_three_views")
    for x in (X, [[0.2, -0.6], [0, 1], [0.5, 0.5]]):
        assert shown.call("compute", {"x": x, "q": 25, "k": 25, "v": 0})["apart"] < 1e-12
        assert shown.call("compute", {"x": x, "q": 25, "k": 40, "v": 0})["apart"] > 0.05


def test_the_button_makes_the_matrix_symmetric_and_reset_undoes_it(card):
    shown = card("qkv_three_views")
    before = shown.words()
    assert "differ" in before
    shown.page.get_by_role("button", name="Make W_Q = W_K").click()
    assert "symmetric" in shown.words()
    assert shown.state()["q"] == shown.state()["k"] == 60
    shown.page.get_by_role("button", name="Reset").click()
    assert shown.words() == before


def test_turning_the_values_moves_no_score(card):
    shown = card("qkv_three_views")
    before = shown.words()
    shown.slide("Turn W_V", "ArrowRight", 4)
    assert shown.state()["v"] == -25
    assert shown.words() == before


def test_a_token_moves_by_mouse_and_by_keys_and_stays_in_its_circle(card):
    shown = card("qkv_three_views")
    before = shown.words()
    shown.drag("vector of fox", -30, 10)
    moved = shown.state()["x"][1]
    assert moved[0] < 0.1
    assert moved[1] < 0.75
    assert shown.words() != before
    shown.slide("vector of fox", "ArrowRight", 2)
    assert shown.state()["x"][1] == pytest.approx([moved[0] + 0.1, moved[1]])
    shown.drag("vector of old", 2000, -2000)
    assert shown.state()["x"][0] == pytest.approx([0.71, 0.71], abs=0.05)
    assert shown.state()["x"][2] == X[2]


def test_the_question_accepts_the_angle_of_the_highest_score_and_explains_others(card):
    shown = card("qkv_three_views")
    right = shown.call("sharpest")
    x, keys = torch.tensor(X, dtype=torch.float64), torch.tensor(X, dtype=torch.float64) @ turning(60)
    best = max(range(-180, 181), key=lambda q: float((x @ turning(q))[0] @ keys[1]))
    assert right == best
    assert shown.answer(str(5 * round(right / 5))).startswith("Right.")
    assert "both ways score the same" in shown.answer("60")
    assert "with a larger angle" in shown.answer(str(right - 40))
    assert "with a smaller angle" in shown.answer(str(right + 30))
    assert "from −180 to 180" in shown.answer("400")


def test_on_a_phone_it_fits_and_what_is_dragged_is_as_broad_as_a_finger(card):
    shown = card("qkv_three_views", width=390)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    for grip in shown.page.locator(".concept-handle").all():
        place = grip.bounding_box()
        assert min(place["width"], place["height"]) >= 24
