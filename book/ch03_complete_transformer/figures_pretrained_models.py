"""Draws the figures of Pretrained Models: the shipped file's layout, the map of names, what mistakes cost."""

import json
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from book.drawing import arrow, blank, box, ink
from source.corpus import shakespeare
from source.files import data_path
from source.models.gpt import GPT, shipped
from source.plots import BLUE, GREEN, ORANGE, PINK, RED

KINDS = {"embeddings": BLUE, "attention": ORANGE, "feed-forward": GREEN, "norms": PINK}


def _kind(name: str) -> str:
    marks = {".attn.": "attention", ".mlp.": "feed-forward", ".wte.": "embeddings", ".wpe.": "embeddings"}
    return next((kind for mark, kind in marks.items() if mark in name), "norms")


def file_layout() -> Figure:
    """A bar that is the shipped model's file from its first byte to its last. At the left end a sliver of 8 bytes and a
    thin header of JSON; the rest is data, coloured by kind: four blocks one after the other, each mostly feed-forward
    (two wide pieces) and attention, with the embeddings at the end. Below, the first three bytes' parts are enlarged.
    """
    raw = data_path("checkpoints/gpt2-bytes/model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    fig, (ax, low) = plt.subplots(2, 1, figsize=(8.2, 4.2), gridspec_kw={"height_ratios": [1.25, 1]})
    total = len(raw) / 1e3
    ax.set(xlim=(0, total), ylim=(0, 1), xlabel="byte of the file (thousands)", yticks=[])
    ax.spines["left"].set_visible(False)
    ax.add_patch(Rectangle((0, 0.25), (8 + size) / 1e3, 0.6, facecolor=ink(), alpha=0.75, edgecolor="none"))
    for name, about in header.items():
        first, end = (8 + size + place for place in about["data_offsets"])
        colour = KINDS[_kind(name)]
        ax.add_patch(Rectangle((first / 1e3, 0.25), (end - first) / 1e3, 0.6, facecolor=colour, alpha=0.75, lw=0))
        if end - first > 60_000 and name.endswith("weight"):
            short = name.removeprefix("transformer.").removesuffix(".weight").replace(".mlp", "").replace(".attn", "")
            ax.text((first + end) / 2e3, 0.55, short, rotation=90, ha="center", va="center", fontsize=7)
    handles = [Rectangle((0, 0), 1, 1, facecolor=c, alpha=0.75) for c in KINDS.values()]
    handles.append(Rectangle((0, 0), 1, 1, facecolor=ink(), alpha=0.75))
    ax.legend(
        handles, [*KINDS, "length and header"], ncols=5, loc="lower center", bbox_to_anchor=(0.5, 0.95), fontsize=9
    )
    blank(low, 10, 2.4)
    name, about = next(iter(header.items()))
    parts = [
        (1.5, 2.4, RED, f"8 bytes\nlength n = {size:,}"),
        (5.0, 3.9, "gray", f'n bytes of JSON\n{{"{name.removeprefix("transformer.")}":\n{json.dumps(about)[:46]}…'),
        (8.6, 2.6, BLUE, f"{len(raw) - 8 - size:,} bytes\nof numbers"),
    ]
    for x, width, colour, label in parts:
        box(low, x, 1.35, width, 1.5, colour)
        low.text(x, 1.35, label, ha="center", va="center", fontsize=8 if "JSON" in label else 10)
    for x, text in ((0.3, "0"), (2.85, "8"), (7.1, "8 + n"), (9.9, f"{len(raw):,}")):
        low.text(x, 0.35, text, ha="center", va="center", fontsize=9)
    fig.tight_layout()
    return fig


def name_map() -> Figure:
    """Two columns of names with arrows from left to right: the file's tensors and the model's. Four arrows are marked
    as turned: attn.c_attn, attn.c_proj, mlp.c_fc and mlp.c_proj. Three entries of the left column, attn.bias,
    attn.masked_bias and lm_head.weight, lead nowhere; the head is marked as equal to wte.weight.
    """
    rows = [
        ("wte.weight", "token.weight", BLUE, "(V, C)"),
        ("wpe.weight", "position.weight", BLUE, "(T, C)"),
        ("h.N.ln_1", "blocks.N.norm1", PINK, "(C,)"),
        ("h.N.attn.c_attn", "blocks.N.attention.W_qkv", ORANGE, "(C, 3C), turned"),
        ("h.N.attn.c_proj", "blocks.N.attention.W_o", ORANGE, "(C, C), turned"),
        ("h.N.ln_2", "blocks.N.norm2", PINK, "(C,)"),
        ("h.N.mlp.c_fc", "blocks.N.feed_forward.W_in", GREEN, "(C, 4C), turned"),
        ("h.N.mlp.c_proj", "blocks.N.feed_forward.W_out", GREEN, "(4C, C), turned"),
        ("ln_f", "last_norm", PINK, "(C,)"),
        ("lm_head.weight", "", "gray", "must equal wte.weight"),
        ("h.N.attn.bias", "", "gray", "a triangle, no weight"),
        ("h.N.attn.masked_bias", "", "gray", "a constant, no weight"),
    ]
    fig, ax = plt.subplots(figsize=(7.6, 5.4))
    blank(ax, 10, len(rows) + 1)
    ax.text(1.55, len(rows) + 0.55, "in the file", ha="center", fontsize=11)
    ax.text(8.05, len(rows) + 0.55, "in the model", ha="center", fontsize=11)
    for n, (theirs, ours, colour, note) in enumerate(rows):
        y = len(rows) - n - 0.3
        box(ax, 1.55, y, 2.9, 0.68, colour)
        ax.text(1.55, y, theirs, ha="center", va="center", fontsize=9.5, family="DejaVu Sans Mono")
        if ours:
            box(ax, 8.05, y, 3.8, 0.68, colour)
            ax.text(8.05, y, ours, ha="center", va="center", fontsize=9.5, family="DejaVu Sans Mono")
            arrow(ax, (3.1, y), (6.08, y))
            ax.text(4.55, y + 0.2, note, ha="center", va="center", fontsize=9)
        else:
            ax.text(3.2, y, f"×  {note}", ha="left", va="center", fontsize=9.5)
    fig.tight_layout()
    return fig


def _exact_gelu(model: GPT) -> None:
    for block in model.blocks:
        layer = block.feed_forward
        layer.forward = lambda x, layer=layer: layer.W_out(F.gelu(layer.W_in(x)))


def _other_eps(model: GPT) -> None:
    for part in model.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps = 1e-6


def _bias_lost(model: GPT) -> None:
    model.blocks[3].feed_forward.W_out.bias.data.zero_()


def _square_not_turned(model: GPT) -> None:
    weight = model.blocks[2].attention.W_o.weight
    weight.data = weight.data.T.clone()


def _positions_shifted(model: GPT) -> None:
    model.position.weight.data = model.position.weight.data.roll(-1, dims=0)


def _stored_in(dtype: torch.dtype) -> Callable[[GPT], None]:
    def store(model: GPT) -> None:
        for weight in model.parameters():
            weight.data = weight.data.to(dtype).to(weight.dtype)

    return store


def rounding_or_mistake() -> Figure:
    """A chart of dots on a logarithmic axis: how far the logits of the shipped model move, relative to their size. Far
    left, float32's own rounding, near 1e-7 to 1e-6. To the right, in this order, a LayerNorm eps of 1e-6, GELU by erf,
    and far right a lost bias, a square matrix not turned and shifted positions. Weights rounded to bfloat16 move
    the logits by more than the two smallest mistakes do.
    """
    ids = torch.tensor([list(shakespeare("validation").encode()[:128])])
    with torch.no_grad():
        right = shipped().double()(ids)
        scale = right.square().mean().sqrt()
        moved = {}
        kinds = {
            "float32 instead of float64": ("rounding", lambda model: model.float()),
            "weights stored in bfloat16": ("storage", _stored_in(torch.bfloat16)),
            "LayerNorm's eps 1e-6": ("mistake", _other_eps),
            "GELU by erf": ("mistake", _exact_gelu),
            "one bias left at zero": ("mistake", _bias_lost),
            "one square matrix not turned": ("mistake", _square_not_turned),
            "positions from one": ("mistake", _positions_shifted),
        }
        for name, (_, damage) in kinds.items():
            model = shipped().double()
            damage(model)
            off = (model(ids).double() - right).abs()
            moved[name] = (off / (right.abs() + scale)).max().item()
    fig, ax = plt.subplots(figsize=(7.6, 3.4))
    places = np.arange(len(moved))[::-1]
    looks = {"rounding": (GREEN, "o"), "storage": (ORANGE, "s"), "mistake": (RED, "D")}
    for place, (name, value) in zip(places, moved.items(), strict=True):
        colour, marker = looks[kinds[name][0]]
        ax.plot([1e-8, value], [place, place], color=colour, lw=1, alpha=0.6)
        ax.plot(value, place, marker, color=colour, ms=8)
        ax.text(value * 1.6, place, f"{value:.0e}", va="center", fontsize=9)
    ax.axvline(1e-5, color="gray", ls="--", lw=1)
    ax.text(1.15e-5, len(moved) - 0.45, "tolerance", fontsize=9, color=ink())
    ax.set_yticks(places, list(moved))
    ax.set(xscale="log", xlim=(1e-8, 30), ylim=(-0.6, len(moved)), xlabel="largest relative difference of a logit")
    ax.grid(axis="x", lw=0.5)
    fig.tight_layout()
    return fig
