"""Draws the figures of the page that traces one prompt to one token, and computes them from the weights' file alone."""

from dataclasses import dataclass
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from safetensors.torch import load_file
from torch import Tensor

from book.drawing import arrow, blank, box, ink
from source.files import data_path
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, heatmap

PROMPT = "I do not kno"
C, H, L, V = 128, 4, 4, 256  # of data/checkpoints/gpt2-bytes
D = C // H


@dataclass(frozen=True)
class Trace:
    """Every tensor between some new ids and the scores behind them, by name; keys and values include what was kept."""

    tensors: dict[str, Tensor]
    kept: list[tuple[Tensor, Tensor]]  # keys and values of each block, each (B, H, S, D)


@cache
def weights() -> dict[str, Tensor]:
    """The shipped model's weights in float32, under Hugging Face's names without "transformer."."""
    stored = load_file(data_path("checkpoints/gpt2-bytes/model.safetensors"))
    return {name.removeprefix("transformer."): weight.float() for name, weight in stored.items()}


def norm(x: Tensor, name: str) -> Tensor:
    """LayerNorm with the weights of that name."""
    return F.layer_norm(x, (C,), weights()[f"{name}.weight"], weights()[f"{name}.bias"])


def conv1d(x: Tensor, name: str) -> Tensor:
    """x @ weight + bias: GPT-2 stores its matrices as (inputs, outputs)."""
    return x @ weights()[f"{name}.weight"] + weights()[f"{name}.bias"]


def heads(x: Tensor) -> Tensor:
    """(B, T, C) -> (B, H, T, D)."""
    return x.unflatten(-1, (H, D)).transpose(1, 2)


def trace(ids: Tensor, kept: list[tuple[Tensor, Tensor]] | None = None) -> Trace:
    """Run new ids (B, T) through the model and keep every tensor. kept: keys and values of the ids before them."""
    past = kept[0][0].shape[2] if kept else 0
    T = ids.shape[1]
    S = past + T
    token, position = weights()["wte.weight"][ids], weights()["wpe.weight"][past:S]
    x = token + position
    found = {"ids": ids, "token": token, "position": position, "x0": x}
    seen = torch.ones(S, S, dtype=torch.bool).tril()[past:]  # (T, S): the rows of the new ids
    now = []
    for layer in range(L):
        h = f"h.{layer}"
        n1 = norm(x, f"{h}.ln_1")
        qkv = conv1d(n1, f"{h}.attn.c_attn")  # (B, T, 3C)
        q, k, v = (heads(part) for part in qkv.chunk(3, dim=-1))  # (B, H, T, D)
        if kept:
            k, v = torch.cat([kept[layer][0], k], dim=2), torch.cat([kept[layer][1], v], dim=2)  # (B, H, S, D)
        now.append((k, v))
        scores = (q @ k.transpose(-2, -1) / D**0.5).masked_fill(~seen, float("-inf"))  # (B, H, T, S)
        attention = scores.softmax(dim=-1)
        z = attention @ v  # (B, H, T, D)
        attended = conv1d(z.transpose(1, 2).flatten(-2), f"{h}.attn.c_proj")  # (B, T, C)
        a = x + attended
        n2 = norm(a, f"{h}.ln_2")
        wide = F.gelu(conv1d(n2, f"{h}.mlp.c_fc"), approximate="tanh")  # (B, T, 4C)
        narrow = conv1d(wide, f"{h}.mlp.c_proj")  # (B, T, C)
        x = a + narrow
        one = {"norm1": n1, "qkv": qkv, "q": q, "k": k, "v": v, "scores": scores, "weights": attention, "z": z}
        one |= {"attended": attended, "a": a, "norm2": n2, "wide": wide, "narrow": narrow, "out": x}
        found |= {f"{name} of block {layer}": tensor for name, tensor in one.items()}
    found["last norm"] = norm(x, "ln_f")
    found["last position"] = found["last norm"][:, -1]  # (B, C)
    found["logits"] = found["last position"] @ weights()["wte.weight"].T  # (B, V)
    found["probabilities"] = found["logits"].softmax(dim=-1)
    found["chosen"] = found["probabilities"].argmax(dim=-1)  # (B,)
    return Trace(found, now)


@cache
def prefill() -> Trace:
    """The whole prompt at once."""
    return trace(torch.tensor([list(PROMPT.encode())]))


@cache
def next_step() -> Trace:
    """The chosen token alone, with what the prompt left: the model's second token."""
    first = prefill()
    return trace(first.tensors["chosen"][:, None], first.kept)


