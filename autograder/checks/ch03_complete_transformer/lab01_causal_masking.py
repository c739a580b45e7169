"""Lab 3.1, the student's half: how masks, pieces, the softmax with a bias and the instrument are driven."""

import torch

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient
from autograder.exercise import Case, Exercise

INF = float("inf")


def _causal_cases():
    return [
        Case("four queries, four keys", {"T": 4, "S": 4}),
        Case("the last two of five", {"T": 2, "S": 5}),
        Case("one query, four keys", {"T": 1, "S": 4}),
    ]


causal_mask = Exercise(
    name="causal_mask",
    title="The triangle",
    minutes=8,
    difficulty=1,
    points=2,
    act=lambda f, i: {"mask": f(i["T"], i["S"])},
    visible=_causal_cases,
    shapes={"mask": "(T, S)"},
    forbids=("source.attention.masks.causal", "source.attention.masks.causal_naive"),
    hints=(
        "With T = 2 and S = 5, at which positions do the two queries stand? How many keys does each of them see?",
        "A column (T, 1) of positions compared with a row (S,) gives (T, S). Or: `tril` takes the number of the "
        "diagonal up to which it keeps.",
        "places = S - T, ..., S - 1 as a column; keys = 0, ..., S - 1; return keys <= places.",
    ),
)


def attend(Q, K, V, mask):
    """Attention with a row of zeros where nothing may be seen; it complains about a mask that does not fit."""
    if K.shape[-2] != V.shape[-2]:
        raise ValueError(f"attend got {K.shape[-2]} keys and {V.shape[-2]} values")
    if mask.dtype != torch.bool:
        raise TypeError(f"attend got a mask of {mask.dtype}: give booleans, True = may be seen")
    if tuple(mask.shape) != (Q.shape[-2], K.shape[-2]):
        raise ValueError(
            f"attend got {Q.shape[-2]} queries and {K.shape[-2]} keys, but a mask of shape {tuple(mask.shape)}"
        )
    scores = torch.where(mask, Q @ K.transpose(-2, -1) / Q.shape[-1] ** 0.5, -INF)
    top = scores.amax(-1, keepdim=True)  # over visible keys alone
    e = (scores - torch.where(top > -INF, top, 0.0)).exp()
    total = e.sum(-1, keepdim=True)
    return e / torch.where(total > 0, total, 1.0) @ V


