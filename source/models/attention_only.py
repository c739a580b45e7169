"""A transformer of attention and nothing else, small enough to look inside. It does not train itself or make text.

Letters: B batch, T query length, S key length (here S = T), C model width, H heads, D head width, V vocabulary,
L layers. Without feed-forward layers, everything that moves from one word to another moves through a head, so
what a head looks at can be read as what it does. The design and the vocabulary for it (previous-token head,
induction head) come from:

- Vaswani et al. (2017), Attention Is All You Need (the waves that positions start from).
- Elhage et al. (2021), A Mathematical Framework for Transformer Circuits.
- Olsson et al. (2022), In-context Learning and Induction Heads.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from source.files import data_path

SHIPPED = "attention_heads/model.npz"


class Attention(nn.Module):
    """Causal multi-head attention that hands back its weights. No biases: a head scaled by zero adds exactly zero."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        """x: (B, T, C). keep: (H,), what each head's output is multiplied by. Returns (B, T, C) and (B, H, T, S)."""
        B, T, C = x.shape
        H, D = self.heads, C // self.heads
        q = self.query(x).view(B, T, H, D).transpose(1, 2)  # (B, T, C) -> (B, H, T, D)
        k = self.key(x).view(B, T, H, D).transpose(1, 2)  # (B, T, C) -> (B, H, S, D)
        v = self.value(x).view(B, T, H, D).transpose(1, 2)  # (B, T, C) -> (B, H, S, D)
        scores = q @ k.transpose(-2, -1) / D**0.5  # (B, H, T, D) @ (B, H, D, S) -> (B, H, T, S)
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)  # (T, S), True where s > t
        weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)  # (B, H, T, S), each row sums to one
        z = weights @ v  # (B, H, T, S) @ (B, H, S, D) -> (B, H, T, D)
        z = z * keep.view(1, H, 1, 1)
        z = z.transpose(1, 2).reshape(B, T, C)  # (B, H, T, D) -> (B, T, C)
        return self.out(z), weights


class AttentionOnly(nn.Module):
    """Token and position embeddings, L layers of pre-normalised attention, an untied map back to the vocabulary.

    vocabulary: V. context: the longest T. width: C, even. heads: H, must divide C. layers: L.
    Raises ValueError when the width is odd or the heads do not divide it.
    """

    def __init__(self, vocabulary: int, context: int = 64, width: int = 64, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        if width % heads or width % 2:
            raise ValueError(f"a width of {width} and {heads} heads: the width must be even, and the heads divide it")
        self.context = context
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(context, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.layers = nn.ModuleList(Attention(width, heads) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)
        self.unembed = nn.Linear(width, vocabulary, bias=False)
        for weight in self.parameters():
            if weight.ndim == 2:  # matrices; LayerNorm's vectors keep their ones and zeros
                nn.init.normal_(weight, std=width**-0.5)
        # Positions are learned, but start as waves: a step of one is then the same rotation everywhere, which a head
        # can pick up from all positions at once. From random starts the heads form later, or not in minutes.
        t = torch.arange(context)[:, None]  # (T, 1)
        frequency = 100 ** (-torch.arange(width // 2) / (width // 2))  # (C / 2,), from 1 down to near 0.01
        waves = torch.cat([(t * frequency).sin(), (t * frequency).cos()], dim=1)  # (T, C)
        with torch.no_grad():
            self.position.weight.copy_(0.2 * waves)

    def forward(self, ids: Tensor, keep: Tensor | None = None) -> Tensor:
        """The scores of every next word: ids (B, T) -> logits (B, T, V). For keep and errors, see `look`."""
        return self.look(ids, keep)[0]

    def look(self, ids: Tensor, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The same forward pass, with what every head looked at.

        ids: (B, T), whole numbers below V. keep: (L, H), what each head's output is multiplied by: one leaves a head
        as it is, zero takes it out; None keeps all.
        Returns logits (B, T, V) and weights (L, B, H, T, S): weights[l, b, h, t, s] is how much of its attention
        head h of layer l spends on word s when it stands at word t of sequence b.
        Raises ValueError for ids that are not (B, T) or longer than the context, or a keep that is not (L, H).
        """
        if ids.ndim != 2:
            raise ValueError(f"ids have shape {tuple(ids.shape)}: give (B, T), one row a sequence")
        T = ids.shape[1]
        if self.context < T:
            raise ValueError(f"{T} words are too many: this model has positions for {self.context}")
        L, H = len(self.layers), self.layers[0].heads
        if keep is None:
            keep = torch.ones(L, H, device=ids.device)
        if keep.shape != (L, H):
            raise ValueError(f"keep has shape {tuple(keep.shape)}: give one number a head, ({L}, {H})")
        x = self.token(ids) + self.position.weight[:T]  # (B, T) -> (B, T, C)
        seen = []
        for norm, layer, kept in zip(self.norms, self.layers, keep, strict=True):
            moved, weights = layer(norm(x), kept)
            x = x + moved  # (B, T, C), unchanged: the residual stream
            seen.append(weights)
        logits = self.unembed(self.last_norm(x))  # (B, T, C) -> (B, T, V)
        return logits, torch.stack(seen)  # L of (B, H, T, S) -> (L, B, H, T, S)


def save(model: AttentionOnly, path: Path) -> None:
    """Write the weights as NumPy arrays (no pickle), each under its parameter's name, and the number of heads."""
    arrays = {name: weight.detach().cpu().numpy() for name, weight in model.state_dict().items()}
    np.savez(path, heads=np.array(model.layers[0].heads), **arrays)


def load(path: Path | None = None) -> AttentionOnly:
    """Read a saved model, ready to look at: on the CPU, no gradients. Without a path: the one the course ships.

    Raises FileNotFoundError when the file is not there, ValueError when its arrays are not this model's.
    """
    path = data_path(SHIPPED) if path is None else path
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file.files}
    try:
        heads = int(arrays.pop("heads"))
        vocabulary, width = arrays["token.weight"].shape
        context = len(arrays["position.weight"])
        layers = sum(name.endswith("query.weight") for name in arrays)
        model = AttentionOnly(vocabulary, context, width, heads, layers)
        model.load_state_dict(arrays)
    except (KeyError, RuntimeError) as wrong:
        raise ValueError(f"{path} does not hold an attention-only model: {wrong}") from wrong
    return model.eval().requires_grad_(False)
