"""Lab 2.2, the student's half: how tables, angles, rotations, reordered weights and a test of schemes are driven."""

import math

import torch

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise
from source.blocks.positions import rope_angles, rotate_halves, rotate_interleaved, sinusoidal

COURSE = "source.blocks.positions."


def _sinusoidal_cases():
    return [
        Case("two hands to check by hand", {"T": 2, "C": 4, "base": 100.0}),
        Case("fifty positions, sixteen columns", {"T": 50, "C": 16, "base": 10000.0}),
        Case("an odd width", {"T": 6, "C": 7, "base": 10000.0}),
    ]


sinusoidal_table = Exercise(
    name="sinusoidal",
    title="The sinusoidal table",
    minutes=12,
    difficulty=2,
    points=3,
    act=lambda f, i: {"table": f(i["T"], i["C"], base=i["base"])},
    visible=_sinusoidal_cases,
    shapes={"table": "(T, C)"},
    tolerance={"float32": 1e-4},  # an angle of a few hundred radians is itself rounded in float32
    forbids=(COURSE + "sinusoidal", COURSE + "sinusoidal_naive"),
    hints=(
        "How many hands has the clock, and which two columns belong to one hand? A hand has one angle at each "
        "position: make the angles first, for all positions and hands.",
        "`torch.arange(0, C, 2)` holds the 2i of every hand. `table[:, 0::2] = ...` writes every second column. With "
        "an odd C there is one sine more than there are cosines.",
        "even = 0, 2, 4, ... below C; angles = positions as a column times base ** (-even / C); an empty table (T, C); "
        "its even columns are the sines, its odd columns the first C // 2 cosines.",
    ),
)


def _angle_cases():
    return [
        Case("two pairs to check by hand", {"positions": torch.tensor([0, 3]), "D": 4, "base": 100.0}),
        Case("one new token, at position 4001", {"positions": torch.tensor([4001]), "D": 8, "base": 10000.0}),
        Case(
            "three texts packed into one row",
            {"positions": torch.tensor([0, 1, 2, 3, 0, 1, 0, 1, 2]), "D": 6, "base": 10000.0},
        ),
        Case(
            "a batch, padded on the left",
            {"positions": torch.tensor([[0, 1, 2, 3], [0, 0, 0, 1]]), "D": 8, "base": 10000.0},
        ),
        Case("positions in between", {"positions": torch.tensor([0.5, 1.75, 6.25]), "D": 4, "base": 10000.0}),
    ]


def _angle_act(f, i):
    angles = f(i["positions"], i["D"], base=i["base"])
    if isinstance(angles, tuple):
        raise WrongType(f"rotary_angles returned {len(angles)} things: one tensor is wanted, the angles themselves")
    return {"angles": angles}


rotary_angles = Exercise(
    name="rotary_angles",
    title="Angles at any positions",
    minutes=8,
    difficulty=1,
    points=2,
    act=_angle_act,
    visible=_angle_cases,
    shapes={"angles": "(..., D/2)"},
    forbids=(COURSE + "rope_angles", COURSE + "rope_frequencies"),
    hints=(
        "Every position meets every pair: which dimension has to be added to the positions, and where, so that they "
        "broadcast against D/2 frequencies?",
        "`positions[..., None]` adds a last dimension of size 1, whatever stands in front. "
        "`torch.arange(0, D, 2) / D` holds 2i/D.",
        "frequencies = base ** (-arange(0, D, 2) / D); return positions[..., None] * frequencies.",
    ),
)


