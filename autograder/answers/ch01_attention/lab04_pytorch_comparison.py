"""Lab 1.4, the instructor's half: references by other means than the notebook's, hidden cases, misconceptions."""

import numpy as np
import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch01_attention.lab04_pytorch_comparison import (
    INF,
    MEASURED,
    NAN,
    compare_inputs,
    in_torchs_layout,
    layer_state,
    pairs,
    plain,
)
from autograder.exercise import Answer, Case, Misconception


def _error_hidden(seed):
    d = Draw(seed)
    a, b = d.normal(2, 3, 4), d.normal(2, 3, 4)
    low = d.normal(5, dtype=torch.bfloat16)
    small = torch.tensor([3, 7], dtype=torch.uint8)
    return [
        Case("the largest difference is negative", pairs((a - 9, b), (a, b - 9))),
        Case("the same numbers in other shapes", pairs((a, a.reshape(3, 2, 4)), (a, a[:1]), (a, b))),
        Case("empty tensors", pairs((a[:0], b[:0]), (a[:0], b), (b, a))),
        Case("unsigned integers", pairs((small, torch.tensor([5, 6], dtype=torch.uint8)), (small, small))),
        Case("bfloat16 against float32", pairs((low, low.float() + 0.001), (low, low.float()))),
        Case("single numbers", pairs((d.normal(1)[0], d.normal(1)[0]), (NAN, d.normal(1)[0]))),
        Case("NaN and infinity together", pairs(([INF, NAN, 1.0], [INF, NAN, 4.0]), ([NAN], [INF]), (a, b))),
    ]


def _error(a, b):
    if a.shape != b.shape:
        return INF
    worst = 0.0
    for x, y in zip(a.double().flatten().tolist(), b.double().flatten().tolist(), strict=True):
        if x == y or (x != x and y != y):
            continue
        worst = max(worst, abs(x - y) if x == x and y == y else INF)
    return worst


max_error = Answer(
    name="max_error",
    reference=lambda i: {
        f"error of pair {n}": plain(_error(*ab)) for n, ab in enumerate(zip(i["a"], i["b"], strict=True))
    },
    hidden=_error_hidden,
    misconceptions=(
        Misconception(
            "the-usual-line",
            "the measure is the usual (a - b).abs().max(), with all its holes: it broadcasts, it turns NaN and equal "
            "infinities into NaN, and it wraps unsigned integers",
            code="def max_error(a, b):\n    return float((a - b).abs().max())\n",
        ),
        Misconception(
            "broadcasts",
            "shapes are not compared, so that tensors of different shapes are broadcast against each other",
            edits=(("if a.shape != b.shape:", "if a.numel() == 0 != b.numel():"),),
        ),
        Misconception(
            "nan-ignored",
            "a NaN counts as no difference",
            edits=(('error.masked_fill(error.isnan(), float("inf"))', "error.masked_fill(error.isnan(), 0.0)"),),
        ),
        Misconception(
            "nan-never-equal",
            "a NaN in the same place of both counts as different",
            edits=(("(a == b) | (a.isnan() & b.isnan())", "a == b"),),
        ),
        Misconception(
            "infinities-never-equal",
            "equal infinities count as different, since their difference is NaN",
            edits=(("(a == b) | (a.isnan() & b.isnan())", "a.isnan() & b.isnan()"),),
        ),
        Misconception(
            "signed", "the sign of the difference is kept, so that only a > b counts", edits=((".abs()", ""),)
        ),
        Misconception("mean", "the differences are averaged", edits=(("error.max()", "error.mean()"),)),
        Misconception(
            "not-in-float64",
            "the difference is taken in the tensors' own dtype, so that unsigned integers wrap around",
            edits=(("a.detach().double(), b.detach().double()", "a.detach(), b.detach()"),),
        ),
    ),
)


def _state_hidden(seed):
    d = Draw(seed)
    loose = {name: p.t().contiguous().t() if p.ndim == 2 else p for name, p in layer_state(d, 5).items()}
    return [
        Case("an odd width", {"state": layer_state(d, 7)}),
        Case("float64", {"state": layer_state(d, 4, torch.float64)}),
        Case("non-contiguous weights", {"state": loose}),
        Case("names in another order", {"state": dict(reversed(layer_state(d, 3).items()))}),
    ]


def _state_reference(i):
    arrays = {name: p.numpy() for name, p in i["state"].items()}
    packed = {
        "in_proj_weight": np.vstack([arrays["W_q.weight"], arrays["W_k.weight"], arrays["W_v.weight"]]),
        "in_proj_bias": np.hstack([arrays["W_q.bias"], arrays["W_k.bias"], arrays["W_v.bias"]]),
    }
    packed = {name: torch.from_numpy(a) for name, a in packed.items()}
    return packed | {"out_proj.weight": i["state"]["W_o.weight"], "out_proj.bias": i["state"]["W_o.bias"]}


