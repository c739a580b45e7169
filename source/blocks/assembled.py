"""A block put together from chapter 1's multi-head attention, and what to measure on any block. It trains nothing.

`gpt2_block.Block` computes the same from fused weights; models use that one, this one shows its parts. Letters: B
batch, T queries, S keys (here S = T), C model width, H heads, L layers.

- Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3 (pre-norm).
- Xiong et al. (2020), On Layer Normalization in the Transformer Architecture, section 3 (gradients through depth).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from source.attention.multi_head import MultiHeadAttention
from source.blocks.gpt2_block import FeedForward, causal_mask

Layer = Callable[[Tensor], Tensor]


def residual(x: Tensor, sublayer: Layer, norm: Layer, norm_first: bool) -> Tensor:
    """Add what a sublayer makes of x to x: x + sublayer(norm(x)), or norm(x + sublayer(x)). All (B, T, C)."""
    return x + sublayer(norm(x)) if norm_first else norm(x + sublayer(x))


class Block(nn.Module):
    """Multi-head attention and a feed-forward network, each with a norm and a residual connection.

    width: C. heads: H, divides C. norm_first: True for pre-norm, False for post-norm.
    """

    def __init__(self, width: int, heads: int, norm_first: bool = True) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm1 = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (B, T, C). mask: bool, broadcasts to (B, H, T, T), True = may be seen. Returns (B, T, C)."""
        x = residual(x, lambda a: self.attention(a, mask=mask)[0], self.norm1, self.norm_first)
        return residual(x, self.feed_forward, self.norm2, self.norm_first)


def updates(block: nn.Module, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What the two sublayers of a pre-norm block add to x (B, T, C): both (B, T, C); block(x) is x plus their sum."""
    attended = block.attention(block.norm1(x), mask=mask)
    attended = attended[0] if isinstance(attended, tuple) else attended  # chapter 1's hands its weights back too
    return attended, block.feed_forward(block.norm2(x + attended))


def block_state(gpt2: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of Hugging Face's GPT2Block under this Block's names; what is no weight is left out.

    GPT-2 stores matrices as (inputs, outputs) and queries, keys and values side by side: c_attn.weight is (C, 3C).
    """
    state = {}
    for ours, theirs in (("norm1", "ln_1"), ("norm2", "ln_2")):
        state |= {f"{ours}.{kind}": gpt2[f"{theirs}.{kind}"] for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        for n, part in zip("qkv", gpt2[f"attn.c_attn.{kind}"].chunk(3, dim=-1), strict=True):
            state[f"attention.W_{n}.{kind}"] = part.T if kind == "weight" else part
    for ours, theirs in (("attention.W_o", "attn.c_proj"), ("feed_forward.W_in", "mlp.c_fc")):
        state |= {f"{ours}.weight": gpt2[f"{theirs}.weight"].T, f"{ours}.bias": gpt2[f"{theirs}.bias"]}
    return state | {
        "feed_forward.W_out.weight": gpt2["mlp.c_proj.weight"].T,
        "feed_forward.W_out.bias": gpt2["mlp.c_proj.bias"],
    }


def gradient_norms(blocks: Sequence[nn.Module], x: Tensor, mask: Tensor | None, upstream: Tensor) -> Tensor:
    """Norms of the gradient of the residual stream, before the first block and after each: (L + 1,).

    blocks: L modules called as block(x, mask). x, upstream: (B, T, C); upstream is the gradient after the last block.
    """
    stream = [x.detach().requires_grad_()]
    for block in blocks:
        stream.append(block(stream[-1], mask))
    gradients = torch.autograd.grad(stream[-1], stream, upstream)
    return torch.stack([torch.linalg.vector_norm(g) for g in gradients])


def broken_rules(block: Callable[[Tensor, Tensor], Tensor], x: Tensor, real: Tensor) -> list[str]:
    """Which rules of a causal block on padded sequences are broken, sorted: "batch", "future", "padding".

    block: called as block(x, mask) with a bool mask (B, 1, T, T). x: (B, T, C), float64. real: bool (B, T), False =
    padding. A rule is broken where the output at a real position moves by more than 1e-6 when one input is replaced:
    a later real one ("future"), a padding one ("padding"), one of another sequence ("batch").
    """
    B, T, C = x.shape
    mask = causal_mask(T, real)
    before, found = block(x, mask), set()
    for b in range(B):
        for s in range(T):
            changed = x.clone()
            changed[b, s] = torch.randn(C)  # not x + 1: a norm takes a constant out, and nothing would move
            moved = ((block(changed, mask) - before).abs().amax(-1) > 1e-6) & real  # (B, T)
            if moved[b, :s].any() and real[b, s]:
                found.add("future")
            if moved[b].any() and not real[b, s]:
                found.add("padding")
            if moved[torch.arange(B) != b].any():
                found.add("batch")
    return sorted(found)
