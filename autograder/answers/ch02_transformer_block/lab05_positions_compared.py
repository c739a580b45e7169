"""Lab 2.5, the instructor's half: references by whole numbers and plain loops, hidden cases, misconceptions."""

from itertools import combinations

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch02_transformer_block.lab05_positions_compared import attention_inputs, bias_inputs
from autograder.exercise import Answer, Case, Misconception


def _place(distance: int, buckets: int, furthest: int) -> int:
    # Without a logarithm: bucket exact + k begins where (d / exact) ** n reaches (furthest / exact) ** k.
    d, exact = max(distance, 0), buckets // 2
    n = buckets - exact
    if d < exact:
        return d
    k = 0
    while k < n - 1 and d**n * exact ** (k + 1) >= furthest ** (k + 1) * exact**n:
        k += 1
    return exact + k


def _bucket_reference(i):
    sizes = i.get("buckets", 32), i.get("furthest", 128)
    flat = [_place(d, *sizes) for d in i["distance"].flatten().tolist()]
    return {"bucket": torch.tensor(flat, dtype=torch.int64).view(i["distance"].shape)}


def _bucket_hidden(seed):
    d = Draw(seed)
    return [
        Case("T5's own sizes, many distances", {"distance": d.integers(-50, 400, 60)}),
        Case("one distance", {"distance": d.integers(5, 60, 1), "buckets": 10, "furthest": 50}),
        Case("an odd number of buckets", {"distance": torch.arange(-2, 40), "buckets": 7, "furthest": 30}),
        Case("two buckets", {"distance": torch.arange(5), "buckets": 2, "furthest": 3}),
        Case("all beyond the end", {"distance": d.integers(200, 9999, 4), "buckets": 16, "furthest": 100}),
        Case("no distances", {"distance": torch.zeros(0, 3, dtype=torch.int64), "buckets": 8, "furthest": 20}),
    ]


bucket = Answer(
    name="bucket",
    reference=_bucket_reference,
    hidden=_bucket_hidden,
    misconceptions=(
        Misconception(
            "no-growth",
            "all buckets hold one distance each, up to the last one",
            edits=(("torch.where(d < exact, d, grown.clamp(max=buckets - 1))", "d.clamp(max=buckets - 1)"),),
        ),
        Misconception(
            "not-capped",
            "distances beyond the furthest get buckets that do not exist",
            edits=(("grown.clamp(max=buckets - 1)", "grown"),),
        ),
        Misconception(
            "rounded",
            "the growing part is rounded to the nearest whole number instead of down",
            edits=((".floor().long()", ".round().long()"),),
        ),
        Misconception(
            "linear-growth",
            "the far distances are shared out evenly instead of by the logarithm",
            edits=(
                (
                    "torch.log(d.clamp(min=exact).double() / exact) / math.log(furthest / exact)",
                    "(d.clamp(min=exact).double() - exact) / (furthest - exact)",
                ),
            ),
        ),
        Misconception(
            "all-logarithm",
            "every distance goes through the logarithm, the near ones too",
            edits=(
                (
                    "d.clamp(min=exact).double() / exact) / math.log(furthest / exact)",
                    "d + 1.0) / math.log(furthest + 1)",
                ),
                ("exact + (share * (buckets - exact)).floor()", "(share * buckets).floor()"),
                ("torch.where(d < exact, d, grown.clamp(max=buckets - 1))", "grown.clamp(max=buckets - 1)"),
            ),
        ),
        Misconception(
            "future-looked-up",
            "keys that come later get the bucket of their distance ahead instead of 0",
            edits=(("d = distance.clamp(min=0)", "d = distance.abs()"),),
        ),
    ),
)


def _bias_reference(i):
    buckets, H = i["table"].shape
    out = torch.zeros(H, i["T"], i["S"], dtype=i["table"].dtype)
    for t in range(i["T"]):
        for s in range(i["S"]):
            out[:, t, s] = i["table"][_place(i["S"] - i["T"] + t - s, buckets, i["furthest"])]
    return {"bias": out}


