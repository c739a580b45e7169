"""The setting in which small recipes are compared: a text as characters, batches by step, two sizes. It has no model.

Both sizes are nanoGPT's for Shakespeare, character by character: its README's for a CPU, and its config's for a GPU
(Karpathy, nanoGPT, README.md and config/train_shakespeare_char.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from source.corpus import shakespeare, tiny_shakespeare
from source.training.accumulation import Piece

# So many characters has nanoGPT's tiny_shakespeare, for training and for validation.
CHARACTERS = {"train": 1_003_854, "validation": 111_540}


@dataclass(frozen=True)
class Size:
    """What both recipes have in common: the model's shape, what a step reads, how many steps, dropout."""

    layers: int
    heads: int
    width: int
    context: int
    batch: int
    steps: int
    dropout: float


CPU = Size(layers=4, heads=4, width=128, context=64, batch=12, steps=2000, dropout=0.0)
GPU = Size(layers=6, heads=6, width=384, context=256, batch=64, steps=5000, dropout=0.2)
# What nanoGPT's README reports for each, on tiny_shakespeare.
PUBLISHED = {"cpu": 1.88, "gpu": 1.4697}


@dataclass(frozen=True)
class Text:
    """A training and a validation text as ids, and the characters that the ids stand for."""

    name: str
    characters: str
    train: Tensor  # (N,), int64
    validation: Tensor

    def encode(self, text: str) -> Tensor:
        """Ids (n,) of a text. Raises ValueError for a character that neither part has."""
        unknown = sorted(set(text) - set(self.characters))
        if unknown:
            raise ValueError(f"not in this text's alphabet: {unknown}")
        return torch.tensor([self.characters.index(c) for c in text], dtype=torch.long)

    def decode(self, ids: Tensor) -> str:
        """The characters of ids (n,)."""
        return "".join(self.characters[i] for i in ids.tolist())


def text(name: str = "course", copy: str | None = None) -> Text:
    """ "course": the course's plays, cut to as many characters as tiny_shakespeare has; "tiny": tiny_shakespeare.

    copy: a file that holds tiny_shakespeare, where there is no network. Raises ValueError for another name.
    """
    if name not in ("course", "tiny"):
        raise ValueError(f"no text {name!r}: choose course or tiny")
    if name == "course":
        parts = {part: shakespeare(part)[:count] for part, count in CHARACTERS.items()}
    else:
        parts = {part: tiny_shakespeare(part, copy) for part in CHARACTERS}
    characters = "".join(sorted(set(parts["train"] + parts["validation"])))
    number = np.zeros(128, dtype=np.int64)
    number[[ord(c) for c in characters]] = np.arange(len(characters))
    ids = {part: torch.from_numpy(number[np.frombuffer(t.encode("ascii"), np.uint8)]) for part, t in parts.items()}
    return Text(name, characters, ids["train"], ids["validation"])


def batches(ids: Tensor, T: int, batch: int, seed: int) -> Callable[[int], list[Piece]]:
    """A function of the step alone: one piece of `batch` windows of T that begin anywhere. Nothing else to save.

    ids: (N,), N > T.
    """

    def at(step: int) -> list[Piece]:
        starts = np.random.default_rng([seed, step]).integers(0, len(ids) - T, batch)
        places = torch.from_numpy(starts)[:, None] + torch.arange(T + 1)  # (B, 1) + (T + 1,) -> (B, T + 1)
        rows = ids[places]
        return [(rows[:, :-1], rows[:, 1:])]

    return at
