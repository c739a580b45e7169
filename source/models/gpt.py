"""GPT-2's model in one file, with room for a cache, and its files in Hugging Face's format. It trains nothing.

Letters: B batch, T positions given, S positions seen (with a cache S is T and what came before), C model width,
H heads, D = C / H head width, V vocabulary, L layers.

- Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3.
- Karpathy, nanoGPT, model.py: the shape of this file.
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

SHIPPED = "gpt2-bytes"

# transformers' GPT2LMHeadModel on the left, GPT on the right; {} is the layer. Each is a weight, and a bias if any.
NAMES = {
    "wte": "token",
    "wpe": "position",
    "h.{}.ln_1": "blocks.{}.norm1",
    "h.{}.attn.c_attn": "blocks.{}.attention.W_qkv",
    "h.{}.attn.c_proj": "blocks.{}.attention.W_o",
    "h.{}.ln_2": "blocks.{}.norm2",
    "h.{}.mlp.c_fc": "blocks.{}.feed_forward.W_in",
    "h.{}.mlp.c_proj": "blocks.{}.feed_forward.W_out",
    "ln_f": "last_norm",
}


@dataclass(frozen=True)
class Sizes:
    """What fixes the shape of every weight: V, the longest T, C, H, L. The defaults are GPT-2's smallest model."""

    vocabulary: int = 50257
    context: int = 1024
    width: int = 768
    heads: int = 12
    layers: int = 12


class Attention(nn.Module):
    """Causal multi-head self-attention, its queries, keys and values in one matrix, as GPT-2 stores them."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide a width of {width}: the head width must be a whole number")
        self.heads = heads
        self.W_qkv = nn.Linear(width, 3 * width)
        self.W_o = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None, cache: KVCache | None = None) -> Tensor:
        """x: (B, T, C). mask: bool, broadcasts to (B, H, T, S), True = may be seen. Returns (B, T, C)."""
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (B, T, C) -> (B, H, T, D)
            for part in self.W_qkv(x).chunk(3, dim=-1)
        )
        if cache is not None:
            k, v = cache.append(k, v)  # (B, H, T, D) -> (B, H, S, D)
        T, S = q.shape[2], k.shape[2]
        if mask is None and T == S:
            z = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (B, H, T, D)
        else:
            # The last T keys are the queries' own, so query t may see all keys up to S - T + t.
            causal = torch.ones(T, S, dtype=torch.bool, device=x.device).tril(S - T)
            z = F.scaled_dot_product_attention(q, k, v, attn_mask=causal if mask is None else causal & mask)
        return self.W_o(z.transpose(1, 2).flatten(2))  # (B, H, T, D) -> (B, T, C)


class FeedForward(nn.Module):
    """The same two-layer network at every position: to four times the width, GELU (tanh form), and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W_in = nn.Linear(width, 4 * width)
        self.W_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_out(F.gelu(self.W_in(x), approximate="tanh"))  # (B, T, C) -> (B, T, 4C) -> (B, T, C)


