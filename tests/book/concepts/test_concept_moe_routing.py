"""The card on routing: torch's softmax and top-k choose the same, the losses are the library's, slots are kept to."""

import pytest
import torch
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func as mixtral_loss
from transformers.models.switch_transformers.modeling_switch_transformers import load_balancing_loss_func as switch_loss

START = {"k": 1, "bias": 0, "temperature": 1, "factor": 1}


def logits(seed: int, T: int = 20, E: int = 6) -> torch.Tensor:
    return 2 * torch.randn(T, E, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_probabilities_and_choices_are_torchs(card, k):
    scores = logits(k)
    found = card("moe_routing").call("routed", scores.tolist(), k)
    expected = scores.softmax(-1)
    assert torch.tensor(found["probabilities"], dtype=torch.float64).allclose(expected, atol=1e-12)
    assert found["choices"] == expected.topk(k, -1).indices.tolist()


def test_the_balancing_loss_is_switch_transformers(card):
    shown = card("moe_routing")
    found = shown.call("routed", logits(4).tolist(), 1)
    probabilities, choices = torch.tensor(found["probabilities"]), torch.tensor(found["choices"])
    expected = switch_loss(probabilities[None], choices.T)  # (1, T, E), (1, T)
    assert shown.call("balance", found["probabilities"], found["choices"])["loss"] == pytest.approx(expected.item())


def test_with_two_choices_it_is_mixtrals_over_two(card):
    shown, scores = card("moe_routing"), logits(5)
    found = shown.call("routed", scores.tolist(), 2)
    expected = mixtral_loss((scores.float(),), num_experts=6, top_k=2) / 2  # there f sums to k, here to one
    loss = shown.call("balance", found["probabilities"], found["choices"])["loss"]
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_an_even_router_has_loss_one_and_a_collapsed_one_as_many_as_experts(card):
    shown = card("moe_routing")
    assert shown.call("balance", [[0.25] * 4] * 4, [[0], [1], [2], [3]])["loss"] == pytest.approx(1)
    assert shown.call("balance", [[1, 0, 0, 0]] * 4, [[0]] * 4)["loss"] == pytest.approx(4)


@pytest.mark.parametrize("capacity", [0, 1, 3, 7, 20])
@pytest.mark.parametrize("k", [1, 2])
def test_slots_go_to_first_choices_in_the_tokens_order_and_none_is_lost_from_the_count(card, k, capacity):
    choices = logits(7).topk(k, -1).indices  # (T, k)
    found = card("moe_routing").call("dispatched", choices.tolist(), 6, capacity)
    chosen = torch.nn.functional.one_hot(choices.T.flatten(), 6)  # (k T, E): all first choices, then all second ones
    place = chosen.cumsum(0) * chosen  # which in its expert's queue, from 1; as GShard counts it
    for expert in range(6):
        queue = [(row % 20, int(place[row, expert])) for row in range(20 * k) if chosen[row, expert]]
        assert found["taken"][expert] == [token for token, n in queue if n <= capacity]
        assert found["refused"][expert] == [token for token, n in queue if n > capacity]


@pytest.mark.parametrize("change", [{}, {"k": 2}, {"factor": 0.5}, {"bias": 3, "factor": 1.25}, {"k": 2, "bias": -3}])
def test_loads_drops_and_empty_slots_add_up(card, change):
    found = card("moe_routing").call("compute", START | change)
    k = change.get("k", 1)
    assert found["capacity"] == int(change.get("factor", 1) * k * 16 / 4)
    assert sum(found["load"]) == 16 * k
    assert found["dropped"] == sum(max(0, load - found["capacity"]) for load in found["load"])
    assert found["empty"] == sum(max(0, found["capacity"] - load) for load in found["load"])
    assert set(found["lost"]) == set(range(16)) - {token for row in found["taken"] for token in row}


def test_a_bias_moves_tokens_to_its_expert_and_the_temperature_moves_none(card):
    shown = card("moe_routing")
    loads = [shown.call("compute", START | {"bias": bias})["load"][0] for bias in (-3, -1, 0, 1, 3)]
    assert loads == sorted(loads)
    assert loads[0] < loads[-1]
    choices = [shown.call("compute", START | {"temperature": t})["choices"] for t in (0.25, 1, 4)]
    assert choices[0] == choices[1] == choices[2]


def test_it_moves_by_keys_and_choice_and_reset_goes_back(card):
    shown = card("moe_routing")
    before = shown.words()
    shown.slide("Bias of expert 0", "End")
    assert shown.state()["bias"] == 3
    assert shown.words() != before
    shown.page.get_by_label("Experts for each token").select_option("2")
    shown.slide("Capacity factor", "ArrowLeft", 2)
    assert "room for 4 each" in shown.words()
    assert "by all experts" in shown.words()
    shown.page.get_by_role("button", name="Reset").click()
    assert shown.words() == before


def test_the_question_accepts_only_that_the_loads_stay(card):
    shown = card("moe_routing")
    assert "probabilities even out" in shown.answer("They even out")
    assert "sharpens nothing" in shown.answer("They grow more uneven")
    assert shown.answer("They stay").startswith("Right.")


def test_on_a_phone_it_fits(card):
    assert card("moe_routing", width=390).page.evaluate("document.documentElement.scrollWidth") <= 390