# What is done, its name in the trace, and its shape in letters; a block's rows come once for all four.
STEPS = (
    ("bytes of the text", "ids", "(B, T)"),
    ("rows of the token table", "token", "(B, T, C)"),
    ("rows of the position table", "position", "(T, C)"),
    ("their sum, $x_0$", "x0", "(B, T, C)"),
    ("first norm", "norm1", "(B, T, C)"),
    ("one product for queries, keys, values", "qkv", "(B, T, 3C)"),
    ("queries, cut into heads", "q", "(B, H, T, D)"),
    ("keys, and values alike", "k", "(B, H, S, D)"),
    ("scores, masked; weights alike", "scores", "(B, H, T, S)"),
    ("blend of the values", "z", "(B, H, T, D)"),
    ("heads merged, projected", "attended", "(B, T, C)"),
    ("added to $x$, second norm", "norm2", "(B, T, C)"),
    ("widened, GELU", "wide", "(B, T, 4C)"),
    ("narrowed, added: the next $x$", "out", "(B, T, C)"),
    ("last norm", "last norm", "(B, T, C)"),
    ("its last position", "last position", "(B, C)"),
    ("logits: times the token table", "logits", "(B, V)"),
    ("softmax", "probabilities", "(B, V)"),
    ("the largest", "chosen", "(B,)"),
)


def shape_rows() -> list[str]:
    """The page's table of shapes, a Markdown row each: step, letters, the prompt's shape, the next token's."""
    rows = []
    for what, name, letters in STEPS:
        shapes = []
        for run in (prefill(), next_step()):
            tensor = run.tensors.get(name, run.tensors.get(f"{name} of block 0"))
            shapes.append(str(tuple(tensor.shape)))
        rows.append(f"| {what} | {letters} | {shapes[0]} | {shapes[1]} |")
    return rows


def work(T: int, S: int) -> dict[str, int]:
    """Multiply-adds of one pass: T new positions, S keys in all. Hidden keys count: plain code computes them."""
    return {"matrices": L * 12 * C * C * T, "scores and blend": L * 2 * T * S * C, "head": V * C}


def character(byte: int) -> str:
    """A byte as a label."""
    return {10: "⏎", 32: "␣"}.get(byte, chr(byte) if 32 < byte < 127 else "·")


def the_route() -> Figure:
    """A column of boxes from the text below to one byte above: bytes (1, 12), embeddings (1, 12, 128), four blocks that
    keep the shape, last norm, the last position alone (1, 128), logits (1, 256), one byte. Beside the boxes, a widening
    and narrowing silhouette shows how many numbers there are at each step.
    """
    T = len(PROMPT)
    steps = [
        (f'"{PROMPT}"', "text", ORANGE),
        ("ids", f"(1, {T})", ORANGE),
        ("embeddings", f"(1, {T}, {C})", BLUE),
        *((f"block {n}", f"(1, {T}, {C})", GREEN) for n in range(L)),
        ("last norm", f"(1, {T}, {C})", GREEN),
        ("last position", f"(1, {C})", BLUE),
        ("logits", f"(1, {V})", PINK),
        ("chosen byte", f"(1,)  →  {character(int(prefill().tensors['chosen']))}", PINK),
    ]
    counts = [T, T, *[T * C] * (L + 2), C, V, 1]
    fig, ax = plt.subplots(figsize=(6.6, 6.4))
    blank(ax, 10, len(steps) + 0.4)
    for n, ((name, shape, colour), count) in enumerate(zip(steps, counts, strict=True)):
        y = n + 0.6
        box(ax, 2.3, y, 3.4, 0.62, colour, name)
        ax.text(4.25, y, shape, va="center", fontsize=11)
        width = 0.28 * np.log2(count + 1)
        ax.add_patch(
            Rectangle((8.3 - width / 2, y - 0.31), width, 0.62, facecolor=colour, alpha=0.45, edgecolor="none")
        )
        ax.text(8.3, y, f"{count:,}", ha="center", va="center", fontsize=10)
        if n:
            arrow(ax, (2.3, y - 0.69), (2.3, y - 0.31))
    ax.text(8.3, 0.02, "how many numbers (width: logarithm)", ha="center", va="center", fontsize=9)
    fig.tight_layout()
    return fig


