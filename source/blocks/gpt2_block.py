"""GPT-2's transformer block, pre-norm or post-norm, its weights in Hugging Face's layout, and a naive twin.

It holds no embedding, no cache and no dropout. Letters: B batch, T queries, S keys (here S = T), C model width,
H heads, D = C / H head width.

- Vaswani et al. (2017), Attention Is All You Need, sections 3.1 to 3.3 (post-norm).
- Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3 (pre-norm).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from source.attention.dot_product import attention_naive
from source.attention.multi_head import merge, split

# Hugging Face's GPT2Block on the left, Block on the right. Each stands for a weight and a bias.
NAMES = {
    "ln_1": "norm1",
    "attn.c_attn": "attention.W_qkv",
    "attn.c_proj": "attention.W_o",
    "ln_2": "norm2",
    "mlp.c_fc": "feed_forward.W_in",
    "mlp.c_proj": "feed_forward.W_out",
}


class SelfAttention(nn.Module):
    """Multi-head self-attention with queries, keys and values in one matrix, as GPT-2 stores them.

    width: C. heads: H. Raises ValueError when the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}: the head width must be a whole number")
        self.heads = heads
        self.W_qkv = nn.Linear(width, 3 * width)
        self.W_o = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (B, T, C). mask: bool, broadcasts to (B, H, T, T), True = may be seen. Returns (B, T, C).

        A position that may see nothing gets W_o's bias.
        """
        q, k, v = (split(part, self.heads) for part in self.W_qkv(x).chunk(3, dim=-1))  # three (B, H, T, D)
        z = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # (B, H, T, D), never holds the (T, T) weights
        return self.W_o(merge(z))


class FeedForward(nn.Module):
    """The same two-layer network at every position: to four times the width, GELU (tanh form), and back.

    width: C. x (B, T, C) -> (B, T, C).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W_in = nn.Linear(width, 4 * width)
        self.W_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_out(F.gelu(self.W_in(x), approximate="tanh"))


class Block(nn.Module):
    """Attention moves information between positions, the feed-forward network works on each: both add to x.

    width: C. heads: H, divides C. norm_first: True is GPT-2's order (pre-norm, x goes through untouched), False the
    first transformer's (post-norm, x is normalised after each addition). eps: added to LayerNorm's variance.
    """

    def __init__(self, width: int, heads: int, norm_first: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attention = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: (B, T, C). mask: bool, broadcasts to (B, H, T, T), True = may be seen; None: all see all.

        Returns (B, T, C). A causal mask has shape (T, T), padded keys (B, 1, 1, T), both together (B, 1, T, T).
        """
        if self.norm_first:
            x = x + self.attention(self.norm1(x), mask)
            return x + self.feed_forward(self.norm2(x))
        x = self.norm1(x + self.attention(x, mask))
        return self.norm2(x + self.feed_forward(x))


def causal_mask(T: int, real: Tensor | None = None, device: torch.device | str | None = None) -> Tensor:
    """True where position t may see position s: s <= t, and s is no padding.

    real: bool (B, T), False = padding. Returns (T, T), or with `real` (B, 1, T, T), which broadcasts over heads.
    """
    causal = torch.ones(T, T, dtype=torch.bool, device=device if real is None else real.device).tril()
    return causal if real is None else causal & real[:, None, None, :]  # (T, T) & (B, 1, 1, T) -> (B, 1, T, T)


def from_gpt2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of Hugging Face's GPT2Block under Block's names: block.load_state_dict(from_gpt2(...)).

    GPT-2's Conv1D computes x @ weight + bias, so it stores (inputs, outputs); nn.Linear stores (outputs, inputs).
    The queries' columns come first, then the keys', then the values', in both. Works for gradients alike.
    Raises KeyError when a weight is missing.
    """
    found = {}
    for theirs, ours in NAMES.items():
        weight = state[f"{theirs}.weight"]
        found[f"{ours}.weight"] = weight.T.contiguous() if weight.ndim == 2 else weight  # a norm's weight is (C,)
        found[f"{ours}.bias"] = state[f"{theirs}.bias"]
    return found


def to_gpt2(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Block's weights under the names and in the layout of Hugging Face's GPT2Block: the inverse of `from_gpt2`."""
    found = {}
    for theirs, ours in NAMES.items():
        weight = state[f"{ours}.weight"]
        found[f"{theirs}.weight"] = weight.T.contiguous() if weight.ndim == 2 else weight
        found[f"{theirs}.bias"] = state[f"{ours}.bias"]
    return found


def block_naive(block: Block, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """`block(x, mask)` one sequence, one position and one head at a time, from the formulas."""
    B, T, C = x.shape
    if not B * T:
        return x
    H = block.attention.heads
    D = C // H
    seen = torch.ones(B, H, T, T, dtype=torch.bool) if mask is None else mask.expand(B, H, T, T)

    def attend(rows: list[Tensor], b: int) -> list[Tensor]:
        qkv = [block.attention.W_qkv.weight @ row + block.attention.W_qkv.bias for row in rows]  # T of (3C,)
        updates = [block.attention.W_o.bias] * T
        for h in range(H):
            q, k, v = (torch.stack([row[n * C + h * D : n * C + (h + 1) * D] for row in qkv]) for n in range(3))
            z = attention_naive(q, k, v, seen[b, h])[0]  # (T, D)
            W = block.attention.W_o.weight[:, h * D : (h + 1) * D]
            updates = [update + W @ z[t] for t, update in enumerate(updates)]
        return updates

    out = []
    for b in range(B):
        rows = list(x[b])  # T of (C,)
        if block.norm_first:
            moved = attend([_norm(block.norm1, row) for row in rows], b)
            rows = [row + update for row, update in zip(rows, moved, strict=True)]
            rows = [row + _feed_forward(block, _norm(block.norm2, row)) for row in rows]
        else:
            moved = attend(rows, b)
            rows = [_norm(block.norm1, row + update) for row, update in zip(rows, moved, strict=True)]
            rows = [_norm(block.norm2, row + _feed_forward(block, row)) for row in rows]
        out.append(torch.stack(rows))
    return torch.stack(out)


def _norm(norm: nn.LayerNorm, row: Tensor) -> Tensor:
    centred = row - row.sum() / len(row)
    return centred / ((centred * centred).sum() / len(row) + norm.eps).sqrt() * norm.weight + norm.bias


def _feed_forward(block: Block, row: Tensor) -> Tensor:
    layer = block.feed_forward
    a = layer.W_in.weight @ row + layer.W_in.bias  # (4C,)
    fired = 0.5 * a * (1 + torch.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a * a * a)))
    return layer.W_out.weight @ fired + layer.W_out.bias
