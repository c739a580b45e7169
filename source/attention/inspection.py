"""Measures what a model's attention heads look at, and what happens without one of them. It draws nothing.

Letters: L layers, B batch, H heads, T words. A probe is a list of n random words said twice behind a start word,
2n + 1 words in all: only repetition can help to foretell it.

- Olsson et al. (2022), In-context Learning and Induction Heads, section "Argument 1" and its head-scoring appendix.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def strongest_links(weights: Tensor, words: list[str], n: int) -> list[tuple[str, str, float]]:
    """The n strongest cells of one map, as (looking word, word looked at, weight); the first row has no choice.

    weights: (T, T). words: T labels.
    """
    T = len(words)
    values, places = weights[1:].flatten().topk(n)  # (T, T) -> ((T - 1) * T,) -> (n,)
    return [(words[1 + p // T], words[p % T], v) for v, p in zip(values.tolist(), places.tolist(), strict=True)]


def repeated(lists: Tensor, start: int) -> Tensor:
    """Probes: lists (B, n) said twice behind the start word, (B, 2n + 1)."""
    return torch.cat([lists.new_full((len(lists), 1), start), lists, lists], dim=1)


def previous_token_score(weights: Tensor) -> Tensor:
    """Mean weight from word t to word t - 1: (L, B, H, T, T) -> (L, H)."""
    return weights.diagonal(-1, dim1=-2, dim2=-1).mean(dim=(1, 3))  # (L, B, H, T - 1) -> (L, H)


def induction_score(weights: Tensor, n: int) -> Tensor:
    """Mean weight from a word of the second list to what came after its first occurrence.

    weights: (L, B, H, 2n + 1, 2n + 1) on probes. Returns (L, H).
    """
    t = torch.arange(n + 1, 2 * n, device=weights.device)  # the second list, without its last word
    return weights[..., t, t - n + 1].mean(dim=(1, 3))  # (L, B, H, n - 1) -> (L, H)


def entropy(weights: Tensor) -> Tensor:
    """How spread out each row is, in nats: (..., T, S) -> (..., T). A weight of zero adds nothing."""
    return torch.special.entr(weights).sum(-1)


def influence(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """How strongly each input position moves each output position: the norms of the Jacobian's blocks.

    layer: (S, C) -> (T, M), differentiable. x: (S, C). Returns (T, S).
    """
    J = torch.autograd.functional.jacobian(layer, x)  # (T, M, S, C)
    return torch.linalg.vector_norm(J, dim=(1, 3))  # (T, S)


def visible_keys(attend: Callable[[Tensor, Tensor, Tensor], Tensor], T: int, S: int) -> Tensor:
    """Which keys each query may see, found by calling an attention: (T, S), True = seen.

    attend: Q (T, D), K (S, D), V (S, E) -> (T, E).
    """
    # With all scores alike and the identity for values, the output is the weights, and none rounds to zero.
    return attend(torch.zeros(T, 8), torch.zeros(S, 8), torch.eye(S)) > 0


def loss_without(model: nn.Module, ids: Tensor, n: int, layer: int | None, head: int | None) -> float:
    """Mean loss in nats on positions n + 2 to 2n of probes ids (B, 2n + 1), with one head's output set to zero.

    model: called as model(ids, keep) with keep (L, H). layer, head: None takes out nothing.
    """
    keep = torch.ones(len(model.layers), model.layers[0].heads, device=ids.device)
    if layer is not None:
        keep[layer, head] = 0.0
    with torch.no_grad():
        logits = model(ids, keep)[:, n + 1 : -1]  # (B, n - 1, V), each for the word one further on
    return float(F.cross_entropy(logits.flatten(0, 1), ids[:, n + 2 :].flatten()))
