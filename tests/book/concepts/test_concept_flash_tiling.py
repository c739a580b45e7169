"""The card on tiles: whatever their size, the online softmax ends at torch's attention; it steps, plays, goes back."""

import pytest
import torch
import torch.nn.functional as F


def given(T: int, S: int, D: int, seed: int, scale: float = 1.0) -> list[torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(n, D, generator=made, dtype=torch.float64) for n in (T, S, S))
    return [q * scale, k * scale, v]


@pytest.mark.parametrize("tile", [1, 2, 3, 5, 7, 11, 12])
@pytest.mark.parametrize("scale", [1.0, 30.0])  # 30: scores in the hundreds, whose bare exponentials overflow
def test_after_the_last_tile_the_output_is_torchs_attention(card, tile, scale):
    q, k, v = given(3, 11, 4, tile, scale)
    kept = card("flash_tiling").call("tiled", q.tolist(), k.tolist(), v.tolist(), tile)
    found = torch.tensor([[mixed / row["l"] for mixed in row["o"]] for row in kept[-1]], dtype=torch.float64)
    torch.testing.assert_close(found, F.scaled_dot_product_attention(q, k, v), atol=1e-12, rtol=1e-12)


def test_plain_attention_is_torchs(card):
    q, k, v = given(3, 11, 4, 0)
    found = card("flash_tiling").call("plain", q.tolist(), k.tolist(), v.tolist())
    assert found == pytest.approx(F.scaled_dot_product_attention(q, k, v), abs=1e-12)


def test_after_every_tile_maximum_sum_and_output_are_those_of_the_keys_read(card):
    q, k, v = given(2, 10, 3, 1)
    kept = card("flash_tiling").call("tiled", q.tolist(), k.tolist(), v.tolist(), 4)
    assert len(kept) == 4
    for n in (1, 2, 3):
        read = slice(0, 4 * n)  # 4, 8 and all 10
        scores = q @ k[read].T / 3**0.5
        found = kept[n]
        assert [row["m"] for row in found] == pytest.approx(scores.amax(1).tolist())
        sums = (scores - scores.amax(1, keepdim=True)).exp().sum(1)
        assert [row["l"] for row in found] == pytest.approx(sums.tolist())
        outputs = F.scaled_dot_product_attention(q, k[read], v[read])
        for row, output in zip(found, outputs, strict=True):
            assert [mixed / row["l"] for mixed in row["o"]] == pytest.approx(output.tolist())


def test_it_steps_forth_and_back_and_stops_at_both_ends(card):
    shown = card("flash_tiling")
    press = shown.page.get_by_role("button", name="Step", exact=True)
    assert "Press Step" in shown.words()
    press.press("Enter")
    assert "Tile 1 of 4, keys 0 to 2: 12 of 48 scores" in shown.words()
    for _ in range(6):
        press.click()
    assert "All read" in shown.words()
    assert shown.state()["step"] == 4
    for _ in range(6):
        shown.page.get_by_role("button", name="Back").click()
    assert shown.state()["step"] == 0


def stop_time(page) -> None:
    """From now on the page's time passes only when told to: nothing depends on how fast the machine is."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)


def test_it_plays_on_press_only_to_the_end_and_again(card):
    shown = card("flash_tiling")
    stop_time(shown.page)
    shown.page.clock.run_for(5000)
    assert shown.state()["step"] == 0
    play = shown.page.get_by_role("button", name="Play")
    play.click()
    shown.page.get_by_role("button", name="Pause").wait_for()
    shown.page.clock.run_for(1000)
    assert shown.state()["step"] == 2
    shown.page.get_by_role("button", name="Pause").click()
    shown.page.clock.run_for(5000)
    assert shown.state()["step"] == 2
    play.click()
    shown.page.clock.run_for(9000)
    assert shown.state()["step"] == 4
    play.click()
    assert shown.state()["step"] == 1
    shown.page.get_by_role("button", name="Reset").click()
    shown.page.clock.run_for(5000)
    assert shown.state()["step"] == 0


def test_who_asked_for_less_motion_gets_one_step_a_press(card):
    shown = card("flash_tiling")
    shown.page.emulate_media(reduced_motion="reduce")
    stop_time(shown.page)
    shown.page.get_by_role("button", name="Play").click()
    shown.page.clock.run_for(5000)
    assert shown.state()["step"] == 1


def test_a_longer_tile_holds_more_and_needs_fewer_steps(card):
    shown = card("flash_tiling")
    shown.slide("Keys in a tile", "End")
    shown.page.get_by_role("button", name="Step", exact=True).click()
    assert "Tile 1 of 1, keys 0 to 11: 48 of 48 scores" in shown.words()
    assert "All read" in shown.words()


def test_the_question_counts_the_maxima_that_rise(card):
    shown = card("flash_tiling")
    q, k = (shown.page.evaluate(f"import('/book/concepts/flash_tiling.js').then(m => m.{name})") for name in "QK")
    scores = torch.tensor(q, dtype=torch.float64)[2] @ torch.tensor(k, dtype=torch.float64).T
    maxima = scores.view(6, 2).amax(1).cummax(0).values
    right = int((maxima.diff() > 0).sum())
    assert shown.answer(str(right)).startswith("Right.")
    assert "first tile does not count" in shown.answer(str(right + 1))
    assert "Count how often" in shown.answer("5")


def test_on_a_phone_it_fits(card):
    assert card("flash_tiling", width=390).page.evaluate("document.documentElement.scrollWidth") <= 390
