"""The card on sparse attention: masks are the patterns' diagonals, layers are powers of the mask, cells are chosen."""

from itertools import pairwise

import pytest
import torch

TOLD = {"W": 3, "stride": 3, "global": 5}
PATTERNS = ["full", "window", "dilated", "strided", "global"]


def expected(pattern: str, T: int, W: int, stride: int, place: int) -> torch.Tensor:
    causal = torch.ones(T, T).tril()
    window = causal.triu(1 - W)
    lines = sum(torch.diag(torch.ones(T - n), -n) for n in range(0, T, stride))
    if pattern == "full":
        made = causal
    elif pattern == "window":
        made = window
    elif pattern == "dilated":
        made = sum(torch.diag(torch.ones(T - n * stride), -n * stride) for n in range(W) if n * stride < T)
    elif pattern == "strided":
        made = window + lines
    else:
        cross = torch.zeros(T, T)
        cross[place, :], cross[:, place] = 1, 1
        made = window + cross * causal
    return made > 0


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize(("T", "W", "stride", "place"), [(12, 3, 3, 5), (9, 1, 2, 0), (12, 12, 6, 11)])
def test_masks_are_the_patterns_diagonals(card, pattern, T, W, stride, place):
    found = card("sparse_attention").call("mask", pattern, {"W": W, "stride": stride, "global": place}, T)
    assert found == expected(pattern, T, W, stride, place).tolist()


@pytest.mark.parametrize("pattern", PATTERNS)
def test_layers_are_the_lowest_power_of_the_mask_that_holds_the_pair(card, pattern):
    shown = card("sparse_attention")
    seen = shown.call("mask", pattern, TOLD)
    found = shown.call("layersNeeded", seen)
    matrix = torch.tensor(seen).double()
    powers = [torch.linalg.matrix_power(matrix, n) > 0 for n in range(1, 30)]
    for t in range(12):
        for s in range(12):
            assert found[t][s] == next((n for n, held in enumerate(powers, 1) if held[t, s]), None)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_route_has_as_many_steps_as_layers_and_each_step_is_visible(card, pattern):
    shown = card("sparse_attention")
    for query, key in ((11, 0), (11, 11), (10, 1), (7, 3)):
        found = shown.call("compute", TOLD | {"pattern": pattern, "query": query, "key": key})
        way, needed = found["way"], found["needed"][query][key]
        assert len(way) == (0 if needed is None else needed + 1)
        assert all(found["seen"][later][earlier] for earlier, later in pairwise(way))
        assert not way or (way[0], way[-1]) == (key, query)


def test_the_visible_pairs_are_counted(card):
    shown = card("sparse_attention")
    assert "33 of 78 causal pairs" in shown.words()  # 1 + 2 + 10 rows of 3
    shown.page.get_by_label("Pattern").select_option("Full")
    assert "78 of 78" in shown.words()


def test_a_dilated_window_keeps_tokens_apart_for_ever(card):
    shown = card("sparse_attention")
    shown.page.get_by_label("Pattern").select_option("Dilated window")
    assert "never reaches token 11" in shown.words()
    assert shown.page.locator(".concept-picture").get_by_text("no way").is_visible()


def test_controls_that_move_nothing_are_hidden(card):
    shown = card("sparse_attention")
    assert not shown.page.get_by_label("Stride").is_visible()
    shown.page.get_by_label("Pattern").select_option("Window and every stride-th")
    assert shown.page.get_by_label("Stride").is_visible()
    shown.page.get_by_label("Pattern").select_option("Full")
    assert not shown.page.get_by_label("Window W", exact=True).is_visible()
    shown.page.get_by_label("Pattern").select_option("Window and a global token")
    shown.slide("Global token", "ArrowLeft", 3)
    assert shown.state()["global"] == 3


def test_a_cell_is_chosen_by_a_click_by_dragging_and_by_keys_and_never_lies_in_the_future(card):
    shown = card("sparse_attention")
    place = shown.page.get_by_role("slider", name="chosen cell").bounding_box()  # of row 11, column 0
    cell = shown.page.locator(".concept-picture").bounding_box()["width"] * 25 / 640
    shown.page.mouse.click(place["x"] + place["width"] / 2 + 4 * cell, place["y"] + place["height"] / 2 - 3 * cell)
    assert (shown.state()["query"], shown.state()["key"]) == (8, 4)
    shown.page.get_by_role("button", name="Reset").click()
    shown.slide("chosen cell", "ArrowUp", 2)
    shown.slide("chosen cell", "ArrowRight", 3)
    assert (shown.state()["query"], shown.state()["key"]) == (9, 3)
    shown.drag("chosen cell", 500, -50)
    assert shown.state()["query"] < 9
    assert shown.state()["key"] == shown.state()["query"]


def test_the_window_moves_by_keys(card):
    shown = card("sparse_attention")
    shown.slide("Window W", "ArrowLeft")
    assert "after 11 layers" in shown.words()
    shown.slide("Window W", "ArrowLeft")
    assert "never reaches" in shown.words()


def test_the_question_accepts_the_number_of_layers_and_explains_others(card):
    shown = card("sparse_attention")
    window = expected("window", 12, 4, 1, 0).double()
    right = next(n for n in range(1, 13) if torch.linalg.matrix_power(window, n)[11, 0])
    assert shown.answer(str(right)).startswith("Right.")
    assert "counts the token itself" in shown.answer("3")
    assert "tokens from 8 on" in shown.answer("1")
    assert "fewer" in shown.answer("6")
    assert "whole" in shown.answer("2.5")


def test_on_a_phone_it_fits_and_the_chosen_cell_is_as_broad_as_a_finger(card):
    shown = card("sparse_attention", width=390)
    assert shown.page.evaluate("document.documentElement.scrollWidth") <= 390
    place = shown.page.get_by_role("slider", name="chosen cell").bounding_box()
    assert min(place["width"], place["height"]) >= 24
