"""Attention masks: who may look at whom, as booleans and as what is added to scores. It computes no attention.

True = may be seen. Every mask broadcasts to (B, H, T, S), so that `&` joins any of them. A query that may see nothing
gets zeros, here as in `source.attention.dot_product`.

Letters: B batch, H heads, T queries, S keys. The T queries are the last T of the S positions.

- Vaswani et al. (2017), Attention Is All You Need, section 3.2.3 (the causal mask, and minus infinity).
- Krell et al. (2021), Efficient Sequence Packing without Cross-contamination (documents in one row).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


def causal(T: int, S: int | None = None, device: torch.device | str | None = None) -> Tensor:
    """Each of T queries sees itself and all before it: bool (T, S), True = may be seen.

    S: the keys, None = T. The queries are the last T of S positions, as when keys of earlier tokens lie in a cache:
    query t stands at position S - T + t. Raises ValueError for more queries than keys.
    """
    S = T if S is None else S
    if T > S:
        raise ValueError(f"{T} queries cannot be the last of {S} positions: give S >= T")
    where = torch.arange(S - T, S, device=device)[:, None]  # (T, 1), the positions of the queries
    return torch.arange(S, device=device) <= where  # (S,) against (T, 1) -> (T, S)


def causal_naive(T: int, S: int | None = None) -> Tensor:
    """`causal`, one cell at a time."""
    S = T if S is None else S
    mask = torch.zeros(T, S, dtype=torch.bool)
    for t in range(T):
        for s in range(S):
            mask[t, s] = s <= t + S - T
    return mask


def padding(lengths: Tensor | Sequence[int], S: int, *, left: bool = False) -> Tensor:
    """Which keys are tokens and which only fill the row: bool (B, 1, 1, S), True = a token.

    lengths: (B,), the tokens of each sequence. left: the filling stands in front instead of behind.
    Raises ValueError for a length below 0 or above S.
    """
    lengths = torch.as_tensor(lengths)
    if lengths.numel() and not (int(lengths.min()) >= 0 and int(lengths.max()) <= S):
        raise ValueError(f"lengths from {int(lengths.min())} to {int(lengths.max())} do not fit a row of {S} places")
    behind = torch.arange(S, device=lengths.device) < lengths[:, None]  # (B, S)
    return (behind.flip(1) if left else behind)[:, None, None, :]


def documents(segments: Tensor, T: int | None = None) -> Tensor:
    """Only keys of the query's own document, before and behind it: bool (B, 1, T, S). Join it with `causal`.

    segments: (B, S): a row's documents are numbered 1, 2, ..., 0 is padding, which sees nothing and is not seen
    (as in `source.data_pipeline.packing`). T: the last T positions are queries, None = all S.
    """
    queries = segments[:, segments.shape[1] - (segments.shape[1] if T is None else T) :]
    same = queries[:, :, None] == segments[:, None, :]  # (B, T, S)
    return (same & (segments > 0)[:, None, :])[:, None]


def visible(segments: Tensor, T: int | None = None) -> Tensor:
    """All of it: causal, without padding, each document by itself. segments: (B, S). Returns bool (B, 1, T, S)."""
    S = segments.shape[1]
    return documents(segments, T) & causal(S if T is None else T, S, segments.device)


def visible_naive(segments: Tensor, T: int | None = None) -> Tensor:
    """`visible`, one cell at a time."""
    B, S = segments.shape
    T = S if T is None else T
    mask = torch.zeros(B, 1, T, S, dtype=torch.bool)
    for b in range(B):
        for t in range(T):
            place = S - T + t
            for s in range(place + 1):
                mask[b, 0, t, s] = bool(segments[b, s] == segments[b, place]) and bool(segments[b, s] > 0)
    return mask


def combine(*masks: Tensor | None) -> Tensor | None:
    """What all masks allow; None stands for a mask that hides nothing.

    masks: bool, each broadcasts to (B, H, T, S). Returns their common shape, or None if all are None.
    Raises TypeError for a mask that is not boolean, ValueError when two do not fit together.
    """
    joined = None
    for mask in masks:
        if mask is None:
            continue
        if mask.dtype != torch.bool:
            raise TypeError(f"a mask of {mask.dtype} says nothing sure: give booleans, True = may be seen")
        try:
            joined = mask if joined is None else joined & mask
        except RuntimeError as wrong:
            shapes = f"{tuple(joined.shape)} and {tuple(mask.shape)}"
            raise ValueError(f"masks of shapes {shapes} do not broadcast: bring each to (B, H, T, S)") from wrong
    return joined


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """What to add to scores: 0 where the mask is True, minus infinity elsewhere. The mask's shape, the given dtype."""
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, float("-inf"))


