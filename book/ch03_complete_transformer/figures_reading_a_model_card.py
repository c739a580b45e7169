"""Draws the figures of the page on model cards, and derives from a configuration what its numbers mean."""

import json
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from book.drawing import ink
from source.files import data_path
from source.plots import BLUE, GREEN, ORANGE, PINK, RED

# The lines of published config.json files that fix shapes, under the names that the files use.
PUBLISHED = {
    "GPT-2": {
        "model_type": "gpt2",
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 768,
        "n_head": 12,
        "n_layer": 12,
    },
    "GPT-2 XL": {
        "model_type": "gpt2",
        "vocab_size": 50257,
        "n_positions": 1024,
        "n_embd": 1600,
        "n_head": 25,
        "n_layer": 48,
    },
    "Llama 2 7B": {
        "model_type": "llama",
        "vocab_size": 32000,
        "max_position_embeddings": 4096,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "tie_word_embeddings": False,
    },
    "Mistral 7B": {
        "model_type": "mistral",
        "vocab_size": 32000,
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
    },
    "Llama 3 8B": {
        "model_type": "llama",
        "vocab_size": 128256,
        "max_position_embeddings": 8192,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
    },
    "Llama 3 70B": {
        "model_type": "llama",
        "vocab_size": 128256,
        "max_position_embeddings": 8192,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
    },
}


@dataclass(frozen=True)
class Derived:
    """What follows from a configuration. Sizes in bytes are for two bytes a number, as in float16 and bfloat16."""

    embedding: int  # parameters that are looked up: tokens, and positions where they are learned
    attention: int  # parameters of all blocks' attention
    feed_forward: int  # parameters of all blocks' feed-forward networks
    norms: int
    head: int  # parameters of the output matrix, 0 where it is the token table again
    head_work: int  # multiply-adds of the output matrix for one position
    context: int  # positions
    keys_kept: int  # keys of a full context that are kept: fewer than the context where a window slides
    cache_numbers: int  # numbers kept for each token: keys and values of all layers
    mixing: int  # multiply-adds of scores and blend for one token and one key

    @property
    def parameters(self) -> int:
        return self.embedding + self.attention + self.feed_forward + self.norms + self.head

    @property
    def weight_bytes(self) -> int:
        return 2 * self.parameters

    @property
    def cache_bytes(self) -> int:
        """For each token of each sequence."""
        return 2 * self.cache_numbers

    @property
    def full_cache_bytes(self) -> int:
        """For one sequence of the longest context."""
        return self.cache_bytes * self.keys_kept

    def flops(self, keys: int = 0) -> int:
        """Floating-point operations of a forward pass for one token that looks at so many keys; norms are left out."""
        return 2 * (self.attention + self.feed_forward + self.head_work) + 2 * self.mixing * keys


