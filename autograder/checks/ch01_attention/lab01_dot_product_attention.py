"""Lab 1.1, the student's half: how softmax, scores, entropy, attention and a test of attention are driven."""

import math

import torch

from autograder.cases import Draw
from autograder.exercise import Case, Exercise, Property


def _rows_sum_to_one(inputs, outputs):
    worst = abs(outputs["weights"].sum(-1) - 1).max()
    return f"a row is off by {worst:.3g}" if worst > 0.02 else None  # bfloat16 rounds to 0.004


def _softmax_cases():
    d = Draw(101)
    return [
        Case("a row to check by hand", {"x": torch.tensor([[0.0, math.log(2), math.log(3)]])}),
        Case("two rows of different size", {"x": d.normal(2, 5) * torch.tensor([[1.0], [4.0]])}),
        Case("scores as large as 1000", {"x": torch.tensor([[1000.0, 999.0, 0.0], [-1000.0, -1001.0, -1002.0]])}),
        Case("a batch of heads", {"x": d.normal(2, 3, 4, 6)}),
    ]


softmax = Exercise(
    name="softmax",
    title="Softmax that does not overflow",
    minutes=8,
    difficulty=1,
    points=2,
    act=lambda f, i: {"weights": f(i["x"])},
    visible=_softmax_cases,
    shapes={"weights": "(..., S)"},
    properties=(Property("each row of weights sums to one", _rows_sum_to_one),),
    forbids=("softmax", "log_softmax", "softmin"),
    hints=(
        "exp(1000) is infinite. Which number can you subtract from a whole row without changing its softmax?",
        "`x.amax(dim=-1, keepdim=True)` gives each row's largest entry, ready to broadcast.",
        "shift = x minus its row maximum; e = exp(shift); return e divided by its row sum (keepdim=True).",
    ),
)


def _scores_cases():
    d = Draw(102)
    return [
        Case("one query, two keys, by hand", {"Q": torch.tensor([[1.0, 0, 1, 0]]), "K": torch.eye(4)[:2] * 2}),
        Case("more keys than queries", {"Q": d.normal(3, 8), "K": d.normal(5, 8)}),
        Case("batch and heads", {"Q": d.normal(2, 3, 4, 16), "K": d.normal(2, 3, 6, 16)}),
    ]


scores = Exercise(
    name="scores",
    title="Scaled scores",
    minutes=8,
    difficulty=1,
    points=2,
    act=lambda f, i: {"scores": f(i["Q"], i["K"])},
    visible=_scores_cases,
    shapes={"scores": "(..., T, S)"},
    forbids=("scaled_dot_product_attention", "source.attention.dot_product.scaled_scores"),
    hints=(
        "Every query meets every key: T rows, S columns. Which product of matrices gives all dot products at once?",
        "`K.transpose(-2, -1)` swaps the last two dimensions and leaves batch and heads alone.",
        "Q @ (K with its last two dimensions swapped), divided by the square root of the last dimension of Q.",
    ),
)


def _entropy_cases():
    d = Draw(103)
    return [
        Case("even weights over four keys", {"weights": torch.full((1, 4), 0.25)}),
        Case("one key takes all", {"weights": torch.tensor([[0.0, 1.0, 0.0]])}),
        Case("a batch of heads", {"weights": torch.softmax(d.normal(2, 3, 4, 6), dim=-1)}),
    ]


entropy = Exercise(
    name="entropy",
    title="How spread out is a row?",
    minutes=7,
    difficulty=1,
    points=2,
    act=lambda f, i: {"entropy": f(i["weights"])},
    visible=_entropy_cases,
    shapes={"entropy": "(..., T)"},
    forbids=("entr", "source.attention.inspection.entropy"),
    hints=(
        "What does 0 · log 0 have to be, so that a key with no weight adds nothing? What does torch say it is?",
        "`torch.where`, `torch.xlogy` or a clamp inside the logarithm keep a zero weight from turning into NaN.",
        "minus the sum over the last dimension of w · log(w), with the terms of zero weights set to zero.",
    ),
)


