"""Lab 2.2, the instructor's half: references by loops, complex numbers and indices; hidden cases, misconceptions."""

import math

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch02_transformer_block.lab02_positional_encodings import rotation_inputs
from autograder.exercise import Answer, Case, Misconception


def _sinusoidal_hidden(seed):
    d = Draw(seed)
    length, base = int(d.rng.integers(20, 60)), float(d.rng.integers(50, 5000))
    return [
        Case("one position", {"T": 1, "C": 6, "base": 10000.0}),
        Case("two columns", {"T": 9, "C": 2, "base": 10000.0}),
        Case("a single column", {"T": 5, "C": 1, "base": 10000.0}),
        Case("another base", {"T": length, "C": 12, "base": base}),
        Case("another base and an odd width", {"T": length, "C": 9, "base": base}),
        Case("no positions", {"T": 0, "C": 4, "base": 10000.0}),
    ]


def _sinusoidal_reference(i):
    T, C = i["T"], i["C"]
    rows = torch.zeros(T, C, dtype=torch.float64)
    for t in range(T):
        for c in range(C):
            hand = c // 2
            rows[t, c] = (math.cos if c % 2 else math.sin)(t * math.exp(-2 * hand / C * math.log(i["base"])))
    return {"table": rows.float()}


sinusoidal = Answer(
    name="sinusoidal",
    reference=_sinusoidal_reference,
    hidden=_sinusoidal_hidden,
    misconceptions=(
        Misconception(
            "sines-then-cosines",
            "all sines come first and then all cosines, instead of in turn",
            edits=(
                ("table[:, 0::2] = angles.sin()", "table[:, : (C + 1) // 2] = angles.sin()"),
                ("table[:, 1::2] =", "table[:, (C + 1) // 2 :] ="),
            ),
        ),
        Misconception(
            "cosine-first",
            "the even columns hold cosines and the odd ones sines",
            edits=(("= angles.sin()", "= angles.cos()"), ("= angles.cos()[:", "= angles.sin()[:")),
        ),
        Misconception(
            "one-frequency-a-column",
            "each column has a frequency of its own (its number over C): sine and cosine of a hand need the same",
            code="def sinusoidal(T, C, base=10000.0):\n"
            "    angles = torch.arange(T)[:, None] * base ** (-torch.arange(C) / C)\n"
            "    table = torch.empty(T, C)\n"
            "    table[:, 0::2] = angles[:, 0::2].sin()\n"
            "    table[:, 1::2] = angles[:, 1::2].cos()\n"
            "    return table\n",
        ),
        Misconception(
            "half-the-exponent",
            "the exponent is i/C instead of 2i/C, so that the slowest hand is far too fast",
            edits=(("base ** (-even / C)", "base ** (-even / 2 / C)"),),
        ),
        Misconception(
            "twice-the-exponent",
            "the exponent is 4i/C instead of 2i/C: 0, 2, 4, ... are 2i already",
            edits=(("base ** (-even / C)", "base ** (-2 * even / C)"),),
        ),
        Misconception(
            "inverse-frequencies",
            "positions are multiplied by base^(2i/C) instead of divided by it",
            edits=(("base ** (-even / C)", "base ** (even / C)"),),
        ),
        Misconception(
            "evenly-to-the-base",
            "the exponents run evenly from 0 to 1 inclusive instead of stopping at 2i/C < 1",
            edits=(("-even / C", "-even / max(C - 1 - (C + 1) % 2, 1)"),),
        ),
        Misconception(
            "share-of-the-length",
            "positions are divided by the length, so that the same place gets another row in each text",
            edits=(("torch.arange(T)[:, None]", "torch.arange(T)[:, None] / T"),),
        ),
        Misconception("base-ignored", "the base is always 10000", edits=(("* base **", "* 10000 **"),)),
        Misconception(
            "starts-at-one",
            "the first position is 1 instead of 0",
            edits=(("torch.arange(T)[:, None]", "torch.arange(1, T + 1)[:, None]"),),
        ),
        Misconception(
            "even-widths-only",
            "the odd columns get a cosine for every hand: an odd width has one column too few for that",
            edits=((".cos()[:, : C // 2]", ".cos()"),),
        ),
        Misconception(
            "odd-width-rounded-down",
            "with an odd C, the exponent is 2i over the next smaller even number, so that every frequency shifts",
            edits=(("-even / C", "-even / max(C - C % 2, 1)"),),
        ),
        Misconception(
            "odd-width-rounded-up",
            "with an odd C, the exponent is 2i over the next larger even number, so that every frequency shifts",
            edits=(("-even / C", "-even / (C + C % 2)"),),
        ),
    ),
)