class Block(nn.Module):
    """Attention moves information between positions, the feed-forward network works on each: both add to x."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width)

    def forward(self, x: Tensor, mask: Tensor | None = None, cache: KVCache | None = None) -> Tensor:
        """x: (B, T, C), mask and cache as in Attention. Returns (B, T, C)."""
        x = x + self.attention(self.norm1(x), mask, cache)
        return x + self.feed_forward(self.norm2(x))


class GPT(nn.Module):
    """Token and position embeddings, L pre-norm blocks, a last norm, and the token embedding again as the head.

    Raises ValueError when the heads do not divide the width.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.token = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position = nn.Embedding(sizes.context, sizes.width)
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.heads) for _ in range(sizes.layers))
        self.last_norm = nn.LayerNorm(sizes.width)
        for name, weight in self.named_parameters():
            if name.endswith(("W_o.weight", "W_out.weight")):
                # These 2L matrices write into the residual stream. Scaled so, its variance does not grow with L.
                nn.init.normal_(weight, std=0.02 / (2 * sizes.layers) ** 0.5)
            elif weight.ndim == 2:
                nn.init.normal_(weight, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

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
        Padding in front and packed documents need it.
        cache: one entry a layer, from `empty_cache`. The ids then continue what it has seen, and it keeps theirs.
        Raises ValueError for ids that are not (B, T) or go beyond the context.
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
        before = cache[0].seen if cache else 0
        T = ids.shape[1]
        last = T if positions is not None else before + T
        if self.sizes.context < last:
            raise ValueError(f"{last} tokens are too many: this model has positions for {self.sizes.context}")
        if positions is None:
            positions = torch.arange(before, before + T, device=ids.device)
        x = [self.token(ids) + self.position(positions)]  # (B, T) -> (B, T, C)
        for block, kept in zip(self.blocks, cache or [None] * len(self.blocks), strict=True):
            x.append(block(x[-1], mask, kept))
        return x

    def read(self, x: Tensor) -> Tensor:
        """The logits that a residual stream stands for: (..., C) -> (..., V)."""
        return self.last_norm(x) @ self.token.weight.T

    def save(self, folder: Path, dtype: torch.dtype = torch.float32, **more: object) -> None:
        """Write config.json and model.safetensors as transformers.GPT2LMHeadModel reads them.

        more: further settings for config.json, such as the id that ends a text: eos_token_id.
        """
        write_model(folder, config(self.sizes) | more, to_huggingface(self), dtype)

    @classmethod
    def from_folder(cls, folder: Path) -> "GPT":
        """A model from config.json and model.safetensors, GPT-2's own included, in float32 and ready to run.

        Raises FileNotFoundError when a file is missing, ValueError when the model is not of this architecture.
        """
        sizes = sizes_of(read_config(folder))
        found = read_weights(folder, prefix="transformer.")
        try:
            model = cls(sizes)
            model.load_state_dict(from_huggingface(found, sizes.layers))
        except (KeyError, RuntimeError) as wrong:
            raise ValueError(f"{folder} does not hold the weights that its config.json describes: {wrong}") from wrong
        return model.eval()


def shipped(name: str = SHIPPED) -> GPT:
    """A trained GPT that comes with the course: data/checkpoints/<name>. Its card.md says what it is."""
    return GPT.from_folder(data_path(f"checkpoints/{name}/config.json").parent)


def names(layers: int) -> dict[str, str]:
    """NAMES with every layer's number put in: theirs to ours."""
    numbers = {name: range(layers) if "{}" in name else [0] for name in NAMES}
    return {name.format(n): ours.format(n) for name, ours in NAMES.items() for n in numbers[name]}


def from_huggingface(found: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """GPT's weights out of those of transformers' GPT2Model. What is none of them, such as old triangles, is left out.

    GPT-2's Conv1D computes x @ weight + bias, so its files hold (inputs, outputs); nn.Linear holds (outputs, inputs).
    Raises KeyError when a weight is missing.
    """
    state = {}
    for theirs, ours in names(layers).items():
        weight = found[f"{theirs}.weight"]
        state[f"{ours}.weight"] = weight.T.contiguous() if ".c_" in theirs else weight
        if theirs not in ("wte", "wpe"):
            state[f"{ours}.bias"] = found[f"{theirs}.bias"]
    return state


def to_huggingface(model: GPT) -> dict[str, Tensor]:
    """All weights under the names and in the layout of transformers.GPT2LMHeadModel, the tied head left out."""
    state, found = model.state_dict(), {}
    for theirs, ours in names(model.sizes.layers).items():
        weight = state[f"{ours}.weight"]
        found[f"transformer.{theirs}.weight"] = weight.T.contiguous() if ".c_" in theirs else weight
        if f"{ours}.bias" in state:
            found[f"transformer.{theirs}.bias"] = state[f"{ours}.bias"]
    return found


def config(sizes: Sizes) -> dict[str, object]:
    """What config.json holds: the sizes, and GPT-2's fixed choices under transformers' names."""
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": sizes.vocabulary,
        "n_positions": sizes.context,
        "n_embd": sizes.width,
        "n_head": sizes.heads,
        "n_layer": sizes.layers,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
        "dtype": "float32",  # to compute in, whatever the file stores
        # This architecture without dropout; and no id is set apart to begin or end a text.
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def sizes_of(read: dict[str, object]) -> Sizes:
    """The sizes in a config.json. Raises ValueError, naming the setting, where it asks for what GPT does not do."""
    refuse_other(
        read,
        {
            "model_type": ("gpt2",),
            "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
            "layer_norm_epsilon": (1e-5,),
            "tie_word_embeddings": (True,),
            "n_inner": (None, 4 * read.get("n_embd", 768)),
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "add_cross_attention": (False,),
        },
    )
    default = Sizes()
    return Sizes(
        vocabulary=read.get("vocab_size", default.vocabulary),
        context=read.get("n_positions", default.context),
        width=read.get("n_embd", default.width),
        heads=read.get("n_head", default.heads),
        layers=read.get("n_layer", default.layers),
    )
