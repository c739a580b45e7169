"""The block from chapter 1's attention equals the fused one; the measures on blocks see what they are made to see."""

import pytest
import torch
from torch import nn

from source.blocks import assembled, gpt2_block
from source.blocks.gpt2_block import causal_mask, to_gpt2

REAL = torch.tensor([[False, True, True, True, True], [True, True, True, True, False]])


def pair(norm_first=True, C=12, H=3):
    """A fused block with random weights and the assembled one with the same, in float64."""
    torch.manual_seed(0)
    fused = gpt2_block.Block(C, H, norm_first).double()
    for p in fused.parameters():
        nn.init.normal_(p, std=0.4)
    parts = assembled.Block(C, H, norm_first).double()
    parts.load_state_dict(assembled.block_state(to_gpt2(fused.state_dict())))
    return fused, parts


@pytest.mark.parametrize("norm_first", [True, False])
def test_the_assembled_block_equals_the_fused_one_forward_and_backward(norm_first):
    blocks = pair(norm_first)
    x, upstream = torch.randn(2, 2, 5, 12, dtype=torch.float64)
    for mask in (None, causal_mask(5), causal_mask(5, REAL), torch.rand(2, 3, 5, 5) < 0.5):
        results = []
        for block in blocks:
            block.zero_grad()
            a = x.clone().requires_grad_()
            out = block(a, mask)
            out.backward(upstream)
            results.append([out, a.grad, block.norm1.weight.grad, block.feed_forward.W_in.weight.grad])
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_updates_add_up_to_the_block():
    x, mask = torch.randn(2, 5, 12, dtype=torch.float64), causal_mask(5, REAL)
    for block in pair():
        torch.testing.assert_close(x + sum(assembled.updates(block, x, mask)), block(x, mask))


def test_block_state_leaves_out_what_is_no_weight():
    fused, parts = pair()
    old = to_gpt2(fused.state_dict()) | {"attn.bias": torch.ones(1, 1, 9, 9), "attn.masked_bias": torch.tensor(-1e4)}
    assert assembled.block_state(old).keys() == parts.state_dict().keys()


def test_gradient_norms_are_those_of_the_suffixes_of_the_stack():
    blocks = [pair(norm_first)[1] for norm_first in (True, False, True)]
    x, upstream = torch.randn(2, 2, 5, 12, dtype=torch.float64)
    mask = causal_mask(5)
    norms = assembled.gradient_norms(blocks, x, mask, upstream)
    assert norms.shape == (4,)
    assert norms[-1].item() == pytest.approx(upstream.norm().item())
    for start in range(3):
        a = x
        for block in blocks[:start]:
            a = block(a, mask)

        def rest(a, start=start):
            for block in blocks[start:]:
                a = block(a, mask)
            return a

        _, gradient = torch.autograd.functional.vjp(rest, a.detach(), upstream)
        assert norms[start].item() == pytest.approx(gradient.norm().item())


FAULTS = {
    "none": [],
    "no mask": ["future", "padding"],
    "padding alone": ["future"],
    "causal alone": ["padding"],
    "norm over the batch": ["batch", "future", "padding"],
    "norm over positions": ["future", "padding"],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_broken_rules_names_what_is_broken(fault):
    _, block = pair()
    everything = torch.ones(5, 5, dtype=torch.bool)
    masks = {"no mask": everything, "padding alone": everything & REAL[:, None, None], "causal alone": causal_mask(5)}

    def faulty(x, mask):
        if fault == "norm over the batch":
            x = (x - x.mean(dim=(0, 1))) / x.std(dim=(0, 1))
        if fault == "norm over positions":
            x = x - x.mean(dim=1, keepdim=True)
        return block(x, masks.get(fault, mask))

    with torch.no_grad():
        x = torch.randn(2, 5, 12, dtype=torch.float64)
        assert assembled.broken_rules(faulty, x, REAL) == FAULTS[fault]