def _bias_hidden(seed):
    d = Draw(seed)
    return [
        Case("one query, one key", bias_inputs(d, 4, 2, 1, 1, 9)),
        Case("one head, a long text", bias_inputs(d, 6, 1, 50, 50, 20)),
        Case("as many heads as queries", bias_inputs(d, 8, 3, 3, 8, 20)),
        Case("everything of one size", bias_inputs(d, 4, 4, 4, 4, 7)),
        Case("float64", bias_inputs(d, 8, 2, 5, 40, 30, dtype=torch.float64)),
    ]


bucket_bias = Answer(
    name="bucket_bias",
    reference=_bias_reference,
    hidden=_bias_hidden,
    misconceptions=(
        Misconception(
            "queries-at-the-start",
            "the queries are placed at the first positions instead of the last",
            edits=(("torch.arange(S - T, S)", "torch.arange(T)"),),
        ),
        Misconception(
            "keys-minus-queries",
            "the distance is counted the other way round, so that what lies behind is taken for the future",
            edits=(("queries[:, None] - torch.arange(S)", "torch.arange(S) - queries[:, None]"),),
        ),
        Misconception("heads-last", "the heads are left at the end", edits=((".permute(2, 0, 1)", ""),)),
        Misconception(
            "keys-before-queries",
            "queries and keys are swapped in the result",
            edits=((".permute(2, 0, 1)", ".permute(2, 1, 0)"),),
        ),
        Misconception(
            "furthest-forgotten",
            "the furthest distance is not passed on, so that 128 is used",
            edits=((", len(table), furthest", ", len(table)"),),
        ),
    ),
)


def _slope_reference(i):
    H, T, S = i["heads"], i["T"], i["S"]
    rows = [
        [[-(0.5 ** (8 * (h + 1) / H)) * max(S - T + t - s, 0) for s in range(S)] for t in range(T)] for h in range(H)
    ]
    return {"bias": torch.tensor(rows, dtype=torch.float32).reshape(H, T, S)}


def _slope_hidden(seed):
    d = Draw(seed)
    T = int(d.integers(2, 6, 1))
    return [
        Case("one head, one position", {"heads": 1, "T": 1, "S": 1}),
        Case("sixteen heads", {"heads": 16, "T": 4, "S": 4}),
        Case("one query, a long text", {"heads": 8, "T": 1, "S": 300}),
        Case("drawn sizes", {"heads": 4, "T": T, "S": T + int(d.integers(1, 9, 1))}),
    ]


slope_bias = Answer(
    name="slope_bias",
    reference=_slope_reference,
    hidden=_slope_hidden,
    misconceptions=(
        Misconception(
            "lifted",
            "the bias is added with a plus sign, so that far keys are favoured",
            edits=(("return -slopes", "return slopes"),),
        ),
        Misconception(
            "first-slope-is-one",
            "the exponents start at 0, so that the first slope is 1 and the last one is too steep",
            edits=(("torch.arange(1, heads + 1)", "torch.arange(heads)"),),
        ),
        Misconception(
            "queries-at-the-start",
            "the queries are placed at the first positions instead of the last",
            edits=(("torch.arange(S - T, S)", "torch.arange(T)"),),
        ),
        Misconception(
            "slopes-reversed",
            "the steepest slope goes to the last head instead of the first",
            edits=(("torch.arange(1, heads + 1)", "torch.arange(heads, 0, -1)"),),
        ),
        Misconception(
            "halved-each-head",
            "each head's slope is half of the one before, whatever the number of heads",
            edits=(("(-8 * torch.arange(1, heads + 1) / heads)", "(-1.0 * torch.arange(1, heads + 1))"),),
        ),
        Misconception(
            "future-lifted",
            "keys that come later get a positive bias instead of 0",
            edits=(("distance.clamp(min=0)", "distance"),),
        ),
    ),
)


def _distance_reference(i):
    x = i["scores"].double()
    T = x.shape[-1]
    sums = [sum(x[..., t, t - d] for t in range(d, T)) / (T - d) for d in range(T)]
    return {"mean": torch.stack(sums, -1).to(i["scores"].dtype)}


def _distance_hidden(seed):
    d = Draw(seed)
    return [
        Case("one position", {"scores": d.normal(2, 1, 1)}),
        Case("two positions", {"scores": d.normal(2, 2)}),
        Case("many heads", {"scores": d.normal(3, 2, 2, 9, 9)}),
        Case("float64", {"scores": d.normal(7, 7, dtype=torch.float64)}),
        Case("a non-contiguous input", {"scores": transposed(d.normal(5, 5))}),
        Case("an empty batch", {"scores": d.normal(0, 4, 4)}),
    ]


