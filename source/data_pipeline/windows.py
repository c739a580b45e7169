"""Batches cut out of one long row of ids: a window, and the same window one id on. It chooses no places, it pads none.

Letters: B batch, T positions.
"""

import numpy as np
import torch
from torch import Tensor


def to_bytes(text: str) -> Tensor:
    """The UTF-8 bytes of a text as ids: uint8 (n,)."""
    return torch.from_numpy(np.frombuffer(text.encode("utf-8"), dtype=np.uint8).copy())


def windows(ids: Tensor, starts: Tensor, T: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, both (B, T) int64: the windows of T ids at starts (B,), and the same one id on.

    ids: (n,) of any integer type. A window needs T + 1 of them. Raises IndexError where they are not there.
    """
    at = starts[:, None] + torch.arange(T + 1)  # (B, 1) + (T + 1,) -> (B, T + 1)
    rows = ids[at].long()
    return rows[:, :-1], rows[:, 1:]
