"""Where two runs of a model part: compares their hidden states layer by layer and names the first that differs.

It runs no model. What it allows is rounding and nothing more, measured by the layer's own size: the residual stream
grows with depth, so one absolute tolerance is too strict at the top or too lax at the bottom; and an element
that is nearly zero was often summed from larger ones that cancelled, so a tolerance relative to the element alone is
too strict.
"""

import math
from collections.abc import Mapping

from torch import Tensor

# Float32 keeps 24 bits: each operation is right to 6e-8. A dozen blocks of sums over some hundred terms cost about two
# of the seven digits; a real mistake costs more.
FLOAT32 = 1e-5


def first_difference(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], tolerance: float = FLOAT32, real: Tensor | None = None
) -> str:
    """The name of the first layer whose states differ by more than rounding, "" if all agree.

    ours, theirs: the states by name, (B, T, ...) each, in the order in which they are computed. real: bool (B, T),
    False = padding, which is not compared. An element may be off by tolerance * (its size + the layer's root mean
    square). A shape of its own, a NaN or an infinity is a difference.
    Raises ValueError when the names or their order differ.
    """
    if list(ours) != list(theirs):
        raise ValueError(f"the layers differ: ours {list(ours)}, theirs {list(theirs)}")
    return next((name for name in theirs if distance(ours[name], theirs[name], real) > tolerance), "")


def distance(a: Tensor, b: Tensor, real: Tensor | None = None) -> float:
    """How far a state (B, T, ...) is from b: the largest |a - b| / (|b| + b's root mean square) of any element.

    real: bool (B, T), False = padding, which does not count. Infinite where the shapes differ or something is not
    finite.
    """
    if a.shape != b.shape:
        return math.inf
    a, b = a.detach().double(), b.detach().double()
    if real is not None:
        a, b = a[real], b[real]  # (B, T, ...) -> (n, ...)
    if not (a.isfinite().all() and b.isfinite().all()):
        return math.inf
    off = (a - b).abs()
    if not off.any():
        return 0.0  # also where nothing was compared, or all is zero
    return (off / (b.abs() + b.square().mean().sqrt())).max().item()
