"""The simplest key-value cache: it keeps everything and grows by copying. Nothing is reserved, evicted or compressed.

A model's cache is a list with one entry a layer. The models ask two things of an entry: `seen`, how many positions went
by, and `append`. Whatever has these two can take its place.

Letters: B batch, G key and value heads, T new positions, S kept positions, D head width.
"""

import torch
from torch import Tensor


class KVCache:
    """One layer's keys and values."""

    def __init__(self) -> None:
        self.seen = 0
        self.k: Tensor | None = None
        self.v: Tensor | None = None

    def append(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep the new keys and values, and return all that attention may look at; the new ones stand last.

        k, v: (B, G, T, D). Returns two (B, G, S, D).
        """
        self.seen += k.shape[2]
        self.k = k if self.k is None else torch.cat([self.k, k], dim=2)
        self.v = v if self.v is None else torch.cat([self.v, v], dim=2)
        return self.k, self.v


def empty_cache(layers: int) -> list[KVCache]:
    """A cache for a model of L layers that has seen nothing."""
    return [KVCache() for _ in range(layers)]
