"""Lab 1.2, the instructor's half: references written with plain loops, hidden cases, misconceptions."""

import torch

from autograder.cases import Draw
from autograder.checks.ch01_attention.lab02_attention_visualization import VOCABULARY, causal_maps, probe
from autograder.exercise import Answer, Case, Misconception


def _links_reference(i):
    cells = [(float(w), t, s) for t, row in enumerate(i["weights"]) for s, w in enumerate(row) if t > 0]
    cells.sort(key=lambda cell: -cell[0])
    return {"links": [(i["words"][t], i["words"][s], w) for w, t, s in cells[: i["n"]]]}


def _links_hidden(seed):
    d = Draw(seed)
    return [
        Case("a single link", {"weights": causal_maps(d, 4), "words": VOCABULARY[:4], "n": 1}),
        Case("two words", {"weights": causal_maps(d, 2), "words": VOCABULARY[:2], "n": 2}),
        Case("twelve words, ten links", {"weights": causal_maps(d, 12), "words": VOCABULARY, "n": 10}),
        Case("links that share a row", {"weights": causal_maps(d, 7, scale=0.3), "words": VOCABULARY[:7], "n": 6}),
    ]


strongest_links = Answer(
    name="strongest_links",
    reference=_links_reference,
    hidden=_links_hidden,
    misconceptions=(
        Misconception(
            "first-row-counted",
            "the first row is counted too, although it has only itself to look at",
            edits=(("weights[1:].flatten()", "weights.flatten()"), ("words[row + 1]", "words[row]")),
        ),
        Misconception(
            "row-off-by-one",
            "the rows are counted from the cut map: each looking word is the one before the right one",
            edits=(("words[row + 1]", "words[row]"),),
        ),
        Misconception(
            "rows-and-columns-swapped",
            "columns are taken for the looking words and rows for the words looked at",
            edits=(("(words[row + 1], words[column], float(value))", "(words[column], words[row + 1], float(value))"),),
        ),
        Misconception(
            "weakest",
            "the weakest links are listed instead of the strongest",
            edits=((".topk(n)", ".topk(n, largest=False)"),),
        ),
        Misconception(
            "one-per-row",
            "only each row's strongest link is looked at, so that two strong links of one word cannot both appear",
            code="def strongest_links(weights, words, n):\n"
            "    rows = list(enumerate(weights))[1:]\n"
            "    best = [(words[t], words[int(row.argmax())], float(row.max())) for t, row in rows]\n"
            "    return sorted(best, key=lambda link: -link[2])[:n]\n",
        ),
    ),
)


def _probe_hidden(seed):
    d = Draw(seed)
    return [
        Case("a list of one", {"lists": d.integers(1, 50, 3, 1), "start": 0}),
        Case("a single sequence", {"lists": d.integers(1, 50, 1, 9), "start": 3}),
        Case("an empty batch", {"lists": d.integers(1, 50, 0, 4), "start": 0}),
    ]


repeated = Answer(
    name="repeated",
    reference=lambda i: {
        "ids": torch.tensor([[i["start"], *row, *row] for row in i["lists"].tolist()], dtype=torch.long).reshape(
            len(i["lists"]), 2 * i["lists"].shape[1] + 1
        )
    },
    hidden=_probe_hidden,
    misconceptions=(
        Misconception("no-start", "the start word is missing", edits=(("[first, lists, lists]", "[lists, lists]"),)),
        Misconception(
            "words-doubled",
            "every word is said twice in a row, instead of the whole list twice",
            edits=(("[first, lists, lists]", "[first, lists.repeat_interleave(2, dim=1)]"),),
        ),
        Misconception(
            "start-twice",
            "the start word stands before the second list too",
            edits=(("[first, lists, lists]", "[first, lists, first, lists]"),),
        ),
        Misconception(
            "second-reversed",
            "the second list runs backwards",
            edits=(("[first, lists, lists]", "[first, lists, lists.flip(1)]"),),
        ),
    ),
)


def _previous_reference(i):
    weights = i["weights"].double()
    T = weights.shape[-1]
    return {"score": sum(weights[..., t, t - 1].mean(1) for t in range(1, T)).div(T - 1).float()}


def _previous_hidden(seed):
    d = Draw(seed)
    return [
        Case("one layer, one head, one sequence", {"weights": causal_maps(d, 1, 1, 1, 5)}),
        Case("as many words as heads", {"weights": causal_maps(d, 3, 2, 4, 4)}),
        Case("a long sequence", {"weights": causal_maps(d, 2, 2, 2, 30)}),
    ]


