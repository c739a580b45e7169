"""Tensors as memory: offsets from strides, windows without a copy, who shares memory, a port of NumPy's rules.

It has no model in it. Sizes have the book's letters: T positions, W the length of a window.

- Harris et al. (2020), Array programming with NumPy: an array is memory, a shape and strides.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

EPSILON = 1e-5  # keeps a row of equal numbers from becoming 0/0

# The same pattern for `np.einsum` and `torch.einsum`. Two letters for one size where both stay: u and v, t and s.
PATTERNS = {
    "embed": "tv,vc->tc",  # one-hot rows times a table: the table's rows
    "paired": "nc,nc->n",  # row n with row n
    "count": "tu,tv->uv",  # how often u stands in one and v in the other
    "score": "bthd,bshd->bhts",  # every query with every key, head by head
    "predict": "nwu,wuv->nv",  # one table for each place of a window, summed over the places
}


def standardise_numpy(x: np.ndarray) -> np.ndarray:
    """Each last row minus its mean, divided by its standard deviation: (..., C) -> (..., C), NumPy's own dtypes."""
    mean = x.mean(axis=-1, keepdims=True)
    std = x.std(axis=-1, keepdims=True)
    return (x - mean) / (std + EPSILON)


def standardise(x: Tensor) -> Tensor:
    """`standardise_numpy` for tensors, to the same values and dtypes: integers and booleans become float64."""
    x = x if x.is_floating_point() else x.double()
    mean = x.mean(dim=-1, keepdim=True)
    std = x.std(dim=-1, keepdim=True, correction=0)  # torch divides by C - 1 unless told otherwise
    return (x - mean) / (std + EPSILON)


def flat_offsets(shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Tensor:
    """Where each element lies in memory, counted in elements: an int64 tensor of the given shape.

    Element (i, j, ...) lies at offset + i * strides[0] + j * strides[1] + ... A stride may be zero or negative.
    Raises ValueError when shape and strides differ in length.
    """
    _one_stride_for_each(shape, strides)
    offsets = torch.tensor(offset)
    for size, stride in zip(shape, strides, strict=True):
        offsets = offsets[..., None] + torch.arange(size) * stride  # (...) -> (..., size)
    return offsets


def flat_offsets_naive(shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> Tensor:
    """`flat_offsets` one index at a time: slow, and hard to get wrong."""
    _one_stride_for_each(shape, strides)
    offsets = np.empty(tuple(shape), dtype=np.int64)
    for index in np.ndindex(*shape):
        offsets[index] = offset + sum(i * stride for i, stride in zip(index, strides, strict=True))
    return torch.from_numpy(offsets)


def _one_stride_for_each(shape: Sequence[int], strides: Sequence[int]) -> None:
    if len(shape) != len(strides):
        raise ValueError(f"a shape of {len(shape)} dimensions needs {len(shape)} strides, not {len(strides)}")


def sliding_windows(x: Tensor, W: int) -> Tensor:
    """Every run of W neighbours: (T,) -> (T - W + 1, W), a view that copies nothing.

    Neighbouring windows share memory: write into one and the others change. Raises ValueError unless 1 <= W <= T.
    """
    _window_fits(x, W)
    step = x.stride(0)  # 1 only where the input itself has no gaps
    return x.as_strided((len(x) - W + 1, W), (step, step))


def sliding_windows_naive(x: Tensor, W: int) -> Tensor:
    """`sliding_windows` as a copy, W times as large as the input."""
    _window_fits(x, W)
    return torch.stack([x[n : n + W] for n in range(len(x) - W + 1)])


def _window_fits(x: Tensor, W: int) -> None:
    if x.ndim != 1:
        raise ValueError(f"windows are taken of one sequence (T,), not of shape {tuple(x.shape)}")
    if not 1 <= W <= len(x):
        raise ValueError(f"a window of {W} does not fit a sequence of {len(x)}: choose 1 to {len(x)}")


def shares_memory(a: np.ndarray | Tensor, b: np.ndarray | Tensor) -> bool:
    """Whether a write to one can show in the other: their bytes overlap. Arrays and CPU tensors, in any mix.

    Looks at the first and the last byte of each, so two interleaved halves (x[::2], x[1::2]) count as sharing.
    """
    (a_first, a_last), (b_first, b_last) = _bytes_spanned(a), _bytes_spanned(b)
    return a_first <= b_last and b_first <= a_last


def _bytes_spanned(x: np.ndarray | Tensor) -> tuple[int, int]:
    # The addresses of the first and the last byte; an empty tensor spans none.
    if isinstance(x, np.ndarray):
        shape, strides, size, start = x.shape, x.strides, x.itemsize, x.__array_interface__["data"][0]
    else:
        size, start = x.element_size(), x.data_ptr()
        shape, strides = x.shape, [size * step for step in x.stride()]
    if 0 in shape:
        return 1, 0
    reach = [(length - 1) * step for length, step in zip(shape, strides, strict=True)]
    first = start + sum(r for r in reach if r < 0)  # a negative stride runs towards lower addresses
    return first, start + sum(r for r in reach if r > 0) + size - 1
