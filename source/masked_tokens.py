"""BERT's corruption of a text for masked language modelling: which tokens to guess, and what stands there instead.

It makes inputs and targets; it holds no model.

- Devlin et al. (2019), BERT, section 3.1, task 1: 15% of the tokens are guessed; of these 80% are replaced by the mask,
  10% by a random token, 10% stay.
"""

import torch
from torch import Tensor

IGNORED = -100  # cross_entropy leaves such a target out


def corrupt(
    ids: Tensor,
    special: Tensor,
    mask_id: int,
    vocabulary: int,
    generator: torch.Generator,
    rate: float = 0.15,
) -> tuple[Tensor, Tensor]:
    """What the model reads, and what it has to guess: two (B, T), int64.

    ids: (B, T), int64. special: bool (B, T), True = never guessed and never changed (padding, marks). mask_id: the
    mask's id. vocabulary: V; a random token is any id below it. generator: every random number comes from it. rate:
    the chance of a token to be guessed. The target is the token where it is guessed and -100 elsewhere.
    Raises ValueError for a rate outside 0 to 1.
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"a rate of {rate} is no chance: give a number from 0 to 1")
    guessed = (torch.rand(ids.shape, generator=generator) < rate) & ~special
    fate = torch.rand(ids.shape, generator=generator)  # drawn anew: the first draw is below `rate` wherever guessed
    anything = torch.randint(vocabulary, ids.shape, generator=generator)
    inputs = torch.where(guessed & (fate < 0.8), mask_id, ids)
    inputs = torch.where(guessed & (fate >= 0.9), anything, inputs)
    return inputs, torch.where(guessed, ids, IGNORED)


def corrupt_naive(
    ids: Tensor,
    special: Tensor,
    mask_id: int,
    vocabulary: int,
    generator: torch.Generator,
    rate: float = 0.15,
) -> tuple[Tensor, Tensor]:
    """`corrupt` one token at a time, from the same random numbers."""
    chance, fate = (torch.rand(ids.shape, generator=generator).tolist() for _ in range(2))
    anything = torch.randint(vocabulary, ids.shape, generator=generator).tolist()
    inputs, targets = ids.clone(), torch.full_like(ids, IGNORED)
    for b, row in enumerate(ids.tolist()):
        for t, token in enumerate(row):
            if special[b, t] or chance[b][t] >= rate:
                continue
            targets[b, t] = token
            if fate[b][t] < 0.8:
                inputs[b, t] = mask_id
            elif fate[b][t] >= 0.9:
                inputs[b, t] = anything[b][t]
    return inputs, targets