previous_token_score = Answer(
    name="previous_token_score",
    reference=_previous_reference,
    hidden=_previous_hidden,
    misconceptions=(
        Misconception(
            "itself", "you measure how much a word looks at itself", edits=(("diagonal(-1,", "diagonal(0,"),)
        ),
        Misconception(
            "two-back",
            "you measure how much a word looks two words back",
            edits=(("diagonal(-1,", "diagonal(-2,"),),
        ),
        Misconception(
            "future",
            "you measure the diagonal above the main one: how much a word looks at the next, which the mask forbids",
            edits=(("diagonal(-1,", "diagonal(1,"),),
        ),
        Misconception(
            "divided-by-t",
            "the sum is divided by the T rows instead of the T - 1 that have a previous word",
            edits=((".mean(dim=(1, 3))", ".mean(dim=1).sum(-1) / weights.shape[-1]"),),
        ),
        Misconception(
            "share-of-rows",
            "you count the rows whose strongest link is the previous word, instead of averaging the weights",
            code="def previous_token_score(weights):\n"
            "    back = torch.arange(weights.shape[-1] - 1)\n"
            "    return (weights[..., 1:, :].argmax(-1) == back).float().mean(dim=(1, 3))\n",
        ),
    ),
)


def _induction_reference(i):
    weights, n = i["weights"].double(), i["n"]
    cells = [weights[..., t, t - n + 1].mean(1) for t in range(n + 1, 2 * n)]
    return {"score": (sum(cells) / len(cells)).float()}


def _induction_hidden(seed):
    d = Draw(seed)
    return [
        Case("one layer, one head, one sequence", {"weights": causal_maps(d, 1, 1, 1, 9), "n": 4}),
        Case("as many heads as words in the list", {"weights": causal_maps(d, 3, 2, 6, 13), "n": 6}),
        Case("long lists", {"weights": causal_maps(d, 2, 2, 2, 31), "n": 15}),
    ]


induction_score = Answer(
    name="induction_score",
    reference=_induction_reference,
    hidden=_induction_hidden,
    misconceptions=(
        Misconception(
            "same-word",
            "you measure how much a word looks at its own first occurrence, not at what came after it",
            edits=(("t - n + 1", "t - n"),),
        ),
        Misconception(
            "word-before",
            "you measure how much a word looks at what came before its first occurrence",
            edits=(("t - n + 1", "t - n - 1"),),
        ),
        Misconception(
            "start-forgotten",
            "the start word is forgotten: every position is one too small",
            edits=(("torch.arange(n + 1, 2 * n)", "torch.arange(n, 2 * n - 1)"),),
        ),
        Misconception(
            "first-list-counted",
            "all rows are averaged, those of the first list too, where there is nothing to find yet",
            edits=((".mean(dim=(1, 3))", ".mean(dim=1).sum(-1) / weights.shape[-1]"),),
        ),
    ),
)


def _loss_reference(i):
    from source.models.attention_only import load

    model, ids, n = load(), i["ids"], i["n"]
    L, H = len(model.layers), model.layers[0].heads
    keep = torch.tensor([[float((layer, head) != (i["layer"], i["head"])) for head in range(H)] for layer in range(L)])
    logs = model(ids, keep).double().log_softmax(-1)
    losses = [-logs[b, t - 1, ids[b, t]] for b in range(len(ids)) for t in range(n + 2, 2 * n + 1)]
    return {"loss": float(sum(losses) / len(losses))}


def _loss_hidden(seed):
    d = Draw(seed)
    return [
        Case("a single sequence", {"ids": probe(d, 1, 7), "n": 7, "layer": 1, "head": 0}),
        Case("lists of two", {"ids": probe(d, 5, 2), "n": 2, "layer": 0, "head": 0}),
        Case("another head", {"ids": probe(d, 3, 10), "n": 10, "layer": 0, "head": 3}),
        Case("every head kept", {"ids": probe(d, 3, 5), "n": 5, "layer": None, "head": None}),
    ]


loss_without = Answer(
    name="loss_without",
    reference=_loss_reference,
    hidden=_loss_hidden,
    misconceptions=(
        Misconception(
            "only-this-head",
            "all heads but this one are taken out, instead of this one alone",
            edits=(("keep[layer, head] = 0.0", "keep = torch.zeros_like(keep); keep[layer, head] = 1.0"),),
        ),
        Misconception(
            "whole-sequence",
            "the first list is counted too, which nobody can foretell",
            edits=(("logits[:, n + 1 : -1]", "logits[:, :-1]"), ("ids[:, n + 2 :]", "ids[:, 1:]")),
        ),
        Misconception(
            "no-shift",
            "each word is compared with the prediction made after reading it",
            edits=(("logits[:, n + 1 : -1]", "logits[:, n + 2 :]"),),
        ),
        Misconception(
            "nothing-taken-out",
            "every head is kept, whichever was named",
            edits=(("keep[layer, head] = 0.0", "keep[layer, head] = 1.0"),),
        ),
        Misconception(
            "first-of-list-counted",
            "the second list's first word is counted, before which nothing tells that a repetition has begun",
            edits=(("logits[:, n + 1 : -1]", "logits[:, n:-1]"), ("ids[:, n + 2 :]", "ids[:, n + 1 :]")),
        ),
    ),
)
