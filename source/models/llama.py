"""Llama's model in one file, with room for a cache, and its files in Hugging Face's format. It trains nothing.

What differs from GPT-2 (gpt.py): RMSNorm for LayerNorm, rotary positions inside attention for an embedding in front,
fewer key and value heads than query heads, a gated feed-forward network, no biases.

Letters: B batch, T positions given, S positions seen (with a cache S is T and what came before), C model width, H query
heads, G key and value heads, D = C / H head width, V vocabulary, L layers.

- Touvron et al. (2023), LLaMA: Open and Efficient Foundation Language Models, section 2.2.
- Ainslie et al. (2023), GQA: Training Generalized Multi-Query Transformer Models, section 2.2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from source.files import data_path
from source.models.folders import read_config, read_weights, refuse_other, write_model
from source.models.kv_cache import KVCache

# transformers' LlamaForCausalLM on the left, Llama on the right; {} is the layer. Shapes are the same on both sides.
NAMES = {
    "embed_tokens": "token",
    "layers.{}.input_layernorm": "blocks.{}.norm1",
    "layers.{}.self_attn.q_proj": "blocks.{}.attention.W_q",
    "layers.{}.self_attn.k_proj": "blocks.{}.attention.W_k",
    "layers.{}.self_attn.v_proj": "blocks.{}.attention.W_v",
    "layers.{}.self_attn.o_proj": "blocks.{}.attention.W_o",
    "layers.{}.post_attention_layernorm": "blocks.{}.norm2",
    "layers.{}.mlp.gate_proj": "blocks.{}.feed_forward.W_gate",
    "layers.{}.mlp.up_proj": "blocks.{}.feed_forward.W_up",
    "layers.{}.mlp.down_proj": "blocks.{}.feed_forward.W_down",
    "norm": "last_norm",
}


@dataclass(frozen=True)
class Sizes:
    """What fixes the model: V, the longest T, C, H, G, the gated network's width, L, and RoPE's base.

    context: the longest T that training showed. Rotary positions have no table, so nothing breaks beyond it: the model
    only has not learned it.
    """

    vocabulary: int
    context: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    layers: int
    base: float = 10000.0
    eps: float = 1e-5  # added to the mean square in every norm


class RMSNorm(nn.Module):
    """Divide each row of C numbers by its root mean square, then scale every channel; computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype)


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs (0, D/2), (1, D/2 + 1), ... of queries or keys. x: (B, H, T, D). angles: (B or 1, 1, T, D/2)."""
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)  # two (B, H, T, D/2)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class Attention(nn.Module):
    """Causal self-attention in which H / G query heads share a key and value head; positions come in by rotation."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        C, H, G = sizes.width, sizes.heads, sizes.kv_heads
        if C % H or (C // H) % 2 or H % G:
            raise ValueError(f"{H} heads must cut the width {C} into even parts, and {G} key heads must divide them")
        self.D = C // H
        self.W_q = nn.Linear(C, H * self.D, bias=False)
        self.W_k = nn.Linear(C, G * self.D, bias=False)
        self.W_v = nn.Linear(C, G * self.D, bias=False)
        self.W_o = nn.Linear(H * self.D, C, bias=False)

    def forward(self, x: Tensor, angles: Tensor, mask: Tensor | None = None, cache: KVCache | None = None) -> Tensor:
        """x: (B, T, C). angles: (B or 1, 1, T, D/2). mask: bool, broadcasts to (B, H, T, S), True = may be seen.

        Keys go into the cache turned: where a key stands never changes. Returns (B, T, C).
        """
        q = self.W_q(x).unflatten(-1, (-1, self.D)).transpose(1, 2)  # (B, T, C) -> (B, H, T, D)
        k = self.W_k(x).unflatten(-1, (-1, self.D)).transpose(1, 2)  # (B, T, C) -> (B, G, T, D)
        v = self.W_v(x).unflatten(-1, (-1, self.D)).transpose(1, 2)
        q, k = rotate(q, angles), rotate(k, angles)
        if cache is not None:
            k, v = cache.append(k, v)  # (B, G, T, D) -> (B, G, S, D)
        T, S = q.shape[2], k.shape[2]
        if mask is None and T == S:
            z = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)  # (B, H, T, D)
        else:
            # The last T keys are the queries' own, so query t may see all keys up to S - T + t.
            causal = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
            seen = causal if mask is None else causal & mask
            z = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, enable_gqa=True)
        return self.W_o(z.transpose(1, 2).flatten(2))  # (B, H, T, D) -> (B, T, C)


