"""Lab 1.4, the student's half: how the measure, the translations, the comparison and the probe are driven."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise
from source.attention.dot_product import attention
from source.attention.multi_head import MultiHeadAttention

INF, NAN = float("inf"), float("nan")


def plain(value):
    """A float in a list, infinities and NaN as words: no finite number must count as near an infinite one."""
    value = float(value)
    return [value if math.isfinite(value) else str(value)]


def pairs(*given):
    """Pairs of tensors, each an ordinary one or a trap: a measure that always says the same is right on none."""
    return {"a": [torch.as_tensor(a) for a, _ in given], "b": [torch.as_tensor(b) for _, b in given]}


def _error_cases():
    d = Draw(401)
    a, b = d.normal(3, 4), d.normal(3, 4)
    return [
        Case("by hand", pairs(([1.0, 2.0], [1.5, 1.0]), ([3.0], [3.0]), ([-4.0, 0.0], [0.0, 1.0]))),
        Case("shapes that broadcast", pairs((torch.ones(3, 1), torch.ones(3)), (torch.ones(1), torch.ones(4)), (a, b))),
        Case("NaN in one, NaN in both", pairs(([1.0, NAN], [1.0, 2.0]), ([2.0, NAN], [1.0, NAN]), (b, a))),
        Case("infinities", pairs(([0.5, -INF], [0.0, -INF]), ([INF], [-INF]), ([INF], [7.0]))),
    ]


max_error = Exercise(
    name="max_error",
    title="A measure that hides nothing",
    minutes=8,
    difficulty=2,
    points=3,
    act=lambda f, i: {f"error of pair {n}": plain(f(*ab)) for n, ab in enumerate(zip(i["a"], i["b"], strict=True))},
    visible=_error_cases,
    forbids=("source.attention.against_torch.max_error",),
    hints=(
        "Settle the cases one at a time: shapes first; then the entries that count as the same; then what is left.",
        "`a.isnan() & b.isnan()` finds the places where both are NaN; `torch.where(same, 0.0, difference)` clears the "
        "places that are the same; `masked_fill` turns what is NaN after that into infinity.",
        "other shapes: inf; go to float64; same = equal or both NaN; error = 0 where same, else |a - b|; NaN left in "
        "error becomes inf; return the largest, or 0 if there is none.",
    ),
)


def layer_state(d: Draw, width: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random weights and biases under the names of lab 1.3."""
    state = {f"W_{n}.weight": d.normal(width, width, dtype=dtype, scale=width**-0.5) for n in "qkvo"}
    return state | {f"W_{n}.bias": d.normal(width, dtype=dtype, scale=0.5) for n in "qkvo"}


def _state_cases():
    d = Draw(402)
    by_hand = {f"W_{n}.weight": torch.tensor([[10.0, 11], [12, 13]]) + 10 * i for i, n in enumerate("qkvo")}
    by_hand |= {f"W_{n}.bias": torch.tensor([0.1, 0.2]) + i for i, n in enumerate("qkvo")}
    return [Case("width 2, to read off", {"state": by_hand}), Case("width 6", {"state": layer_state(d, 6)})]


TORCH_NAMES = ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")


def _state_act(f, i):
    packed = f(dict(i["state"]))
    if not isinstance(packed, dict):
        raise WrongType(f"your function returned a {type(packed).__name__}, not a dict")
    if set(packed) != set(TORCH_NAMES):
        raise WrongType(f"your names are {', '.join(map(str, packed))}; PyTorch's are {', '.join(TORCH_NAMES)}")
    return {name: packed[name] for name in TORCH_NAMES}


to_torch_state = Exercise(
    name="to_torch_state",
    title="Pack the weights",
    minutes=7,
    difficulty=1,
    points=3,
    act=_state_act,
    visible=_state_cases,
    shapes={"in_proj_weight": "(3C, C)", "in_proj_bias": "(3C,)", "out_proj.weight": "(C, C)", "out_proj.bias": "(C,)"},
    forbids=("source.attention.against_torch.to_torch_state",),
    hints=(
        "Queries first, then keys, then values: which dimension of a (C, C) matrix grows to 3C?",
        "`torch.cat([...])` joins tensors along their first dimension, matrices and vectors alike.",
        "in_proj_weight = cat of the weights of W_q, W_k, W_v; in_proj_bias = cat of their biases; out_proj = W_o.",
    ),
)


