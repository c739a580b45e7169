"""Lab 1.1, the instructor's half: references computed in float64 by other means, hidden cases, misconceptions."""

import torch
import torch.nn.functional as F

from autograder.cases import Draw, transposed
from autograder.exercise import Answer, Case, Misconception


def _softmax_hidden(seed):
    d = Draw(seed)
    return [
        Case("a single score", {"x": d.normal(1, 1)}),
        Case("rows thousands apart", {"x": d.normal(3, 7) + torch.tensor([[3000.0], [0.0], [-3000.0]])}),
        Case("four dimensions", {"x": d.normal(2, 2, 3, 9)}),
        Case("float64", {"x": d.normal(4, 5, dtype=torch.float64)}),
        Case("bfloat16", {"x": d.normal(4, 5, dtype=torch.bfloat16)}),
        Case("a non-contiguous input", {"x": transposed(d.normal(4, 6))}),
        Case(
            "a masked score of -inf",
            {"x": d.normal(3, 4).masked_fill(torch.eye(3, 4, dtype=torch.bool), float("-inf"))},
        ),
    ]


softmax = Answer(
    name="softmax",
    reference=lambda i: {"weights": torch.softmax(i["x"].double(), dim=-1).to(i["x"].dtype)},
    hidden=_softmax_hidden,
    misconceptions=(
        Misconception(
            "wrong-axis",
            "softmax runs over the first dimension instead of the last",
            edits=(("e / e.sum(dim=-1, keepdim=True)", "e / e.sum(dim=0, keepdim=True)"),),
        ),
        Misconception(
            "no-shift",
            "the row's maximum is not subtracted before the exponential, so large scores overflow",
            edits=(("torch.exp(x - x.amax(dim=-1, keepdim=True))", "torch.exp(x)"),),
        ),
        Misconception(
            "global-shift",
            "the maximum of the whole tensor is subtracted, so that rows far below it underflow to 0/0",
            edits=(("x.amax(dim=-1, keepdim=True)", "x.max()"),),
        ),
        Misconception(
            "global-sum",
            "everything is divided by one sum over the whole tensor instead of each row's own",
            edits=(("e.sum(dim=-1, keepdim=True)", "e.sum()"),),
        ),
    ),
)


def _scores_hidden(seed):
    d = Draw(seed)
    return [
        Case("one query, one key", {"Q": d.normal(1, 6), "K": d.normal(1, 6)}),
        Case("a head width of 1", {"Q": d.normal(3, 1), "K": d.normal(4, 1)}),
        Case("as many keys as dimensions", {"Q": d.normal(5, 5), "K": d.normal(5, 5)}),
        Case("five dimensions", {"Q": d.normal(2, 1, 2, 3, 7), "K": d.normal(2, 1, 2, 4, 7)}),
        Case("float64", {"Q": d.normal(3, 8, dtype=torch.float64), "K": d.normal(2, 8, dtype=torch.float64)}),
        Case("a non-contiguous key", {"Q": d.normal(3, 8), "K": transposed(d.normal(6, 8))}),
    ]


def _scores_reference(i):
    Q, K = i["Q"].double(), i["K"].double()
    return {"scores": (torch.einsum("...td,...sd->...ts", Q, K) * Q.shape[-1] ** -0.5).to(i["Q"].dtype)}


scores = Answer(
    name="scores",
    reference=_scores_reference,
    hidden=_scores_hidden,
    misconceptions=(
        Misconception("no-scale", "the scores are not divided by √D", edits=((" / math.sqrt(D)", ""),)),
        Misconception(
            "scale-by-d", "the scores are divided by D instead of its square root", edits=(("math.sqrt(D)", "D"),)
        ),
        Misconception(
            "scale-by-s",
            "the scores are divided by the square root of the number of keys instead of the head width",
            edits=(("D = Q.shape[-1]", "D = K.shape[-2]"),),
        ),
        Misconception(
            "queries-and-keys-swapped",
            "keys ask and queries answer: the matrix is transposed",
            edits=(("Q @ K.transpose(-2, -1)", "K @ Q.transpose(-2, -1)"),),
        ),
    ),
)


def _entropy_hidden(seed):
    d = Draw(seed)
    w = torch.softmax(d.normal(3, 6) * 5, dim=-1)
    return [
        Case("a single key", {"weights": torch.ones(2, 1)}),
        Case("some weights exactly zero", {"weights": F.normalize(w * (w > w.median()), p=1, dim=-1)}),
        Case("sharp rows", {"weights": torch.softmax(d.normal(4, 8) * 20, dim=-1)}),
        Case(
            "float64 and four dimensions", {"weights": torch.softmax(d.normal(2, 2, 3, 5, dtype=torch.float64), dim=-1)}
        ),
    ]


entropy = Answer(
    name="entropy",
    reference=lambda i: {"entropy": torch.special.entr(i["weights"].double()).sum(-1).to(i["weights"].dtype)},
    hidden=_entropy_hidden,
    misconceptions=(
        Misconception(
            "nan-at-zero",
            "0 · log 0 is left as NaN",
            edits=(("torch.where(weights > 0, weights, 1.0).log()", "weights.log()"),),
        ),
        Misconception(
            "bits",
            "the logarithm is taken to base 2 instead of base e",
            edits=((".log()", ".log2()"),),
        ),
        Misconception("sign", "the minus sign is missing", edits=(("return -", "return "),)),
        Misconception("mean", "the terms are averaged instead of summed", edits=((".sum(dim=-1)", ".mean(dim=-1)"),)),
    ),
)


