"""Lab 2.5, the student's half: how buckets, biases, a measurement and a repaired attention are driven."""

import torch

from autograder.cases import Draw
from autograder.exercise import Case, Exercise, Property


def _bucket_cases():
    by_hand = torch.tensor([-1, 0, 1, 3, 4, 8, 15, 16, 999])
    square = torch.arange(6)[:, None] - torch.arange(6)
    return [
        Case("eight buckets, by hand", {"distance": by_hand, "buckets": 8, "furthest": 16}),
        Case("every distance up to 20", {"distance": torch.arange(21), "buckets": 8, "furthest": 20}),
        Case("T5's own sizes", {"distance": torch.tensor([0, 1, 15, 16, 17, 18, 19, 40, 90, 127, 128, 5000])}),
        Case(
            "a square of distances",
            {"distance": square, "buckets": 4, "furthest": 5},
        ),
    ]


def _bucket_act(f, i):
    sizes = {name: i[name] for name in ("buckets", "furthest") if name in i}
    return {"bucket": f(i["distance"], **sizes)}


bucket = Exercise(
    name="bucket",
    title="Buckets of distances",
    minutes=12,
    difficulty=2,
    points=3,
    act=_bucket_act,
    visible=_bucket_cases,
    forbids=("source.blocks.relative.t5_bucket",),
    hints=(
        "Work out three values by hand with 8 buckets up to 16: the first that is not exact, one in between, and one "
        "beyond the end. Which of the two branches does a distance of exactly 4 take?",
        "`torch.where(d < exact, d, grown)` computes both branches everywhere, so keep 0 out of the logarithm with "
        "`clamp`. `.floor().long()` makes whole numbers.",
        "d = distance, at least 0; exact = buckets // 2; share = log(d / exact) / log(furthest / exact); grown = "
        "exact + "
        "floor(share · (buckets - exact)), at most buckets - 1; where d < exact take d.",
    ),
)


def bias_inputs(d: Draw, buckets: int, H: int, T: int, S: int, furthest: int, dtype=torch.float32):
    """A table of one number for each bucket and head, and two sizes."""
    return {"table": d.normal(buckets, H, dtype=dtype), "T": T, "S": S, "furthest": furthest}


def _bias_cases():
    d = Draw(2502)
    by_hand = {"table": torch.tensor([[0.0], [10.0], [20.0], [30.0]]), "T": 2, "S": 3, "furthest": 100}
    return [
        Case("one head, by hand", by_hand),
        Case("as many queries as keys", bias_inputs(d, 6, 3, 7, 7, 20)),
        Case("one query, many keys", bias_inputs(d, 8, 2, 1, 30, 20)),
        Case("some queries, more keys", bias_inputs(d, 4, 4, 4, 9, 6)),
    ]


bucket_bias = Exercise(
    name="bucket_bias",
    title="A bias for every score",
    minutes=8,
    difficulty=2,
    points=3,
    act=lambda f, i: {"bias": f(i["table"], i["T"], i["S"], i["furthest"])},
    visible=_bias_cases,
    shapes={"bias": "(H, T, S)"},
    forbids=("source.blocks.relative.T5Bias.forward", "source.blocks.relative.t5_bias_naive"),
    hints=(
        "At which position stands query 0 if there are 10 keys and 2 queries?",
        "Indexing `table` with a (T, S) tensor of buckets gives (T, S, H); `permute` brings the heads to the front.",
        "queries = positions S - T to S - 1; distance = queries as a column minus keys as a row; "
        "table[to_bucket(distance, len(table), furthest)], heads first.",
    ),
)


def _never_positive(inputs, outputs):
    worst = outputs["bias"].max(initial=0)
    return f"an entry is {worst:g}" if worst > 0 else None