def _mask_cases():
    d = Draw(403)
    padding = torch.arange(4) < torch.tensor([4, 2, 3]).view(3, 1, 1, 1)
    return [
        Case("a causal mask for all", {"mask": torch.ones(3, 3, dtype=torch.bool).tril(), "shape": [2, 2, 3, 3]}),
        Case("padded keys", {"mask": padding, "shape": [3, 2, 5, 4]}),
        Case("a mask for each head", {"mask": d.chance(0.5, 2, 3, 4, 5), "shape": [2, 3, 4, 5]}),
    ]


torch_mask = Exercise(
    name="torch_mask",
    title="Turn a mask into PyTorch's",
    minutes=9,
    difficulty=2,
    points=3,
    act=lambda f, i: {"attn_mask": f(i["mask"], tuple(i["shape"]))},
    visible=_mask_cases,
    shapes={"attn_mask": "(B*H, T, S)"},
    forbids=("source.attention.against_torch.torch_mask",),
    hints=(
        "Two things change: what True means, and the shape. What shape has a mask that says everything by itself?",
        "`expand(B, H, T, S)` repeats without copying; `reshape(B * H, T, S)` then joins the first two dimensions, "
        "batch before heads.",
        "invert the mask; expand it to (B, H, T, S); reshape it to (B * H, T, S).",
    ),
)


def _additive_cases():
    d = Draw(404)
    return [
        Case("one key seen, one not", {"mask": torch.tensor([True, False]), "dtype": "float32"}),
        Case("a causal mask", {"mask": torch.ones(4, 4, dtype=torch.bool).tril(), "dtype": "float32"}),
        Case("a batch of masks in bfloat16", {"mask": d.chance(0.5, 2, 1, 3, 5), "dtype": "bfloat16"}),
    ]


def _additive_act(f, i):
    added = f(i["mask"], getattr(torch, i["dtype"]))
    if not isinstance(added, torch.Tensor):
        raise WrongType(f"your function returned a {type(added).__name__}, not a tensor")
    # Apart, so that a large finite number is not taken for an infinite one.
    seen = added.masked_fill(~i["mask"], 0) if added.shape == i["mask"].shape else added
    return {"is minus infinity": added == -INF, "added where a key may be seen": seen}


additive_mask = Exercise(
    name="additive_mask",
    title="A mask to add",
    minutes=5,
    difficulty=1,
    points=2,
    act=_additive_act,
    visible=_additive_cases,
    hints=(
        "Zero times infinity is NaN. Can you build it without multiplying?",
        "`torch.zeros(shape, dtype=dtype)` and `masked_fill(where, float('-inf'))`.",
        "zeros of the mask's shape in the given dtype; fill with -inf where the mask is False.",
    ),
)


def compare_inputs(d: Draw, B: int, T: int, C: int, heads: int, nudge: str, mask: torch.Tensor | None = None) -> dict:
    """Weights, an input, and the parameter of PyTorch's layer that is moved for the second comparison."""
    return {
        "x": d.normal(B, T, C, dtype=torch.float64),
        "upstream": d.normal(B, T, C, dtype=torch.float64),
        "mask": mask,
        "heads": heads,
        "state": layer_state(d, C, torch.float64),
        "nudge": nudge,
        "by": float(d.rng.uniform(0.1, 0.3)),
    }


def _compare_cases():
    d = Draw(405)
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    padding = (torch.arange(5) < torch.tensor([5, 3])[:, None]).view(2, 1, 1, 5)
    return [
        Case("no mask, another output bias", compare_inputs(d, 2, 3, 4, 2, "out_proj.bias")),
        Case("causal mask, other input weights", compare_inputs(d, 2, 4, 6, 3, "in_proj_weight", causal)),
        Case("padded keys, other output weights", compare_inputs(d, 2, 5, 8, 2, "out_proj.weight", padding)),
    ]


