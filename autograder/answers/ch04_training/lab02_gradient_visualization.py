"""Lab 4.2, the instructor's half: references by formulas and by autograd.functional, hidden cases, misconceptions."""

import math

import numpy as np
import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch04_training.lab02_gradient_visualization import (
    Net,
    attention_inputs,
    checker_inputs,
    probe_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _gains_hidden(seed):
    d = Draw(seed)
    a, b, c = (0.5 + d.rng.random(3)).tolist()
    return [
        Case("GELU, scaled", {"name": "gelu", "scale": a, "slope": 0.0}),
        Case("SiLU, turned over", {"name": "silu", "scale": -b, "slope": 0.0}),
        Case("hard tanh", {"name": "hardtanh", "scale": c, "slope": 0.0}),
        Case("tanh with a mean that is not zero", {"name": "shifted", "scale": 1.0, "slope": b}),
        Case("the third power", {"name": "cube", "scale": a, "slope": 0.0}),
    ]


def _gains_reference(i):
    # Another table, five times finer and wider, and the slopes by hand.
    z = -10 + 0.0005 * (np.arange(40_000) + 0.5)
    shares = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    erf = torch.erf(torch.from_numpy(z / math.sqrt(2))).numpy()
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    logistic, slope, th = 1 / (1 + np.exp(-z)), i["slope"], np.tanh(z)
    value, derivative = {
        "identity": (z, np.ones_like(z)),
        "relu": (z * (z > 0), (z > 0) * 1.0),
        "leaky": (z * np.where(z > 0, 1.0, slope), np.where(z > 0, 1.0, slope)),
        "tanh": (th, 1 - th**2),
        "gelu": (z * (1 + erf) / 2, (1 + erf) / 2 + z * density),
        "silu": (z * logistic, logistic + z * logistic * (1 - logistic)),
        "hardtanh": (np.clip(z, -1, 1), (np.abs(z) < 1) * 1.0),
        "shifted": (th + slope, 1 - th**2),
        "cube": (z**3, 3 * z**2),
    }[i["name"]]
    sizes = [math.sqrt(float((shares * part**2).sum())) * abs(i["scale"]) for part in (value, derivative)]
    return {"forward gain": 1 / sizes[0], "backward gain": 1 / sizes[1]}


_FORWARD = "forward = (SHARES * a.detach().square()).sum()"
_BACKWARD = "backward = (SHARES * slope.square()).sum()"
_GRAD = "(slope,) = torch.autograd.grad(a.sum(), z)"
_GAINS = "return 1 / forward.sqrt().item(), 1 / backward.sqrt().item()"
gains = Answer(
    name="gains",
    reference=_gains_reference,
    hidden=_gains_hidden,
    misconceptions=(
        Misconception(
            "variance",
            "the variance of the activation is taken instead of its mean square: the mean is left out, which the next "
            "layer sees all the same",
            edits=(
                (
                    _FORWARD,
                    "mean = (SHARES * a.detach()).sum()\n    forward = (SHARES * (a.detach() - mean).square()).sum()",
                ),
            ),
        ),
        Misconception(
            "no-root",
            "the root is missing: squares of gains are returned",
            edits=((_GAINS, "return 1 / forward.item(), 1 / backward.item()"),),
        ),
        Misconception(
            "not-inverted",
            "the size itself is returned, not one over it: that gain makes it worse",
            edits=((_GAINS, "return forward.sqrt().item(), backward.sqrt().item()"),),
        ),
        Misconception(
            "points-not-weighted",
            "all points of the table count alike: their shares are not used",
            edits=(
                (_FORWARD, "forward = a.detach().square().mean()"),
                (_BACKWARD, "backward = slope.square().mean()"),
            ),
        ),
        Misconception(
            "weighted-inside",
            "the shares are inside the sum that is differentiated, so that each slope is multiplied by its "
            "share before it "
            "is squared",
            edits=((_GRAD, "(slope,) = torch.autograd.grad((SHARES * a).sum(), z)"),),
        ),
        Misconception(
            "absolute-values",
            "the mean of absolute values is taken instead of the mean of squares",
            edits=(
                (_FORWARD, "forward = (SHARES * a.detach().abs()).sum().square()"),
                (_BACKWARD, "backward = (SHARES * slope.abs()).sum().square()"),
            ),
        ),
        Misconception(
            "mean-slope",
            "the mean slope is squared, instead of the mean taken of the squared slope",
            edits=((_BACKWARD, "backward = (SHARES * slope).sum().square()"),),
        ),
        Misconception(
            "order-swapped",
            "the two gains come in the wrong order",
            edits=((_GAINS, "return 1 / backward.sqrt().item(), 1 / forward.sqrt().item()"),),
        ),
        Misconception(
            "forward-twice",
            "the forward gain is returned for both",
            edits=((_GAINS, "return 1 / forward.sqrt().item(), 1 / forward.sqrt().item()"),),
        ),
        Misconception(
            "slope-at-zero",
            "the slope at 0 is taken for the slope everywhere",
            edits=((_BACKWARD, "backward = slope[len(slope) // 2].square()"),),
        ),
    ),
)


def _probe_hidden(seed):
    d = Draw(seed)
    return [
        Case("all modules", probe_inputs(d, 3, 4, 2, ["last", "block", "block.0", "block.1", "first", "aside"])),
        Case("a block called five times, in two passes", probe_inputs(d, 2, 3, 2, ["block.0"], times=5, runs="twice")),
        Case("no names", probe_inputs(d, 2, 3, 2, [])),
        Case("one row", probe_inputs(d, 1, 5, 1, ["first", "block.1"], times=2)),
        Case(
            "three calls, without gradients first",
            probe_inputs(d, 2, 4, 3, ["block", "aside"], times=3, runs="without gradients first"),
        ),
        Case(
            "a run that raises, with calls repeated",
            probe_inputs(d, 2, 3, 2, ["block", "never"], times=2, runs="raises"),
        ),
    ]


def _probe_reference(i):
    # The chain by hand: each tensor between two modules, and its gradient by the rules of a linear map and of tanh.
    W1, W2, W3 = (i[name].double() for name in ("first", "inner", "last"))
    x = i["x"] @ W1.T
    between = [x]  # what enters each call of the block, and at the end what leaves the last
    for _ in range(i["times"]):
        between.append(torch.tanh(between[-1] @ W2.T))
    passes = {"once": [1], "twice": [1, 2], "without gradients first": [None, 1], "raises": [1]}[i["runs"]]
    norms = {name: [] for name in ("first", "block", "block.0", "block.1", "aside", "never", "last")}
    totals = {"first": torch.zeros_like(W1), "inner": torch.zeros_like(W2), "last": torch.zeros_like(W3)}
    for factor in passes:
        if factor is None:
            for name, calls in (
                ("first", 1),
                ("last", 1),
                ("aside", 1),
                *((n, i["times"]) for n in ("block", "block.0", "block.1")),
            ):
                norms[name] += [0.0] * calls
            continue
        up = i["upstream"] * factor
        norms["last"].append(up.norm().item())
        norms["aside"].append(0.0)
        totals["last"] += up.T @ between[-1]
        g, outer, inside = up @ W3, [], []
        for step in range(i["times"], 0, -1):
            outer.append(g.norm().item())
            g = g * (1 - between[step] ** 2)
            inside.append(g.norm().item())
            totals["inner"] += g.T @ between[step - 1]
            g = g @ W2
        norms["block"] += outer[::-1]
        norms["block.1"] += outer[::-1]
        norms["block.0"] += inside[::-1]
        norms["first"].append(g.norm().item())
        totals["first"] += g.T @ i["x"]
    outputs = {}
    if i["runs"] == "raises":
        outputs["the error is passed on"] = True
    else:
        outputs |= {f"norms at {name}": norms[name] for name in i["names"]}
    outputs |= {"calls of run": 1, "hooks that are left": 0}
    order = [name for name, _ in Net(W1, W2, W3, 1).named_parameters()]
    found = {"first.weight": totals["first"], "block.0.weight": totals["inner"], "last.weight": totals["last"]}
    return outputs | {f"gradient of {name}": found[name] for name in order}


_KEEP = "norms[name][place] = gradient.norm().item()"
_APPEND = "norms[name].append(0.0)"
_FINALLY = "    finally:\n        for handle in handles:\n            handle.remove()\n"
_REGISTER = "output.register_hook(keep)"
output_gradients = Answer(
    name="output_gradients",
    reference=_probe_reference,
    hidden=_probe_hidden,
    misconceptions=(
        Misconception(
            "hooks-left",
            "the hooks are not taken out again",
            edits=((_FINALLY, "    finally:\n        pass\n"),),
        ),
        Misconception(
            "hooks-left-after-an-error",
            "the hooks are taken out at the end, but not when run raises",
            edits=(
                ("    try:\n        for name in names:", "    if True:\n        for name in names:"),
                (_FINALLY, "    for handle in handles:\n        handle.remove()\n"),
            ),
        ),
        Misconception(
            "error-swallowed",
            "an error of run is caught and not passed on",
            edits=(("    finally:\n", "    except Exception:\n        pass\n    finally:\n"),),
        ),
        Misconception(
            "last-call-alone",
            "only one number is kept for each module: a later call overwrites an earlier one",
            edits=(
                (_APPEND, "norms[name] = norms[name] or [0.0]"),
                (_KEEP, "norms[name][0] = gradient.norm().item()"),
            ),
        ),
        Misconception(
            "order-of-arrival",
            "the numbers are appended when the gradients arrive, which is from the last call to the first; "
            "calls without a "
            "gradient are missing",
            edits=((_APPEND, "pass"), (_KEEP, "norms[name].append(gradient.norm().item())")),
        ),
        Misconception(
            "calls-without-gradient-missing",
            "a call that no gradient can reach gets no entry",
            edits=((_APPEND, "norms[name] += [0.0] if output.requires_grad else []"),),
        ),
        Misconception(
            "inputs-gradient",
            "the gradient of the module's input is measured instead of its output's",
            edits=(
                ("if output.requires_grad:", "if inputs[0].requires_grad:"),
                (_REGISTER, "inputs[0].register_hook(keep)"),
            ),
        ),
        Misconception(
            "gradient-replaced",
            "the hook returns a tensor, which replaces the gradient: the modules before get another one",
            edits=(
                (
                    _KEEP,
                    "norms[name][place] = gradient.norm().item()\n                return gradient / gradient.norm()",
                ),
            ),
        ),
        Misconception(
            "requires-grad-not-asked",
            "a hook is put on every output, also on one that has no gradient to wait for, which raises an error",
            edits=(("if output.requires_grad:", "if True:"),),
        ),
        Misconception(
            "squared",
            "the root is missing: squares of norms are returned",
            edits=((_KEEP, "norms[name][place] = gradient.square().sum().item()"),),
        ),
        Misconception(
            "root-mean-square",
            "the root of the mean square is returned instead of the norm",
            edits=((_KEEP, "norms[name][place] = gradient.square().mean().sqrt().item()"),),
        ),
        Misconception(
            "mean-over-rows",
            "the norm is taken row by row and averaged",
            edits=((_KEEP, "norms[name][place] = gradient.norm(dim=-1).mean().item()"),),
        ),
        Misconception(
            "output-for-gradient",
            "the size of the output itself is returned instead of its gradient's",
            edits=((_KEEP, "norms[name][place] = output.detach().norm().item()"),),
        ),
        Misconception(
            "run-twice",
            "run is called twice: the weights get twice the gradient",
            edits=(("        run()\n", "        run()\n        run()\n"),),
        ),
    ),
)


def _attention_hidden(seed):
    d = Draw(seed)
    holes = d.chance(0.6, 2, 3, 4, 5)
    holes[0, 1, 2] = False
    loose = attention_inputs(d, (2,), 4, 6, 5, 3)
    return [
        Case("one key", attention_inputs(d, (), 3, 1, 4, 2)),
        Case("one query", attention_inputs(d, (2,), 1, 5, 4, 4)),
        Case("as many queries as the head is wide", attention_inputs(d, (), 4, 4, 4, 4)),
        Case("a mask for each head", attention_inputs(d, (2, 3), 4, 5, 6, 2, mask=holes)),
        Case("float64", attention_inputs(d, (2,), 3, 4, 5, 2, dtype=torch.float64)),
        Case("non-contiguous", {k: transposed(v) if isinstance(v, torch.Tensor) else v for k, v in loose.items()}),
        Case("an empty batch", attention_inputs(d, (0, 2), 3, 4, 4, 4)),
    ]


def _attention_reference(i):
    Q, K, V, up = (i[name].double() for name in ("Q", "K", "V", "upstream"))
    T, S, D = Q.shape[-2], K.shape[-2], Q.shape[-1]
    lead = Q.shape[:-2]
    seen = torch.ones(*lead, T, S, dtype=torch.bool) if i["mask"] is None else i["mask"].expand(*lead, T, S)

    def out(q, k, v):
        e = torch.where(seen, torch.einsum("...td,...sd->...ts", q, k) / D**0.5, 0.0).exp() * seen
        total = e.sum(-1, keepdim=True)
        return torch.einsum("...ts,...se->...te", e / torch.where(total > 0, total, 1.0), v)

    leaves = [a.clone().requires_grad_() for a in (Q, K, V)]
    found = torch.autograd.grad(out(*leaves), leaves, up)
    return {name: g.to(i["Q"].dtype) for name, g in zip(("dQ", "dK", "dV"), found, strict=True)}


_DS = "dS = P * (dP - (P * dP).sum(dim=-1, keepdim=True))"
_SCALE = "dS = dS / math.sqrt(Q.shape[-1])"
_BACK = "return dS @ K, dS.transpose(-2, -1) @ Q, dV"
attention_gradients = Answer(
    name="attention_gradients",
    reference=_attention_reference,
    hidden=_attention_hidden,
    misconceptions=(
        Misconception(
            "no-row-sum",
            "the row sum in the softmax's gradient is missing: only what a score does to its own weight is counted",
            edits=((_DS, "dS = P * dP"),),
        ),
        Misconception(
            "diagonal-alone",
            "the softmax is differentiated element by element, as p(1 - p): what a score does to the other weights is "
            "missing",
            edits=((_DS, "dS = P * (1 - P) * dP"),),
        ),
        Misconception(
            "row-sum-not-weighted",
            "the row sum adds up dP without the weights",
            edits=((_DS, "dS = P * (dP - dP.sum(dim=-1, keepdim=True))"),),
        ),
        Misconception(
            "row-mean",
            "the plain mean of dP over the keys is subtracted, instead of its mean weighted by P",
            edits=((_DS, "dS = P * (dP - dP.mean(dim=-1, keepdim=True))"),),
        ),
        Misconception(
            "sum-over-queries",
            "the sum runs over the queries instead of the keys",
            edits=((_DS, "dS = P * (dP - (P * dP).sum(dim=-2, keepdim=True))"),),
        ),
        Misconception(
            "no-softmax",
            "the gradient of the weights is taken for that of the scores: the softmax is left out",
            edits=((_DS, "dS = dP"),),
        ),
        Misconception("no-scale", "the factor 1/√D is missing", edits=((_SCALE, "dS = dS / 1"),)),
        Misconception(
            "scale-squared",
            "the scores' gradient is divided by D instead of its root",
            edits=((_SCALE, "dS = dS / Q.shape[-1]"),),
        ),
        Misconception(
            "scale-in-dQ-alone",
            "the factor 1/√D is in dQ but not in dK",
            edits=(("dS.transpose(-2, -1) @ Q, dV", "dS.transpose(-2, -1) @ Q * math.sqrt(Q.shape[-1]), dV"),),
        ),
        Misconception(
            "queries-and-keys-swapped",
            "dQ is computed with the queries and dK with the keys, where the shapes allow it",
            edits=((_BACK, "return dS @ Q, dS.transpose(-2, -1) @ K, dV"),),
        ),
        Misconception(
            "dk-not-transposed",
            "dS is not transposed for dK",
            edits=(("dS.transpose(-2, -1) @ Q", "dS @ Q"),),
        ),
        Misconception(
            "dv-not-transposed",
            "the weights are not transposed for dV",
            edits=(("P.transpose(-2, -1) @ upstream", "P @ upstream"),),
        ),
        Misconception(
            "mask-dropped",
            "the mask does not reach the attention",
            edits=(("_, P = attention(Q, K, V, mask)", "_, P = attention(Q, K, V)"),),
        ),
        Misconception(
            "upstream-of-ones",
            "the gradient from above is taken to be all ones",
            edits=(
                (
                    "_, P = attention(Q, K, V, mask)",
                    "_, P = attention(Q, K, V, mask)\n    upstream = torch.ones_like(upstream)",
                ),
            ),
        ),
    ),
)


def _checker_hidden(seed):
    d = Draw(seed)
    right = ["none: a layer", "none: a softmax", "none: steep", "none: a layer with a backward pass by hand"]
    wrong = [
        "slope of tanh without the square",
        "right at zero alone",
        "softmax of the transposed",
        "the weights' gradient is one part in a thousand too large",
    ]
    return [
        Case("right ones again", checker_inputs(d, [right[n] for n in d.rng.permutation(4)])),
        Case("new faults", checker_inputs(d, [wrong[n] for n in d.rng.permutation(4)])),
        Case(
            "blind to ones again",
            checker_inputs(d, ["the gradient from above is ignored", "a softmax that hands back nothing"]),
        ),
        Case("cut off again", checker_inputs(d, ["everything is detached", "none: an input that does not matter"])),
        Case(
            "one entry again, and a NaN",
            checker_inputs(d, ["wrong at the last entry alone", "a NaN where nothing was chosen"]),
        ),
    ]


_WRONG = {
    "the bias gets the mean over the rows": [2],
    "the weights' gradient is one part in a thousand too large": [1],
    "x and W have the sign turned": [0, 1],
    "slope of tanh without the square": [0, 1, 2],
    "a softmax that hands back nothing": [0],
    "a softmax without its row sum": [0],
    "the gradient from above is ignored": [0],
    "the second input is detached": [1],
    "everything is detached": [0, 1],
    "wrong at the last entry alone": [0],
    "a NaN where nothing was chosen": [0],
    "right at zero alone": [0],
    "softmax of the transposed": [0],
}


def _checker_reference(i):
    return {f"wrong inputs of '{fault}'": [] if fault.startswith("none") else _WRONG[fault] for fault in i["faults"]}


_UP = "upstream = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(0))"
_PLACES = "for place in np.ndindex(*x.shape):"
_CLOSE = "if not torch.allclose(gradient, right, rtol=1e-5, atol=1e-5):"
wrong_gradients = Answer(
    name="wrong_gradients",
    reference=_checker_reference,
    hidden=_checker_hidden,
    misconceptions=(
        Misconception(
            "gradient-of-the-sum",
            "the gradient of the output's sum is compared: what cancels in a sum, as in a softmax, is not seen",
            edits=((_UP, "upstream = torch.ones_like(out)"),),
        ),
        Misconception(
            "first-entry-alone",
            "only the first entry of each input is compared",
            edits=(
                (_PLACES, "for place in list(np.ndindex(*x.shape))[:1]:"),
                (
                    "        gradient = torch.zeros_like(x) if found[n] is None else found[n]\n",
                    "        gradient = torch.zeros_like(x) if found[n] is None else found[n]\n"
                    "        gradient, right = gradient.reshape(-1)[:1], right.reshape(-1)[:1]\n",
                ),
            ),
        ),
        Misconception(
            "first-input-alone",
            "only the first input is compared",
            edits=(("for n, x in enumerate(inputs):", "for n, x in enumerate(inputs[:1]):"),),
        ),
        Misconception(
            "unused-is-right",
            "an input for which autograd says None is passed over, although it may matter",
            edits=(
                (
                    "gradient = torch.zeros_like(x) if found[n] is None else found[n]",
                    "gradient = right if found[n] is None else found[n]",
                ),
            ),
        ),
        Misconception(
            "cut-off-raises",
            "an output that requires no gradient makes autograd raise an error",
            edits=(("if out.requires_grad:", "if True:"),),
        ),
        Misconception(
            "nan-passes",
            "the differences are asked whether they are too large, and a NaN is not larger than anything",
            edits=((_CLOSE, "if ((gradient - right).abs() > 1e-5 * (1 + right.abs())).any():"),),
        ),
        Misconception(
            "tolerance-too-wide",
            "differences of a percent are let pass",
            edits=((_CLOSE, "if not torch.allclose(gradient, right, rtol=1e-2, atol=1e-2):"),),
        ),
        Misconception(
            "step-too-wide",
            "the step h is 0.01: the secant of a right, steep function differs from its tangent",
            edits=(("h = [], 1e-6", "h = [], 1e-2"),),
        ),
        Misconception(
            "one-sided",
            "the difference is one-sided but divided by 2h: half of the derivative",
            edits=(("for s in (1, -1))", "for s in (1, 0))"),),
        ),
        Misconception(
            "difference-is-no-derivative",
            "right gradients are called wrong: what they are compared with is not the derivative of f(x) · u. Divide "
            "by 2h, keep float64 and a step near 1e-6, and take the same u for both",
            edits=(("/ (2 * h)", "/ h"),),
        ),
        Misconception(
            "sums-compared",
            "the gradient's entries are summed before they are compared, so that errors cancel or hide",
            edits=((_CLOSE, "if not torch.allclose(gradient.mean(), right.mean(), rtol=1e-3, atol=1e-3):"),),
        ),
        Misconception(
            "all-right",
            "nothing is compared: every gradient is said to be right",
            code="def wrong_gradients(f, inputs):\n    return []\n",
        ),
        Misconception(
            "all-inputs-named",
            "one wrong gradient puts all inputs on the list",
            edits=(("    return wrong\n", "    return list(range(len(inputs))) if wrong else []\n"),),
        ),
    ),
)
