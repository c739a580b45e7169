"""Draws the figures of "Residuals and Normalization" and measures what they show on random models; it trains none."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from book.drawing import arrow, blank, box, ink
from source.attention.multi_head import CausalSelfAttention
from source.blocks.layer_norm import LayerNorm, layer_norm, rms_norm
from source.plots import BLUE, GREEN, ORANGE, PINK, RED


def _branches(depth: int, width: int, gain: float) -> list[tuple[Tensor, Tensor]]:
    """Weights of two-layer networks; gain 1 keeps the size of what they read, on average."""
    return [
        (torch.randn(width, width) * math.sqrt(2 / width), torch.randn(width, width) * gain / math.sqrt(width))
        for _ in range(depth)
    ]


def gradient_highway() -> Figure:
    """Size of the gradient that arrives at each of 48 layers, relative to the last, on a logarithmic axis. Plain layers
    that halve their input lose a factor of two a layer, down to 10 to the minus 15 at the first one; plain layers that
    enlarge it end above 10 to the 8. With residuals both stay between one and three times the last layer's.
    """
    depth, width = 48, 128
    fig, ax = plt.subplots(figsize=(6.5, 4.0))
    looks = {False: (RED, "^", "plain"), True: (BLUE, "o", "residual")}
    for residual, (colour, marker, name) in looks.items():
        for gain, line in ((0.5, "-"), (1.5, "--")):
            torch.manual_seed(0)
            x = torch.randn(64, width, requires_grad=True)
            reached = [x]
            for W, U in _branches(depth, width, gain if not residual else gain / math.sqrt(depth)):
                f = torch.relu(reached[-1] @ W) @ U
                reached.append(reached[-1] + f if residual else f)
            grads = torch.autograd.grad(reached[-1], reached, torch.randn(64, width))
            sizes = [float(g.norm() / grads[-1].norm()) for g in grads]
            label = f"{name}, layers × {gain:g}"
            ax.plot(range(depth + 1), sizes, line, color=colour, marker=marker, markevery=8, lw=2, label=label)
    ax.set(yscale="log", xlabel="layer at which the gradient arrives (48 = top)", ylabel="size relative to the top")
    ax.set_xticks(range(0, depth + 1, 12))
    ax.grid(axis="y", lw=0.6)
    ax.legend(fontsize=10)
    fig.tight_layout()
    return fig


def stream_growth() -> Figure:
    """Size of the residual stream against the share of layers passed, for pre-norm models of 12 and 48 blocks. Unscaled
    branches make it grow with the root of the number of branches, to 5 and to 10. With branches scaled by one over the
    root of twice the number of blocks both end at 1.4.
    """
    width = 128
    fig, ax = plt.subplots(figsize=(6.5, 3.8))
    for blocks, line in ((12, "--"), (48, "-")):
        for scale, colour, name in ((1.0, RED, "unscaled"), (1 / math.sqrt(2 * blocks), BLUE, "× 1/√(2L)")):
            torch.manual_seed(0)
            x, one = torch.randn(64, width), torch.ones(width)
            sizes = [float(x.square().mean().sqrt())]
            for W, U in _branches(2 * blocks, width, scale):
                x = x + torch.relu(layer_norm(x, one) @ W) @ U
                sizes.append(float(x.square().mean().sqrt()))
            ax.plot(np.linspace(0, 100, len(sizes)), sizes, line, color=colour, lw=2, label=f"L = {blocks}, {name}")
    ax.set(xlabel="layers passed (%)", ylabel="size of the stream (root mean square)", ylim=(0, None))
    ax.grid(axis="y", lw=0.6)
    ax.legend(fontsize=10)
    fig.tight_layout()
    return fig


def who_shares_statistics() -> Figure:
    """Two grids of the same batch: eight rows for the tokens of two sentences, six columns for the channels. Left,
    layer norm: the six numbers of one token are marked, one row. Right, batch norm: the eight numbers of one channel
    are marked, a column through both sentences and their padding.
    """
    fig, axes = plt.subplots(1, 2, figsize=(6.8, 4.1))
    for ax, title, mark in (
        (axes[0], "layer norm: one token", lambda token, channel: token == 1),
        (axes[1], "batch norm: one channel", lambda token, channel: channel == 1),
    ):
        blank(ax, 8.6, 9.4)
        for token in range(8):
            y = 7.9 - token - (0.45 if token > 3 else 0)
            padded = token in (6, 7)
            for channel in range(6):
                marked = mark(token, channel)
                colour = ORANGE if marked else plt.rcParams["grid.color"]
                box(ax, 2.9 + channel * 0.92, y, 0.84, 0.88, colour, "0" if padded else "")
            name = f"{'AB'[token // 4]}{token % 4}" if not padded else "pad"
            ax.text(2.2, y, name, ha="right", va="center", fontsize=10)
        ax.text(5.2, 8.75, title, ha="center", fontsize=11)
        ax.text(5.2, -0.35, "C channels", ha="center", va="center", fontsize=10)
        ax.text(0.55, 4.2, "tokens", rotation=90, ha="center", va="center", fontsize=10)
        ax.set_ylim(-0.7, 9.4)
    fig.tight_layout()
    return fig


def three_channels() -> Figure:
    """Four hundred random rows of width 3, seen along the direction (1, 1, 1). Input: a cloud. After layer norm: all
    lie on one circle. After RMS norm: they lie on a sphere, which seen from here fills the disc inside that circle.
    """
    torch.manual_seed(0)
    x, one = torch.randn(400, 3) * torch.tensor([1.2, 0.7, 1.0]) + torch.tensor([0.8, 0.0, -0.3]), torch.ones(3)
    plane = torch.tensor([[1.0, -1, 0], [1, 1, -2]])
    plane = plane / plane.norm(dim=1, keepdim=True)
    fig, axes = plt.subplots(1, 3, figsize=(6.8, 2.9), sharex=True, sharey=True)
    for ax, rows, title, colour in (
        (axes[0], x, "input", BLUE),
        (axes[1], layer_norm(x, one), "after LayerNorm", ORANGE),
        (axes[2], rms_norm(x, one), "after RMSNorm", GREEN),
    ):
        a, b = (rows @ plane.T).T
        ax.scatter(a, b, s=6, color=colour, alpha=0.7, linewidths=0)
        ax.set_title(title, fontsize=11)
        ax.set(aspect="equal", xlim=(-3.4, 3.4), ylim=(-3.4, 3.4), xlabel="x₁ − x₂ (scaled)")
    axes[0].set_ylabel("x₁ + x₂ − 2x₃ (scaled)")
    fig.tight_layout()
    return fig


def pre_and_post_norm() -> Figure:
    """Wiring of one block, left to right. Post-norm: the stream passes attention's sum, then a norm, then the
    feed-forward network's sum, then a norm: every gradient goes through both norms. Pre-norm: the norms stand inside
    the branches, and the stream runs straight through the two sums.
    """
    fig, axes = plt.subplots(2, 1, figsize=(6.8, 5.0))
    for ax, pre in ((axes[0], False), (axes[1], True)):
        blank(ax, 12, 4.0)
        y = 1.0
        ax.text(0.1, 3.7, "pre-norm: x + f(norm(x))" if pre else "post-norm: norm(x + f(x))", fontsize=11, va="center")
        ax.text(0.05, y, "x", fontsize=12, va="center")
        place = 0.45
        for name, colour in (("attention", BLUE), ("FFN", GREEN)):
            start, plus = place + 0.3, place + (4.6 if pre else 3.4)
            arrow(ax, (place, y), (plus - 0.22, y), lw=2.4, color=ORANGE if pre else ink())
            ax.plot([start, start], [y, 2.6], color=ink(), lw=1.4)
            at = start
            if pre:
                arrow(ax, (at, 2.6), (at + 0.45, 2.6))
                box(ax, at + 1.0, 2.6, 1.1, 0.8, PINK, "norm")
                at += 1.55
            arrow(ax, (at, 2.6), (at + 0.45, 2.6))
            box(ax, at + 1.35, 2.6, 1.8, 0.8, colour, name)
            ax.plot([at + 2.25, plus], [2.6, 2.6], color=ink(), lw=1.4)
            arrow(ax, (plus, 2.6), (plus, y + 0.24))
            ax.text(plus, y, "+", ha="center", va="center", fontsize=14)
            ax.add_patch(plt.Circle((plus, y), 0.22, fill=False, color=ink(), lw=1.4))
            place = plus + 0.22
            if not pre:
                arrow(ax, (place, y), (place + 0.45, y), lw=2.4)
                box(ax, place + 1.0, y, 1.1, 0.8, PINK, "norm")
                place += 1.55
        arrow(ax, (place, y), (place + 0.9, y), lw=2.4, color=ORANGE if pre else ink())
        ax.set_aspect("equal")
    fig.tight_layout()
    return fig


class _Block(nn.Module):
    """A transformer block with the norms before or after, Xavier's initial weights."""

    def __init__(self, width: int, heads: int, pre: bool) -> None:
        super().__init__()
        self.pre = pre
        self.attention, self.norm1, self.norm2 = CausalSelfAttention(width, heads), LayerNorm(width), LayerNorm(width)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        for matrix in (*self.attention.W_qkv.weight.chunk(3), self.attention.W_o.weight, *self.ffn.parameters()):
            if matrix.dim() == 2:
                nn.init.xavier_normal_(matrix)

    def forward(self, x: Tensor) -> Tensor:
        if self.pre:
            x = x + self.attention(self.norm1(x))
            return x + self.ffn(self.norm2(x))
        x = self.norm1(x + self.attention(x))
        return self.norm2(x + self.ffn(x))


