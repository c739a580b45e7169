"""LayerNorm and RMSNorm, forward and backward, and the same with plain loops to hold them against. No fused kernel.

Letters: C width; "..." is any number of dimensions in front. Every row of C numbers is normalised by itself.

- Ba, Kiros & Hinton (2016), Layer Normalization, section 3.
- Zhang & Sennrich (2019), Root Mean Square Layer Normalization, section 3.
"""

import torch
from torch import Tensor, nn


def statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each row: x (..., C) -> two tensors (..., 1), in float32 or, for float64, in float64.

    The variance divides by C, not C - 1. It is taken of the centred row, in a second pass: E[x²] - E[x]² subtracts two
    large numbers where the mean is large, and little but rounding is left.
    """
    x = _wide(x)
    mean = x.mean(dim=-1, keepdim=True)
    return mean, (x - mean).square().mean(dim=-1, keepdim=True)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """Normalise each row to mean 0 and variance 1, then scale and shift every channel.

    x: (..., C). weight: (C,). bias: (C,) or None. Returns x's shape and dtype. All of it is computed in float32 (in
    float64 for a float64 x) and rounded once, at the end, as torch.nn.functional.layer_norm does.
    """
    mean, variance = statistics(x)
    out = (_wide(x) - mean) * torch.rsqrt(variance + eps) * weight  # (..., C)
    return (out if bias is None else out + bias).to(x.dtype)


def layer_norm_backward(grad: Tensor, x: Tensor, weight: Tensor, eps: float = 1e-5) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of `layer_norm` from grad, the gradient of its output.

    grad, x: (..., C). weight: (C,). Returns dx (..., C) in x's dtype, dweight and dbias (C,) in weight's.

    With x̂ the normalised row and g = grad · weight, dx = (g - mean(g) - x̂ · mean(g · x̂)) / √(variance + eps): the
    parts of g along (1, ..., 1) and along x̂ are taken out, since moving a row along them does not change the output
    (along x̂ up to eps).
    """
    mean, variance = statistics(x)
    rstd = torch.rsqrt(variance + eps)  # (..., 1)
    normed = (_wide(x) - mean) * rstd  # (..., C)
    wide = _wide(grad)
    g = wide * weight
    dx = (g - g.mean(dim=-1, keepdim=True) - normed * (g * normed).mean(dim=-1, keepdim=True)) * rstd
    C = x.shape[-1]
    dweight, dbias = (wide * normed).reshape(-1, C).sum(dim=0), wide.reshape(-1, C).sum(dim=0)  # (C,)
    return dx.to(x.dtype), dweight.to(weight.dtype), dbias.to(weight.dtype)


class LayerNorm(nn.Module):
    """`layer_norm` with a learned gain and bias: the same parameters and numbers as torch.nn.LayerNorm.

    width: C. bias: whether there is one. Raises ValueError for an input of another width.
    """

    def __init__(self, width: int, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., C). Returns the same shape and dtype."""
        _check_width(x, self.weight)
        return layer_norm(x, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Shown by print(layer)."""
        return f"{len(self.weight)}, eps={self.eps}, bias={self.bias is not None}"


def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
    """Divide each row by its root mean square, then scale every channel. The mean stays.

    x: (..., C). weight: (C,). Returns (..., C). The order of casts is Llama's: computed in float32 (in float64 for a
    float64 x), cast back to x's dtype, and only then multiplied by weight.
    """
    wide = _wide(x)
    normed = wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)  # (..., C)
    return weight * normed.to(x.dtype)


class RMSNorm(nn.Module):
    """`rms_norm` with a learned gain, as Llama has it.

    width: C. Raises ValueError for an input of another width.
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., C). Returns the same shape."""
        _check_width(x, self.weight)
        return rms_norm(x, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Shown by print(layer)."""
        return f"{len(self.weight)}, eps={self.eps}"


def layer_norm_naive(x: Tensor, weight: Tensor, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """`layer_norm` one number at a time in float64: slow, and hard to get wrong. Autograd goes through it."""
    C = x.shape[-1]
    rows = []
    for row in x.double().reshape(-1, C):
        mean = sum(row) / C
        variance = sum((a - mean) ** 2 for a in row) / C
        normed = [(a - mean) / (variance + eps) ** 0.5 for a in row]
        shift = [0.0] * C if bias is None else bias.double()
        rows.append(torch.stack([normed[c] * weight[c].double() + shift[c] for c in range(C)]))
    return (torch.stack(rows).reshape(x.shape) if rows else x.double()).to(x.dtype)


def rms_norm_naive(x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
    """`rms_norm` one number at a time in float64, with the same casts at the end. Autograd goes through it."""
    C = x.shape[-1]
    rows = []
    for row in x.double().reshape(-1, C):
        size = (sum(a * a for a in row) / C + eps) ** 0.5
        rows.append(torch.stack([(a / size).to(x.dtype) * weight[c] for c, a in enumerate(row)]))
    return torch.stack(rows).reshape(x.shape) if rows else x * weight


def _wide(x: Tensor) -> Tensor:
    # bfloat16 keeps eight bits: a mean rounded to them is off by more than many a row's standard deviation.
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _check_width(x: Tensor, weight: Tensor) -> None:
    if x.shape[-1:] != weight.shape:
        raise ValueError(
            f"the last dimension of x {tuple(x.shape)} must be the layer's width, {len(weight)}: "
            "make the layer with the width of what it normalises"
        )
