"""Plain text generation with a model of source/models: temperature, and a cache while it fits. No top-k, no beams.

Letters: B batch, T positions, V vocabulary.
"""

import torch
from torch import Tensor, nn

from source.models.kv_cache import empty_cache


@torch.no_grad()
def generate(model: nn.Module, ids: Tensor, length: int, temperature: float = 1.0, seed: int = 0) -> Tensor:
    """ids (B, T) and `length` more, each drawn from the model's distribution: (B, T + length), int64.

    model: a GPT or a Llama. temperature: logits are divided by it; 0 takes the likeliest. The seed fixes the draws.
    When the model's context is full, the oldest ids fall out of view: every step then reads a whole window anew.
    Raises ValueError for no ids at all, and for a temperature below 0.
    """
    if ids.ndim != 2 or not ids.shape[1]:
        raise ValueError(f"ids have shape {tuple(ids.shape)}: give (B, T), with at least one id to begin with")
    if temperature < 0:
        raise ValueError(f"the temperature is {temperature}: it must be 0 or above")
    generator = torch.Generator(device=ids.device).manual_seed(seed)
    context, cache = model.sizes.context, empty_cache(model.sizes.layers)
    for _ in range(length):
        if ids.shape[1] <= context:
            logits = model(ids[:, cache[0].seen :], cache=cache)[:, -1]  # (B, new) -> (B, V)
        else:
            logits = model(ids[:, -context:])[:, -1]
        ids = torch.cat([ids, draw(logits, temperature, generator)], dim=1)
    return ids


def draw(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """One id a row: logits (B, V) -> (B, 1)."""
    if temperature == 0:
        return logits.argmax(-1, keepdim=True)
    return torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