def pieces_inputs(
    d: Draw, lead: list[int], T: int, S: int, sizes: list[int], dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """Queries, keys and values, and the sizes of the pieces."""
    return {
        "Q": d.normal(*lead, T, 4, dtype=dtype),
        "K": d.normal(*lead, S, 4, dtype=dtype),
        "V": d.normal(*lead, S, 3, dtype=dtype),
        "sizes": sizes,
        **more,
    }


def _pieces_cases():
    d = Draw(3101)
    return [
        Case("two pieces of two", pieces_inputs(d, [], 4, 4, [2, 2])),
        Case("one query at a time, two heads", pieces_inputs(d, [2], 4, 4, [1, 1, 1, 1])),
        Case("three keys from before the first query", pieces_inputs(d, [], 4, 7, [3, 1])),
    ]


def _pieces_act(f, i):
    calls = []

    def counting(Q, K, V, mask):
        calls.append([Q.shape[-2], K.shape[-2], V.shape[-2]])
        return attend(Q, K, V, mask)

    out = f(counting, i["Q"], i["K"], i["V"], list(i["sizes"]))
    return {"queries, keys and values of each call": calls, "out": out}


in_pieces = Exercise(
    name="in_pieces",
    title="A few queries at a time",
    minutes=12,
    difficulty=2,
    points=3,
    act=_pieces_act,
    visible=_pieces_cases,
    shapes={"out": "(..., T, E)"},
    forbids=("source.attention.masks.in_pieces", "scaled_dot_product_attention"),
    hints=(
        "Take the third visible case: 4 queries, the last of 7 positions, in pieces of 3 and 1. At which position does "
        "the first piece end, and how many keys lie up to there?",
        "`x[..., a:b, :]` cuts positions whatever stands in front. `torch.cat(parts, dim=-2)` joins them again.",
        "start = 0; for each size: stop = start + size; end = S - T + stop; attend with Q[start:stop], K[:end], "
        "V[:end] and mask_of(size, end); start = stop. Join the results.",
    ),
)


def softmax_inputs(
    d: Draw, shape: list[int], bias: torch.Tensor, dtype: torch.dtype = torch.float32, scale: float = 1.0, **more
) -> dict[str, object]:
    """Scores, a bias in their dtype, and a gradient to send back."""
    return {
        "scores": d.normal(*shape, dtype=dtype, scale=scale),
        "bias": bias.to(dtype),
        "upstream": d.normal(*shape, dtype=dtype),
        **more,
    }


def slopes(T: int, S: int) -> torch.Tensor:
    """A penalty on distance, and minus infinity on the future."""
    distance = torch.arange(S - T, S)[:, None] - torch.arange(S)
    return torch.where(distance < 0, -INF, -0.5 * distance)


def _softmax_cases():
    d = Draw(3102)
    by_hand = {
        "scores": torch.tensor([[3.0, 1.0, 1.0], [3.0, 1.0, 9.0]]),
        "bias": torch.tensor([[-INF, 0.0, 0.0], [-INF, -INF, -INF]]),
        "upstream": torch.tensor([[0.0, 1.0, 0.0], [1.0, 2.0, 3.0]]),
    }
    lead = torch.zeros(2, 1, 1, 4)
    lead[1, ..., :] = -INF
    return [
        Case("two rows to check by hand, the second sees nothing", by_hand),
        Case("a penalty on distance, causal", softmax_inputs(d, [4, 4], slopes(4, 4))),
        Case("scores in the hundreds", softmax_inputs(d, [3, 4], slopes(3, 4), scale=300.0)),
        Case("one bias for two heads; the second sequence is all padding", softmax_inputs(d, [2, 2, 3, 4], lead)),
    ]


def _softmax_act(f, i):
    scores, bias = i["scores"].detach().requires_grad_(), i["bias"].detach().requires_grad_()
    weights = f(scores, bias)
    if not isinstance(weights, torch.Tensor):
        raise WrongType(f"your function returned a {type(weights).__name__}, not a tensor")
    if weights.requires_grad and weights.shape == i["upstream"].shape:
        weights.backward(i["upstream"])
    outputs = {
        "weights": weights,
        "gradient of scores": gradient(scores),
        "gradient of bias": gradient(bias),
    }
    if i.get("then an empty batch"):
        outputs["weights of an empty batch"] = f(scores.detach()[:0], bias.detach())
    return outputs


biased_softmax = Exercise(
    name="biased_softmax",
    title="A softmax for minus infinity",
    minutes=15,
    difficulty=2,
    points=4,
    act=_softmax_act,
    visible=_softmax_cases,
    shapes={"weights": "(..., T, S)", "gradient of scores": "(..., T, S)"},
    forbids=(
        "scaled_dot_product_attention",
        "safe_softmax",
        "source.attention.masks.biased_softmax",
        "source.attention.masks.biased_softmax_naive",
        "source.attention.dot_product.attention",
        "source.attention.dot_product.attention_naive",
    ),
    hints=(
        "Where does the first NaN arise, and who computes with it on the way back? Taking it out afterwards is too "
        "late: it must never arise.",
        "`(x == float('-inf')).all(dim=-1, keepdim=True)` finds the rows that see nothing. `masked_fill` passes no "
        "gradient through what it fills.",
        "x = scores + bias; in rows that see nothing, fill x with 0; softmax; in the same rows fill the weights with "
        "0.",
    ),
)


def _visible_cases():
    return [
        Case(
            "padded behind, all queries",
            {"segments": torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]), "T": 5},
        ),
        Case("padded in front, the last three queries", {"segments": torch.tensor([[0, 0, 1, 1, 1]]), "T": 3}),
        Case("three documents in a row", {"segments": torch.tensor([[1, 1, 2, 3, 3, 0]]), "T": 6}),
        Case("two documents, the last three queries", {"segments": torch.tensor([[1, 1, 1, 2, 2]]), "T": 3}),
    ]


visible = Exercise(
    name="visible",
    title="Padding, documents, everything",
    minutes=15,
    difficulty=2,
    points=4,
    act=lambda f, i: {"mask": f(i["segments"], i["T"])},
    visible=_visible_cases,
    shapes={"mask": "(B, 1, T, S)"},
    forbids=(
        "source.attention.masks.visible",
        "source.attention.masks.visible_naive",
        "source.attention.masks.documents",
        "source.data_pipeline.packing.packed_mask",
        "source.data_pipeline.packing.pack_naive",
    ),
    hints=(
        "Three conditions, joined by `&`. Which of them needs the query's segment, which the key's, which neither?",
        "`a[:, :, None] == b[:, None, :]` compares every query's segment with every key's: (B, T, S). The queries' are "
        "the last T of the row.",
        "queries = segments[:, S - T:]; same = queries as a column == segments as a row; real = segments > 0, for "
        "keys; mask = same & real & mask_of(T, S); put a dimension of size 1 behind the batch.",
    ),
)