class FeedForward(nn.Module):
    """The gated network at every position: one half of the hidden numbers, through SiLU, multiplies the other."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.W_gate = nn.Linear(width, hidden, bias=False)
        self.W_up = nn.Linear(width, hidden, bias=False)
        self.W_down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_down(F.silu(self.W_gate(x)) * self.W_up(x))  # (B, T, C) -> two (B, T, hidden) -> (B, T, C)


class Block(nn.Module):
    """Attention moves information between positions, the feed-forward network works on each: both add to x."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.norm1 = RMSNorm(sizes.width, sizes.eps)
        self.attention = Attention(sizes)
        self.norm2 = RMSNorm(sizes.width, sizes.eps)
        self.feed_forward = FeedForward(sizes.width, sizes.hidden)

    def forward(self, x: Tensor, angles: Tensor, mask: Tensor | None = None, cache: KVCache | None = None) -> Tensor:
        """x: (B, T, C), the rest as in Attention. Returns (B, T, C)."""
        x = x + self.attention(self.norm1(x), angles, mask, cache)
        return x + self.feed_forward(self.norm2(x))


class Llama(nn.Module):
    """Token embeddings, L pre-norm blocks, a last norm, and the token embedding again as the head.

    Raises ValueError when the heads do not divide the width, or the key heads the heads.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.token = nn.Embedding(sizes.vocabulary, sizes.width)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.layers))
        self.last_norm = RMSNorm(sizes.width, sizes.eps)
        D = sizes.width // sizes.heads
        # Pair i turns by base^(-2i/D) radians a position. No weight: it follows from the sizes.
        self.register_buffer("frequencies", 1.0 / sizes.base ** (torch.arange(0, D, 2) / D), persistent=False)  # (D/2,)
        for name, weight in self.named_parameters():
            if name.endswith(("W_o.weight", "W_down.weight")):
                # These 2L matrices write into the residual stream. Scaled so, its variance does not grow with L.
                nn.init.normal_(weight, std=0.02 / (2 * sizes.layers) ** 0.5)
            elif weight.ndim == 2:
                nn.init.normal_(weight, std=0.02)

    def forward(
        self,
        ids: Tensor,
        targets: Tensor | None = None,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Sequence[KVCache] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The scores of every next token: ids (B, T) -> logits (B, T, V). With targets: the pair (logits, loss).

        targets: (B, T), what comes after each token, -100 where it does not count; the loss is the mean in nats.
        mask: bool, broadcasts to (B, H, T, S), True = may be seen; what it allows is causal all the same.
        positions: (B, T), where each token stands in its text, None = 0 to T - 1, or on from what the cache has seen.
        cache: one entry a layer, from `empty_cache`. The ids then continue what it has seen, and it keeps theirs.
        Raises ValueError for ids that are not (B, T).
        """
        logits = self.read(self.stream(ids, mask, positions, cache)[-1])
        if targets is None:
            return logits
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())  # (B * T, V) against (B * T,)

    def stream(
        self,
        ids: Tensor,
        mask: Tensor | None = None,
        positions: Tensor | None = None,
        cache: Sequence[KVCache] | None = None,
    ) -> list[Tensor]:
        """The residual stream before the first block and after each: L + 1 of (B, T, C). Arguments as in `forward`."""
        if ids.ndim != 2:
            raise ValueError(f"ids have shape {tuple(ids.shape)}: give (B, T), one row a sequence")
        if positions is None:
            before = cache[0].seen if cache else 0
            positions = torch.arange(before, before + ids.shape[1], device=ids.device)[None]  # (1, T)
        angles = positions[:, None, :, None].float() * self.frequencies  # (B or 1, T) -> (B or 1, 1, T, D/2)
        x = [self.token(ids)]  # (B, T) -> (B, T, C)
        for block, kept in zip(self.blocks, cache or [None] * len(self.blocks), strict=True):
            x.append(block(x[-1], angles, mask, kept))
        return x

    def read(self, x: Tensor) -> Tensor:
        """The logits that a residual stream stands for: (..., C) -> (..., V)."""
        return self.last_norm(x) @ self.token.weight.T

    def save(self, folder: Path, dtype: torch.dtype = torch.float32, **more: object) -> None:
        """Write config.json and model.safetensors as transformers.LlamaForCausalLM reads them.

        more: further settings for config.json, such as the id that ends a text: eos_token_id.
        """
        write_model(folder, config(self.sizes) | more, to_huggingface(self), dtype)

    @classmethod
    def from_folder(cls, folder: Path) -> "Llama":
        """A model from config.json and model.safetensors, in float32 and ready to run.

        Raises FileNotFoundError when a file is missing, ValueError when the model is not of this architecture.
        """
        sizes = sizes_of(read_config(folder))
        found = read_weights(folder, prefix="model.")
        try:
            model = cls(sizes)
            state = {f"{ours}.weight": found[f"{theirs}.weight"] for theirs, ours in names(sizes.layers).items()}
            model.load_state_dict(state)
        except (KeyError, RuntimeError) as wrong:
            raise ValueError(f"{folder} does not hold the weights that its config.json describes: {wrong}") from wrong
        return model.eval()


