"""Gradient accumulation: a large batch in pieces, with the large batch's gradient. It takes no step and clips nothing.

Letters: B rows, T positions, V vocabulary. A target of -100 does not count (`source.data_pipeline.targets.IGNORED`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from source.data_pipeline.targets import IGNORED

Piece = tuple[Tensor, Tensor]  # ids and targets, both (B, T)


def accumulate(model: nn.Module, pieces: Sequence[Piece]) -> float:
    """Add to every .grad the gradient of the mean loss over all counted targets of all pieces. Returns that mean.

    model: ids (B, T) -> logits (B, T, V). pieces: pairs of ids and targets; B and T may differ from piece to piece.
    Each piece's graph is freed before the next is built, so memory is that of the largest piece.
    Without one counted target the mean is 0 and nothing is added.
    """
    counted = sum(int((targets != IGNORED).sum()) for _, targets in pieces)
    if not counted:
        return 0.0
    total = 0.0
    for ids, targets in pieces:
        logits = model(ids)  # (B, T, V)
        # Sums can be added up; means cannot, as soon as the pieces count unequally many targets.
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum") / counted
        loss.backward()
        total += loss.item()
    return total


def accumulate_naive(model: nn.Module, pieces: Sequence[Piece]) -> float:
    """`accumulate` with the loss of every counted target in one graph: right, and as large as all pieces together."""
    losses = []
    for ids, targets in pieces:
        logs = model(ids).log_softmax(-1)  # (B, T, V)
        for row in range(targets.shape[0]):
            for t in range(targets.shape[1]):
                if int(targets[row, t]) != IGNORED:
                    losses.append(-logs[row, t, int(targets[row, t])])
    if not losses:
        return 0.0
    loss = torch.stack(losses).mean()
    loss.backward()
    return loss.item()


def mean_of_means(model: nn.Module, pieces: Sequence[Piece]) -> float:
    """The trap, to be looked at: each piece's own mean, averaged. A piece with few targets weighs like a full one."""
    total = 0.0
    for ids, targets in pieces:
        loss = F.cross_entropy(model(ids).flatten(0, 1), targets.flatten(), ignore_index=IGNORED) / len(pieces)
        loss.backward()
        total += loss.item()
    return total
