"""Draws the figures of the page on resource accounting and computes the numbers in them; it runs no model."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from book.drawing import ink
from source import accounting as cost
from source.plots import BLUE, GREEN, ORANGE, PINK, RED, SKY, YELLOW

MODELS = (("GPT-2 small", cost.GPT2_SMALL, 8, 1024), ("Llama 2, 7B", cost.LLAMA2_7B, 1, 4096))


def parameters_by_part() -> Figure:
    """Two bars, each the whole of a model's parameters. In GPT-2 small nearly a third is the token table, and the
    feed-forward network is twice attention. In Llama 2 with 7 billion, two thirds are the feed-forward network and
    about a third is attention; the token table and the head are slivers at both ends.
    """
    fig, ax = plt.subplots(figsize=(7, 2.5), layout="constrained")
    colours = (SKY, YELLOW, RED, GREEN, PINK, ORANGE)
    for row, (_, shape, _, _) in enumerate(MODELS):
        parts = cost.parameters(shape)
        total, left = sum(parts.values()), 0.0
        for (part, count), colour in zip(parts.items(), colours, strict=True):
            share = 100 * count / total
            ax.barh(row, share, left=left, color=colour, height=0.6, label=part if row == 0 else None)
            if share > 8:
                ax.text(
                    left + share / 2,
                    row,
                    f"{count / 1e6:,.0f} M",
                    ha="center",
                    va="center",
                    fontsize=10,
                    color="#000000",
                )
            left += share
    ax.set_yticks(range(2), [name for name, *_ in MODELS])
    ax.invert_yaxis()
    ax.set(xlabel="share of the parameters (%)", xlim=(0, 100))
    fig.legend(loc="outside lower center", ncols=3, fontsize=10)
    return fig


def flops_by_part() -> Figure:
    """Two panels of shares that add up to one hundred percent, against sequence lengths from 128 to 131,072. In both
    models the share of scores and blend is a few percent at 128 and nearly all at the right end. In GPT-2 small it
    passes one half near 7,000 tokens, in the 7-billion model near 25,000. The head takes over a quarter of GPT-2's
    FLOPs at short lengths and hardly anything of the larger model's.
    """
    lengths = 2 ** np.linspace(7, 17, 60)
    fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), sharey=True, layout="constrained")
    for ax, (name, shape, _, _) in zip(axes, MODELS, strict=True):
        parts = {part: [] for part in cost.forward_flops(shape, 1, 1)}
        for length in lengths:
            counted = cost.forward_flops(shape, 1, round(length))
            for part, count in counted.items():
                parts[part].append(100 * count / sum(counted.values()))
        order = ("head", "projections", "feed-forward", "scores and blend")
        colours = (ORANGE, SKY, GREEN, RED)
        ax.stackplot(lengths, [parts[p] for p in order], labels=order, colors=colours, alpha=0.8)
        ax.set_xscale("log", base=2)
        ax.set_xticks(2 ** np.arange(7, 18, 2), ["128", "512", "2k", "8k", "32k", "128k"])
        ax.minorticks_off()
        ax.set(xlabel="sequence length T (tokens)", title=name, xlim=(lengths[0], lengths[-1]), ylim=(0, 100))
    axes[0].set_ylabel("share of the FLOPs (%)")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=10)
    return fig


def memory_bars() -> Figure:
    """Stacked bars of training memory in GiB, three for each model: attention in plain products, fused attention, and
    fused attention with recomputed blocks. The state of sixteen bytes a parameter is the same in all three. For GPT-2
    small, activations are two to three times the state until they are recomputed; for the 7-billion model, the state
    alone passes a line at 80 GiB.
    """
    colours = (BLUE, SKY, GREEN, PINK, YELLOW)
    kept = {"blocks": RED, "(T, T) weights": ORANGE, "logits": "#8c8c8c"}
    fig, axes = plt.subplots(1, 2, figsize=(7.8, 4.6), layout="constrained")
    variants = (
        ("plain\nattention", {"stored_weights": True}),
        ("fused\nattention", {}),
        ("fused,\nrecompute", {"recompute": True}),
    )
    for ax, (name, shape, B, T) in zip(axes, MODELS, strict=True):
        for x, (_, how) in enumerate(variants):
            below = 0.0
            pieces = list(zip(cost.state_bytes(shape, cost.MIXED).items(), colours, strict=True))
            pieces += [((part, size), kept[part]) for part, size in cost.activation_bytes(shape, B, T, **how).items()]
            for (part, size), colour in pieces:
                ax.bar(x, size / cost.GIB, bottom=below, color=colour, width=0.65, label=part if x == 0 else None)
                below += size / cost.GIB
            ax.text(x, below, f"{below:,.1f}", ha="center", va="bottom", fontsize=10)
        ax.set_xticks(range(3), [label for label, _ in variants], fontsize=10)
        ax.set(title=f"{name}, {B} × {T:,} tokens", ylabel="memory (GiB)")
        ax.margins(y=0.12)
    axes[1].axhline(80, color=ink(), lw=1, ls="--")
    axes[1].set_xlim(-0.5, 3.2)
    axes[1].text(2.45, 81, "80 GiB", va="bottom", fontsize=10)
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=9)
    return fig


# NVIDIA's white paper on the A100 (40 GB): dense bfloat16 on tensor cores, and memory bandwidth.
PEAK, BANDWIDTH = 312e12, 1555e9


def roofline() -> Figure:
    """Reachable TFLOP/s against FLOPs a byte, both axes logarithmic: a slope that meets a flat roof at 312 TFLOP/s near
    200 FLOPs a byte. Points of one 4096 by 4096 weight matrix: one token sits low on the slope at 1 FLOP a byte, 32
    tokens higher, 256 tokens just at the bend, 4096 tokens on the roof.
    """
    intensity = np.logspace(-0.5, 3.7, 200)
    fig, ax = plt.subplots(figsize=(6.6, 3.7), layout="constrained")
    ax.plot(intensity, np.minimum(PEAK, intensity * BANDWIDTH) / 1e12, color=ink(), lw=2)
    ax.axvline(PEAK / BANDWIDTH, color="gray", lw=1, ls=":")
    for (rows, label), colour, marker in zip(
        ((1, "1 token: decoding"), (32, "32 tokens"), (256, "256 tokens"), (4096, "4,096 tokens: training")),
        (RED, ORANGE, GREEN, BLUE),
        "os^D",
        strict=True,
    ):
        at = cost.matmul_intensity(rows, 4096, 4096)
        ax.plot(at, min(PEAK, at * BANDWIDTH) / 1e12, marker, color=colour, ms=9, label=label)
    ax.set(xscale="log", yscale="log", xlabel="arithmetic intensity (FLOPs a byte)", ylabel="reachable (TFLOP/s)")
    ax.legend(loc="upper left", fontsize=10, title="(tokens, 4096) @ (4096, 4096)")
    return fig