def shipped(name: str = "llama-shakespeare") -> Llama:
    """A trained Llama that comes with the course: data/checkpoints/<name>. Its card.md says what it is."""
    return Llama.from_folder(data_path(f"checkpoints/{name}/config.json").parent)


def names(layers: int) -> dict[str, str]:
    """NAMES with every layer's number put in: theirs to ours."""
    numbers = {name: range(layers) if "{}" in name else [0] for name in NAMES}
    return {name.format(n): ours.format(n) for name, ours in NAMES.items() for n in numbers[name]}


def to_huggingface(model: Llama) -> dict[str, Tensor]:
    """All weights under the names of transformers.LlamaForCausalLM, the tied head left out."""
    state = model.state_dict()
    return {f"model.{theirs}.weight": state[f"{ours}.weight"] for theirs, ours in names(model.sizes.layers).items()}


def config(sizes: Sizes) -> dict[str, object]:
    """What config.json holds: the sizes, and this model's fixed choices under transformers' names."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": sizes.vocabulary,
        "max_position_embeddings": sizes.context,
        "hidden_size": sizes.width,
        "num_attention_heads": sizes.heads,
        "num_key_value_heads": sizes.kv_heads,
        "head_dim": sizes.width // sizes.heads,
        "intermediate_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "rope_theta": sizes.base,
        "rms_norm_eps": sizes.eps,
        "hidden_act": "silu",
        "tie_word_embeddings": True,
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "dtype": "float32",  # to compute in, whatever the file stores
        "bos_token_id": None,
        "eos_token_id": None,
    }


def sizes_of(read: dict[str, object]) -> Sizes:
    """The sizes in a config.json. Raises ValueError, naming the setting, where it asks for what it does not do."""
    C, H = read.get("hidden_size", 4096), read.get("num_attention_heads", 32)
    # Newer files of the transformers library keep the base, and any stretching of positions, in one entry.
    rope = read.get("rope_parameters") or read.get("rope_scaling") or {}
    kind = {"rope_type": rope.get("rope_type", rope.get("type", "default"))}
    tied = {
        "tie_word_embeddings": read.get("tie_word_embeddings", False)
    }  # the library's silence means a head of its own
    refuse_other(
        read | kind | tied,
        {
            "model_type": ("llama",),
            "hidden_act": ("silu",),
            "tie_word_embeddings": (True,),
            "attention_bias": (False,),
            "mlp_bias": (False,),
            "head_dim": (C // H, None),
            "rope_type": ("default",),
        },
    )
    return Sizes(
        vocabulary=read.get("vocab_size", 32000),
        context=read.get("max_position_embeddings", 2048),
        width=C,
        heads=H,
        kv_heads=read.get("num_key_value_heads") or H,
        hidden=read.get("intermediate_size", 11008),
        layers=read.get("num_hidden_layers", 32),
        base=read.get("rope_theta", rope.get("rope_theta", 10000.0)),
        eps=read.get("rms_norm_eps", 1e-6),
    )
