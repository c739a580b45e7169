"""GPT-2's block against its naive twin and against transformers' GPT2Block, forward and backward."""

import pytest
import torch
from transformers import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2Block

from source.attention.against_torch import max_error
from source.blocks.gpt2_block import Block, block_naive, causal_mask, from_gpt2, to_gpt2

RIGHT = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])  # padding behind the text
LEFT = RIGHT.flip(1)  # and in front of it: its first rows see nothing at all


def random_block(C, H, norm_first=True, dtype=torch.float64):
    """A block whose every weight matters: biases and norms are no zeros and ones."""
    torch.manual_seed(0)
    block = Block(C, H, norm_first).to(dtype)
    for p in block.parameters():
        torch.nn.init.normal_(p, std=0.5 if p.ndim == 1 else C**-0.5)
    return block


def gradients(run, block, x, upstream):
    """The output of a run, then the gradients of its input and of every parameter."""
    block.zero_grad()
    x = x.clone().requires_grad_()
    out = run(x)
    out.backward(upstream)
    return [out, x.grad, *[p.grad.clone() for p in block.parameters()]]


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize(("B", "T", "C", "H"), [(2, 6, 12, 3), (1, 1, 4, 1), (2, 6, 5, 5)])
def test_the_block_equals_its_naive_twin(B, T, C, H, norm_first):
    block = random_block(C, H, norm_first)
    x, upstream = torch.randn(2, B, T, C, dtype=torch.float64)
    masks = [None, causal_mask(T), torch.rand(B, H, T, T) < 0.5]
    masks += [causal_mask(T, real) for real in (RIGHT, LEFT) if real.shape == (B, T)]
    for mask in masks:
        fast = gradients(lambda a, mask=mask: block(a, mask), block, x, upstream)
        naive = gradients(lambda a, mask=mask: block_naive(block, a, mask), block, x, upstream)
        for one, other in zip(fast, naive, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_nothing_in_is_nothing_out():
    block = random_block(4, 2)
    for B, T in ((0, 3), (2, 0)):
        x = torch.zeros(B, T, 4, dtype=torch.float64)
        assert block(x, causal_mask(T)).shape == block_naive(block, x, causal_mask(T)).shape == (B, T, 4)


def compared(C, H, real, dtype=torch.float32):
    """The worst differences between Block and GPT2Block, where every query is real; padding's own rows do not count."""
    B, T = real.shape
    ours = random_block(C, H, dtype=dtype)
    theirs = GPT2Block(GPT2Config(n_embd=C, n_head=H, attn_implementation="eager"), layer_idx=0).to(dtype).eval()
    theirs.load_state_dict(to_gpt2(ours.state_dict()))
    x = torch.randn(B, T, C, dtype=dtype)
    upstream = torch.randn(B, T, C, dtype=dtype) * real[..., None] / T
    mask = causal_mask(T, real)
    added = torch.zeros(mask.shape, dtype=dtype).masked_fill(~mask, torch.finfo(dtype).min)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    out, their_out = ours(a, mask), theirs(b, attention_mask=added)
    out.backward(upstream)
    their_out.backward(upstream)
    errors = {"out": max_error(out[real], their_out[real]), "x": max_error(a.grad, b.grad)}
    theirs_grads = from_gpt2({name: p.grad for name, p in theirs.named_parameters()})
    return errors | {name: max_error(p.grad, theirs_grads[name]) for name, p in ours.named_parameters()}


@pytest.mark.parametrize("real", [torch.ones(2, 9, dtype=torch.bool), RIGHT, LEFT], ids=["causal", "right", "left"])
@pytest.mark.parametrize(("C", "H"), [(12, 3), (64, 4), (6, 6)])
def test_the_block_equals_gpt2s_forward_and_backward(C, H, real):
    errors = compared(C, H, real)
    assert len(errors) == 2 + 12
    assert max(errors.values()) < 1e-5, errors
    assert max(compared(C, H, real, torch.float64).values()) < 1e-12


def test_a_row_that_sees_nothing_gets_the_output_bias_and_spoils_no_gradient():
    block = random_block(8, 2, dtype=torch.float32)
    x = torch.randn(2, 6, 8, requires_grad=True)
    mask = causal_mask(6, LEFT)
    torch.testing.assert_close(block.attention(x, mask)[1, :2], block.attention.W_o.bias.expand(2, 8))
    block(x, mask).sum().backward()
    assert all(p.grad.isfinite().all() for p in (x, *block.parameters()))


@pytest.mark.parametrize("norm_first", [True, False])
def test_padding_and_the_future_change_nothing(norm_first):
    block = random_block(8, 2, norm_first)
    x = torch.randn(2, 6, 8, dtype=torch.float64)
    for t in range(1, 6):
        changed = x.clone()
        changed[:, t:] = torch.randn(2, 6 - t, 8)  # adding a constant would go unseen: the norm takes it out
        assert torch.equal(block(changed, causal_mask(6))[:, :t], block(x, causal_mask(6))[:, :t])
    for real in (LEFT, RIGHT):
        changed = torch.where(real[..., None], x, 100 * torch.randn_like(x))
        mask = causal_mask(6, real)
        torch.testing.assert_close(block(changed, mask)[real], block(x, mask)[real])


def test_an_untouched_stream_where_the_sublayers_write_nothing():
    for norm_first in (True, False):
        block = random_block(8, 2, norm_first)
        for linear in (block.attention.W_o, block.feed_forward.W_out):
            torch.nn.init.zeros_(linear.weight)
            torch.nn.init.zeros_(linear.bias)
        x = torch.randn(1, 3, 8, dtype=torch.float64)
        assert torch.equal(block(x), x) == norm_first


def test_from_gpt2_undoes_to_gpt2():
    state = random_block(12, 3).state_dict()
    back = from_gpt2(to_gpt2(state))
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ValueError, match="3 heads do not divide a width of 8"):
        Block(8, 3)
