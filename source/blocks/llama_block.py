"""Llama's block: RMSNorm, rotary positions, grouped-query attention, SwiGLU. It keeps no cache and has no dropout.

Letters: B batch, T queries, S keys, C width, H query heads, G key and value heads, D head width.

- Touvron et al. (2023), LLaMA: Open and Efficient Foundation Language Models, section 2.2.
- Ainslie et al. (2023), GQA: Training Generalized Multi-Query Transformer Models, section 2.2.
"""

import torch
from torch import Tensor, nn

from source.attention.dot_product import attention, attention_naive
from source.attention.multi_head import merge, split
from source.blocks.feed_forward import SwiGLU
from source.blocks.layer_norm import RMSNorm
from source.blocks.positions import rope_angles, rotate_halves

# Where this block's weights stand in Hugging Face's Llama layer. Shapes and order are the same.
NAMES = {
    "norm1.weight": "input_layernorm.weight",
    "W_q.weight": "self_attn.q_proj.weight",
    "W_k.weight": "self_attn.k_proj.weight",
    "W_v.weight": "self_attn.v_proj.weight",
    "W_o.weight": "self_attn.o_proj.weight",
    "norm2.weight": "post_attention_layernorm.weight",
    "feed_forward.W_gate.weight": "mlp.gate_proj.weight",
    "feed_forward.W_up.weight": "mlp.up_proj.weight",
    "feed_forward.W_down.weight": "mlp.down_proj.weight",
}


def grouped_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Attention in which H / G query heads, one after the other, share a key and value head.

    q: (B, H, T, D). k, v: (B, G, S, D). mask: bool, broadcasts to (T, S), True = may be seen. Returns (B, H, T, D).
    Keys and values are not copied: the query heads of a group get a dimension of their own. Raises ValueError when G
    does not divide H.
    """
    H, G = q.shape[1], k.shape[1]
    if H % G:
        raise ValueError(f"{G} key heads do not divide {H} query heads")
    grouped = q.unflatten(1, (G, H // G))  # (B, H, T, D) -> (B, G, H/G, T, D)
    out, _ = attention(grouped, k.unsqueeze(2), v.unsqueeze(2), mask)  # keys (B, G, 1, S, D) broadcast
    return out.flatten(1, 2)  # (B, G, H/G, T, D) -> (B, H, T, D)


def grouped_attention_naive(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """`grouped_attention`, one query head at a time."""
    H, G, T, S = q.shape[1], k.shape[1], q.shape[2], k.shape[2]
    seen = torch.ones(T, S, dtype=torch.bool) if mask is None else mask.expand(T, S)
    rows = [
        torch.stack([attention_naive(q[b, h], k[b, h * G // H], v[b, h * G // H], seen)[0] for h in range(H)])
        for b in range(len(q))
    ]
    return torch.stack(rows) if rows else torch.zeros_like(q)


class LlamaBlock(nn.Module):
    """One block of Llama: each half reads the normed stream and adds to it. x (B, T, C) -> (B, T, C), causal.

    width: C. heads: H. kv_heads: G. hidden: the gated network's width. base: RoPE's. eps: of both norms. Raises
    ValueError when H does not divide C or G does not divide H.
    """

    def __init__(
        self, width: int, heads: int, kv_heads: int, hidden: int, base: float = 10000.0, eps: float = 1e-5
    ) -> None:
        super().__init__()
        if width % heads or heads % kv_heads:
            raise ValueError(f"{heads} heads must divide the width {width}, and {kv_heads} key heads the heads")
        D = width // heads
        self.heads, self.kv_heads, self.base = heads, kv_heads, base
        self.norm1 = RMSNorm(width, eps)
        self.W_q = nn.Linear(width, heads * D, bias=False)
        self.W_k = nn.Linear(width, kv_heads * D, bias=False)
        self.W_v = nn.Linear(width, kv_heads * D, bias=False)
        self.W_o = nn.Linear(heads * D, width, bias=False)
        self.norm2 = RMSNorm(width, eps)
        self.feed_forward = SwiGLU(width, hidden)

    def forward(self, x: Tensor, positions: Tensor | None = None) -> Tensor:
        """positions: (T,) or (B, T), where each token stands in its text; None = 0 to T - 1."""
        T = x.shape[1]
        positions = torch.arange(T, device=x.device) if positions is None else positions
        x = x + self.attend(self.norm1(x), positions)  # (B, T, C)
        return x + self.feed_forward(self.norm2(x))

    def attend(self, x: Tensor, positions: Tensor) -> Tensor:
        """The attention half on a normed stream: (B, T, C) -> (B, T, C)."""
        T = x.shape[1]
        q = split(self.W_q(x), self.heads)  # (B, T, C) -> (B, H, T, D)
        k = split(self.W_k(x), self.kv_heads)  # (B, T, G*D) -> (B, G, T, D)
        v = split(self.W_v(x), self.kv_heads)
        angles = rope_angles(positions, q.shape[-1], self.base)  # (..., T, D/2)
        angles = angles.unsqueeze(-3) if angles.dim() == 3 else angles  # the same for all heads of a sequence
        causal = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        z = grouped_attention(rotate_halves(q, angles), rotate_halves(k, angles), v, causal)
        return self.W_o(merge(z))  # (B, H, T, D) -> (B, T, C)


def from_hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """A Llama layer's weights under this block's names. Raises KeyError naming what is missing."""
    missing = [theirs for theirs in NAMES.values() if theirs not in state]
    if missing:
        raise KeyError(f"not a Llama layer's weights: {', '.join(missing)} missing")
    return {ours: state[theirs] for ours, theirs in NAMES.items()}
