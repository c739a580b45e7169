"""Lab 1.2, the student's half: how reading maps, making a probe, scoring heads and taking them out are driven."""

import torch

from autograder.cases import Draw
from autograder.exercise import Case, Exercise

VOCABULARY = ["the", "cat", "dog", "sees", "likes", "old", "red", "bird", "my", "girl", "near", "fox"]


def causal_maps(d: Draw, *shape: int, scale: float = 1.5) -> torch.Tensor:
    """Random attention weights under a causal mask: (..., T, T), each row sums to one."""
    T = shape[-1]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    return torch.softmax(d.normal(*shape, T, scale=scale).masked_fill(future, float("-inf")), dim=-1)


def _links_cases():
    d = Draw(201)
    by_hand = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.1, 0.0], [0.2, 0.7, 0.1]])
    return [
        Case("three words, by hand", {"weights": by_hand, "words": ["the", "cat", "sees"], "n": 2}),
        Case("six words, three links", {"weights": causal_maps(d, 6), "words": VOCABULARY[:6], "n": 3}),
        Case(
            "a word that occurs twice",
            {"weights": causal_maps(d, 5), "words": [*VOCABULARY[:2], "sees", "the", "dog"], "n": 4},
        ),
    ]


strongest_links = Exercise(
    name="strongest_links",
    title="Read a map",
    minutes=10,
    difficulty=1,
    points=2,
    act=lambda f, i: {"links": [tuple(link) for link in f(i["weights"], i["words"], i["n"])]},
    visible=_links_cases,
    forbids=("source.attention.inspection.strongest_links",),
    hints=(
        "Each cell of the map is one link. The first row is no choice: it has only itself to look at.",
        "`weights[1:].flatten().topk(n)` gives values and flat positions; `divmod(position, S)` gives row and column.",
        "take the rows from the second on; find the n largest cells; a cell in row r and column s of these is the link "
        "(words[r + 1], words[s], weight).",
    ),
)


def _probe_cases():
    d = Draw(202)
    return [
        Case("one list of three", {"lists": torch.tensor([[5, 7, 6]]), "start": 0}),
        Case("four lists of six", {"lists": d.integers(1, 50, 4, 6), "start": 0}),
        Case("another start word", {"lists": d.integers(1, 50, 2, 5), "start": 9}),
    ]


repeated = Exercise(
    name="repeated",
    title="Make the probe",
    minutes=5,
    difficulty=1,
    points=1,
    act=lambda f, i: {"ids": f(i["lists"], i["start"])},
    visible=_probe_cases,
    shapes={"ids": "(B, 2n + 1)"},
    forbids=("source.attention.inspection.repeated",),
    hints=(
        "What stands in front of every sequence, and how many columns does it take?",
        "`torch.cat([...], dim=1)` puts columns side by side; `torch.full((B, 1), start)` makes one column.",
        "columns: the start word once, the lists, the lists again.",
    ),
)


def _previous_cases():
    d = Draw(203)
    always = torch.zeros(1, 1, 2, 4, 4)
    always[..., 0, 0] = 1.0
    always[0, 0, 0, [1, 2, 3], [0, 1, 2]] = 1.0  # head 0 always looks one word back
    always[0, 0, 1, [1, 2, 3], [1, 2, 3]] = 1.0  # head 1 always looks at itself
    return [
        Case("one head that looks one back, one that looks at itself", {"weights": always}),
        Case("two layers of three heads", {"weights": causal_maps(d, 2, 4, 3, 7)}),
        Case("two words", {"weights": causal_maps(d, 2, 3, 2, 2)}),
    ]


