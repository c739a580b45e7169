"""Feed-forward networks of transformer blocks: plain and gated, their activations. No residual, no norm, no dropout.

Letters: B batch, T positions, C model width. The hidden width has no letter: code calls it `hidden`.

- Vaswani et al. (2017), Attention Is All You Need, section 3.3.
- Hendrycks and Gimpel (2016), Gaussian Error Linear Units (GELUs), section 2.
- Shazeer (2020), GLU Variants Improve Transformer, equation 6.
- Geva et al. (2021), Transformer Feed-Forward Layers Are Key-Value Memories, section 2.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


def relu(x: Tensor) -> Tensor:
    """x where it is positive, else 0."""
    return x.clamp(min=0)


def gelu(x: Tensor) -> Tensor:
    """x times the probability that a standard normal variable is below x: x Φ(x)."""
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU through a tanh, within 5e-4 of the exact one: what GPT-2 was trained with."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x: Tensor) -> Tensor:
    """x times its own sigmoid; also called Swish."""
    return x * torch.sigmoid(x)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": relu, "gelu": gelu, "gelu_tanh": gelu_tanh, "silu": silu}


class FeedForward(nn.Module):
    """Expand, activate, contract, at each position by itself: (..., C) -> (..., C).

    width: C. hidden: the width in between, usually 4 C. activation: a name in ACTIVATIONS. Raises ValueError for
    another name.
    """

    def __init__(self, width: int, hidden: int, activation: str = "gelu_tanh", bias: bool = True) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"no activation {activation!r}: choose one of {', '.join(ACTIVATIONS)}")
        self.activation = ACTIVATIONS[activation]
        self.W_in = nn.Linear(width, hidden, bias=bias)
        self.W_out = nn.Linear(hidden, width, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_out(self.activation(self.W_in(x)))  # (..., C) -> (..., hidden) -> (..., C)


class SwiGLU(nn.Module):
    """A gated feed-forward network: one half of the hidden numbers, through SiLU, multiplies the other half.

    width: C. hidden: `matched_hidden(C)` has the parameters of a plain network with 4 C. No biases, as in Llama.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.W_gate = nn.Linear(width, hidden, bias=False)
        self.W_up = nn.Linear(width, hidden, bias=False)
        self.W_down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.W_down(silu(self.W_gate(x)) * self.W_up(x))  # (..., C) -> two (..., hidden) -> (..., C)


def matched_hidden(width: int, multiple: int = 1) -> int:
    """The hidden width at which three matrices have the parameters of two with 4 C: 8 C / 3, up to a multiple.

    Rounded as Llama does: the fraction is dropped first, then the next multiple is taken. Raises ValueError for
    widths and multiples below 1.
    """
    if width < 1 or multiple < 1:
        raise ValueError(f"width {width} and multiple {multiple} must both be at least 1")
    return -(-(8 * width // 3) // multiple) * multiple


def written_by_units(network: FeedForward, x: Tensor) -> Tensor:
    """What each hidden unit adds to the output: (..., C) -> (..., hidden, C).

    Their sum over the units, plus W_out's bias, is the network's output: unit i holds a key (row i of W_in) and a
    value (column i of W_out), and writes its value as strongly as x fits its key.
    """
    fits = network.activation(network.W_in(x))  # (..., C) -> (..., hidden)
    return fits.unsqueeze(-1) * network.W_out.weight.T  # (..., hidden, 1) * (hidden, C) -> (..., hidden, C)


def feed_forward_naive(network: FeedForward, x: Tensor) -> Tensor:
    """`network(x)` for x (..., C), one position and one hidden unit at a time."""
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        out = torch.zeros_like(row) if network.W_out.bias is None else network.W_out.bias
        for i, key in enumerate(network.W_in.weight):
            bias = 0 if network.W_in.bias is None else network.W_in.bias[i]
            out = out + network.activation((row * key).sum() + bias) * network.W_out.weight[:, i]
        rows.append(out)
    return torch.stack(rows).reshape(x.shape) if rows else x.clone()


def swiglu_naive(network: SwiGLU, x: Tensor) -> Tensor:
    """`network(x)` for x (..., C), one position and one hidden unit at a time."""
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        out = torch.zeros_like(row)
        for gate, up, down in zip(network.W_gate.weight, network.W_up.weight, network.W_down.weight.T, strict=True):
            out = out + silu((row * gate).sum()) * (row * up).sum() * down
        rows.append(out)
    return torch.stack(rows).reshape(x.shape) if rows else x.clone()
