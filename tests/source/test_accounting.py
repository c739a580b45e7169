"""Counts against the real thing: modules' own parameters, PyTorch's FLOP counter, autograd's saved tensors."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from source import accounting as cost
from source.blocks.gpt2_block import Block, causal_mask
from source.memory import saved_bytes
from source.models.gpt import GPT, Sizes

SIZES = [Sizes(), Sizes(256, 64, 48, 3, 5), Sizes(17, 1, 4, 1, 0)]


@pytest.mark.parametrize("sizes", SIZES)
def test_parameters_are_those_of_the_model(sizes):
    with torch.device("meta"):
        model = GPT(sizes)
    assert sum(cost.parameters(cost.of_gpt(sizes)).values()) == sum(p.numel() for p in model.parameters())


def test_known_models_have_their_published_number_of_parameters():
    assert sum(cost.parameters(cost.GPT2_SMALL).values()) == 124_439_808
    assert sum(cost.parameters(cost.LLAMA2_7B).values()) == 6_738_415_616
    assert sum(cost.parameters(cost.LLAMA3_8B).values()) == 8_030_261_248


@pytest.mark.parametrize(("B", "T"), [(1, 64), (3, 16), (2, 1)])
def test_flops_of_a_step_are_those_that_pytorch_counts(B, T):
    sizes = Sizes(300, 64, 48, 4, 3)
    torch.manual_seed(0)
    model, ids = GPT(sizes), torch.randint(300, (B, T))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as forward:
        model(ids, ids)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as step:
        model(ids, ids)[1].backward()
    shape = cost.of_gpt(sizes)
    assert forward.get_total_flops() == sum(cost.forward_flops(shape, B, T).values())
    assert step.get_total_flops() == cost.training_flops(shape, B, T)


def test_flops_of_grouped_heads_and_a_gated_network_are_those_of_their_products():
    shape = cost.Shape(100, 24, 6, 2, 2, 40, gated=True, biases=False, shifts=False, tied=False)
    B, T = 2, 5
    x = torch.empty(B * T, 24, device="meta")
    with FlopCounterMode(display=False) as counter:
        for _ in range(2):
            for out in (24, 8, 8, 24):
                x @ torch.empty(24, out, device="meta")
            q = torch.empty(B * 6, T, 4, device="meta")
            q @ q.transpose(1, 2) @ q
            for _ in range(2):
                x @ torch.empty(24, 40, device="meta")
            torch.empty(B * T, 40, device="meta") @ torch.empty(40, 24, device="meta")
        x @ torch.empty(24, 100, device="meta")
    assert counter.get_total_flops() == sum(cost.forward_flops(shape, B, T).values())


def test_recomputing_costs_one_more_forward_pass_of_the_blocks():
    shape, B, T = cost.GPT2_SMALL, 2, 128
    forward = cost.forward_flops(shape, B, T)
    more = cost.training_flops(shape, B, T, recompute=True) - cost.training_flops(shape, B, T)
    assert more == sum(forward.values()) - forward["head"]


@pytest.mark.parametrize("stored", [False, True])
def test_activations_are_what_autograd_keeps_but_for_a_few_numbers_a_row(stored):
    B, T, C, H = 2, 64, 48, 4
    torch.manual_seed(0)
    block, x, mask = Block(C, H), torch.randn(B, T, C, requires_grad=True), causal_mask(T)
    backend = SDPBackend.MATH if stored else SDPBackend.FLASH_ATTENTION
    with sdpa_kernel(backend):
        measured = saved_bytes(lambda: block(x, mask), block.parameters())
    shape = cost.Shape(0, C, H, 1, H, 4 * C)
    counted = sum(cost.activation_bytes(shape, B, T, element=4, stored_weights=stored).values())
    rows = B * T * 4  # the numbers a row that are left out, in bytes each
    assert counted <= measured <= counted + rows * (4 + H) + (4 * T * T if not stored else 0)


def test_activations_of_a_gated_network_are_what_autograd_keeps():
    C, hidden, tokens = 6, 10, 7
    gate, up, down = (torch.randn(a, b, requires_grad=True) for a, b in ((C, hidden), (C, hidden), (hidden, C)))
    norm, x = nn.LayerNorm(C, bias=False), torch.randn(tokens, C, requires_grad=True)

    def run():
        h = norm(x)
        return (F.silu(h @ gate) * (h @ up)) @ down

    measured = saved_bytes(run, [gate, up, down, *norm.parameters()])
    counted = 4 * tokens * (2 * C + 4 * hidden)
    assert counted <= measured <= counted + 2 * 4 * tokens


def test_recomputing_keeps_one_vector_a_layer_and_position():
    kept = cost.activation_bytes(cost.GPT2_SMALL, 1, 1024, element=2, recompute=True)
    assert kept["blocks"] == 2 * 1024 * 768 * 12
    assert kept["(T, T) weights"] == 0


def test_state_is_sixteen_bytes_a_parameter_in_both_recipes():
    count = sum(cost.parameters(cost.GPT2_SMALL).values())
    for recipe in (cost.FP32, cost.MIXED):
        assert sum(cost.state_bytes(cost.GPT2_SMALL, recipe).values()) == 16 * count


def test_adamw_holds_what_the_recipe_says():
    model = GPT(Sizes(50, 8, 16, 2, 2))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.long))[1].backward()
    optimizer.step()
    moments = sum(x.nbytes for s in optimizer.state.values() for n, x in s.items() if n != "step")
    state = cost.state_bytes(cost.of_gpt(model.sizes), cost.FP32)
    assert moments == state["first moment"] + state["second moment"]
    assert sum(p.nbytes for p in model.parameters()) == state["weights"]
    assert sum(p.grad.nbytes for p in model.parameters()) == state["gradients"]


def test_a_cache_holds_keys_and_values_of_the_key_heads_alone():
    assert cost.cache_bytes(cost.LLAMA2_7B, 1, 4096) == 2 * 32 * 4096 * 4096 * 2
    assert cost.cache_bytes(cost.LLAMA3_8B, 3, 10) * 4 == cost.cache_bytes(
        dataclasses.replace(cost.LLAMA3_8B, kv_heads=32), 3, 10
    )


def test_a_product_with_a_vector_does_about_one_flop_a_byte():
    assert cost.matmul_intensity(1, 4096, 4096) == pytest.approx(1.0, rel=1e-3)
    assert cost.matmul_intensity(512, 512, 512) == pytest.approx(512 / 3)
    with pytest.raises(ValueError, match="moves nothing"):
        cost.matmul_intensity(0, 4, 4)


def test_six_n_misses_the_squares_of_the_context():
    shape, T = cost.GPT2_SMALL, 1024
    positions = cost.parameters(shape)["position embedding"]
    exact = cost.training_flops(shape, 1, T) - 3 * cost.forward_flops(shape, 1, T)["scores and blend"]
    biases = 12 * (4 + 4 + 1) * 768
    assert cost.six_n(shape, T) - exact == 6 * T * (positions + cost.parameters(shape)["norms"] + biases)


def test_heads_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="must divide"):
        cost.Shape(10, 12, 4, 1, 3, 8)