previous_token_score = Exercise(
    name="previous_token_score",
    title="Who looks one word back?",
    minutes=10,
    difficulty=2,
    points=3,
    act=lambda f, i: {"score": f(i["weights"])},
    visible=_previous_cases,
    shapes={"score": "(L, H)"},
    forbids=("source.attention.inspection.previous_token_score",),
    hints=(
        "Which cells of a map say how much word t looks at word t - 1? Draw a 4 × 4 map and mark them.",
        "`weights.diagonal(-1, dim1=-2, dim2=-1)` is the diagonal just below the main one: (L, B, H, T - 1).",
        "take that diagonal; average over its positions and over the batch; layers and heads remain.",
    ),
)


def _induction_cases():
    d = Draw(204)
    n = 3
    perfect = torch.zeros(1, 1, 2, 2 * n + 1, 2 * n + 1)
    perfect[..., 0] = 1.0  # looking at the start word, unless told otherwise
    for t in range(n + 1, 2 * n):
        perfect[0, 0, 0, t, 0], perfect[0, 0, 0, t, t - n + 1] = 0.0, 1.0  # head 0: what came after this word
        perfect[0, 0, 1, t, 0], perfect[0, 0, 1, t, t - n] = 0.0, 1.0  # head 1: this word itself
    return [
        Case("one head that looks at what came next, one at the word itself", {"weights": perfect, "n": n}),
        Case("two layers of three heads", {"weights": causal_maps(d, 2, 4, 3, 11), "n": 5}),
        Case("lists of two", {"weights": causal_maps(d, 2, 2, 2, 5), "n": 2}),
    ]


induction_score = Exercise(
    name="induction_score",
    title="Who looks at what came next?",
    minutes=15,
    difficulty=3,
    points=4,
    act=lambda f, i: {"score": f(i["weights"], i["n"])},
    visible=_induction_cases,
    shapes={"score": "(L, H)"},
    forbids=("source.attention.inspection.induction_score",),
    hints=(
        "Write down the positions for n = 3: start is 0, the list is 1 2 3, the list again is 4 5 6. Word 4 was first "
        "at position 1. Which position came after it?",
        "The words that have a next one in the second list are t = n + 1, ..., 2n - 1; `torch.arange` makes them, and "
        "weights[..., t, t - n + 1] picks one cell for each.",
        "t = arange(n + 1, 2 * n); cells = weights[..., t, t - n + 1]; average over the positions and over the batch.",
    ),
)


def _ablation_act(f, i):
    from source.models.attention_only import load

    return {"loss": f(load(), i["ids"], i["n"], i["layer"], i["head"])}


def probe(d: Draw, B: int, n: int) -> torch.Tensor:
    """B sequences of the shipped model's words: start, n different words, the same again. (B, 2n + 1)."""
    from source.text import WORDS

    lists = torch.from_numpy(d.rng.permuted(torch.arange(1, len(WORDS)).repeat(B, 1).numpy(), axis=1)[:, :n].copy())
    return torch.cat([torch.zeros(B, 1, dtype=torch.long), lists, lists], dim=1)


def _ablation_cases():
    d = Draw(205)
    return [
        Case("a head of layer 0", {"ids": probe(d, 4, 8), "n": 8, "layer": 0, "head": 1}),
        Case("a head of layer 1", {"ids": probe(d, 4, 8), "n": 8, "layer": 1, "head": 2}),
        Case("no head at all", {"ids": probe(d, 3, 6), "n": 6, "layer": None, "head": None}),
    ]


loss_without = Exercise(
    name="loss_without",
    title="Take a head out",
    minutes=15,
    difficulty=2,
    points=4,
    act=_ablation_act,
    visible=_ablation_cases,
    tolerance={"float32": 1e-4},
    forbids=("source.attention.inspection.loss_without",),
    hints=(
        "`keep` has one number for every head: one leaves it, zero takes it out. And which logits predict which word?",
        "logits[:, t] predict word t + 1. `torch.nn.functional.cross_entropy` takes logits (N, V) and targets (N,).",
        "keep = ones(L, H), with keep[layer, head] = 0 unless layer is None; logits = model(ids, keep); the "
        "targets are ids[:, n + 2:], the second list without its first word, and logits[:, n + 1:-1] predict them.",
    ),
)
