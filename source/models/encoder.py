"""A bidirectional encoder of BERT's architecture, its pooling, its classifier, and its weights in Hugging Face's names.

It holds no dropout, no pooler and no head for masked tokens. Letters: B batch, T positions, C model width, H heads,
V vocabulary, L layers.

- Devlin et al. (2019), BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, section 3.
- Reimers & Gurevych (2019), Sentence-BERT, section 3: pooling by the mean.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from source.attention.multi_head import MultiHeadAttention

# Hugging Face's BertModel on the right, Encoder on the left. Each of a block's stands for a weight and a bias.
EMBEDDINGS = {
    "token.weight": "embeddings.word_embeddings.weight",
    "position.weight": "embeddings.position_embeddings.weight",
    "segment.weight": "embeddings.token_type_embeddings.weight",
    "norm.weight": "embeddings.LayerNorm.weight",
    "norm.bias": "embeddings.LayerNorm.bias",
}
BLOCK = {
    "attention.W_q": "attention.self.query",
    "attention.W_k": "attention.self.key",
    "attention.W_v": "attention.self.value",
    "attention.W_o": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "feed_forward.W_in": "intermediate.dense",
    "feed_forward.W_out": "output.dense",
    "norm2": "output.LayerNorm",
}


@dataclass(frozen=True)
class Sizes:
    """What fixes every weight's shape, and the norms' eps. The defaults are BERT's smaller model, "base".

    hidden: the feed-forward network's inner width. segments: how many kinds of text a position may belong to.
    """

    vocabulary: int = 30522
    context: int = 512
    width: int = 768
    heads: int = 12
    layers: int = 12
    hidden: int = 3072
    segments: int = 2
    eps: float = 1e-12


class FeedForward(nn.Module):
    """Widen, GELU in its exact form (with erf, not tanh), narrow: x (B, T, C) -> (B, T, C), each position by itself."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.W_in = nn.Linear(width, hidden)
        self.W_out = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_out(F.gelu(self.W_in(x)))


class Block(nn.Module):
    """Attention and a feed-forward network, each added to x and normalised after the addition (post-norm).

    width: C. heads: H, divides C. hidden: the feed-forward network's inner width. eps: of both norms.
    """

    def __init__(self, width: int, heads: int, hidden: int, eps: float = 1e-12) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(width, heads)
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width, hidden)
        self.norm2 = nn.LayerNorm(width, eps=eps)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """x: (B, T, C). mask: bool, broadcasts to (B, H, T, T), True = may be seen; None: all see all.

        Returns (B, T, C) and the attention's weights (B, H, T, T).
        """
        update, weights = self.attention(x, mask=mask)
        x = self.norm1(x + update)
        return self.norm2(x + self.feed_forward(x)), weights