def rotation_inputs(d: Draw, *shape: int, angled: tuple[int, ...], dtype: torch.dtype = torch.float32, **more):
    """x of a shape, and random angles (*angled, D/2); with `upstream` the gradient of x is asked for too."""
    precise = torch.float64 if dtype == torch.float64 else torch.float32
    return {
        "x": d.normal(*shape, dtype=dtype),
        "angles": d.normal(*angled, shape[-1] // 2, dtype=precise, scale=3.0),
        "upstream": None,
        **more,
    }


def _rotation_cases(seed):
    d = Draw(seed)
    angle = math.atan2(4, 3)
    by_hand = {"x": torch.tensor([[1.0, 0.0, 0.0, 10.0]]), "angles": torch.tensor([[angle, angle]]), "upstream": None}
    four = rotation_inputs(d, 3, 8, angled=(3,))
    heads = rotation_inputs(d, 2, 3, 4, 8, angled=(2, 1, 4), upstream=d.normal(2, 3, 4, 8))
    thousands = torch.arange(3001, 3007)[:, None] * torch.tensor([1.0, 0.7, 0.3, 0.1])
    return [
        Case("two pairs to check by hand", by_hand),
        Case("four pairs, each with an angle of its own", four),
        Case("a batch of heads, each sequence at its own positions, and the gradient", heads),
        Case(
            "bfloat16, at positions in the thousands",
            {"x": d.normal(6, 8, dtype=torch.bfloat16), "angles": thousands, "upstream": None},
        ),
    ]


def _rotation_act(f, i):
    outputs = {"rotated": f(i["x"], i["angles"])}
    if i["upstream"] is not None:
        x = i["x"].detach().clone().requires_grad_()
        out = f(x, i["angles"])
        if out.requires_grad:
            out.backward(i["upstream"])
        outputs["gradient of x"] = torch.zeros_like(x) if x.grad is None else x.grad
    return outputs


def _rotation(name, title, minutes, seed, twins, hints):
    return Exercise(
        name=name,
        title=title,
        minutes=minutes,
        difficulty=2,
        points=3,
        act=_rotation_act,
        visible=lambda: _rotation_cases(seed),
        shapes={"rotated": "(..., T, D)", "gradient of x": "(..., T, D)"},
        forbids=tuple(COURSE + name + form for name in twins for form in ("", "_naive")),
        hints=hints,
    )


interleaved = _rotation(
    "rotate_interleaved",
    "Turn neighbouring pairs",
    15,
    203,
    ("rotate_interleaved", "rotate_halves"),
    (
        "Write down the four results of the example with the formula. Which numbers of x are the a of a pair, which "
        "the b, and where do a' and b' have to end up? Do not write into a number that you still have to read.",
        "`x[..., 0::2]` is every first of a pair, `x[..., 1::2]` every second. `torch.stack((first, second), dim=-1)` "
        "puts them side by side, `.flatten(-2)` makes one row of the pairs. `.to(x.dtype)` rounds at the end.",
        "cos and sin of the angles, still in float32; a, b = even and odd numbers of x; stack (a cos - b sin) and "
        "(a sin + b cos) along a new last dimension; flatten the last two; cast to x's dtype.",
    ),
)

halves = _rotation(
    "rotate_halves",
    "Turn pairs half a vector apart",
    10,
    204,
    ("rotate_halves",),  # building on one's own step 3 is a fine way
    (
        "In the example the pairs are (1, 0) and (0, 10). Only which numbers make a pair has changed since step 3: "
        "which two lines of your code know about it?",
        "`x.chunk(2, dim=-1)` gives both halves, `torch.cat` joins them again. In the form with `rotate_half`, the "
        "angles are `torch.cat((angles, angles), dim=-1)`: number i and number i + D/2 share an angle.",
        "cos and sin of the angles, still in float32; a, b = first and second half of x; concatenate (a cos - b sin) "
        "and (a sin + b cos) along the last dimension; cast to x's dtype.",
    ),
)


def _weight_cases():
    d = Draw(205)
    return [
        Case("two heads of width 6, to check by hand", {"weight": torch.arange(12), "heads": 2}),
        Case("three heads of width 8", {"weight": d.normal(24, 5), "heads": 3}),
        Case("a bias, four heads of width 10", {"weight": d.normal(40), "heads": 4}),
        Case("as many inputs as rows", {"weight": d.normal(12, 12), "heads": 1}),
    ]


to_halves = Exercise(
    name="to_halves",
    title="Reorder the rows",
    minutes=12,
    difficulty=2,
    points=3,
    act=lambda f, i: {"reordered": f(i["weight"], i["heads"])},
    visible=_weight_cases,
    shapes={"reordered": "(H*D, ...)"},
    forbids=tuple(
        COURSE + name for name in ("interleaved_to_halves", "interleaved_to_halves_naive", "halves_to_interleaved")
    ),
    hints=(
        "Number the rows of one head. Row 2i makes the first number of pair i, row 2i + 1 the second. Where does "
        "`rotate_halves` look for them?",
        "`weight.unflatten(0, (heads, -1, 2))` names a row by head, pair, and first or second. Which two of these have "
        "to be swapped? `flatten(0, 2)` makes rows of them again.",
        "unflatten the rows into (heads, D/2, 2); swap dimensions 1 and 2; flatten the three into rows again. Or, for "
        "each head: its rows [0::2], then its rows [1::2], and all heads concatenated.",
    ),
)


def scheme(kind: str, amount: float = 0.0):
    """Scores of a named way to put positions in, right or wrong; in float64, so that only what is meant is wrong."""

    def scores(q, k, q_positions, k_positions):
        D = q.shape[-1]
        t, s = q_positions.double(), k_positions.double()
        bias = torch.zeros((), dtype=torch.float64)
        turn_q = turn_k = rotate_interleaved
        base_k = 10000.0
        if kind == "halves":
            turn_q = turn_k = rotate_halves
        elif kind == "mixed":
            turn_k = rotate_halves
        elif kind == "bias":
            bias = -amount * (t[:, None] - s).abs()
        elif kind == "stops":
            t, s = t.clamp(max=amount), s.clamp(max=amount)
        elif kind == "two bases":
            base_k = amount
        elif kind == "index":  # keys from number `amount` on
            s = torch.cat((s[: int(amount)], torch.arange(len(s), dtype=torch.float64)[int(amount) :]))
        angles_q, angles_k = rope_angles(t, D), rope_angles(s, D, base_k)
        if kind == "bfloat16":
            angles_q, angles_k = angles_q.bfloat16().double(), angles_k.bfloat16().double()
        q_, k_ = q.double(), k.double()
        if kind == "absolute":
            table = amount * sinusoidal(5000, D).double()
            q_, k_ = q_ + table[q_positions.long()], k_ + table[k_positions.long()]
        elif kind not in ("ignored", "bias"):
            q_ = turn_q(q_, angles_q)
            k_ = k_ if kind == "queries only" else turn_k(k_, angles_k)
        return (q_ @ k_.transpose(-2, -1) / math.sqrt(D) + bias).to(q.dtype)

    return scores


def _scheme_cases():
    # Each case holds two right schemes too: a test that says the same to all is worth nothing.
    return [
        Case("a table added to queries and keys", {"wrong": "absolute", "amount": 1.0, "rotary": "interleaved"}),
        Case("positions ignored", {"wrong": "ignored", "amount": 0.0, "rotary": "halves"}),
        Case("two conventions mixed", {"wrong": "mixed", "amount": 0.0, "rotary": "interleaved"}),
        Case("positions that stop counting at 1000", {"wrong": "stops", "amount": 1000.0, "rotary": "halves"}),
        Case(
            "all keys but the first counted by their place in the cache",
            {"wrong": "index", "amount": 1.0, "rotary": "interleaved"},
        ),
    ]


def _scheme_act(f, i):
    return {
        "accepts rotary embedding": bool(f(scheme(i["rotary"]))),
        "accepts ALiBi": bool(f(scheme("bias", 0.125))),
        "accepts the wrong one": bool(f(scheme(i["wrong"], i["amount"]))),
    }


relative_test = Exercise(
    name="relative_test",
    title="Write the relative property",
    minutes=15,
    difficulty=3,
    points=4,
    act=_scheme_act,
    visible=_scheme_cases,
    forbids=(COURSE + "is_relative",),
    hints=(
        "Say in one sentence what may not change, and in another what has to. Which of the two does each kind of wrong "
        "scheme break, and at which positions?",
        "`scores(q, k, t + n, s + n)` moves both together, `scores(q, k, t + n, s)` the queries alone. "
        "`torch.allclose(a, b, atol=0.01)` compares. Random q and k; several n, near and far.",
        "random q (T, D) and k (S, D), positions t and s; here = scores at t and s; for n in a few numbers up to "
        "thousands: if scores at t + n and s + n differ from here, return False; finally return whether scores at "
        "t + 3 and s differ from here.",
    ),
)
