"""How well a model reads and writes: its loss on held-out text, and samples. It changes nothing."""

import torch
from torch import nn

from source.checkpoints.plan import Text, windows
from source.generation import generate
from source.tokenizers.byte_level import END_OF_TEXT
from source.tokenizers.shipped import course_tokenizer


def validation_loss(model: nn.Module, text: Text, rows: int = 128) -> float:
    """Mean loss in nats an id on `rows` windows spread evenly over the text: the same ones every time."""
    T = model.sizes.context
    ids, targets = windows(text.ids, torch.linspace(0, len(text.ids) - T - 1, rows).long(), T)
    training = model.training
    model.eval()
    with torch.no_grad():
        losses = [model(a, b)[1].item() for a, b in zip(ids.split(32), targets.split(32), strict=True)]
    model.train(training)
    return sum(losses) / len(losses)


def sample(model: nn.Module, prompt: str, length: int, seed: int = 0, temperature: float = 0.8) -> str:
    """The prompt and `length` more ids as text; what is no UTF-8 shows as a box.

    The text ends early where the model writes <|endoftext|>.
    """
    if model.sizes.vocabulary == 256:
        ids = generate(model, torch.tensor([list(prompt.encode())]), length, temperature, seed)
        return bytes(ids[0].tolist()).decode("utf-8", errors="replace")
    tokenizer = course_tokenizer()
    given = tokenizer.encode(prompt, allowed_special="all")
    new = generate(model, torch.tensor([given]), length, temperature, seed)[0, len(given) :].tolist()
    end = tokenizer.specials[END_OF_TEXT]
    return tokenizer.decode(given + (new[: new.index(end)] if end in new else new))
