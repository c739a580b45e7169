"""Next-token targets: what a model sees, and what it has to say. It knows no documents and reads no files.

Letters: T tokens in a window; "..." is any number of dimensions in front.
"""

import torch
from torch import Tensor

# A place whose target is this has no question in it: `torch.nn.functional.cross_entropy` leaves it out by default.
IGNORED = -100


def next_token(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs and targets of token runs: target t is the token that comes after input t.

    ids: (..., T + 1). Returns two views of it, inputs (..., T) and targets (..., T).
    Raises ValueError for an empty run.
    """
    if ids.shape[-1] == 0:
        raise ValueError("a run of no tokens has neither inputs nor targets: give T + 1 tokens for a window of T")
    return ids[..., :-1], ids[..., 1:]


def windows(ids: Tensor, T: int) -> tuple[Tensor, Tensor]:
    """A stream cut into as many whole windows as fit, one behind the other.

    ids: (N,). Returns inputs (n, T) and targets (n, T), n = (N - 1) // T: the last target needs a token of its own.
    Two neighbours share one token, which is the last target of one and the first input of the other.
    Raises ValueError for T below 1.
    """
    if T < 1:
        raise ValueError(f"windows of {T} tokens: T must be at least 1")
    n = max(len(ids) - 1, 0) // T
    return ids[: n * T].view(n, T), ids[1 : n * T + 1].view(n, T)


def windows_naive(ids: Tensor, T: int) -> tuple[Tensor, Tensor]:
    """`windows`, one token at a time."""
    inputs, targets = [], []
    for start in range(0, len(ids) - T, T):
        inputs.append([int(ids[start + t]) for t in range(T)])
        targets.append([int(ids[start + t + 1]) for t in range(T)])
    return torch.tensor(inputs, dtype=ids.dtype).view(-1, T), torch.tensor(targets, dtype=ids.dtype).view(-1, T)
