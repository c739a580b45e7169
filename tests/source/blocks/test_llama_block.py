"""Llama's block equals Hugging Face's and its naive parts, forward and backward."""

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaDecoderLayer, LlamaRotaryEmbedding

from source.blocks.llama_block import LlamaBlock, from_hugging_face, grouped_attention, grouped_attention_naive


@pytest.mark.parametrize(("H", "G"), [(4, 4), (4, 2), (6, 2), (4, 1), (1, 1)])
def test_grouped_attention_equals_one_head_at_a_time(H, G):
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, n, t, 4, dtype=torch.float64) for n, t in ((H, 3), (G, 5), (G, 5)))
    mask = torch.ones(3, 5, dtype=torch.bool).tril(2)
    leaves = [[x.clone().requires_grad_() for x in (q, k, v)] for _ in range(2)]
    ours, twin = grouped_attention(*leaves[0], mask), grouped_attention_naive(*leaves[1], mask)
    torch.testing.assert_close(ours, twin)
    upstream = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad(ours, leaves[0], upstream), torch.autograd.grad(twin, leaves[1], upstream), strict=True
    ):
        torch.testing.assert_close(a, b)


def theirs_and_ours(H: int, G: int, C: int = 24, hidden: int = 40, base: float = 10000.0):
    config = LlamaConfig(
        hidden_size=C,
        intermediate_size=hidden,
        num_attention_heads=H,
        num_key_value_heads=G,
        rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": base},
        attn_implementation="eager",
    )
    torch.manual_seed(0)
    theirs = LlamaDecoderLayer(config, 0)
    for p in theirs.parameters():  # large enough that every part shows
        p.data = torch.randn_like(p) * (0.3 if p.dim() == 2 else 1.0)
    ours = LlamaBlock(C, H, G, hidden, base)
    ours.load_state_dict(from_hugging_face(theirs.state_dict()))
    return theirs, LlamaRotaryEmbedding(config), ours


@pytest.mark.parametrize(("H", "G", "base"), [(4, 4, 10000.0), (4, 2, 500000.0), (6, 1, 10000.0)])
@pytest.mark.parametrize("shifted", [False, True])
def test_the_block_equals_the_librarys_forward_and_backward(H, G, base, shifted):
    theirs, rotary, ours = theirs_and_ours(H, G, base=base)
    B, T = 2, 9
    positions = torch.arange(T)[None] + (torch.tensor([[3], [40]]) if shifted else 0)
    positions = positions.expand(B, T)
    x = torch.randn(B, T, 24)
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    mask = torch.full((T, T), float("-inf")).triu(1)[None, None]
    out = theirs(a, attention_mask=mask, position_ids=positions, position_embeddings=rotary(a, positions))
    out = out[0] if isinstance(out, tuple) else out
    mine = ours(b, positions)
    torch.testing.assert_close(mine, out, atol=1e-5, rtol=1e-5)
    upstream = torch.randn_like(x)
    out.backward(upstream)
    mine.backward(upstream)
    torch.testing.assert_close(b.grad, a.grad, atol=1e-4, rtol=1e-4)
    grads = from_hugging_face({name: p.grad for name, p in theirs.named_parameters()})
    for name, p in ours.named_parameters():
        torch.testing.assert_close(p.grad, grads[name], atol=1e-4, rtol=1e-4)


def test_a_later_token_changes_no_earlier_output():
    _, _, ours = theirs_and_ours(4, 2)
    x = torch.randn(1, 6, 24)
    changed = x.clone()
    changed[:, 4] += 1
    before, after = ours(x), ours(changed)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().amax(-1).min() > 1e-3


def test_what_cannot_be_is_told():
    with pytest.raises(ValueError, match="must divide"):
        LlamaBlock(24, 4, 3, 40)
    with pytest.raises(ValueError, match="do not divide"):
        grouped_attention(torch.zeros(1, 4, 2, 2), torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
    with pytest.raises(KeyError, match="q_proj"):
        from_hugging_face({})
