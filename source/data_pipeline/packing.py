"""Several documents in one row, kept apart by mask, positions and targets. It cuts no document and reads no files.

A row's *segments* say whose token each place holds: 1 for the row's first document, 2 for the second, and so on, and
0 for padding (the convention of T5's data). Mask, positions and targets all follow from them.

Letters: B rows, T places in a row.

- Raffel et al. (2020), Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer, 3.1.2.
- Krell et al. (2021), Efficient Sequence Packing without Cross-contamination.
- Ding et al. (2024), Fewer Truncations Improve Language Modeling (what cutting documents costs).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from source.data_pipeline.targets import IGNORED


class Packed(NamedTuple):
    """A packed batch: everything (B, T), int64. `packed_mask(segments)` gives the mask, which is T times as large."""

    ids: Tensor
    targets: Tensor
    positions: Tensor
    segments: Tensor


def first_fit(lengths: Sequence[int], T: int) -> list[list[int]]:
    """Which documents share a row: each goes into the first row with room for it, or into a new one.

    lengths: of the documents, in the order in which they come. T: places in a row.
    Returns for each row the numbers of its documents, in the order in which they came.
    A tree over the rows holds the most room of each half, so that a document finds its row in log2(rows) steps.
    Raises ValueError for a document that no row can hold, and for an empty one.
    """
    _check(lengths, T)
    leaves = 1 << max(len(lengths) - 1, 0).bit_length()
    room = [T] * (2 * leaves)  # room[1] is the root; the children of room[i] are room[2i] and room[2i + 1]
    rows: list[list[int]] = []
    for document, length in enumerate(lengths):
        at = 1
        while at < leaves:
            at = 2 * at if room[2 * at] >= length else 2 * at + 1  # left whenever it has room: the first row that fits
        row = at - leaves
        if row == len(rows):
            rows.append([])
        rows[row].append(document)
        room[at] -= length
        while at > 1:
            at //= 2
            room[at] = max(room[2 * at], room[2 * at + 1])
    return rows


def first_fit_naive(lengths: Sequence[int], T: int) -> list[list[int]]:
    """`first_fit`, looking at one row after the other."""
    _check(lengths, T)
    rows: list[list[int]] = []
    room: list[int] = []
    for document, length in enumerate(lengths):
        row = next((r for r, free in enumerate(room) if free >= length), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(T)
        rows[row].append(document)
        room[row] -= length
    return rows


def _check(lengths: Sequence[int], T: int) -> None:
    for document, length in enumerate(lengths):
        if not 1 <= length <= T:
            raise ValueError(
                f"document {document} has {length} tokens and a row {T} places: leave out empty documents, and cut "
                "long ones (source.data_pipeline.packing.cut)"
            )


def cut(documents: Sequence[Tensor], T: int) -> list[Tensor]:
    """The documents in pieces of at most T tokens, in order; a piece's first token has no context.

    documents: tensors (n,). Raises ValueError for T below 1.
    """
    if T < 1:
        raise ValueError(f"pieces of {T} tokens: T must be at least 1")
    return [piece for document in documents for piece in document.split(T) if len(piece)]


def lay_out(documents: Sequence[Tensor], rows: Sequence[Sequence[int]], T: int, pad: int = 0) -> tuple[Tensor, Tensor]:
    """Write the documents into their rows, one behind the other from the left.

    documents: tensors (n,). rows: the documents' numbers, row by row (`first_fit`). pad: the id that fills the rest.
    Returns ids (B, T) and segments (B, T), int64. Raises ValueError when a row's documents need more than T places.
    """
    ids = torch.full((len(rows), T), pad)
    segments = torch.zeros(len(rows), T, dtype=torch.long)
    for row, members in enumerate(rows):
        end = 0
        for segment, member in enumerate(members, start=1):
            start, end = end, end + len(documents[member])
            if end > T:
                raise ValueError(f"row {row} has {T} places and its documents need {end} or more")
            ids[row, start:end] = documents[member]
            segments[row, start:end] = segment
    return ids, segments


def packed_targets(ids: Tensor, segments: Tensor) -> Tensor:
    """The next token of the same document, IGNORED where there is none.

    ids, segments: (..., T). Returns (..., T).
    """
    same = (segments[..., 1:] == segments[..., :-1]) & (segments[..., 1:] > 0)
    targets = torch.full_like(ids, IGNORED)
    targets[..., :-1] = torch.where(same, ids[..., 1:], IGNORED)
    return targets


def packed_positions(segments: Tensor) -> Tensor:
    """Each token's place in its own document, from 0; 0 in the padding.

    segments: (..., T). Returns (..., T), int64.
    """
    t = torch.arange(segments.shape[-1], device=segments.device)
    starts = torch.ones_like(segments, dtype=torch.bool)
    starts[..., 1:] = segments[..., 1:] != segments[..., :-1]
    # The newest start so far: t where a segment starts, 0 elsewhere, and the largest of all up to here.
    begun = torch.where(starts, t, 0).cummax(dim=-1).values
    return torch.where(segments > 0, t - begun, 0)


def packed_mask(segments: Tensor) -> Tensor:
    """Who may see whom: a token itself and what came before it in its own document. Padding sees nothing.

    segments: (..., T). Returns (..., T, T), bool: row t is what token t may see.
    """
    T = segments.shape[-1]
    same = segments[..., :, None] == segments[..., None, :]  # (..., T, T)
    causal = torch.ones(T, T, dtype=torch.bool, device=segments.device).tril()
    return same & causal & (segments > 0)[..., :, None]


def pack(documents: Sequence[Tensor], T: int, pad: int = 0) -> Packed:
    """Documents packed into rows of T places by first fit, with their targets, positions and segments.

    documents: tensors (n,), each of 1 to T tokens. Raises ValueError for others.
    """
    ids, segments = lay_out(documents, first_fit([len(document) for document in documents], T), T, pad)
    return Packed(ids, packed_targets(ids, segments), packed_positions(segments), segments)


def pack_naive(documents: Sequence[Tensor], T: int, pad: int = 0) -> tuple[Packed, Tensor]:
    """`pack` and `packed_mask`, one token at a time. Returns the batch and the mask (B, T, T)."""
    rows = first_fit_naive([len(document) for document in documents], T)
    batch = Packed(*(torch.zeros(len(rows), T, dtype=torch.long) for _ in Packed._fields))
    batch.ids.fill_(pad)
    batch.targets.fill_(IGNORED)
    mask = torch.zeros(len(rows), T, T, dtype=torch.bool)
    for row, members in enumerate(rows):
        start = 0
        for segment, member in enumerate(members, start=1):
            tokens = documents[member].tolist()
            for i, token in enumerate(tokens):
                t = start + i
                batch.ids[row, t], batch.positions[row, t], batch.segments[row, t] = token, i, segment
                if i + 1 < len(tokens):
                    batch.targets[row, t] = tokens[i + 1]
                for j in range(i + 1):
                    mask[row, t, start + j] = True
            start += len(tokens)
    return batch, mask


def questions(ids: Tensor, targets: Tensor, positions: Tensor, mask: Tensor) -> list[tuple]:
    """All that a batch asks of a model, sorted: (tokens that may be seen, their positions, the token to foretell).

    ids, targets, positions: (B, T). mask: (B, T, T). Two batches with equal questions teach the same, however their
    tokens lie: this is what packing has to leave as it was.
    """
    asked = []
    for row in range(len(ids)):
        for t in (targets[row] != IGNORED).nonzero().flatten().tolist():
            seen = mask[row, t]
            asked.append((tuple(ids[row][seen].tolist()), tuple(positions[row][seen].tolist()), int(targets[row, t])))
    return sorted(asked)