def last_position_stream() -> Figure:
    """Left, a heatmap: the 128 channels of the last position's stream as columns, and rows for the embedding and after
    each of four blocks; the colours grow stronger row by row. Right, three bars a block: the size of the stream, of
    what attention adds and of what the feed-forward network adds.
    """
    found = prefill().tensors
    stream = [found["x0"], *(found[f"out of block {n}"] for n in range(L))]
    rows = torch.stack([x[0, -1] for x in stream]).numpy()  # (L + 1, C)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.4, 3.4), width_ratios=(1.5, 1), layout="constrained")
    bound = np.quantile(np.abs(rows), 0.99)
    image = left.imshow(rows, aspect="auto", cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest")
    left.set_yticks(range(L + 1), ["embedding", *(f"after block {n}" for n in range(L))])
    left.set(xlabel="channel", title="the last position's vector")
    left.spines[:].set_visible(False)
    fig.colorbar(image, ax=left, label="value")
    sizes = {
        "the stream before": [x[0, -1].norm().item() for x in stream[:-1]],
        "attention adds": [found[f"attended of block {n}"][0, -1].norm().item() for n in range(L)],
        "feed-forward adds": [found[f"narrow of block {n}"][0, -1].norm().item() for n in range(L)],
    }
    for shift, (label, values), colour, hatch in zip(
        (-0.27, 0, 0.27), sizes.items(), (BLUE, ORANGE, GREEN), ("", "//", ".."), strict=True
    ):
        right.bar(np.arange(L) + shift, values, 0.25, color=colour, hatch=hatch, label=label)
    right.set_xticks(range(L))
    right.set(xlabel="block", ylabel="norm of the vector", title="who writes how much")
    right.set_ylim(0, 1.4 * max(max(values) for values in sizes.values()))  # room for the legend
    right.legend(fontsize=9)
    return fig


HEAD = (0, 2)  # the block and head of the figure below: it looks one and two letters back


def one_head() -> Figure:
    """A triangle of attention weights of one head for the prompt's twelve bytes: rows look, columns are looked at. The
    upper right half is empty. The last row, from which the answer is read, is marked by a frame.
    """
    layer, head = HEAD
    labels = [character(b) for b in PROMPT.encode()]
    found = prefill().tensors[f"weights of block {layer}"][0, head].numpy()
    fig, ax = plt.subplots(figsize=(5.6, 4.4))
    image = heatmap(ax, found, labels, labels)
    ax.tick_params(axis="x", rotation=0)
    T = len(labels)
    ax.add_patch(Rectangle((-0.5, T - 1.5), T, 1, fill=False, edgecolor=RED, lw=2, clip_on=False))
    ax.set(title=f"block {layer}, head {head}")
    fig.colorbar(image, ax=ax, label="weight")
    fig.tight_layout()
    return fig


def lens() -> list[list[tuple[int, float]]]:
    """The five likeliest next bytes if the last position is read after 0 to L blocks, each with its probability."""
    found = prefill().tensors
    stream = [found["x0"], *(found[f"out of block {n}"] for n in range(L))]
    best = []
    for x in stream:
        chances = (norm(x[0, -1], "ln_f") @ weights()["wte.weight"].T).softmax(-1)
        top = chances.topk(5)
        best.append([(int(i), float(p)) for p, i in zip(top.values, top.indices, strict=True)])
    return best


def answers_by_depth() -> Figure:
    """A table of five rows, from the embedding at the bottom to the last block at the top, with the five likeliest next
    bytes in each row and their probabilities; brighter is likelier. In the lowest row the byte itself leads; in all
    others the byte that completes the word.
    """
    best = lens()
    chances = np.array([[p for _, p in row] for row in best])[::-1]
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    rows = ["embedding", *(f"after block {n}" for n in range(L))][::-1]
    image = heatmap(ax, chances, rows, [f"{n}." for n in range(1, 6)])
    for (y, x), p in np.ndenumerate(chances):
        colour = "black" if p > 0.5 else "white"
        byte = best[::-1][y][x][0]
        ax.text(
            x,
            y,
            f"{character(byte)}  {p:.2f}",
            ha="center",
            va="center",
            color=colour,
            family="DejaVu Sans Mono",
            fontsize=10,
        )
    ax.tick_params(axis="x", rotation=0)
    ax.set(xlabel="rank of the guess", ylabel="", title="read after ...")
    fig.colorbar(image, ax=ax, label="probability")
    fig.tight_layout()
    return fig


def two_phases() -> Figure:
    """Two panels. Left, prefill: 12 queries against 12 keys, a square of scores of which the lower triangle is used.
    Right, the next token: one row of queries against 13 keys, 12 of them kept from before and one new. Above each, the
    multiply-adds of the pass.
    """
    T = len(PROMPT)
    fig, axes = plt.subplots(1, 2, figsize=(8.6, 4.0))
    unit = 0.42
    for ax, (title, new, S) in zip(axes, (("prefill", T, T), ("the next token", 1, T + 1)), strict=True):
        blank(ax, 8, 8)
        left, top = 1.5, 6.2
        for row in range(new):
            for s in range(S):
                hidden = s > (S - new) + row
                x, y = left + s * unit, top - (row + 1) * unit
                ax.add_patch(
                    Rectangle(
                        (x, y), unit, unit, facecolor=BLUE, alpha=0.05 if hidden else 0.5, edgecolor=ink(), lw=0.4
                    )
                )
        for s in range(S):
            old = s < S - new
            ax.add_patch(
                Rectangle(
                    (left + s * unit, top + 0.15),
                    unit,
                    0.4,
                    facecolor=ORANGE if old else GREEN,
                    alpha=0.5,
                    edgecolor=ink(),
                    lw=0.4,
                )
            )
        ax.text(left - 0.15, top + 0.35, "keys", ha="right", va="center", fontsize=10)
        ax.text(left - 0.15, top - new * unit / 2, "queries", ha="right", va="center", fontsize=10)
        if new == 1:
            ax.text(left, top - 1.0, "orange: kept from before\ngreen: computed now", va="top", fontsize=10)
        total = sum(work(new, S).values())
        ax.set_title(f"{title}: {new} × {S} scores a head\n{total:,} multiply-adds", fontsize=11)
    fig.tight_layout()
    return fig
