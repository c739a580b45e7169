"""The card on quantization: it rounds as the definition says, group by group, and an outlier costs its neighbours."""

import pytest
import torch


def expected(values, bits, group):
    rows = torch.tensor(values, dtype=torch.float64).view(-1, group)
    scale = rows.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return ((rows / scale).round() * scale).flatten().tolist()


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("group", [8, 64])
def test_it_rounds_to_the_nearest_step_of_each_groups_scale(card, bits, group):
    torch.manual_seed(bits)
    values = torch.randn(64, dtype=torch.float64).tolist()
    found = card("quantization_error").call("quantized", values, bits, group)
    assert found["out"] == pytest.approx(expected(values, bits, group), abs=1e-12)
    assert len(found["scales"]) == 64 // group


def test_a_group_of_zeros_stays_zero(card):
    assert card("quantization_error").call("quantized", [0, 0, 0, 0], 4, 4)["out"] == [0, 0, 0, 0]


def test_its_weights_are_normal_quantiles_but_for_the_outlier(card):
    found = sorted(card("quantization_error").call("weights", 0))
    expected_row = torch.special.ndtri((torch.arange(64).double() + 0.5) / 64).tolist()
    lost = expected_row.pop((41 * 37) % 64)
    assert abs(lost) < 3
    found.remove(0)
    assert found == pytest.approx(expected_row, abs=1e-4)


def test_an_outlier_costs_more_than_a_bit_and_groups_keep_the_damage_local(card):
    shown = card("quantization_error")

    def error(**told):
        return shown.call("compute", {"bits": 4, "group": 64, "outlier": 2} | told)["error"]

    assert error(outlier=20) > 2 * error() > 2 * error(bits=5)
    assert error(outlier=20, group=8) < error(outlier=20, bits=5)


def test_the_sliders_tell_bits_and_scales(card):
    shown = card("quantization_error")
    assert "4.25 bits" in shown.words()
    shown.slide("Bits", "ArrowRight", 2)
    shown.page.get_by_label("Weights that share a scale").select_option("8")
    assert "8.00 bits" in shown.words()


def test_the_question_accepts_groups_only(card):
    shown = card("quantization_error")
    assert shown.answer("One bit more").startswith("Not yet.")
    assert shown.answer("A scale for every 8").startswith("Right.")
