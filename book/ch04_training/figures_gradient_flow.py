"""Draws the figures of "Gradient Flow" and measures what they show on random layers; it trains nothing."""

import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from book.drawing import ink
from source.attention.multi_head import CausalSelfAttention
from source.plots import BLUE, GREEN, ORANGE, RED
from source.training.gradients import attention_gradients, gains


def the_factor() -> Figure:
    """Size of the gradient over depth for plain ReLU stacks of 50 layers, on a logarithmic axis. With a gain of
    the root of two the line wanders near 1. With a tenth less it falls in a straight line to below a hundredth,
    with a tenth more it rises above a hundred.
    """
    depth, width = 50, 256
    fig, ax = plt.subplots(figsize=(6.4, 3.7))
    for factor, colour, line in ((1.1, RED, "--"), (1.0, BLUE, "-"), (0.9, ORANGE, "-.")):
        torch.manual_seed(0)
        stream = [torch.randn(64, width, requires_grad=True)]
        for _ in range(depth):
            stream.append(torch.relu(stream[-1]) @ torch.randn(width, width) * factor * math.sqrt(2 / width))
        grads = torch.autograd.grad(stream[-1], stream, torch.randn(64, width))
        sizes = [float(g.norm() / grads[-1].norm()) for g in grads]
        ax.plot(range(depth + 1), sizes, line, color=colour, lw=2, label=f"gain {factor:g} · √2")
    ax.set(yscale="log", xlabel="layer at which the gradient arrives (50 = top)", ylabel="size relative to the top")
    ax.grid(axis="y", lw=0.6)
    ax.legend()
    fig.tight_layout()
    return fig


def two_gains() -> Figure:
    """Bars of the forward and the backward gain of four activations. Linear: both 1. ReLU: both 1.41. GELU: 1.53
    and 1.48. Tanh: 1.59 and 1.47.
    """
    names = {"linear": lambda z: z * 1, "ReLU": torch.relu, "GELU": nn.functional.gelu, "tanh": torch.tanh}
    found = {name: gains(activation) for name, activation in names.items()}
    fig, ax = plt.subplots(figsize=(6.4, 3.3))
    for n, (label, colour, hatch) in enumerate((("forward", BLUE, ""), ("backward", ORANGE, "//"))):
        heights = [pair[n] for pair in found.values()]
        places = np.arange(len(names)) + 0.38 * (n - 0.5)
        ax.bar(places, heights, 0.36, color=colour, hatch=hatch, label=label)
        for x, height in zip(places, heights, strict=True):
            ax.text(x, height + 0.02, f"{height:.2f}", ha="center", fontsize=10)
    ax.set_xticks(range(len(names)), list(names))
    ax.set(ylabel="gain that keeps the size", ylim=(0, 2.0))
    ax.legend(loc="upper left", ncols=2)
    fig.tight_layout()
    return fig


def directions_lost() -> Figure:
    """Singular values of products of 1, 4 and 16 random matrices of width 128, largest first, on a logarithmic
    axis. One matrix: from 2 slowly down to near 0. Sixteen: from above 6 in a steep line to below a hundredth
    in the middle of the axis, and far below that at its end. Beside it residual layers: the sixteen-layer line
    stays between 5 and a tenth for nearly all directions.
    """
    width = 128
    fig, axes = plt.subplots(1, 2, figsize=(6.8, 3.6), sharey=True)
    for ax, residual, title in ((axes[0], False, "W₁₆ ⋯ W₁"), (axes[1], True, "(I + W₁₆/4) ⋯ (I + W₁/4)")):
        torch.manual_seed(0)
        product = torch.eye(width, dtype=torch.float64)
        for depth in range(1, 17):
            W = torch.randn(width, width, dtype=torch.float64) / math.sqrt(width)
            product = (product + W @ product / 4) if residual else W @ product
            if depth in (1, 4, 16):
                line, colour = {1: (":", GREEN), 4: ("--", ORANGE), 16: ("-", BLUE)}[depth]
                values = torch.linalg.svdvals(product)
                ax.plot(
                    range(1, width + 1), values, line, color=colour, lw=2, label=f"{depth} factor" + "s" * (depth > 1)
                )
        ax.set(yscale="log", ylim=(1e-8, 30), xlabel="direction, strongest first")
        ax.set_title(title, fontsize=11)
        ax.grid(axis="y", lw=0.6)
    axes[0].set_ylabel("singular value")
    axes[0].legend(fontsize=10)
    fig.tight_layout()
    return fig


