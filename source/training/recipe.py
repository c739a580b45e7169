"""A small GPT and how to train it, as a list of choices: nanoGPT's are the defaults, ours differ. No loop is here.

Letters: B batch, T positions, C width, H heads, D head width, V vocabulary.

- Karpathy, nanoGPT: model.py (architecture, first weights), train.py (optimizer, schedule).
- Su et al. (2021), RoFormer: rotary positions.
- Zhang and Sennrich (2019), Root Mean Square Layer Normalization.
- Henry et al. (2020), Query-Key Normalization for Transformers.
- So et al. (2021), Primer: the square of ReLU.
- Jordan et al. (2024), Muon; and Jordan et al., modded-nanogpt, where these choices were put together and measured.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from source.attention.multi_head import merge, split
from source.blocks.positions import rope_angles, rotate_halves
from source.training import schedules
from source.training.adamw import decay_groups
from source.training.muon import Muon
from source.training.tiny import Size


@dataclass(frozen=True)
class Recipe:
    """Every choice that the size leaves open."""

    rate: float = 1e-3  # the highest; of the matrices where Muon is used
    last_rate: float = 1e-4
    linear: bool = False  # down in a straight line; else along a cosine
    warm_up: int = 100
    decay: float = 0.1
    rotary: bool = False  # RoPE; else a table of positions
    own_head: bool = False  # a matrix of its own; else the embedding again
    plain_norms: bool = False  # RMSNorm without weights, of queries and keys too; else LayerNorm with a gain
    sharpness: float = 12.0  # of attention between normed queries and keys: the largest score
    relu_squared: bool = False  # else GELU
    quiet: bool = False  # blocks and head begin by adding nothing; else small random numbers
    muon: bool = False  # for the blocks' matrices; else AdamW for all
    side_rate: float = 0.0  # of embedding and head, where Muon is used


NANOGPT = Recipe()

# From nanoGPT's recipe to ours, one change after the other: what each is worth can be measured.
LADDER: dict[str, Recipe] = {"nanoGPT's recipe": NANOGPT}
for _name, _changes in (
    ("higher rate, straight down to 0", {"rate": 4e-3, "last_rate": 0.0, "linear": True}),
    ("rotary positions", {"rotary": True}),
    ("RMSNorm, also of queries and keys", {"plain_norms": True}),
    ("head of its own, ReLU squared, quiet start", {"own_head": True, "relu_squared": True, "quiet": True}),
    ("Muon", {"muon": True, "rate": 0.02, "side_rate": 0.01, "decay": 0.0}),
):
    LADDER[_name] = replace(list(LADDER.values())[-1], **_changes)
OURS = list(LADDER.values())[-1]


class Attention(nn.Module):
    """Causal multi-head self-attention: (B, T, C) -> (B, T, C)."""

    def __init__(self, size: Size, recipe: Recipe) -> None:
        super().__init__()
        C = size.width
        self.heads, self.recipe, self.dropout = size.heads, recipe, size.dropout
        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(C, C, bias=False) for _ in range(4))

    def forward(self, x: Tensor, angles: Tensor | None) -> Tensor:
        q, k, v = (split(W(x), self.heads) for W in (self.W_q, self.W_k, self.W_v))  # three (B, H, T, D)
        D = q.shape[-1]
        scale = None  # 1 / sqrt(D)
        if self.recipe.plain_norms:
            q, k = F.rms_norm(q, (D,)), F.rms_norm(k, (D,))  # each of length sqrt(D): a score is at most D * scale
            scale = self.recipe.sharpness / D
        if angles is not None:
            q, k = rotate_halves(q, angles), rotate_halves(k, angles)
        dropout = self.dropout if self.training else 0.0
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=dropout, scale=scale)
        return self.W_o(merge(z))


class FeedForward(nn.Module):
    """To four times the width and back: (B, T, C) -> (B, T, C)."""

    def __init__(self, size: Size, recipe: Recipe) -> None:
        super().__init__()
        self.relu_squared = recipe.relu_squared
        self.W_in = nn.Linear(size.width, 4 * size.width, bias=False)
        self.W_out = nn.Linear(4 * size.width, size.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        a = self.W_in(x)
        return self.W_out(F.relu(a).square() if self.relu_squared else F.gelu(a))


class PlainNorm(nn.Module):
    """RMSNorm without a weight: (..., C) -> (..., C)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],))


