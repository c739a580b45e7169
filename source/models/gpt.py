"""A decoder-only language model of GPT-2's architecture, and its files in Hugging Face's format. It keeps no cache.

Letters: B batch, T positions, C model width, H heads, V vocabulary, L layers.

- Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3.
- Karpathy, nanoGPT, model.py: the shape of this file.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from source.blocks.gpt2_block import Block, causal_mask, from_gpt2, to_gpt2
from source.files import data_path

SHIPPED = "gpt2-bytes"


@dataclass(frozen=True)
class Sizes:
    """What fixes the shape of every weight: V, the longest T, C, H, L. The defaults are GPT-2's smallest model."""

    vocabulary: int = 50257
    context: int = 1024
    width: int = 768
    heads: int = 12
    layers: int = 12


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
        self, ids: Tensor, targets: Tensor | None = None, mask: Tensor | None = None, positions: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """The scores of every next token: ids (B, T) -> logits (B, T, V). With targets: the pair (logits, loss).

        targets: (B, T), what comes after each token, -100 where it does not count; the loss is the mean in nats.
        mask: bool, broadcasts to (B, H, T, T), True = may be seen; what it allows is causal all the same.
        positions: (B, T), where each token stands in its text, None = 0 to T - 1. Padding in front and packed
        documents need it.
        Raises ValueError for ids that are not (B, T) or longer than the context.
        """
        logits = self.read(self.stream(ids, mask, positions)[-1])
        if targets is None:
            return logits
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())  # (B * T, V) against (B * T,)

    def stream(self, ids: Tensor, mask: Tensor | None = None, positions: Tensor | None = None) -> list[Tensor]:
        """The residual stream before the first block and after each: L + 1 of (B, T, C). Arguments as in `forward`."""
        if ids.ndim != 2:
            raise ValueError(f"ids have shape {tuple(ids.shape)}: give (B, T), one row a sequence")
        T = ids.shape[1]
        if self.sizes.context < T:
            raise ValueError(f"{T} tokens are too many: this model has positions for {self.sizes.context}")
        where = torch.arange(T, device=ids.device) if positions is None else positions
        seen = causal_mask(T, device=ids.device)
        seen = seen if mask is None else seen & mask
        x = [self.token(ids) + self.position(where)]  # (B, T) -> (B, T, C)
        for block in self.blocks:
            x.append(block(x[-1], seen))
        return x

    def read(self, x: Tensor) -> Tensor:
        """The logits that a residual stream stands for: (..., C) -> (..., V)."""
        return self.last_norm(x) @ self.token.weight.T

    def save(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Write config.json and model.safetensors as transformers.GPT2LMHeadModel reads them."""
        from safetensors.torch import save_file

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        weights = {name: weight.to(dtype).contiguous() for name, weight in to_huggingface(self).items()}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "config.json").write_text(json.dumps(config(self.sizes), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def from_folder(cls, folder: Path) -> "GPT":
        """A model from config.json and model.safetensors, GPT-2's own included, in float32 and ready to run.

        Raises FileNotFoundError when a file is missing, ValueError when the model is not of this architecture.
        """
        from safetensors.torch import load_file

        folder = Path(folder)
        for name in ("config.json", "model.safetensors"):
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} has no {name}: give the folder of a GPT-2 in Hugging Face's format")
        sizes = sizes_of(json.loads((folder / "config.json").read_text(encoding="utf-8")))
        # Hub files of the bare model lack the prefix, and old ones hold a triangle, which is no weight.
        found = {name.removeprefix("transformer."): w for name, w in load_file(folder / "model.safetensors").items()}
        state = {"token.weight": "wte.weight", "position.weight": "wpe.weight"}
        state |= {f"last_norm.{kind}": f"ln_f.{kind}" for kind in ("weight", "bias")}
        try:
            state = {ours: found[theirs] for ours, theirs in state.items()}
            for layer in range(sizes.layers):
                start = f"h.{layer}."
                block = {name.removeprefix(start): w for name, w in found.items() if name.startswith(start)}
                state |= {f"blocks.{layer}.{name}": weight for name, weight in from_gpt2(block).items()}
            model = cls(sizes)
            model.load_state_dict(state)
        except (KeyError, RuntimeError) as wrong:
            raise ValueError(f"{folder} does not hold the weights that its config.json describes: {wrong}") from wrong
        return model.eval()


def shipped(name: str = SHIPPED) -> GPT:
    """A trained model that comes with the course: data/checkpoints/<name>. Its card.md says what it is."""
    return GPT.from_folder(data_path(f"checkpoints/{name}/config.json").parent)


def to_huggingface(model: GPT) -> dict[str, Tensor]:
    """All weights under the names and in the layout of transformers.GPT2LMHeadModel, the tied head left out."""
    state = {"transformer.wte.weight": model.token.weight, "transformer.wpe.weight": model.position.weight}
    for layer, block in enumerate(model.blocks):
        state |= {f"transformer.h.{layer}.{name}": weight for name, weight in to_gpt2(block.state_dict()).items()}
    state |= {f"transformer.ln_f.{name}": weight for name, weight in model.last_norm.state_dict().items()}
    return {name: weight.detach() for name, weight in state.items()}


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
        # This architecture without dropout; and no byte is set apart to begin or end a text.
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "bos_token_id": None,
        "eos_token_id": None,
    }


def sizes_of(read: dict[str, object]) -> Sizes:
    """The sizes in a config.json. Raises ValueError, naming the setting, where it asks for what GPT does not do."""
    fixed = {
        "model_type": ("gpt2",),
        "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
        "layer_norm_epsilon": (1e-5,),
        "tie_word_embeddings": (True,),
        "n_inner": (None, 4 * read.get("n_embd", 768)),
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    }
    for name, allowed in fixed.items():
        if read.get(name, allowed[0]) not in allowed:
            raise ValueError(f"config.json says {name} = {read[name]!r}; this model only has {allowed[0]!r}")
    default = Sizes()
    return Sizes(
        vocabulary=read.get("vocab_size", default.vocabulary),
        context=read.get("n_positions", default.context),
        width=read.get("n_embd", default.width),
        heads=read.get("n_head", default.heads),
        layers=read.get("n_layer", default.layers),
    )