by_distance = Answer(
    name="by_distance",
    reference=_distance_reference,
    hidden=_distance_hidden,
    misconceptions=(
        Misconception(
            "the-future",
            "the diagonals above the main one are taken: keys that come later",
            edits=(("offset=-d", "offset=d"),),
        ),
        Misconception(
            "summed", "the scores are added up instead of averaged", edits=((".mean(dim=-1)", ".sum(dim=-1)"),)
        ),
        Misconception(
            "divided-by-all",
            "each sum is divided by T, though far distances have fewer pairs",
            edits=((".mean(dim=-1) for", ".sum(dim=-1) / T for"),),
        ),
        Misconception(
            "distances-first",
            "the distances come first instead of last",
            edits=(("torch.stack(means, dim=-1)", "torch.stack(means, dim=0)"),),
        ),
        Misconception(
            "last-row",
            "only the last query's row is read instead of all pairs",
            edits=(("torch.stack(means, dim=-1)", "scores[..., -1, :].flip(-1)"),),
        ),
    ),
)


def _repaired_hidden(seed):
    d = Draw(seed)
    loose = attention_inputs(d, 2, 4, 3, 6, 8)
    return [
        Case("one position", attention_inputs(d, 1, 2, 1, 1, 4)),
        Case("one query, a long text", attention_inputs(d, 1, 8, 1, 60, 16)),
        Case("values of another width", attention_inputs(d, 2, 2, 4, 6, 8, E=3)),
        Case("one head", attention_inputs(d, 2, 1, 5, 5, 6)),
        Case("float64", attention_inputs(d, 1, 4, 3, 8, 8, dtype=torch.float64)),
        Case("bfloat16", attention_inputs(d, 1, 2, 4, 6, 8, dtype=torch.bfloat16)),
        Case("a non-contiguous key", {**loose, "K": transposed(loose["K"])}),
        Case("an empty batch", attention_inputs(d, 0, 2, 3, 5, 4)),
    ]


def _repaired_reference(i):
    Q, K, V = (i[name].double() for name in "QKV")
    B, H, T, D = Q.shape
    S = K.shape[2]
    out = torch.zeros(B, H, T, V.shape[-1], dtype=torch.float64)
    for h in range(H):
        for t in range(T):
            last = S - T + t  # the query's own position: it is given no key behind it
            x = torch.einsum("bd,bsd->bs", Q[:, h, t], K[:, h, : last + 1]) * D**-0.5
            x = x - 0.5 ** (8 * (h + 1) / H) * torch.arange(last, -1, -1)
            out[:, h, t] = torch.einsum("bs,bse->be", x.softmax(-1), V[:, h, : last + 1])
    return {"out": out.to(i["Q"].dtype)}


_BUGS = {
    "slopes": ("the slopes still begin at 1", ("torch.arange(1, H + 1) / H", "torch.arange(H) / H")),
    "places": ("the queries still stand at the first positions", ("torch.arange(S - T, S)", "torch.arange(T)")),
    "scale": (
        "the slopes are still divided by √D with the scores",
        ("(slopes.view(H, 1, 1) * distance)", "(slopes.view(H, 1, 1) * distance / math.sqrt(D))"),
    ),
}
repaired = Answer(
    name="repaired",
    reference=_repaired_reference,
    hidden=_repaired_hidden,
    misconceptions=(
        *(
            Misconception(
                f"{'-and-'.join(left)}-left",
                ", and ".join(_BUGS[bug][0] for bug in left) if n < 3 else "all three lines are left as they were",
                edits=tuple(_BUGS[bug][1] for bug in left),
            )
            for n in (1, 2, 3)
            for left in combinations(_BUGS, n)
        ),
        Misconception(
            "not-causal",
            "keys that come later are not hidden",
            edits=(('scores = scores.masked_fill(distance < 0, float("-inf"))', ""),),
        ),
        Misconception(
            "lifted",
            "the slopes are added instead of subtracted",
            edits=(("scores - (slopes", "scores + (slopes"),),
        ),
    ),
)