def _angle_hidden(seed):
    d = Draw(seed)
    return [
        Case("a head width of 2", {"positions": d.integers(0, 500, 7), "D": 2, "base": 10000.0}),
        Case("positions in the tens of thousands", {"positions": d.integers(10_000, 90_000, 8), "D": 16, "base": 5e5}),
        Case("a single position, of no dimension", {"positions": d.integers(1, 99), "D": 6, "base": 10000.0}),
        Case("no positions", {"positions": d.integers(0, 9, 0), "D": 4, "base": 10000.0}),
        Case("a batch of heads' positions", {"positions": d.integers(0, 999, 3, 1, 5), "D": 10, "base": 10000.0}),
        Case("int32 positions", {"positions": d.integers(0, 999, 6).int(), "D": 8, "base": 10000.0}),
        Case("a batch of positions in between", {"positions": d.normal(2, 5).abs() * 20, "D": 8, "base": 10000.0}),
        Case("non-contiguous positions", {"positions": transposed(d.integers(0, 999, 3, 4)), "D": 4, "base": 700.0}),
    ]


def _angle_reference(i):
    positions, D = i["positions"].double(), i["D"]
    pairs = [positions / math.exp(2 * n / D * math.log(i["base"])) for n in range(D // 2)]
    return {"angles": torch.stack(pairs, dim=-1).float()}


rotary_angles = Answer(
    name="rotary_angles",
    reference=_angle_reference,
    hidden=_angle_hidden,
    misconceptions=(
        Misconception(
            "counted-positions",
            "positions are counted 0, 1, 2, ... along the row, whatever was given: a cached token lands at 0",
            edits=(("return positions[..., None]", "return torch.arange(positions.shape[-1])[:, None]"),),
        ),
        Misconception(
            "counted-from-the-first",
            "positions are counted on from the first of each row, so that a packed text does not begin at 0 again",
            edits=(
                (
                    "return positions[..., None]",
                    "return (positions[..., :1] + torch.arange(positions.shape[-1]))[..., None]",
                ),
            ),
        ),
        Misconception(
            "twice-each",
            "each angle stands twice, for both numbers of its pair: here it is wanted once a pair",
            edits=(("torch.arange(0, D, 2) / D", "torch.arange(0, D, 2).repeat(2) / D"),),
        ),
        Misconception(
            "half-the-exponent",
            "the exponent is i/D instead of 2i/D, so that the slowest pair is far too fast",
            edits=(("torch.arange(0, D, 2) / D", "torch.arange(D // 2) / D"),),
        ),
        Misconception(
            "evenly-to-the-base",
            "the exponents run evenly from 0 to 1 inclusive instead of stopping short of it",
            edits=(("torch.arange(0, D, 2) / D", "torch.linspace(0, 1, D // 2)"),),
        ),
        Misconception(
            "inverse-frequencies",
            "positions are multiplied by base^(2i/D) instead of divided by it",
            edits=(("base ** (-torch", "base ** (torch"),),
        ),
        Misconception("base-ignored", "the base is always 10000", edits=(("= base **", "= 10000 **"),)),
        Misconception(
            "one-row-only",
            "the positions are taken for one row: a batch of rows does not fit",
            edits=(
                ("return positions[..., None] * frequencies", "return torch.outer(positions.float(), frequencies)"),
            ),
        ),
        Misconception(
            "frequencies-in-bfloat16",
            "the frequencies pass through bfloat16 on the way, which keeps eight bits of them",
            edits=(("positions[..., None] * frequencies", "positions[..., None] * frequencies.bfloat16().float()"),),
        ),
        Misconception(
            "positions-in-bfloat16",
            "the positions pass through bfloat16 on the way, which makes 4000 of 4001",
            edits=(("positions[..., None] * frequencies", "positions[..., None].bfloat16().float() * frequencies"),),
        ),
        Misconception(
            "whole-positions",
            "positions in between are rounded to whole ones",
            edits=(("positions[..., None] * frequencies", "positions.long()[..., None] * frequencies"),),
        ),
        Misconception(
            "within-one-turn",
            "whole turns are taken off the angles: the arrows are the same, but what is asked for is position times "
            "frequency",
            edits=(("positions[..., None] * frequencies", "(positions[..., None] * frequencies) % (2 * math.pi)"),),
        ),
        Misconception(
            "divided-after-the-power",
            "base ** -2i is divided by D, instead of base being raised to -2i/D: brackets are missing",
            edits=(("base ** (-torch.arange(0, D, 2) / D)", "base ** -torch.arange(0, D, 2) / D"),),
        ),
    ),
)


def _rotation_hidden(seed):
    d = Draw(seed)
    loose = rotation_inputs(d, 6, 10, angled=(6,))
    shared = d.integers(200, 4000, 7)[:, None] * torch.tensor([1.0, 0.61, 0.37])
    return [
        Case("a single pair", rotation_inputs(d, 5, 2, angled=(5,))),
        Case("one position", rotation_inputs(d, 2, 1, 8, angled=(1,))),
        Case("heads that share their angles", rotation_inputs(d, 2, 3, 5, 6, angled=(5,))),
        Case("as many positions as numbers", rotation_inputs(d, 4, 8, 8, angled=(8,))),
        Case("float64", rotation_inputs(d, 3, 4, 6, angled=(4,), dtype=torch.float64)),
        Case("a non-contiguous input", {**loose, "x": transposed(loose["x"])}),
        Case(
            "the gradient, five dimensions",
            rotation_inputs(d, 2, 1, 2, 3, 4, angled=(3,), upstream=d.normal(2, 1, 2, 3, 4)),
        ),
        Case(
            "bfloat16, far from the beginning",
            {"x": d.normal(2, 7, 6, dtype=torch.bfloat16), "angles": shared, "upstream": None},
        ),
        Case("an empty batch", rotation_inputs(d, 0, 3, 4, angled=(3,))),
    ]


def _turned(x, angles, first, second):
    """The pairs (x[first[i]], x[second[i]]) as complex numbers, times e^(i angle), put back where they were."""
    exact, out = x.double(), torch.empty(x.shape, dtype=torch.float64)
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        angle = angles[..., i].double()
        z = torch.complex(exact[..., a], exact[..., b]) * torch.complex(angle.cos(), angle.sin())
        out[..., a], out[..., b] = z.real, z.imag
    return out.to(x.dtype)


def _rotation_reference(pairs):
    def reference(i):
        first, second = pairs(i["x"].shape[-1])
        outputs = {"rotated": _turned(i["x"], i["angles"], first, second)}
        if i["upstream"] is not None:  # the transpose of a rotation is the rotation back
            outputs["gradient of x"] = _turned(i["upstream"], -i["angles"], first, second)
        return outputs

    return reference


_NEIGHBOURS, _APART = "a, b = x[..., 0::2], x[..., 1::2]", "a, b = x.chunk(2, dim=-1)"
_STACKED = "torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)"
_JOINED = "torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)"
_COSINE = "cos, sin = angles.cos(), angles.sin()"


def _in_place(name, first, second):
    return (
        f"def {name}(x, angles):\n"
        "    cos, sin = angles.cos(), angles.sin()\n"
        "    out, D = x.clone(), x.shape[-1]\n"
        f"    out[..., {first}] = out[..., {first}] * cos - out[..., {second}] * sin\n"
        f"    out[..., {second}] = out[..., {first}] * sin + out[..., {second}] * cos\n"
        "    return out\n"
    )


def _common(reads, name, first, second):
    """Mistakes that one can make in either convention. reads: the text that takes the pairs from x."""
    return (
        Misconception(
            "second-for-first",
            "the second number of each pair is taken for the first",
            edits=((reads, reads.replace("a, b", "b, a")),),
        ),
        Misconception(
            "turned-backwards",
            "every pair is turned by minus its angle: the minus sign stands at the other sine",
            edits=(("a * cos - b * sin, a * sin + b * cos", "a * cos + b * sin, b * cos - a * sin"),),
        ),
        Misconception(
            "no-minus",
            "both sines have a plus: that is no rotation, and lengths change",
            edits=(("a * cos - b * sin", "a * cos + b * sin"),),
        ),
        Misconception(
            "sine-and-cosine-swapped",
            "sine and cosine have changed places",
            edits=((_COSINE, "cos, sin = angles.sin(), angles.cos()"),),
        ),
        Misconception(
            "overwritten",
            "the first number of each pair is overwritten before the second is computed from it",
            code=_in_place(name, first, second),
        ),
        Misconception(
            "rounded-angles",
            "the angles are cast to x's dtype before their sine and cosine are taken: in bfloat16 an angle in the "
            "thousands is off by whole radians",
            edits=((_COSINE, "cos, sin = angles.to(x.dtype).cos(), angles.to(x.dtype).sin()"),),
        ),
        Misconception(
            "dtype-not-kept",
            "the result keeps the angles' precision instead of x's dtype",
            edits=((".to(x.dtype)", ""),),
        ),
        Misconception(
            "one-angle-for-all",
            "every pair is turned by the angle of pair 0",
            edits=((_COSINE, "cos, sin = angles[..., :1].cos(), angles[..., :1].sin()"),),
        ),
        Misconception(
            "gradient-cut",
            "the result is cut from x's graph, so that no gradient reaches it",
            edits=((".to(x.dtype)", ".to(x.dtype).detach()"),),
        ),
        Misconception(
            "angles-run-backwards",
            "the angles of the pairs are taken in reverse order",
            edits=((_COSINE, "cos, sin = angles.flip(-1).cos(), angles.flip(-1).sin()"),),
        ),
    )


rotate_interleaved = Answer(
    name="rotate_interleaved",
    reference=_rotation_reference(lambda D: (range(0, D, 2), range(1, D, 2))),
    hidden=_rotation_hidden,
    misconceptions=(
        Misconception(
            "pairs-by-halves",
            "the pairs are (i, i + D/2), the other convention, instead of neighbours",
            edits=((_NEIGHBOURS, _APART), (_STACKED, _JOINED), (".flatten(-2)", "")),
        ),
        Misconception(
            "put-back-by-halves",
            "neighbours are turned rightly, but put back as first half and second half",
            edits=((_STACKED, _JOINED), (".flatten(-2)", "")),
        ),
        Misconception(
            "read-by-halves",
            "the pairs are read from the two halves of x, but put back as neighbours",
            edits=((_NEIGHBOURS, _APART),),
        ),
        Misconception(
            "angles-laid-out-by-halves",
            "neighbours are turned, but number j gets angle j modulo D/2: the angles were doubled by concatenating "
            "them instead of repeating each",
            edits=(
                (_COSINE, "both = torch.cat((angles, angles), dim=-1)\n    cos, sin = both.cos(), both.sin()"),
                (
                    _STACKED,
                    "torch.stack((a * cos[..., 0::2] - b * sin[..., 0::2], a * sin[..., 1::2] + b * cos[..., 1::2]), "
                    "dim=-1)",
                ),
            ),
        ),
        *_common(_NEIGHBOURS, "rotate_interleaved", "0::2", "1::2"),
    ),
)


rotate_halves = Answer(
    name="rotate_halves",
    reference=_rotation_reference(lambda D: (range(D // 2), range(D // 2, D))),
    hidden=_rotation_hidden,
    misconceptions=(
        Misconception(
            "pairs-of-neighbours",
            "the pairs are neighbours, as in step 3, instead of (i, i + D/2)",
            edits=(
                (_APART, _NEIGHBOURS),
                (_JOINED, "torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)"),
            ),
        ),
        Misconception(
            "put-back-interleaved",
            "the pairs are turned rightly, but put back as neighbours",
            edits=((_JOINED, "torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1).flatten(-2)"),),
        ),
        Misconception(
            "read-as-neighbours",
            "the pairs are read as neighbours, but put back as halves",
            edits=((_APART, _NEIGHBOURS),),
        ),
        Misconception(
            "angles-repeated-in-turn",
            "number j gets angle j // 2, as neighbours would: for halves, i and i + D/2 share an angle",
            edits=(
                (_COSINE, "both = angles.repeat_interleave(2, dim=-1)\n    cos, sin = both.cos(), both.sin()"),
                (_JOINED, "x * cos + torch.cat((-b, a), dim=-1) * sin"),
                ("return x * cos", "return (x * cos"),
                ("* sin.to(x.dtype)", "* sin).to(x.dtype)"),
            ),
        ),
        Misconception(
            "halves-swapped",
            "the two halves of the result have changed places",
            edits=((_JOINED, "torch.cat((a * sin + b * cos, a * cos - b * sin), dim=-1)"),),
        ),
        *_common(_APART, "rotate_halves", ": D // 2", "D // 2 :"),
    ),
)


def _weight_hidden(seed):
    d = Draw(seed)
    return [
        Case("one head of width 2, which stays as it is", {"weight": d.normal(2, 3), "heads": 1}),
        Case("two key heads of width 16", {"weight": d.normal(32, 6), "heads": 2}),
        Case("five heads of width 6", {"weight": d.normal(30, 4), "heads": 5}),
        Case("a non-contiguous weight", {"weight": transposed(d.normal(24, 7)), "heads": 3}),
        Case("a bias in float64", {"weight": d.normal(20, dtype=torch.float64), "heads": 2}),
        Case("bfloat16", {"weight": d.normal(16, 8, dtype=torch.bfloat16), "heads": 2}),
    ]


def _weight_reference(i):
    weight, heads = i["weight"], i["heads"]
    D = len(weight) // heads
    rows = [h * D + 2 * n + odd for h in range(heads) for odd in (0, 1) for n in range(D // 2)]
    return {"reordered": weight[rows]}


_PAIRS = "weight.unflatten(0, (heads, -1, 2))"
to_halves = Answer(
    name="to_halves",
    reference=_weight_reference,
    hidden=_weight_hidden,
    misconceptions=(
        Misconception(
            "the-way-back",
            "the rows are moved from halves to neighbours: that is the inverse",
            edits=((_PAIRS, "weight.unflatten(0, (heads, 2, -1))"),),
        ),
        Misconception(
            "across-heads",
            "the heads are not told apart: the even rows of all heads come first, then the odd rows of all",
            edits=((_PAIRS, "weight.unflatten(0, (1, -1, 2))"),),
        ),
        Misconception(
            "heads-in-turn",
            "heads are taken to lie in turn, row by row, instead of one block of D rows after the other",
            edits=(
                (_PAIRS, "weight.unflatten(0, (-1, 2, heads))"),
                ("pairs.transpose(1, 2).flatten(0, 2)", "pairs.transpose(0, 1).flatten(0, 2)"),
            ),
        ),
        Misconception("nothing-moved", "no row is moved", edits=((".transpose(1, 2)", ""),)),
        Misconception(
            "odd-rows-first",
            "the odd rows come first and then the even ones, which turns every pair backwards",
            edits=((".transpose(1, 2)", ".transpose(1, 2).flip(1)"),),
        ),
        Misconception(
            "columns",
            "the columns (inputs) are reordered instead of the rows (outputs)",
            code="def to_halves(weight, heads):\n"
            "    D = weight.shape[0] // heads\n"
            "    order = [h * D + 2 * i + odd for h in range(heads) for odd in (0, 1) for i in range(D // 2)]\n"
            "    if weight.ndim == 1:\n"
            "        return weight[order]\n"
            "    return weight[:, [i for i in order if i < weight.shape[1]]]\n",
        ),
    ),
)


def _scheme_hidden(seed):
    d = Draw(seed)
    return [
        Case("a small table added", {"wrong": "absolute", "amount": 0.5, "rotary": "halves"}),
        Case("keys that are not turned", {"wrong": "queries only", "amount": 0.0, "rotary": "interleaved"}),
        Case(
            "positions that stop counting farther out",
            {"wrong": "stops", "amount": float(d.integers(1500, 3000)), "rotary": "interleaved"},
        ),
        Case("queries and keys with different bases", {"wrong": "two bases", "amount": 5e5, "rotary": "halves"}),
        Case("angles in bfloat16", {"wrong": "bfloat16", "amount": 0.0, "rotary": "halves"}),
        Case("every key counted by its place in the cache", {"wrong": "index", "amount": 0.0, "rotary": "halves"}),
    ]


_BOTH = "for far in (1, 40, 500, 3900):"
_ALONE = "return not torch.allclose(scores(q, k, t + 3, s), here, atol=0.01)"
relative_test = Answer(
    name="relative_test",
    reference=lambda i: {
        "accepts rotary embedding": True,
        "accepts ALiBi": True,
        "accepts the wrong one": False,
    },
    hidden=_scheme_hidden,
    misconceptions=(
        Misconception(
            "nothing-has-to-change",
            "nobody asks whether positions matter at all, so that a scheme which ignores them is accepted",
            edits=((_ALONE, "return True"),),
        ),
        Misconception(
            "near-positions-only",
            "only small moves are tried, so that a scheme which breaks farther out is accepted",
            edits=((_BOTH, "for far in (1, 2, 40):"),),
        ),
        Misconception(
            "only-that-it-changes",
            "only the second property is tested: any scheme that uses positions is accepted",
            edits=((_BOTH, "for far in ():"),),
        ),
        Misconception(
            "queries-alone-must-not-matter",
            "the queries are moved without the keys and the scores are expected to stay: that is a scheme that ignores "
            "positions",
            code="def relative_test(scores):\n"
            "    torch.manual_seed(0)\n"
            "    q, k, t = torch.randn(5, 16), torch.randn(5, 16), torch.arange(5)\n"
            "    return torch.allclose(scores(q, k, t + 3, t), scores(q, k, t, t), atol=0.01)\n",
        ),
        Misconception(
            "compared-with-rotary",
            "the candidate is compared with rotary embedding, so that other relative schemes are rejected",
            code="def relative_test(scores):\n"
            "    torch.manual_seed(0)\n"
            "    q, k, t, s = torch.randn(5, 16), torch.randn(6, 16), torch.arange(5), torch.arange(6)\n"
            "    found = scores(q, k, t, s)\n"
            "    turns = (course.rotate_interleaved, course.rotate_halves)\n"
            "    right = [turn(q, course.rope_angles(t, 16)) @ turn(k, course.rope_angles(s, 16)).T / 4 "
            "for turn in turns]\n"
            "    far = scores(q, k, t + 3000, s + 3000)\n"
            "    like_one = any(torch.allclose(found, r, atol=0.01) for r in right)\n"
            "    return like_one and torch.allclose(found, far, atol=0.01)\n",
        ),
        Misconception(
            "same-position-only",
            "only scores between equal positions are looked at, where every distance is zero",
            code="def relative_test(scores):\n"
            "    torch.manual_seed(0)\n"
            "    q, k, t = torch.randn(5, 16), torch.randn(5, 16), torch.arange(5)\n"
            "    near, far = (scores(q, k, t + n, t + n).diagonal() for n in (0, 3000))\n"
            "    return torch.allclose(near, far, atol=0.01)\n",
        ),
        Misconception(
            "one-query-one-key",
            "one query and one key are tried, so that what goes wrong with the second of either is not seen",
            code="def relative_test(scores):\n"
            "    torch.manual_seed(0)\n"
            "    q, k, t = torch.randn(1, 16), torch.randn(1, 16), torch.tensor([3])\n"
            "    here = scores(q, k, t, t - 2)\n"
            "    for far in (1, 40, 3900):\n"
            "        if not torch.allclose(scores(q, k, t + far, t - 2 + far), here, atol=0.01):\n"
            "            return False\n"
            "    return not torch.allclose(scores(q, k, t + 1, t - 2), here, atol=0.01)\n",
        ),
        Misconception(
            "accepts-all", "every candidate is accepted", code="def relative_test(scores):\n    return True\n"
        ),
        Misconception(
            "rejects-all",
            "every candidate is rejected, the right ones too",
            code="def relative_test(scores):\n    return False\n",
        ),
    ),
)