def derived(config: dict[str, object]) -> Derived:
    """What a config.json of GPT-2's or Llama's family implies. Raises ValueError for another model_type."""
    if config["model_type"] == "gpt2":
        V, C, L, T = (config[name] for name in ("vocab_size", "n_embd", "n_layer", "n_positions"))
        wide = config.get("n_inner") or 4 * C
        return Derived(
            embedding=V * C + T * C,
            attention=L * (4 * C * C + 4 * C),
            feed_forward=L * (2 * C * wide + wide + C),
            norms=(2 * L + 1) * 2 * C,
            head=0 if config.get("tie_word_embeddings", True) else V * C,
            head_work=V * C,
            context=T,
            keys_kept=T,
            cache_numbers=2 * L * C,
            mixing=2 * L * C,
        )
    if config["model_type"] in ("llama", "mistral"):
        V, C, L, H = (config[n] for n in ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads"))
        G, T = config["num_key_value_heads"], config["max_position_embeddings"]
        D = config.get("head_dim") or C // H
        return Derived(
            embedding=V * C,
            attention=L * (2 * C * H * D + 2 * C * G * D),
            feed_forward=L * 3 * C * config["intermediate_size"],
            norms=(2 * L + 1) * C,
            head=0 if config["tie_word_embeddings"] else V * C,
            head_work=V * C,
            context=T,
            keys_kept=min(T, config.get("sliding_window") or T),
            cache_numbers=2 * L * G * D,
            mixing=2 * L * H * D,
        )
    raise ValueError(f"model_type {config['model_type']!r} is not known here: gpt2, llama or mistral")


def own() -> dict[str, object]:
    """The config.json of the course's shipped model."""
    return json.loads(data_path("checkpoints/gpt2-bytes/config.json").read_text(encoding="utf-8"))


def size(bytes_: int) -> str:
    """Bytes as a reader wants them: "248.9 MB", in powers of ten."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if bytes_ >= factor:
            return f"{bytes_ / factor:.1f} {unit}"
    return f"{bytes_} B"


def count(parameters: int) -> str:
    """Parameters as a reader wants them: "124 million", "8.03 billion"."""
    return f"{parameters / 1e9:.3g} billion" if parameters >= 10**9 else f"{parameters / 1e6:.3g} million"


def card_rows() -> list[str]:
    """The page's table of derived numbers, a Markdown row for each model."""
    rows = []
    for name, config in {"gpt2-bytes": own(), **PUBLISHED}.items():
        d = derived(config)
        rows.append(
            f"| {name} | {d.parameters:,} | {size(d.weight_bytes)} | {d.cache_bytes / 1024:,.0f} KiB "
            f"| {size(d.full_cache_bytes)} | {d.flops() / 1e9:,.3g} |"
        )
    return rows


def where_the_parameters_are() -> Figure:
    """A bar for each of seven models, cut into embedding, attention, feed-forward network, norms and head as shares of
    all parameters. In small GPT-2 the embedding is nearly a third; in the large Llama the feed-forward network is about
    four fifths.
    """
    models = {"gpt2-bytes": own(), **PUBLISHED}
    parts = ("embedding", "attention", "feed_forward", "norms", "head")
    fig, ax = plt.subplots(figsize=(7.6, 3.8), layout="constrained")
    start = np.zeros(len(models))
    for part, colour, hatch in zip(parts, (ORANGE, BLUE, GREEN, RED, PINK), ("", "//", "", "", ".."), strict=True):
        shares = np.array([getattr(derived(c), part) / derived(c).parameters for c in models.values()])
        ax.barh(range(len(models)), shares, left=start, color=colour, hatch=hatch, label=part.replace("_", "-"))
        start += shares
    ax.set_yticks(range(len(models)), [f"{n}\n{count(derived(c).parameters)}" for n, c in models.items()], fontsize=9)
    ax.invert_yaxis()
    ax.set(xlabel="share of the parameters", xlim=(0, 1))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
    return fig


def memory_of_a_context() -> Figure:
    """Memory in gigabytes against the tokens in the cache, both axes logarithmic, for Llama 2 7B, Mistral 7B and Llama
    3 8B. Level lines: the weights, 13 to 16. Rising lines: the cache. Llama 2's lies four times as high as the other
    two; Mistral's bends level at its window of 4,096 tokens.
    """
    tokens = 2.0 ** np.arange(8, 18)
    fig, ax = plt.subplots(figsize=(7.2, 4), layout="constrained")
    for name, colour, marker in (("Llama 2 7B", RED, "o"), ("Mistral 7B", ORANGE, "s"), ("Llama 3 8B", BLUE, "^")):
        d, config = derived(PUBLISHED[name]), PUBLISHED[name]
        held = np.minimum(tokens, config.get("sliding_window", np.inf))
        ax.plot(tokens, d.cache_bytes * held / 1e9, color=colour, marker=marker, ms=4, label=f"{name}: cache")
        ax.axhline(d.weight_bytes / 1e9, color=colour, lw=1, ls=":")
    ax.text(tokens[0], 17.5, "weights of the three (dotted)", fontsize=9, color=ink())
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(tokens, [f"{int(n)}" if n < 1024 else f"{int(n) // 1024}k" for n in tokens])
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:,.10g}")
    ax.set(
        xlabel="tokens, of all sequences together (Mistral: of one sequence)", ylabel="gigabytes, two bytes a number"
    )
    ax.grid(axis="y", lw=0.5)
    ax.legend(fontsize=9)
    return fig