def reads_inputs(d: Draw, T: int, S: int, faults: list[str], D: int = 4, E: int = 3) -> dict[str, object]:
    """Inputs of an attention, and the faults of those to be looked at."""
    double = {"dtype": torch.float64}
    return {
        "Q": d.normal(T, D, **double),
        "K": d.normal(S, D, **double),
        "V": d.normal(S, E, **double),
        "faults": faults,
    }


def faulty(fault: str, T: int, S: int):
    """An attention (Q, K, V) -> (T, E) that is meant to be causal, with one fault or none."""
    seen = torch.arange(S) <= torch.arange(S - T, S)[:, None]
    masks = {
        "one position ahead": torch.arange(S) <= torch.arange(S - T, S)[:, None] + 1,
        "triangle from the top left": torch.arange(S) <= torch.arange(T)[:, None],
        "not itself": torch.arange(S) < torch.arange(S - T, S)[:, None],
        "the first query sees the last key": seen | ((torch.arange(T) == 0)[:, None] & (torch.arange(S) == S - 1)),
        "no mask": torch.ones(T, S, dtype=torch.bool),
    }

    def run(Q, K, V):
        scores = Q @ K.T / Q.shape[-1] ** 0.5
        if fault == "masked after softmax":
            return (scores.softmax(-1) * seen) @ V
        if fault == "-8 in place of minus infinity":
            return (scores - 8.0 * ~seen).softmax(-1) @ V
        if fault == "maximum over hidden keys, too":
            e = (scores - scores.amax(-1, keepdim=True)).exp() * seen
            return e / e.sum(-1, keepdim=True) @ V
        if fault == "keys divided by the largest of all":
            return attend(Q, K / K.abs().max(), V, seen)
        if fault == "a faint trace of every value":
            return attend(Q, K, V, seen) + 1e-7 * V.mean(0).tanh()
        if fault == "noise as small as rounding":
            return attend(Q, K, V, seen) + 1e-12 * V.mean(0).tanh()
        return attend(Q, K, V, masks.get(fault, seen))

    return run


def _reads_cases():
    d = Draw(3103)
    return [
        Case("none, and no mask at all", reads_inputs(d, 4, 4, ["none", "no mask", "noise as small as rounding"])),
        Case(
            "leaks through the mask",
            reads_inputs(d, 4, 4, ["one position ahead", "the first query sees the last key"]),
        ),
        Case(
            "leaks through keys or values alone",
            reads_inputs(d, 4, 4, ["masked after softmax", "a faint trace of every value"]),
        ),
        Case(
            "leaks that sleep",
            reads_inputs(d, 4, 4, ["maximum over hidden keys, too", "keys divided by the largest of all"]),
        ),
        Case(
            "the last two of five positions",
            reads_inputs(d, 2, 5, ["none", "triangle from the top left", "-8 in place of minus infinity"]),
        ),
    ]


def _reads_act(f, i):
    T, S = len(i["Q"]), len(i["K"])
    outputs = {}
    for fault in i["faults"]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same replacements every time: a verdict does not depend on luck
            found = f(faulty(fault, T, S), i["Q"], i["K"], i["V"])
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise WrongType(f"expected a pair (by_key, by_value); yours is a {type(found).__name__}")
        outputs[f"by_key of the attention with '{fault}'"] = found[0]
        outputs[f"by_value of the attention with '{fault}'"] = found[1]
    return outputs


FAULTS = (
    "none",
    "no mask",
    "one position ahead",
    "the first query sees the last key",
    "masked after softmax",
    "a faint trace of every value",
    "maximum over hidden keys, too",
    "keys divided by the largest of all",
    "triangle from the top left",
    "-8 in place of minus infinity",
    "not itself",
    "noise as small as rounding",
)
reads = Exercise(
    name="reads",
    title="Find the leak",
    minutes=20,
    difficulty=3,
    points=5,
    act=_reads_act,
    visible=_reads_cases,
    shapes={f"by_{road} of the attention with '{fault}'": "(T, S)" for fault in FAULTS for road in ("key", "value")},
    forbids=("source.attention.masks.reads",),
    hints=(
        "One row of K or of V at a time. Which outputs differ from those before? What if a hidden key is so large that "
        "its score dwarfs all others: does your replacement ever make it so, in both directions?",
        "`(after - before).abs() <= 1e-9` is False for NaN, `> 1e-9` is False too: build the map from what is NOT the "
        "same. `changed = K.clone(); changed[s] = ...` replaces one row.",
        "before = attend(Q, K, V). For K, then for V; for each s; draw a random row; for each factor of 1, 1e6 and "
        "-1e6: replace row s of a copy by factor * row, call attend, and mark every t at which not all entries are the "
        "same.",
    ),
)