class Encoder(nn.Module):
    """Token, position and segment embeddings, added and normalised; then L post-norm blocks in which all see all.

    Raises ValueError when the heads do not divide the width.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.token = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position = nn.Embedding(sizes.context, sizes.width)
        self.segment = nn.Embedding(sizes.segments, sizes.width)
        self.norm = nn.LayerNorm(sizes.width, eps=sizes.eps)
        self.blocks = nn.ModuleList(
            Block(sizes.width, sizes.heads, sizes.hidden, sizes.eps) for _ in range(sizes.layers)
        )
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def forward(self, ids: Tensor, real: Tensor | None = None, segments: Tensor | None = None) -> list[Tensor]:
        """The hidden states after the embeddings and after each block: L + 1 tensors (B, T, C); the last is the output.

        ids: (B, T). real: bool (B, T), False = padding, which nobody looks at; None: all is text. segments: (B, T),
        None = all 0. What stands at padded positions of the output means nothing.
        Raises ValueError for ids that are not (B, T) or longer than the context.
        """
        return self._run(ids, real, segments)[0]

    def attention_maps(self, ids: Tensor, real: Tensor | None = None, segments: Tensor | None = None) -> list[Tensor]:
        """The weights of every block's attention: L tensors (B, H, T, T). Arguments as in `forward`."""
        return self._run(ids, real, segments)[1]

    def _run(self, ids: Tensor, real: Tensor | None, segments: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
        if ids.ndim != 2:
            raise ValueError(f"ids have shape {tuple(ids.shape)}: give (B, T), one row a sequence")
        T = ids.shape[1]
        if self.sizes.context < T:
            raise ValueError(f"{T} tokens are too many: this encoder has positions for {self.sizes.context}")
        segments = torch.zeros_like(ids) if segments is None else segments
        x = self.token(ids) + self.position.weight[:T] + self.segment(segments)  # (B, T, C) + (T, C) + (B, T, C)
        states, maps = [self.norm(x)], []
        mask = None if real is None else real[:, None, None, :]  # (B, 1, 1, T): the same keys for every query
        for block in self.blocks:
            x, weights = block(states[-1], mask)
            states.append(x)
            maps.append(weights)
        return states, maps

    @classmethod
    def from_folder(cls, folder: Path) -> "Encoder":
        """An encoder from a BERT's config.json and model.safetensors, in float32 and ready to run.

        Raises FileNotFoundError when a file is missing, ValueError when the model is not of this architecture.
        """
        from safetensors.torch import load_file

        folder = Path(folder)
        for name in ("config.json", "model.safetensors"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} has no {name}: give the folder of a BERT in Hugging Face's format")
        model = cls(sizes_of(json.loads((folder / "config.json").read_text(encoding="utf-8"))))
        try:
            model.load_state_dict(from_huggingface(load_file(folder / "model.safetensors")))
        except (KeyError, RuntimeError) as wrong:
            raise ValueError(f"{folder} does not hold the weights that its config.json describes: {wrong}") from wrong
        return model.eval()


def masked_mean(x: Tensor, real: Tensor) -> Tensor:
    """The mean over a sequence's real positions: x (B, T, C), real bool (B, T) -> (B, C). Zeros where none is real.

    Whatever stands in the padding, NaN included, reaches neither the result nor a gradient.
    """
    kept = x.masked_fill(~real[..., None], 0.0)  # multiplied by 0, NaN would stay NaN
    return kept.sum(dim=1) / real.sum(dim=1, keepdim=True).clamp(min=1)


def masked_mean_naive(x: Tensor, real: Tensor) -> Tensor:
    """`masked_mean` one sequence at a time."""
    rows = [
        one[keep].mean(dim=0) if keep.any() else one.new_zeros(one.shape[1]) for one, keep in zip(x, real, strict=True)
    ]
    return torch.stack(rows) if rows else x.new_zeros(0, x.shape[2])


class Classifier(nn.Module):
    """An encoder, the mean over its real positions, and one linear map to the classes' scores.

    encoder: called as encoder(ids, real), returns hidden states, the last of width C. classes: how many. frozen: the
    encoder is a fixed function: no gradient reaches it, and it stays in evaluation mode, whatever `train` says.
    """

    def __init__(self, encoder: nn.Module, width: int, classes: int, frozen: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(width, classes)
        self.frozen = frozen

    def train(self, mode: bool = True) -> "Classifier":
        """Set training mode; a frozen encoder stays out of it."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, ids: Tensor, real: Tensor) -> Tensor:
        """ids: (B, T). real: bool (B, T). Returns logits (B, classes)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            pooled = masked_mean(self.encoder(ids, real)[-1], real)  # (B, T, C) -> (B, C)
        return self.head(pooled)


def from_huggingface(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a BertModel under Encoder's names; works for gradients alike.

    All names may begin with "bert.", as in BertForMaskedLM. Pooler, heads and buffers are left out. Old files call a
    norm's weight and bias gamma and beta. Raises KeyError when a weight is missing.
    """
    found = {}
    for name, weight in state.items():
        name = name.removeprefix("bert.").replace("LayerNorm.gamma", "LayerNorm.weight")
        found[name.replace("LayerNorm.beta", "LayerNorm.bias")] = weight
    layers = {int(m[1]) for m in (re.match(r"encoder\.layer\.(\d+)\.", name) for name in found) if m}
    result = {ours: found[theirs] for ours, theirs in EMBEDDINGS.items()}
    for layer in sorted(layers):
        for ours, theirs in BLOCK.items():
            for kind in ("weight", "bias"):
                result[f"blocks.{layer}.{ours}.{kind}"] = found[f"encoder.layer.{layer}.{theirs}.{kind}"]
    return result


def to_huggingface(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Encoder's weights under BertModel's names: the inverse of `from_huggingface`."""
    theirs = {ours: name for ours, name in EMBEDDINGS.items()}
    for name in state:
        if m := re.match(r"blocks\.(\d+)\.(.+)\.(weight|bias)$", name):
            theirs[name] = f"encoder.layer.{m[1]}.{BLOCK[m[2]]}.{m[3]}"
    return {theirs[name]: weight for name, weight in state.items()}


def config(sizes: Sizes) -> dict[str, object]:
    """What config.json holds: the sizes and BERT's fixed choices under transformers' names, without dropout."""
    return {
        "model_type": "bert",
        "vocab_size": sizes.vocabulary,
        "max_position_embeddings": sizes.context,
        "hidden_size": sizes.width,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "intermediate_size": sizes.hidden,
        "type_vocab_size": sizes.segments,
        "layer_norm_eps": sizes.eps,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }


def sizes_of(read: dict[str, object]) -> Sizes:
    """The sizes in a config.json. Raises ValueError, naming the setting, where it asks for what Encoder does not do."""
    fixed = {
        "model_type": ("bert",),
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute", None),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
    }
    for name, allowed in fixed.items():
        if read.get(name, allowed[0]) not in allowed:
            raise ValueError(f"config.json says {name} = {read[name]!r}; this encoder only has {allowed[0]!r}")
    default = Sizes()
    return Sizes(
        vocabulary=read.get("vocab_size", default.vocabulary),
        context=read.get("max_position_embeddings", default.context),
        width=read.get("hidden_size", default.width),
        heads=read.get("num_attention_heads", default.heads),
        layers=read.get("num_hidden_layers", default.layers),
        hidden=read.get("intermediate_size", default.hidden),
        segments=read.get("type_vocab_size", default.segments),
        eps=read.get("layer_norm_eps", default.eps),
    )