slope_bias = Exercise(
    name="slope_bias",
    title="Slopes",
    minutes=8,
    difficulty=1,
    points=3,
    act=lambda f, i: {"bias": f(i["heads"], i["T"], i["S"])},
    visible=lambda: [
        Case("two heads, one query", {"heads": 2, "T": 1, "S": 3}),
        Case("eight heads", {"heads": 8, "T": 5, "S": 5}),
        Case("some queries, more keys", {"heads": 4, "T": 3, "S": 8}),
    ],
    shapes={"bias": "(H, T, S)"},
    properties=(Property("a bias never lifts a score", _never_positive),),
    forbids=(
        "source.blocks.relative.alibi_bias",
        "source.blocks.relative.alibi_bias_naive",
        "source.blocks.relative.alibi_slopes",
    ),
    hints=(
        "Eight heads have the slopes 1/2, 1/4, …, 1/256. What is the exponent of head h?",
        "`2.0 ** tensor` works. `slopes[:, None, None]` has shape (H, 1, 1) and broadcasts against (T, S).",
        "slopes = 2 ** (-8 (h + 1) / H); distance = (S - T + t) - s, at least 0; return -slopes times distance.",
    ),
)


def _distance_cases():
    d = Draw(2504)
    return [
        Case("three by three, by hand", {"scores": torch.tensor([[1.0, 99, 99], [2, 3, 99], [4, 6, 5]])}),
        Case("a batch of heads", {"scores": d.normal(2, 3, 6, 6)}),
        Case(
            "a future of minus infinity",
            {"scores": d.normal(4, 4).masked_fill(torch.ones(4, 4).triu(1) > 0, -torch.inf)},
        ),
    ]


by_distance = Exercise(
    name="by_distance",
    title="Scores by distance",
    minutes=8,
    difficulty=1,
    points=2,
    act=lambda f, i: {"mean": f(i["scores"])},
    visible=_distance_cases,
    shapes={"mean": "(..., T)"},
    forbids=("source.blocks.relative.mean_by_distance",),
    hints=(
        "Write down which entries of a 3 × 3 matrix are one apart, with the key before the query. On which side of "
        "the main diagonal do they lie, and how many are there?",
        "`scores.diagonal(offset, dim1=-2, dim2=-1)` takes a diagonal of each matrix; a negative offset lies below "
        "the main one.",
        "for each d from 0 to T - 1: mean of the diagonal with offset -d; stack the means along the last dimension.",
    ),
)


def attention_inputs(d: Draw, B: int, H: int, T: int, S: int, D: int, dtype=torch.float32, E: int | None = None):
    """Queries for the last T of S positions, keys and values."""
    return {
        "Q": d.normal(B, H, T, D, dtype=dtype),
        "K": d.normal(B, H, S, D, dtype=dtype),
        "V": d.normal(B, H, S, E or D, dtype=dtype),
    }


def _repaired_cases():
    d = Draw(2505)
    alike = {
        "Q": torch.zeros(1, 2, 1, 4),
        "K": torch.zeros(1, 2, 5, 4),
        "V": torch.eye(5).expand(1, 2, 5, 5).contiguous(),
    }
    return [
        Case("one query, five equal keys", alike),
        Case("as many queries as keys", attention_inputs(d, 1, 4, 5, 5, 8)),
        Case("some queries, more keys", attention_inputs(d, 2, 2, 3, 7, 4)),
    ]


repaired = Exercise(
    name="repaired",
    title="Find three wrong lines",
    minutes=15,
    difficulty=3,
    points=3,
    act=lambda f, i: {"out": f(i["Q"], i["K"], i["V"])},
    visible=_repaired_cases,
    shapes={"out": "(B, H, T, D)"},
    forbids=("source.blocks.relative.alibi_bias", "source.blocks.relative.alibi_slopes"),
    hints=(
        "Print `slopes` for eight heads, and `distance` for T = 1 and S = 10. Compare both with steps 2 and 3. Then "
        "ask what "
        "√D does to the slope.",
        "Your functions of steps 2 and 3 say where queries stand and what the slopes are. In `suspect` the division "
        "comes after "
        "the subtraction.",
        "slopes from exponents 1 to H, not 0 to H - 1; queries at S - T to S - 1; divide by √D before the slopes are "
        "subtracted; "
        "keep the dtype.",
    ),
)