def _attention_hidden(seed):
    d = Draw(seed)

    def qkv(*lead, T, S, D, E=None, dtype=torch.float32, **more):
        E = E or D
        draw = {"Q": d.normal(*lead, T, D, dtype=dtype), "K": d.normal(*lead, S, D, dtype=dtype)}
        return {**draw, "V": d.normal(*lead, S, E, dtype=dtype), "mask": None, **more}

    padded = torch.arange(6) < d.integers(2, 5, 2, 1, 1, 1)  # (B, 1, 1, S): keys past each length are padding
    holes = d.chance(0.6, 4, 7)
    holes[1] = False
    return [
        Case("one query, one key", qkv(T=1, S=1, D=4)),
        Case("values of another width", qkv(2, T=3, S=4, D=8, E=5)),
        Case("large scores", {**qkv(T=4, S=4, D=8), "Q": d.normal(4, 8, scale=100.0)}),
        Case("a padding mask", qkv(2, 3, T=4, S=6, D=8, mask=padded)),
        Case("a ragged mask with a fully masked row", qkv(T=4, S=7, D=8, mask=holes)),
        Case("bfloat16", qkv(T=4, S=5, D=8, dtype=torch.bfloat16)),
        Case("float64", qkv(T=4, S=5, D=8, dtype=torch.float64)),
        Case("an empty batch", qkv(0, T=3, S=3, D=4)),
    ]


def _attention_reference(i):
    Q, K, V, mask = i["Q"].double(), i["K"].double(), i["V"].double(), i["mask"]
    scores = torch.einsum("...td,...sd->...ts", Q, K) * Q.shape[-1] ** -0.5
    seen = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask.expand(scores.shape)
    e = torch.where(seen, (scores - scores.amax(-1, keepdim=True)).exp(), 0.0)
    total = e.sum(-1, keepdim=True)
    weights = torch.where(total > 0, e / total, 0.0)
    return {"out": (weights @ V).to(i["V"].dtype), "weights": weights.to(i["V"].dtype)}


attention = Answer(
    name="attention",
    reference=_attention_reference,
    hidden=_attention_hidden,
    misconceptions=(
        Misconception("mask-inverted", "the keys that may be seen are the ones masked", edits=(("~mask", "mask"),)),
        Misconception(
            "mask-after-softmax",
            "masked weights are set to zero after softmax, so that the rows no longer sum to one",
            edits=(
                ('s = s.masked_fill(~mask, float("-inf"))', "keep = mask"),
                (
                    "weights = torch.softmax(s, dim=-1).nan_to_num(0.0)",
                    "weights = torch.softmax(s, dim=-1) * (1 if mask is None else keep)",
                ),
            ),
        ),
        Misconception(
            "mask-with-zero",
            "masked scores are set to 0 instead of minus infinity, so that they still get weight",
            edits=(('float("-inf")', "0.0"),),
        ),
        Misconception(
            "nan-rows",
            "a row whose keys are all masked is left as NaN instead of 0",
            edits=((".nan_to_num(0.0)", ""),),
        ),
        Misconception(
            "softmax-over-queries",
            "softmax runs over the queries: the columns sum to one instead of the rows",
            edits=(("torch.softmax(s, dim=-1)", "torch.softmax(s, dim=-2)"),),
        ),
        Misconception(
            "no-scale",
            "the scores are not divided by √D",
            edits=(("s = scaled_scores(Q, K)", "s = Q @ K.transpose(-2, -1)"),),
        ),
    ),
)


def _test_hidden(seed):
    d = Draw(seed)
    off = float(d.rng.uniform(0.6, 0.9))
    return [
        Case("a scale slightly off", {"fault": "scale", "amount": off}),
        Case("weights not normalised", {"fault": "not normalised", "amount": float(d.rng.uniform(1.05, 1.3))}),
        Case("a mask shifted by one", {"fault": "mask shifted", "amount": 1.0}),
        Case("values in the wrong order", {"fault": "values reversed", "amount": 0.0}),
        Case("the last key forgotten", {"fault": "last key forgotten", "amount": 0.0}),
    ]


attention_test = Answer(
    name="attention_test",
    reference=lambda i: {"accepts the right one": True, "accepts the wrong one": False},
    hidden=_test_hidden,
    misconceptions=(
        Misconception(
            "shape-only",
            "only shapes are compared, so that any numbers pass",
            code="def attention_test(candidate):\n"
            "    Q, K, V = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5, 4)\n"
            "    out, weights = candidate(Q, K, V)\n"
            "    return out.shape == (3, 4) and weights.shape == (3, 5)\n",
        ),
        Misconception(
            "no-mask-tried",
            "the test never passes a mask, so that a candidate which ignores it is accepted",
            edits=(("for mask in (None, torch.ones(T, S, dtype=torch.bool).tril()):", "for mask in (None,):"),),
        ),
        Misconception(
            "rows-only",
            "only the rows' sums are tested, so that an unscaled attention and one that ignores the mask are accepted",
            code="def attention_test(candidate):\n"
            "    Q, K, V = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5, 4)\n"
            "    out, weights = candidate(Q, K, V)\n"
            "    return torch.allclose(weights.sum(-1), torch.ones(3))\n",
        ),
        Misconception(
            "rejects-all",
            "every candidate is rejected, the right one too",
            code="def attention_test(candidate):\n    return False\n",
        ),
    ),
)