def _ffn_gradients(depth: int, pre: bool, seeds: int = 4, width: int = 64, vocabulary: int = 100) -> np.ndarray:
    """Norm of the gradient of each block's second FFN matrix at the start of training, mean over seeds: (depth,)."""
    sizes = np.zeros(depth)
    for seed in range(seeds):
        torch.manual_seed(seed)
        blocks = [_Block(width, 4, pre) for _ in range(depth)]
        read, last = nn.Linear(width, vocabulary, bias=False), LayerNorm(width)
        nn.init.xavier_normal_(read.weight)
        x = torch.randn(16, 24, width)
        for block in blocks:
            x = block(x)
        logits = read(last(x) if pre else x)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(vocabulary, (16 * 24,)))
        weights = [block.ffn[2].weight for block in blocks]
        sizes += [float(g.norm()) / seeds for g in torch.autograd.grad(loss, weights)]
    return sizes


def gradients_at_init() -> Figure:
    """Gradient of the second feed-forward matrix of each layer before the first step, for models of 6 and 18 layers.
    Post-norm: it rises toward the last layer, and is about as large there in the deep model as in the shallow one.
    Pre-norm: it falls toward the last layer, and ends below half of post-norm's at 6 layers and at a fifth at 18.
    """
    fig, ax = plt.subplots(figsize=(6.5, 4.0))
    for pre, colour, marker, name in ((False, RED, "^", "post-norm"), (True, BLUE, "o", "pre-norm")):
        for depth, line in ((6, "--"), (18, "-")):
            sizes = _ffn_gradients(depth, pre)
            label = f"{name}, {depth} layers"
            ax.plot(range(1, depth + 1), sizes, line, color=colour, marker=marker, lw=2, label=label)
    ax.set(xlabel="layer (1 = next to the input)", ylabel="gradient of the second FFN matrix (norm)", ylim=(0, None))
    ax.set_xticks([1, 3, 6, 9, 12, 15, 18])
    ax.grid(axis="y", lw=0.6)
    ax.legend(fontsize=10)
    fig.tight_layout()
    return fig