class TinyGPT(nn.Module):
    """A decoder-only language model of a size, with a recipe's choices: ids (B, T) -> logits (B, T, V)."""

    def __init__(self, size: Size, vocabulary: int, recipe: Recipe = OURS) -> None:
        super().__init__()
        C, self.size, self.recipe = size.width, size, recipe

        def norm() -> nn.Module:
            return PlainNorm() if recipe.plain_norms else nn.LayerNorm(C, bias=False)

        self.token = nn.Embedding(vocabulary, C)
        if recipe.own_head:
            self.head = nn.Linear(C, vocabulary, bias=False)
        if not recipe.rotary:
            self.position = nn.Embedding(size.context, C)
        self.first_norm = PlainNorm() if recipe.plain_norms else nn.Identity()
        self.blocks = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm1": norm(),
                    "attention": Attention(size, recipe),
                    "norm2": norm(),
                    "feed_forward": FeedForward(size, recipe),
                }
            )
            for _ in range(size.layers)
        )
        self.last_norm = norm()
        self.dropout = nn.Dropout(size.dropout)
        self._first_weights()

    def _first_weights(self) -> None:
        C = self.size.width
        for name, weight in self.named_parameters():
            writes = name.endswith(("W_o.weight", "W_out.weight"))  # these 2L matrices add to the stream
            if weight.ndim < 2:
                continue
            if self.recipe.quiet and (writes or name == "head.weight"):
                nn.init.zeros_(weight)
            elif self.recipe.muon:  # Muon's steps have a size of their own; so should what they change
                nn.init.normal_(weight, std=1.0 if name == "token.weight" else 0.5 / math.sqrt(C))
            else:
                nn.init.normal_(weight, std=0.02 / math.sqrt(2 * self.size.layers) if writes else 0.02)

    def forward(self, ids: Tensor) -> Tensor:
        T = ids.shape[1]
        positions = torch.arange(T, device=ids.device)
        x = self.token(ids)  # (B, T) -> (B, T, C)
        angles = None
        if self.recipe.rotary:
            angles = rope_angles(positions, self.size.width // self.size.heads)  # (T, D/2)
        else:
            x = x + self.position(positions)
        x = self.first_norm(self.dropout(x))
        for block in self.blocks:
            x = x + self.dropout(block["attention"](block["norm1"](x), angles))
            x = x + self.dropout(block["feed_forward"](block["norm2"](x)))
        x = self.last_norm(x)
        return self.head(x) if self.recipe.own_head else x @ self.token.weight.T  # (B, T, C) -> (B, T, V)


def optimizer(model: TinyGPT, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer; its groups' "scale" is what the schedule's rate is multiplied with."""
    if not recipe.muon:
        return torch.optim.AdamW(decay_groups(model, recipe.decay), lr=recipe.rate, betas=(0.9, 0.99))
    inner = [p for p in model.blocks.parameters() if p.ndim == 2]
    known = {id(p) for p in inner}
    rest = [p for p in model.parameters() if id(p) not in known]
    groups = [
        {"params": inner, "matrices": True, "weight_decay": recipe.decay},
        {"params": rest, "matrices": False, "scale": recipe.side_rate / recipe.rate},
    ]
    return Muon(groups, lr=recipe.rate)


def schedule(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """The recipe's learning rate at each step of a run of `steps`."""
    warm_up = min(recipe.warm_up, steps // 10)
    down = schedules.warmup_linear if recipe.linear else schedules.warmup_cosine
    return lambda step: down(step, recipe.rate, warm_up, steps, recipe.last_rate)