def in_torchs_layout(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a case, stacked as nn.MultiheadAttention stores them."""
    C = state["W_q.bias"].shape[0]
    weight, bias = torch.empty(3, C, C, dtype=torch.float64), torch.empty(3, C, dtype=torch.float64)
    for n, name in enumerate("qkv"):
        weight[n], bias[n] = state[f"W_{name}.weight"], state[f"W_{name}.bias"]
    ours = {"in_proj_weight": weight.view(3 * C, C), "in_proj_bias": bias.view(3 * C)}
    return ours | {"out_proj.weight": state["W_o.weight"], "out_proj.bias": state["W_o.bias"]}


MEASURED = ("out", "weights", "x", *TORCH_NAMES)


def _compare_act(f, i):
    C = i["x"].shape[-1]
    ours = MultiHeadAttention(C, i["heads"]).double()
    ours.load_state_dict(i["state"])
    theirs = nn.MultiheadAttention(C, i["heads"], batch_first=True, dtype=torch.float64)
    same = in_torchs_layout(i["state"])
    outputs = {}
    nudged = {**same, i["nudge"]: same[i["nudge"]] + i["by"]}
    # Twice with the same two layers: gradients left over from the unequal time would show in the equal one.
    for told, state, upstream in (("unequal", nudged, i["upstream"].flip(1)), ("equal", same, i["upstream"])):
        theirs.load_state_dict(state)
        errors = f(ours, theirs, i["x"], i["mask"], upstream)
        if not isinstance(errors, dict) or set(errors) != set(MEASURED):
            named = ", ".join(map(str, errors)) if isinstance(errors, dict) else type(errors).__name__
            raise WrongType(f"expected a dict with {', '.join(MEASURED)}; yours: {named}")
        outputs |= {f"{name} ({told} layers)": plain(errors[name]) for name in MEASURED}
    return outputs


compare = Exercise(
    name="compare",
    title="Compare forward and backward",
    minutes=15,
    difficulty=3,
    points=4,
    act=_compare_act,
    visible=_compare_cases,
    forbids=("source.attention.against_torch.compare",),
    hints=(
        "Follow one tensor at a time: the input goes into each layer as its own copy; the upstream gradient goes into "
        "each output; where do the gradients lie after that, and under which names?",
        "`theirs(b, b, b, attn_mask=..., average_attn_weights=False)` gives the output and the weights (B, H, T, S); "
        "`out.backward(upstream)` fills `.grad` of the input copy and of every parameter.",
        "zero both layers' gradients; two copies of x that require gradients; run both; backward both; gap of outputs, "
        "of weights, of the two copies' .grad; pack ours' parameter gradients and gap them with theirs by name.",
    ),
)


def _probe_cases():
    d = Draw(406)
    window = torch.ones(5, 5, dtype=torch.bool).tril() & torch.ones(5, 5, dtype=torch.bool).triu(-1)
    return [
        Case("as many queries as keys", {"mask": window, "sharpness": 1.0}),
        Case("fewer queries than keys", {"mask": d.chance(0.5, 3, 6), "sharpness": 1.0}),
        Case("scores that are far apart", {"mask": torch.ones(3, 5, dtype=torch.bool).tril(2), "sharpness": 500.0}),
    ]


def _probe_act(f, i):
    T, S = i["mask"].shape

    def causal(Q, K, V):
        return F.scaled_dot_product_attention(i["sharpness"] * Q[None], K[None], V[None], is_causal=True)[0]

    def masked(Q, K, V):
        return attention(i["sharpness"] * Q, K, V, i["mask"])[0]

    return {"seen with is_causal=True": f(causal, T, S), "seen through a given mask": f(masked, T, S)}


visible_keys = Exercise(
    name="visible_keys",
    title="Which keys does it see?",
    minutes=8,
    difficulty=2,
    points=3,
    act=_probe_act,
    visible=_probe_cases,
    shapes={"seen with is_causal=True": "(T, S)", "seen through a given mask": "(T, S)"},
    forbids=("source.attention.inspection.visible_keys",),
    hints=(
        "The output is weights @ V. For which matrix V is a product equal to its left factor?",
        "`torch.eye(S)` as V makes the output the weights. Queries of zeros give every key the same score.",
        "call attend with zeros (T, D), zeros (S, D) and the identity (S, S); return where the result is above 0.",
    ),
)