def _reach(layer, T: int = 48, C: int = 64, draws: int = 12) -> Tensor:
    total = torch.zeros(T)
    for seed in range(draws):
        torch.manual_seed(seed)
        x = torch.randn(1, T, C, requires_grad=True)
        (gradient,) = torch.autograd.grad(layer(C)(x)[0, -1], x, torch.randn(C))
        total += gradient[0].norm(dim=-1).flip(0) / draws
    return total / total[0]


def over_distance() -> Figure:
    """Gradient from the last output to inputs further and further back, relative to the nearest, on a
    logarithmic axis. A recurrent network falls in a straight line, below a thousandth after a dozen steps.
    Attention falls to a third at distance 1 and stays level from there to the end.
    """

    def recurrent(C: int):
        net = nn.RNN(C, C, batch_first=True)
        return lambda x: net(x)[0]

    fig, ax = plt.subplots(figsize=(6.4, 3.5))
    ax.plot(_reach(recurrent), "--", color=RED, lw=2, label="recurrent network, tanh")
    ax.plot(_reach(lambda C: CausalSelfAttention(C, 4)), color=BLUE, lw=2, label="attention, 4 heads")
    ax.set(
        yscale="log",
        ylim=(1e-9, 10),
        xlabel="distance behind the last position",
        ylabel="gradient relative to distance 0",
    )
    ax.legend(loc="center right")
    ax.grid(axis="y", lw=0.6)
    fig.tight_layout()
    return fig


def saturated() -> Figure:
    """Norms of attention's gradients as its scores grow, both axes logarithmic. The values' gradient rises and
    then stays level. The gradient of the median query is level up to a standard deviation of about 4 and falls
    after that, ever more steeply. A dotted line at 8 marks a head of width 64 without its scale.
    """
    factors = 2.0 ** np.arange(-2, 7)
    torch.manual_seed(0)
    Q, K, V, up = (torch.randn(60, 32, 64, dtype=torch.float64) for _ in range(4))
    found = []
    for k in factors:
        dQ, _, dV = attention_gradients(k * Q, K, V, up)
        found.append([dQ.norm(dim=-1).median().item(), dV.norm(dim=-1).square().mean().sqrt().item()])
    sizes = np.array(found)
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    ax.plot(factors, sizes[:, 0], "o-", color=BLUE, lw=2, label="median query: which key to pick")
    ax.plot(factors, sizes[:, 1], "s--", color=ORANGE, lw=2, label="values: what it hands over")
    ax.axvline(8, color=ink(), lw=1, ls=":")
    ax.text(8.8, sizes[:, 1].max() * 1.8, "no 1/√D, D = 64", fontsize=10)
    ax.set(xscale="log", yscale="log", xlabel="standard deviation of the scores", ylabel="norm of the gradient")
    ax.set_ylim(1e-6, sizes[:, 1].max() * 6)
    ax.legend(loc="lower left")
    fig.tight_layout()
    return fig


def best_step() -> Figure:
    """Relative error of the central difference of exp at 1 over the step h, both axes logarithmic, in float32 and
    float64: two valleys. Right of the bottom the error falls with the square of h; left of it rounding rises as h
    falls. The bottom is near 1e-6 at h of some 1e-3 in float32, and near 1e-11 at about 1e-5 in float64.
    """
    steps = 10.0 ** np.arange(-12, 0.1, 0.25)
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    for dtype, colour, line in ((torch.float32, RED, "--"), (torch.float64, BLUE, "-")):
        x = torch.tensor(1.0, dtype=dtype)
        slopes = np.array([float((torch.exp(x + h) - torch.exp(x - h)) / (2 * h)) for h in steps])
        ax.plot(
            steps,
            np.abs(slopes / math.e - 1) + 1e-16,
            line,
            color=colour,
            lw=2,
            label=str(dtype).removeprefix("torch."),
        )
    ax.set(xscale="log", yscale="log", xlabel="step h", ylabel="relative error of the derivative", ylim=(1e-13, 10))
    ax.legend()
    ax.grid(axis="y", lw=0.6)
    fig.tight_layout()
    return fig
