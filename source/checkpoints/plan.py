"""What a training run is made of: sizes, text, batches, learning rate. It takes no step: training.py does."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from source.corpus import shakespeare
from source.models import gpt, llama
from source.tokenizers.byte_level import END_OF_TEXT
from source.tokenizers.shipped import course_tokenizer


@dataclass(frozen=True)
class Plan:
    """Everything that the result depends on, apart from the data and the machine."""

    name: str  # the folder in data/checkpoints, and the script that trains it
    sizes: gpt.Sizes | llama.Sizes
    seed: int = 0
    steps: int = 2500
    batch: int = 32
    rate: float = 3e-3  # the highest learning rate
    last_rate: float = 1e-4
    warm_up: int = 100
    weight_decay: float = 0.1  # of matrices; biases and norms have none
    measure_every: int = 100
    bfloat16: bool = False  # matrix products in bfloat16, weights in float32


@dataclass(frozen=True)
class Text:
    """A part of the corpus as ids, in order. ids: (n,). bytes: how many bytes of text they stand for.

    starts: where speeches begin, (m,); end: the id of <|endoftext|>. Both None where an id is a byte.
    """

    ids: Tensor
    bytes: int
    starts: Tensor | None = None
    end: int | None = None


def new_model(plan: Plan) -> nn.Module:
    """An untrained model; the plan's seed fixes its weights."""
    torch.manual_seed(plan.seed)
    return llama.Llama(plan.sizes) if isinstance(plan.sizes, llama.Sizes) else gpt.GPT(plan.sizes)


def read_text(plan: Plan, part: str) -> Text:
    """The corpus' part, "train" or "validation", in bytes for a vocabulary of 256, else in the course's tokens."""
    text = shakespeare(part)
    return as_bytes(text) if plan.sizes.vocabulary == 256 else as_tokens(text)


def as_bytes(text: str) -> Text:
    """A text whose ids are its UTF-8 bytes."""
    ids = torch.from_numpy(np.frombuffer(text.encode("utf-8"), dtype=np.uint8).copy())
    return Text(ids, len(ids))


def as_tokens(text: str) -> Text:
    """A text in the course's tokens. Speeches are cut apart first, so that each begins at an id."""
    tokenizer, ids, starts = course_tokenizer(), [], []
    for speech in text.rstrip("\n").split("\n\n"):
        starts.append(len(ids))
        ids += tokenizer.encode(speech + "\n\n")
    return Text(torch.tensor(ids), len(text.encode()), torch.tensor(starts), tokenizer.specials[END_OF_TEXT])


def windows(ids: Tensor, starts: Tensor, T: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, both (B, T) int64: the windows of T ids at starts (B,), and the same one id on."""
    at = starts[:, None] + torch.arange(T + 1)  # (B, 1) + (T + 1,) -> (B, T + 1)
    rows = ids[at].long()
    return rows[:, :-1], rows[:, 1:]


def batch(text: Text, plan: Plan, step: int) -> tuple[Tensor, Tensor]:
    """The batch of a step: a function of seed and step alone, so that a resumed run needs no generator's state.

    Rows begin anywhere. Where there is an <|endoftext|>, every other row begins with it and a speech: so the model
    learns what may come first, and that the token itself says nothing of what was before.
    """
    rng, T = np.random.default_rng([plan.seed, step]), plan.sizes.context
    starts = torch.from_numpy(rng.integers(0, len(text.ids) - T, plan.batch))
    if text.starts is None:
        return windows(text.ids, starts, T)
    opening = text.starts[text.starts < len(text.ids) - T]
    drawn = opening[torch.from_numpy(rng.integers(0, len(opening), plan.batch))]
    opens = torch.arange(plan.batch) % 2 == 0
    inputs, targets = windows(text.ids, torch.where(opens, drawn, starts), T)
    first = torch.full((plan.batch, 1), text.end)
    with_end = torch.cat([first, inputs[:, :-1]], dim=1), torch.cat([inputs[:, :1], targets[:, :-1]], dim=1)
    return tuple(
        torch.where(opens[:, None], ends, plain) for ends, plain in zip(with_end, (inputs, targets), strict=True)
    )


def learning_rate(plan: Plan, step: int) -> float:
    """Up in a straight line during warm-up, then down along half a cosine to the last rate. step counts from 0."""
    if step < plan.warm_up:
        return plan.rate * (step + 1) / plan.warm_up
    done = (step - plan.warm_up) / max(1, plan.steps - plan.warm_up)
    return plan.last_rate + (plan.rate - plan.last_rate) * (1 + math.cos(math.pi * done)) / 2
