"""How good a language model is on text it did not read, and what it writes. It trains nothing.

Letters: N tokens, B rows, T positions, V vocabulary.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from source.data_pipeline.targets import windows


@contextmanager
def measuring(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in eval mode and no graph is built; afterwards each of its parts is in its old mode."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def validation_loss(model: nn.Module, ids: Tensor, T: int, batch: int = 32) -> float:
    """The mean loss in nats a token over a text cut into whole windows of T, one behind the other.

    model: ids (B, T) -> logits (B, T, V). ids: (N,), N > T. batch: windows at a time; it does not change the result.
    Raises ValueError for a text without one window.
    """
    inputs, targets = windows(ids.long(), T)
    if not len(inputs):
        raise ValueError(f"a text of {len(ids)} tokens has no window of {T} and its last target: give a longer one")
    total = 0.0
    with measuring(model):
        for some, their in zip(inputs.split(batch), targets.split(batch), strict=True):
            total += F.cross_entropy(model(some).flatten(0, 1), their.flatten(), reduction="sum").item()
    return total / targets.numel()


def validation_loss_naive(model: nn.Module, ids: Tensor, T: int) -> float:
    """`validation_loss`, one window and one token at a time."""
    losses = []
    with measuring(model):
        for start in range(0, len(ids) - T, T):
            logs = model(ids[start : start + T].long()[None]).log_softmax(-1)[0]
            losses += [-float(logs[t, int(ids[start + t + 1])]) for t in range(T)]
    return sum(losses) / len(losses)


def sample(
    model: nn.Module,
    ids: Tensor,
    n: int,
    context: int,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """n more tokens for each row, each drawn from what the model makes of the last `context` before it.

    ids: (B, T), T at least 1. temperature: divides the logits; at 0 the likeliest token is taken, the first of equals.
    Returns (B, T + n).
    """
    with measuring(model):
        for _ in range(n):
            logits = model(ids[:, -context:])[:, -1]  # (B, V)
            if temperature == 0:
                drawn = logits.argmax(-1, keepdim=True)
            else:
                drawn = torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)  # (B, 1)
            ids = torch.cat([ids, drawn], dim=1)
    return ids