_WEIGHTS = 'torch.cat([state[f"W_{n}.weight"] for n in "qkv"])'
_BIASES = 'torch.cat([state[f"W_{n}.bias"] for n in "qkv"])'
to_torch_state = Answer(
    name="to_torch_state",
    reference=_state_reference,
    hidden=_state_hidden,
    misconceptions=(
        *(
            Misconception(
                name,
                f"the rows stand in the order {told}",
                edits=((_WEIGHTS, _WEIGHTS.replace('"qkv"', order)), (_BIASES, _BIASES.replace('"qkv"', order))),
            )
            for name, told, order in (
                ("keys-first", "keys, queries, values", '"kqv"'),
                ("values-before-keys", "queries, values, keys", '"qvk"'),
                ("values-first", "values, keys, queries", '"vkq"'),
            )
        ),
        Misconception(
            "side-by-side",
            "the matrices are joined along their second dimension",
            edits=((_WEIGHTS, _WEIGHTS.replace("])", "], dim=1)")),),
        ),
        Misconception(
            "transposed",
            "each weight is transposed, as if one layer computed x @ weight and the other x @ weight.T",
            edits=(
                (_WEIGHTS, _WEIGHTS.replace('.weight"]', '.weight"].T')),
                ('"out_proj.weight": state["W_o.weight"]', '"out_proj.weight": state["W_o.weight"].T'),
            ),
        ),
        Misconception(
            "row-by-row",
            "the rows of queries, keys and values take turns instead of standing in three blocks",
            edits=(
                (_WEIGHTS, _WEIGHTS.replace("torch.cat", "torch.stack").replace("])", "], dim=1).flatten(0, 1)")),
                (_BIASES, _BIASES.replace("torch.cat", "torch.stack").replace("])", "], dim=1).flatten()")),
            ),
        ),
        Misconception(
            "biases-in-another-order",
            "the biases do not stand in the order of the weights",
            edits=((_BIASES, _BIASES.replace('"qkv"', '"kqv"')),),
        ),
    ),
)


def _mask_hidden(seed):
    d = Draw(seed)
    return [
        Case("one query", {"mask": d.chance(0.5, 2, 1, 1, 6), "shape": [2, 3, 1, 6]}),
        Case("one mask a sequence, five heads", {"mask": d.chance(0.5, 3, 1, 2, 4), "shape": [3, 5, 2, 4]}),
        Case("one mask a head, for all sequences", {"mask": d.chance(0.5, 3, 4, 3), "shape": [2, 3, 4, 3]}),
        Case("a non-contiguous mask", {"mask": transposed(d.chance(0.5, 2, 2, 5, 3)), "shape": [2, 2, 5, 3]}),
        Case("as many sequences as heads", {"mask": d.chance(0.5, 3, 3, 4, 4), "shape": [3, 3, 4, 4]}),
    ]