def biased_softmax(scores: Tensor, bias: Tensor) -> Tensor:
    """Softmax of scores + bias over the last dimension; a row with nothing but minus infinity becomes zeros.

    scores: (..., T, S). bias: broadcasts to it, the same dtype; finite, or minus infinity where nothing may be seen.
    Returns (..., T, S). No NaN arises on the way, so that the gradients of scores and bias have none either.
    """
    x = scores + bias
    empty = (x == float("-inf")).all(dim=-1, keepdim=True)  # (..., T, 1)
    # Both fills are needed: the first keeps NaN out of the softmax, forward and backward; the second makes it zeros.
    return torch.softmax(x.masked_fill(empty, 0.0), dim=-1).masked_fill(empty, 0.0)


def biased_softmax_naive(scores: Tensor, bias: Tensor) -> Tensor:
    """`biased_softmax`, one row at a time, over the visible keys alone."""
    x = scores + bias
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        seen = (row > float("-inf")).nonzero().flatten()
        weights = torch.zeros_like(row)
        if len(seen):
            e = torch.exp(row[seen] - row[seen].max().detach())
            weights = weights.index_put((seen,), e / e.sum())
        rows.append(weights)
    return torch.stack(rows).reshape(x.shape) if rows else torch.zeros_like(x)


def in_pieces(attend: Callable[..., Tensor], Q: Tensor, K: Tensor, V: Tensor, sizes: Sequence[int]) -> Tensor:
    """Causal attention a few queries at a time; a piece is given no key behind its last query.

    attend: (Q, K, V, mask) -> (..., T, E). Q: (..., T, D), the last T of S positions. K: (..., S, D).
    V: (..., S, E). sizes: the queries of each piece, T in all. Returns (..., T, E), as one call would.
    Raises ValueError when the sizes do not add up to T.
    """
    T, S = Q.shape[-2], K.shape[-2]
    if sum(sizes) != T:
        raise ValueError(f"pieces of {list(sizes)} queries are {sum(sizes)}, and there are {T}")
    out, start = [], 0
    for size in sizes:
        stop = start + size
        end = S - T + stop  # the keys that the piece's last query may see
        piece = attend(Q[..., start:stop, :], K[..., :end, :], V[..., :end, :], causal(size, end, Q.device))
        out.append(piece)
        start = stop
    return torch.cat(out, dim=-2)


class Reads(NamedTuple):
    """Which key and which value each query's output depends on: two bool tensors (T, S)."""

    by_key: Tensor
    by_value: Tensor


def reads(attend: Callable[[Tensor, Tensor, Tensor], Tensor], Q: Tensor, K: Tensor, V: Tensor) -> Reads:
    """What an attention reads, found by replacing one key, or one value, at a time.

    attend: Q (T, D), K (S, D), V (S, E) -> (T, E). An output was read from if it moved by more than 1e-9, or is no
    longer a number. Each row is replaced three times: by ordinary numbers, and by enormous ones of either sign, since
    a maximum taken over hidden keys shows only then.
    """
    before = attend(Q, K, V)
    T, S = len(Q), len(K)
    maps = torch.zeros(2, T, S, dtype=torch.bool)
    for which in (0, 1):
        for s in range(S):
            row = torch.randn_like((K, V)[which][s])
            for factor in (1.0, 1e6, -1e6):
                changed = [K.clone(), V.clone()]
                changed[which][s] = factor * row
                same = (attend(Q, *changed) - before).abs() <= 1e-9  # False for NaN, too
                maps[which, :, s] |= ~same.all(dim=-1)
    return Reads(*maps)