def _attention_cases():
    d = Draw(104)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    alone = torch.tensor([[True, True, False], [False, False, False]])
    return [
        Case("no mask", {"Q": d.normal(3, 8), "K": d.normal(5, 8), "V": d.normal(5, 4), "mask": None}),
        Case("causal mask", {"Q": d.normal(5, 8), "K": d.normal(5, 8), "V": d.normal(5, 8), "mask": causal}),
        Case(
            "batch and heads, one mask for all",
            {"Q": d.normal(2, 3, 5, 8), "K": d.normal(2, 3, 5, 8), "V": d.normal(2, 3, 5, 8), "mask": causal},
        ),
        Case(
            "a row with every key masked",
            {"Q": d.normal(2, 4), "K": d.normal(3, 4), "V": d.normal(3, 4), "mask": alone},
        ),
    ]


def _attention_act(f, i):
    out, weights = f(i["Q"], i["K"], i["V"]) if i["mask"] is None else f(i["Q"], i["K"], i["V"], i["mask"])
    return {"out": out, "weights": weights}


attention = Exercise(
    name="attention",
    title="Attention, with a mask",
    minutes=15,
    difficulty=2,
    points=4,
    act=_attention_act,
    visible=_attention_cases,
    shapes={"out": "(..., T, D)", "weights": "(..., T, S)"},
    forbids=(
        "scaled_dot_product_attention",
        "multi_head_attention_forward",
        "source.attention.dot_product.attention",
        "source.attention.dot_product.attention_naive",
    ),
    hints=(
        "A masked key must weigh exactly zero and the others must still sum to one. Before or after softmax?",
        "`scores.masked_fill(~mask, float('-inf'))`: the exponential of minus infinity is zero. What does a row of "
        "nothing but minus infinity give, and where should it end?",
        "scores; fill with -inf where mask is False; softmax; set the NaN of fully masked rows to 0; weights @ V.",
    ),
)


def faulty(fault: str, amount: float):
    """An attention with a named fault of a given size; "none" is right. What the learner's test has to tell apart."""

    def attention(Q, K, V, mask=None):
        D, S = Q.shape[-1], K.shape[-2]
        scores = Q @ K.transpose(-2, -1) / D ** (amount if fault == "scale" else 0.5)  # (..., T, S)
        if mask is not None and fault != "mask ignored":
            seen = torch.roll(mask, int(amount), dims=-1) if fault == "mask shifted" else mask
            scores = scores.masked_fill(~seen, float("-inf"))
        weights = torch.softmax(scores, dim=-2 if fault == "axis" else -1).nan_to_num()
        if fault == "not normalised":
            weights = weights * amount
        if fault == "values reversed":
            V = V.flip(-2)
        if fault == "last key forgotten":
            weights = torch.cat([weights[..., : S - 1], torch.zeros_like(weights[..., :1])], dim=-1)
        return weights @ V, weights

    return attention


def _test_cases():
    # Each case holds a right candidate too: a test that says the same to all is worth nothing.
    return [
        Case("scores not scaled", {"fault": "scale", "amount": 0.0}),
        Case("softmax over the queries", {"fault": "axis", "amount": 0.0}),
        Case("mask ignored", {"fault": "mask ignored", "amount": 0.0}),
    ]


def _test_act(f, i):
    return {"accepts the right one": bool(f(faulty("none", 0.0))), "accepts the wrong one": bool(f(faulty(**i)))}


attention_test = Exercise(
    name="attention_test",
    title="Write the test that catches them",
    minutes=15,
    difficulty=3,
    points=3,
    act=_test_act,
    visible=_test_cases,
    hints=(
        "A fault shows only where it changes something. Does your test try a mask, and more keys than queries?",
        "`torch.allclose` compares with a tolerance. Compare against numbers from a second way of computing the same.",
        "make Q, K, V with T different from S; compute the expected output with loops or with your own attention; "
        "compare both outputs of the candidate, with and without a mask; return True only if all agree.",
    ),
)