def _mask_reference(i):
    B, H, T, S = i["shape"]
    seen = np.broadcast_to(i["mask"].numpy(), i["shape"])
    hidden = np.empty((B * H, T, S), dtype=bool)
    for row in range(B * H):
        hidden[row] = ~seen[row // H, row % H]
    return {"attn_mask": torch.from_numpy(hidden)}


_MASK = "(~mask).expand(B, H, T, S).reshape(B * H, T, S)"
torch_mask = Answer(
    name="torch_mask",
    reference=_mask_reference,
    hidden=_mask_hidden,
    misconceptions=(
        Misconception("not-inverted", "True still means that a key may be seen", edits=(("(~mask)", "mask"),)),
        Misconception(
            "heads-before-batch",
            "row h*B + b is head h of sequence b: the heads come first, so that sequences get each other's masks",
            edits=((_MASK, "(~mask).expand(B, H, T, S).transpose(0, 1).reshape(B * H, T, S)"),),
        ),
        Misconception(
            "first-head-for-all",
            "every head gets the mask of head 0",
            edits=((_MASK, "(~mask).expand(B, H, T, S)[:, :1].expand(B, H, T, S).reshape(B * H, T, S)"),),
        ),
        Misconception(
            "first-sequence-for-all",
            "every sequence gets the mask of sequence 0",
            edits=((_MASK, "(~mask).expand(B, H, T, S)[:1].expand(B, H, T, S).reshape(B * H, T, S)"),),
        ),
        Misconception(
            "four-dimensions",
            "batch and heads are not joined into one dimension",
            edits=((".reshape(B * H, T, S)", ""),),
        ),
    ),
)


def _additive_hidden(seed):
    d = Draw(seed)
    one_blind = torch.arange(3)[:, None] > d.integers(0, 2, 4)  # row 0 sees no key, row 2 sees all
    return [
        Case("a row with nothing to see", {"mask": one_blind, "dtype": "float32"}),
        Case("float64", {"mask": d.chance(0.5, 4, 6), "dtype": "float64"}),
        Case("float16", {"mask": d.chance(0.5, 2, 3, 4), "dtype": "float16"}),
        Case("a non-contiguous mask", {"mask": transposed(d.chance(0.5, 5, 3)), "dtype": "float32"}),
    ]


additive_mask = Answer(
    name="additive_mask",
    reference=lambda i: {
        "is minus infinity": i["mask"].logical_not(),
        "added where a key may be seen": torch.zeros(i["mask"].shape, dtype=getattr(torch, i["dtype"])),
    },
    hidden=_additive_hidden,
    misconceptions=(
        Misconception(
            "zero-times-infinity",
            "the mask is multiplied by minus infinity, and 0 · ∞ is NaN",
            edits=(('.masked_fill(~mask, float("-inf"))', ' + (~mask) * float("-inf")'),),
        ),
        Misconception(
            "ones-and-zeros",
            "the mask is only converted to numbers: it adds 1 to the keys that may be seen and hides none",
            code="def additive_mask(mask, dtype):\n    return mask.to(dtype)\n",
        ),
        Misconception("inverted", "the keys that may be seen get minus infinity", edits=(("~mask", "mask"),)),
        Misconception(
            "large-but-finite",
            "a large finite number stands in for minus infinity, so that a row of nothing else becomes an even blend",
            code="def additive_mask(mask, dtype):\n    return torch.where(mask, 0.0, -1e9).to(dtype)\n",
        ),
        Misconception(
            "dtype-ignored",
            "the result is float32 whatever dtype is asked for",
            edits=(("dtype=dtype", "dtype=None"),),
        ),
    ),
)


def _compare_hidden(seed):
    d = Draw(seed)
    each_head = d.chance(0.5, 2, 3, 4, 4) | torch.eye(4, dtype=torch.bool)  # every query sees itself at least
    both = torch.ones(6, 6, dtype=torch.bool).tril() & (torch.arange(6) < d.integers(1, 7, 3, 1, 1, 1))
    return [
        Case("other input biases", compare_inputs(d, 2, 3, 6, 2, "in_proj_bias")),
        Case("one position", compare_inputs(d, 2, 1, 4, 2, "in_proj_weight")),
        Case("one head, causal and padded", compare_inputs(d, 3, 6, 5, 1, "in_proj_weight", both)),
        Case("a mask for each head", compare_inputs(d, 2, 4, 9, 3, "out_proj.weight", each_head)),
        Case("five heads", compare_inputs(d, 1, 3, 10, 5, "in_proj_bias", torch.ones(3, 3, dtype=torch.bool).tril())),
    ]


def _run(state, i, upstream):
    leaves = {"x": i["x"], **state}
    leaves = {name: value.detach().clone().requires_grad_() for name, value in leaves.items()}
    C, H = i["x"].shape[-1], i["heads"]
    W, b = leaves["in_proj_weight"].view(3, H, C // H, C), leaves["in_proj_bias"].view(3, 1, H, 1, C // H)
    q, k, v = torch.einsum("btc,nhdc->nbhtd", leaves["x"], W) + b
    e = (torch.einsum("bhtd,bhsd->bhts", q, k) / (C // H) ** 0.5).exp()
    e = e if i["mask"] is None else e * i["mask"]
    weights = e / e.sum(-1, keepdim=True)
    out = torch.einsum("bhts,bhsd,mhd->btm", weights, v, leaves["out_proj.weight"].view(C, H, C // H))
    out = out + leaves["out_proj.bias"]
    grads = torch.autograd.grad(out, list(leaves.values()), upstream)
    return {"out": out, "weights": weights, **dict(zip(leaves, grads, strict=True))}


def _compare_reference(i):
    same = in_torchs_layout(i["state"])
    nudged = {**same, i["nudge"]: same[i["nudge"]] + i["by"]}
    ours, theirs = (_run(state, i, i["upstream"].flip(1)) for state in (same, nudged))
    equal = {f"{name} (equal layers)": plain(0.0) for name in MEASURED}
    return equal | {f"{n} (unequal layers)": plain((ours[n] - theirs[n]).detach().abs().max()) for n in MEASURED}


compare = Answer(
    name="compare",
    reference=_compare_reference,
    hidden=_compare_hidden,
    misconceptions=(
        Misconception(
            "one-input-for-both",
            "both layers get the same copy of x: its gradient adds up both, and is compared with itself",
            edits=(
                (
                    "a, b = (x.detach().clone().requires_grad_() for _ in range(2))",
                    "a = b = x.detach().clone().requires_grad_()",
                ),
            ),
        ),
        Misconception(
            "gradients-add-up",
            "the parameters' gradients are not cleared, so that a second comparison holds the first one's too",
            edits=(("    ours.zero_grad()\n", ""), ("    theirs.zero_grad()\n", "")),
        ),
        Misconception(
            "averaged-weights",
            "PyTorch's weights are averaged over the heads, and have another shape than yours",
            edits=((", average_attn_weights=False", ""),),
        ),
        Misconception(
            "mask-not-inverted",
            "the mask goes to PyTorch as it is, where True means the opposite",
            edits=(("hide(mask, (B, theirs.num_heads, T, T))", "~hide(mask, (B, theirs.num_heads, T, T))"),),
        ),
        Misconception("mask-dropped", "PyTorch's layer gets no mask", edits=(("attn_mask=hidden, ", ""),)),
        Misconception(
            "upstream-dropped",
            "the gradient of the outputs' sum is taken instead of the given upstream gradient",
            edits=(
                ("    out.backward(upstream)", "    out.sum().backward()"),
                ("their_out.backward(upstream)", "their_out.sum().backward()"),
            ),
        ),
        Misconception(
            "weights-for-gradients",
            "the parameters themselves are compared instead of their gradients",
            edits=(
                ("{name: p.grad for name, p in ours", "{name: p for name, p in ours"),
                ("gap(packed[name], p.grad)", "gap(packed[name], p)"),
            ),
        ),
        Misconception(
            "forward-only",
            "the gradients are never compared and called equal",
            edits=(("gap(a.grad, b.grad)", "0.0"), ("gap(packed[name], p.grad)", "0.0")),
        ),
    ),
)


def _probe_hidden(seed):
    d = Draw(seed)
    holes = d.chance(0.5, 4, 6)
    holes[2] = False
    one = d.chance(0.5, 1, 6)
    one[0, 4], one[0, 5] = True, False  # not what is_causal shows, and not everything
    return [
        Case("one query, many keys", {"mask": one, "sharpness": 1.0}),
        Case("more queries than keys", {"mask": d.chance(0.5, 7, 3), "sharpness": 1.0}),
        Case("a query that sees nothing", {"mask": holes, "sharpness": 1.0}),
        Case("many keys, far apart", {"mask": d.chance(0.5, 5, 40), "sharpness": 300.0}),
    ]


def _probe_reference(i):
    T, S = i["mask"].shape
    top_left = torch.arange(T)[:, None] >= torch.arange(S)  # as PyTorch documents it
    return {"seen with is_causal=True": top_left, "seen through a given mask": i["mask"]}


_PROBE = "attend(Q, K, torch.eye(S)) > 0"
visible_keys = Answer(
    name="visible_keys",
    reference=_probe_reference,
    hidden=_probe_hidden,
    misconceptions=(
        Misconception(
            "top-left-believed",
            "the attention is never called: a triangle from the first key on is returned",
            code="def visible_keys(attend, T, S):\n    return torch.ones(T, S, dtype=torch.bool).tril()\n",
        ),
        Misconception(
            "bottom-right-believed",
            "the attention is never called: a triangle that ends at the last key is returned",
            code="def visible_keys(attend, T, S):\n    return torch.ones(T, S, dtype=torch.bool).tril(S - T)\n",
        ),
        Misconception(
            "values-of-ones",
            "all values are one: every blend is one, whatever was seen",
            edits=((_PROBE, "attend(Q, K, torch.ones(S, S)) > 0"),),
        ),
        Misconception(
            "random-queries",
            "queries and keys are random, so that a key in sight can weigh so little that it rounds to zero",
            edits=(
                (
                    "Q, K = torch.zeros(T, 8), torch.zeros(S, 8)",
                    "Q, K = torch.arange(8.0 * T).sin().view(T, 8), torch.arange(8.0 * S).cos().view(S, 8)",
                ),
            ),
        ),
        Misconception(
            "threshold-too-high",
            "a key counts as seen only if it has more than an even share of the weight",
            edits=((_PROBE, "attend(Q, K, torch.eye(S)) > 1 / S"),),
        ),
    ),
)
