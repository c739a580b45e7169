"""Ids to vectors and vectors to logits, by hand: token and position embeddings, a tied head. It holds no blocks.

nn.Embedding does the first part; here every step can be seen. Letters: B batch, T positions, C model width,
V vocabulary.

- Press and Wolf (2017), Using the Output Embedding to Improve Language Models (tied embeddings).
- Vaswani et al. (2017), Attention Is All You Need, section 3.4 (tied, and the input scaled by the square root of C).
- Radford et al. (2019), Language Models are Unsupervised Multitask Learners, section 2.3 (learned positions).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

SPREAD = 0.02  # GPT-2's standard deviation of a fresh table


class TokenEmbedding(nn.Module):
    """A table with one row for each id. A lookup, not a product.

    vocabulary: V. width: C. padding: an id whose row is zeros and gets no gradient from lookups, or None.
    Raises ValueError for a padding id that the table has no row for.
    """

    def __init__(self, vocabulary: int, width: int, padding: int | None = None) -> None:
        super().__init__()
        if padding is not None and not 0 <= padding < vocabulary:
            raise ValueError(f"padding id {padding} is not one of the {vocabulary} ids 0 to {vocabulary - 1}")
        self.padding = padding
        self.weight = nn.Parameter(torch.randn(vocabulary, width) * SPREAD)
        if padding is not None:
            with torch.no_grad():
                self.weight[padding] = 0

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (...), integers of any dtype. Returns (..., C). Raises IndexError for an id that is no row."""
        ids = checked(ids, len(self.weight))
        rows = self.weight[ids]
        if self.padding is None:
            return rows
        # Not a constant zero: whatever the row holds is returned, and only its gradient is stopped.
        return torch.where((ids == self.padding)[..., None], rows.detach(), rows)


def checked(ids: Tensor, vocabulary: int) -> Tensor:
    """The ids as int64. Raises IndexError, naming the first, for one that is not 0 to vocabulary - 1.

    Indexing alone takes -1 for the last row, and a uint8 tensor for a mask.
    """
    ids = ids.long()
    wrong = (ids < 0) | (ids >= vocabulary)
    if wrong.any():
        raise IndexError(f"id {int(ids[wrong][0])} is not in the vocabulary: ids are 0 to {vocabulary - 1}")
    return ids


def fixed_table(vocabulary: int, width: int) -> Tensor:
    """Numbers between -1 and 1 that look random and are always the same: (V, C) in float64, to look at lookups."""
    places = torch.arange(1, vocabulary * width + 1).view(vocabulary, width)
    return (places * 2654435761 % 2**32).double() / 2**31 - 1


def one_hot_product(ids: Tensor, table: Tensor) -> Tensor:
    """The lookup as what it is: one-hot rows (..., V) times the table (V, C). The naive twin, V times as much work."""
    one_hot = (ids[..., None] == torch.arange(len(table), device=ids.device)).to(table.dtype)
    return one_hot @ table


def table_gradient(ids: Tensor, upstream: Tensor, vocabulary: int, padding: int | None = None) -> Tensor:
    """The table's gradient: every position's gradient is added to its id's row.

    ids: (B, T). upstream: (B, T, C), the gradient of what was looked up. padding: an id whose row gets none.
    Returns (V, C).
    """
    ids, C = ids.flatten(), upstream.shape[-1]
    table = upstream.new_zeros(vocabulary, C)
    table.index_add_(0, ids, upstream.reshape(len(ids), C))  # `table[ids] += ...` would count an id once
    if padding is not None:
        table[padding] = 0
    return table


def table_gradient_naive(ids: Tensor, upstream: Tensor, vocabulary: int, padding: int | None = None) -> Tensor:
    """`table_gradient`, one position at a time."""
    rows = [torch.zeros(upstream.shape[-1], dtype=upstream.dtype) for _ in range(vocabulary)]
    for sequence, gradients in zip(ids.tolist(), upstream, strict=True):
        for token, gradient in zip(sequence, gradients, strict=True):
            if token != padding:
                rows[token] = rows[token] + gradient
    return torch.stack(rows)


class Embeddings(nn.Module):
    """What GPT-2 begins with: the token's vector plus the position's.

    vocabulary: V. context: the longest sequence. width: C. Parameters: `token` (V, C) and `position` (context, C).
    """

    def __init__(self, vocabulary: int, context: int, width: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(vocabulary, width) * SPREAD)
        self.position = nn.Parameter(torch.randn(context, width) * SPREAD)

    def forward(self, ids: Tensor, start: int = 0) -> Tensor:
        """ids: (B, T), the tokens at positions start, start + 1, ... Returns (B, T, C).

        Raises IndexError for an id that is no row, ValueError for a position that is none.
        """
        ids, end = checked(ids, len(self.token)), start + ids.shape[-1]
        if start < 0 or end > len(self.position):
            raise ValueError(f"positions {start} to {end - 1} are not among 0 to {len(self.position) - 1}")
        return self.token[ids] + self.position[start:end]  # (B, T, C) + (T, C)


class TiedModel(nn.Module):
    """Ids to logits with one matrix at both ends: embeddings, anything between, and the token table again as the head.

    embeddings: an `Embeddings`. body: a module (B, T, C) -> (B, T, C).
    """

    def __init__(self, embeddings: Embeddings, body: nn.Module) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.body = body

    def forward(self, ids: Tensor) -> Tensor:
        """ids: (B, T). Returns (B, T, V): how well each token's vector fits what the body computed."""
        return self.body(self.embeddings(ids)) @ self.embeddings.token.T  # (B, T, C) @ (C, V)


class ByUse(NamedTuple):
    """One tied table's gradient in two parts, both (V, C). Their sum is what the table gets."""

    as_input: Tensor
    as_output: Tensor


def gradient_by_use(table: Tensor, ids: Tensor, body: Callable[[Tensor], Tensor], upstream: Tensor) -> ByUse:
    """What a tied table's gradient owes to each of its two uses.

    table: (V, C). ids: (B, T). body: (B, T, C) -> (B, T, C), differentiable. upstream: (B, T, V), the gradient of the
    logits body(table[ids]) @ table.T.
    """
    read, written = (table.detach().clone().requires_grad_() for _ in range(2))  # one number, two names
    logits = body(read[ids]) @ written.T
    return ByUse(*torch.autograd.grad(logits, (read, written), upstream))


def nearest(table: Tensor, which: int, n: int) -> tuple[Tensor, Tensor]:
    """The n rows whose direction is closest to that of row `which`, itself left out: ids (n,) and cosines (n,)."""
    unit = table / table.norm(dim=1, keepdim=True).clamp(min=torch.finfo(table.dtype).tiny)
    cosines = unit @ unit[which]
    cosines[which] = -torch.inf
    found = cosines.topk(n)
    return found.indices, found.values
