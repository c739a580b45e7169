"""Sinusoidal positions, and rotary ones (RoPE) in both pairing conventions. It adds nothing to a model by itself.

Letters: B batch, H heads, T positions, C model width, D head width; "..." is any number of dimensions in front.

Rotary embedding turns pairs of numbers in each query and key by an angle that grows with the position. Which two
numbers make a pair is a convention, and weights trained under one are wrong under the other:

- interleaved, pairs (0, 1), (2, 3), ...: Su et al., GPT-J, Meta's own Llama code;
- halves, pairs (0, D/2), (1, D/2 + 1), ...: GPT-NeoX, and every Llama in the transformers library.

Sources:

- Vaswani et al. (2017), Attention Is All You Need, section 3.5: the sinusoidal table.
- Su et al. (2021), RoFormer, sections 3.2 to 3.4: rotary embedding.
"""

import math

import torch
from torch import Tensor


def sinusoidal(T: int, C: int, base: float = 10000.0) -> Tensor:
    """The table of positions 0 to T - 1 that is added to token embeddings.

    Column 2i is sin(t / base^(2i/C)), column 2i + 1 the cosine of the same angle. With an odd C the last sine has no
    cosine beside it. Returns (T, C) in float32. Raises ValueError for a width below 1.
    """
    if C < 1:
        raise ValueError(f"a table of positions of width {C}: the width has to be at least 1")
    even = torch.arange(0, C, 2, dtype=torch.float64)
    angles = torch.arange(T, dtype=torch.float64)[:, None] * base ** (-even / C)  # (T, ceil(C/2))
    table = torch.empty(T, C, dtype=torch.float64)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles[:, : C // 2].cos()
    return table.float()


def sinusoidal_naive(T: int, C: int, base: float = 10000.0) -> Tensor:
    """`sinusoidal` entry by entry, as the paper writes it."""
    table = torch.zeros(T, C)
    for t in range(T):
        for c in range(C):
            angle = t / base ** (2 * (c // 2) / C)
            table[t, c] = math.sin(angle) if c % 2 == 0 else math.cos(angle)
    return table


def rope_frequencies(
    D: int, base: float = 10000.0, *, dtype: torch.dtype = torch.float32, device: torch.device | str | None = None
) -> Tensor:
    """How far each pair turns from one position to the next: base^(-2i/D) radians for pair i.

    Returns (D/2,), from 1 downward. In float32 it is bit for bit what the transformers library computes.
    Raises ValueError for a head width that is odd or below 2.
    """
    if D < 2 or D % 2:
        raise ValueError(f"a head width of {D} cannot be cut into pairs: it has to be even and at least 2")
    return 1.0 / base ** (torch.arange(0, D, 2, dtype=dtype, device=device) / D)


def rope_angles(positions: Tensor, D: int, base: float = 10000.0) -> Tensor:
    """The angle of every pair at every position.

    positions: (...), integers, or float32 or float64 for positions in between. Any positions: a cache's next one,
    several texts packed into a row with each starting at zero, one row for each sequence of a batch. Returns (..., D/2)
    in float32, or in float64 for float64 positions.

    For x of shape (B, H, T, D) use positions of shape (T,), or (B, 1, T) where each sequence has its own.

    Raises TypeError for positions in half precision: bfloat16 holds no odd number above 256.
    """
    if positions.dtype in (torch.bfloat16, torch.float16):
        raise TypeError(f"positions in {positions.dtype} are rounded: pass integers or float32")
    dtype = torch.float64 if positions.dtype == torch.float64 else torch.float32
    return positions[..., None].to(dtype) * rope_frequencies(D, base, dtype=dtype, device=positions.device)


def rotate_interleaved(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs (0, 1), (2, 3), ... of x's last dimension.

    x: (..., T, D). angles: float32 or float64, broadcasts to (..., T, D/2), from `rope_angles`. Returns x's shape and
    dtype; sine, cosine and products are computed in the angles' precision or x's, whichever is finer.

    Raises ValueError when the angles do not fit, TypeError for angles in half precision.
    """
    cos, sin = _turn(x, angles)
    first, second = x[..., 0::2], x[..., 1::2]  # (..., T, D/2) each
    pairs = torch.stack((first * cos - second * sin, first * sin + second * cos), dim=-1)  # (..., T, D/2, 2)
    return pairs.flatten(-2).to(x.dtype)


def rotate_interleaved_naive(x: Tensor, angles: Tensor) -> Tensor:
    """`rotate_interleaved` by complex numbers: the pair (a, b) is a + bi, and turning it is a product with e^(iθ)."""
    exact = x.double().unflatten(-1, (-1, 2)).contiguous()
    turned = torch.view_as_complex(exact) * torch.polar(torch.ones_like(angles).double(), angles.double())
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


def rotate_halves(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs (0, D/2), (1, D/2 + 1), ... of x's last dimension.

    The same arguments, results and errors as `rotate_interleaved`.
    """
    cos, sin = _turn(x, angles)
    first, second = x.chunk(2, dim=-1)  # (..., T, D/2) each
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1).to(x.dtype)


def rotate_halves_naive(x: Tensor, angles: Tensor) -> Tensor:
    """`rotate_halves` with one explicit 2 × 2 rotation matrix for each pair of each position."""
    D, angles = x.shape[-1], angles.double().expand(*x.shape[:-1], x.shape[-1] // 2)
    columns: list[Tensor] = [torch.empty(0)] * D
    for i in range(D // 2):
        a = angles[..., i]
        matrix = torch.stack((a.cos(), -a.sin(), a.sin(), a.cos()), dim=-1).unflatten(-1, (2, 2))  # (..., T, 2, 2)
        pair = x[..., [i, i + D // 2]].double()
        columns[i], columns[i + D // 2] = (matrix @ pair[..., None]).squeeze(-1).unbind(-1)
    return torch.stack(columns, dim=-1).to(x.dtype)


def interleaved_to_halves(weight: Tensor, heads: int) -> Tensor:
    """Reorder the rows of a query or key projection made for `rotate_interleaved`, so that it fits `rotate_halves`.

    weight: (heads * D, ...), an nn.Linear's weight or bias. heads: H for queries; G, the number of key heads, for keys.
    Within each head, rows 0, 2, 4, ... come first, then 1, 3, 5, .... Queries and keys both have to be reordered; their
    scores stay what they were. Values are not rotated, so their projection stays as it is. It is what the transformers
    library does to Meta's checkpoints. Raises ValueError when the rows cannot be cut into heads of even width.
    """
    _head_width(weight, heads)
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def halves_to_interleaved(weight: Tensor, heads: int) -> Tensor:
    """The inverse of `interleaved_to_halves`: the same arguments and errors."""
    _head_width(weight, heads)
    return weight.unflatten(0, (heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def interleaved_to_halves_naive(weight: Tensor, heads: int) -> Tensor:
    """`interleaved_to_halves` row by row."""
    D = _head_width(weight, heads)
    rows = torch.empty_like(weight)
    for h in range(heads):
        for i in range(D // 2):
            rows[h * D + i] = weight[h * D + 2 * i]
            rows[h * D + D // 2 + i] = weight[h * D + 2 * i + 1]
    return rows


def _head_width(weight: Tensor, heads: int) -> int:
    rows = weight.shape[0]
    if heads < 1 or rows == 0 or rows % (2 * heads):
        raise ValueError(f"{rows} rows do not make {heads} heads of even width: is `heads` the number of key heads?")
    return rows // heads


def _turn(x: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of the angles, once they are known to fit x."""
    if angles.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"angles in {angles.dtype} are rounded by whole turns: keep them in float32, whatever x is in")
    D = x.shape[-1]
    if D < 2 or D % 2 or angles.shape[-1] != D // 2:
        raise ValueError(f"x of width {D} needs an even width and {D // 2} angles a position, not {angles.shape[-1]}")
    try:
        fits = torch.broadcast_shapes(x.shape[:-1], angles.shape[:-1]) == x.shape[:-1]
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"angles of shape {tuple(angles.shape)} do not broadcast to x's {tuple(x.shape[:-1])} and {D // 2} pairs: "
            "for x (B, H, T, D) make the positions (T,) or (B, 1, T)"
        )
    return angles.cos(), angles.sin()
