"""Looks at single hidden units of feed-forward networks: where they fire, and what holds there. It trains nothing.

Letters: T positions, W tokens shown. N texts and U units have no letter of the book.

- Geva et al. (2021), Transformer Feed-Forward Layers Are Key-Value Memories, section 3.
"""

import torch
from torch import Tensor


def strongest(strengths: Tensor, ids: Tensor, n: int, W: int) -> Tensor:
    """The last W tokens up to each of a unit's n strongest places: (n, W), the strongest first.

    strengths: (N, T), one unit's. ids: (N, T). Of equal places the earlier one comes first. Where a text has fewer than
    W tokens up to there, -1 fills up on the left.
    """
    T = ids.shape[1]
    order = torch.sort(strengths.flatten(), descending=True, stable=True).indices[:n].tolist()
    rows = []
    for place in order:
        text, t = divmod(place, T)
        seen = ids[text, max(0, t + 1 - W) : t + 1]
        rows.append(torch.cat([ids.new_full((W - len(seen),), -1), seen]))
    return torch.stack(rows) if rows else ids.new_zeros(0, W)


def lift(strengths: Tensor, holds: Tensor, n: int) -> Tensor:
    """How many times as often a pattern holds at each unit's n strongest places as anywhere: (U,). 1 is chance.

    strengths: (N, T, U). holds: bool (N, T). Zeros where the pattern never holds.
    """
    pattern = holds.reshape(-1).to(strengths.dtype)
    anywhere = pattern.mean()
    top = torch.topk(strengths.reshape(-1, strengths.shape[-1]), n, dim=0).indices  # (n, U)
    return pattern[top].mean(0) / anywhere if anywhere > 0 else strengths.new_zeros(strengths.shape[-1])
