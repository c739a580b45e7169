"""Multi-head attention, and the same one head at a time to hold it against.

Letters: B batch, T queries, S keys, C model width, H heads, D = C / H head width.

- Vaswani et al. (2017), Attention Is All You Need, section 3.2.2.
"""

import torch
from torch import Tensor, nn

from source.attention.dot_product import attention, attention_naive


class MultiHeadAttention(nn.Module):
    """H attentions side by side, each in its own D of the C dimensions, and one projection that joins them.

    width: C. heads: H. Raises ValueError when the heads do not divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}: the head width must be a whole number")
        self.heads = heads
        self.W_q = nn.Linear(width, width)
        self.W_k = nn.Linear(width, width)
        self.W_v = nn.Linear(width, width)
        self.W_o = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Let every position of x look at every position of the context.

        x: (B, T, C). context: (B, S, C), None = x itself. mask: bool, broadcasts to (B, H, T, S), True = may be seen.
        Returns (B, T, C) and the weights (B, H, T, S).
        """
        context = x if context is None else context
        q = split(self.W_q(x), self.heads)  # (B, T, C) -> (B, H, T, D)
        k = split(self.W_k(context), self.heads)  # (B, S, C) -> (B, H, S, D)
        v = split(self.W_v(context), self.heads)  # (B, S, C) -> (B, H, S, D)
        z, weights = attention(q, k, v, mask)  # (B, H, T, D), (B, H, T, S)
        return self.W_o(merge(z)), weights


class CausalSelfAttention(nn.Module):
    """Causal self-attention with all three projections in one matrix, as GPT-2 stores them.

    width: C. heads: H, divides C. x (B, T, C) -> (B, T, C); output t depends on positions 0 to t alone.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.W_qkv = nn.Linear(width, 3 * width)
        self.W_o = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        T = x.shape[1]
        q, k, v = (split(part, self.heads) for part in self.W_qkv(x).chunk(3, dim=-1))  # three (B, H, T, D)
        causal = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        return self.W_o(merge(attention(q, k, v, causal)[0]))  # (B, H, T, D) -> (B, T, C)


def head_contributions(z: Tensor, W_o: nn.Linear) -> Tensor:
    """What each head adds to the output: z (B, H, T, D) -> (B, H, T, M). The bias belongs to no head.

    - Elhage et al. (2021), section "Attention Heads are Independent and Additive".
    """
    return torch.einsum("bhtd,mhd->bhtm", z, W_o.weight.unflatten(1, z.shape[1::2]))  # W_o.weight: (M, H*D)


def split(x: Tensor, heads: int) -> Tensor:
    """(B, T, C) -> (B, H, T, D): head h takes the columns h*D to (h+1)*D of every position."""
    return x.unflatten(-1, (heads, x.shape[-1] // heads)).transpose(1, 2)


def merge(z: Tensor) -> Tensor:
    """(B, H, T, D) -> (B, T, C): the heads side by side again, the inverse of `split`."""
    return z.transpose(1, 2).flatten(-2)


def multi_head_attention_naive(
    layer: MultiHeadAttention, x: Tensor, context: Tensor | None = None, mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """`layer(x, context, mask)` with one small attention a head and sequence, and no tensor of four dimensions."""
    context = x if context is None else context
    B, T, C = x.shape
    S, H = context.shape[1], layer.heads
    D = C // H
    seen = torch.ones(B, H, T, S, dtype=torch.bool) if mask is None else mask.expand(B, H, T, S)
    out, weights = [], []
    for b in range(B):
        total = layer.W_o.bias.expand(T, C)
        rows = []
        for h in range(H):
            mine = slice(h * D, (h + 1) * D)
            q, k, v = (
                source @ linear.weight[mine].T + linear.bias[mine]
                for linear, source in ((layer.W_q, x[b]), (layer.W_k, context[b]), (layer.W_v, context[b]))
            )
            z, row = attention_naive(q, k, v, seen[b, h])
            total = total + z @ layer.W_o.weight[:, mine].T  # each head adds its own part of the output
            rows.append(row)
        out.append(total)
        weights.append(torch.stack(rows))
    if not out:
        return x.new_zeros(B, T, C), x.new_zeros(B, H, T, S)
    return torch.stack(out), torch.stack(weights)
