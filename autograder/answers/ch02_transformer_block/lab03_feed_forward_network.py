"""Lab 2.3, the instructor's half: references computed in float64 by other means, hidden cases, misconceptions."""

import math

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch02_transformer_block.lab03_feed_forward_network import (
    gated_inputs,
    network_inputs,
    unit_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _gelu_hidden(seed):
    d = Draw(seed)
    return [
        Case("a single number", {"x": d.normal(1)}),
        Case("many numbers", {"x": d.normal(64, scale=3.0)}),
        Case("float64", {"x": d.normal(4, 5, dtype=torch.float64)}),
        Case("bfloat16", {"x": d.normal(4, 5, dtype=torch.bfloat16)}),
        Case("a non-contiguous input", {"x": transposed(d.normal(4, 6))}),
        Case("no numbers", {"x": d.normal(0, 3)}),
    ]


def _gelu_reference(i):
    # Φ and φ of each number, from the standard library; the tanh form by the sigmoid that it equals.
    x = i["x"].double()
    flat = x.flatten().tolist()
    below = torch.tensor([0.5 * math.erfc(-v / math.sqrt(2)) for v in flat], dtype=torch.float64).view_as(x)
    density = torch.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    u = math.sqrt(8 / math.pi) * (x + 0.044715 * x**3)
    gate = torch.sigmoid(u)
    slope = gate + x * gate * (1 - gate) * math.sqrt(8 / math.pi) * (1 + 3 * 0.044715 * x**2)
    told = {"exact": x * below, "tanh": x * gate}
    if x.numel():
        told = {"exact": x * below, "slope of exact": below + x * density, "tanh": x * gate, "slope of tanh": slope}
    return {name: value.to(i["x"].dtype) for name, value in told.items()}


gelu = Answer(
    name="gelu",
    reference=_gelu_reference,
    hidden=_gelu_hidden,
    misconceptions=(
        Misconception(
            "forms-swapped",
            "the tanh form is returned where the exact one is asked for, and the other way round",
            edits=(("if approximate:", "if not approximate:"),),
        ),
        Misconception(
            "tanh-only",
            "the tanh form is returned in both cases",
            edits=(("    if approximate:\n        return", "    return"),),
        ),
        Misconception(
            "no-root-in-erf",
            "x is not divided by √2 inside erf, so that the bend is that of a narrower normal distribution",
            edits=(("torch.erf(x / math.sqrt(2))", "torch.erf(x)"),),
        ),
        Misconception(
            "square-for-cube",
            "x² stands where x³ belongs in the tanh form",
            edits=(("x**3", "x**2"),),
        ),
        Misconception(
            "sigmoid-form",
            "x · sigmoid(1.702 x), a third and rougher approximation, is returned as the exact one",
            edits=(("0.5 * x * (1 + torch.erf(x / math.sqrt(2)))", "x * torch.sigmoid(1.702 * x)"),),
        ),
        Misconception(
            "no-x",
            "the probability itself is returned, not x times the probability",
            edits=(("return 0.5 * x * (1 + torch.erf", "return 0.5 * (1 + torch.erf"),),
        ),
    ),
)


def _back(out, leaves, upstream, dtype):
    # The output and every leaf's gradient, in the inputs' dtype.
    told = {"out": out}
    if upstream is not None:
        grads = torch.autograd.grad(out, list(leaves.values()), upstream.double())
        told |= {f"gradient of {name}": g for name, g in zip(leaves, grads, strict=True)}
    return {name: value.detach().to(dtype) for name, value in told.items()}


def _leaves(i):
    return {name: t.double().clone().requires_grad_() for name, t in {"x": i["x"], **i["state"]}.items()}


_ACTIVATIONS = {
    "relu": lambda z: torch.where(z > 0, z, 0.0),
    "square": lambda z: z * z,
    "softplus": lambda z: torch.logaddexp(z, torch.zeros_like(z)),
}


def _feed_forward_reference(i):
    p = _leaves(i)
    wide = torch.einsum("...c,hc->...h", p["x"], p["W_in.weight"]) + p["W_in.bias"]
    out = torch.einsum("...h,ch->...c", _ACTIVATIONS[i["activation"]](wide), p["W_out.weight"]) + p["W_out.bias"]
    return _back(out, p, i["upstream"], i["x"].dtype)


def _feed_forward_hidden(seed):
    d = Draw(seed)
    wide = network_inputs(d, 6, C=4, hidden=8, activation="softplus")
    return [
        Case("one vector", network_inputs(d, C=3, hidden=5, activation="relu")),
        Case("a width of 1", network_inputs(d, 4, C=1, hidden=1, activation="softplus")),
        Case("four dimensions", network_inputs(d, 2, 1, 3, C=4, hidden=6, activation="softplus")),
        Case("narrower in between", network_inputs(d, 5, C=6, hidden=2, activation="square")),
        Case("float64", network_inputs(d, 2, 3, C=4, hidden=8, activation="relu", dtype=torch.float64)),
        Case("a non-contiguous input", {**wide, "x": transposed(wide["x"])}),
        Case("an empty batch", network_inputs(d, 0, 3, C=4, hidden=8, activation="relu")),
    ]


feed_forward = Answer(
    name="feed_forward",
    reference=_feed_forward_reference,
    hidden=_feed_forward_hidden,
    misconceptions=(
        Misconception(
            "no-activation",
            "nothing bends in between: two matrices in a row are one matrix",
            edits=(("self.W_out(self.activation(self.W_in(x)))", "self.W_out(self.W_in(x))"),),
        ),
        Misconception(
            "activation-last",
            "the activation is applied to the output, not to the wide vector",
            edits=(("self.W_out(self.activation(self.W_in(x)))", "self.activation(self.W_out(self.W_in(x)))"),),
        ),
        Misconception(
            "activation-twice",
            "the activation is applied to the output once more",
            edits=(
                (
                    "self.W_out(self.activation(self.W_in(x)))",
                    "self.activation(self.W_out(self.activation(self.W_in(x))))",
                ),
            ),
        ),
        Misconception(
            "residual-inside",
            "the input is added to the output: that is the block's business, not the network's",
            edits=(("return self.W_out(", "return x + self.W_out("),),
        ),
        Misconception(
            "always-relu",
            "ReLU is used whatever activation was asked for",
            edits=(("self.activation(self.W_in(x))", "torch.relu(self.W_in(x))"),),
        ),
        Misconception(
            "four-times-width",
            "the width in between is 4 · width whatever was asked for",
            edits=(
                ("nn.Linear(width, hidden)", "nn.Linear(width, 4 * width)"),
                ("nn.Linear(hidden, width)", "nn.Linear(4 * width, width)"),
            ),
        ),
    ),
)


def _swiglu_reference(i):
    p = _leaves(i)
    gate, up = (torch.einsum("...c,hc->...h", p["x"], p[f"W_{n}.weight"]) for n in ("gate", "up"))
    out = torch.einsum("...h,ch->...c", gate / (1 + torch.exp(-gate)) * up, p["W_down.weight"])
    return _back(out, p, i["upstream"], i["x"].dtype)


def _swiglu_hidden(seed):
    d = Draw(seed)
    wide = gated_inputs(d, 6, C=4, hidden=8)
    return [
        Case("one vector", gated_inputs(d, C=3, hidden=5)),
        Case("a width of 1", gated_inputs(d, 4, C=1, hidden=1)),
        Case("four dimensions", gated_inputs(d, 2, 1, 3, C=4, hidden=6)),
        Case("float64", gated_inputs(d, 2, 3, C=4, hidden=8, dtype=torch.float64)),
        Case("bfloat16, forward only", gated_inputs(d, 2, 3, C=4, hidden=8, dtype=torch.bfloat16, upstream=None)),
        Case("a non-contiguous input", {**wide, "x": transposed(wide["x"])}),
        Case("an empty batch", gated_inputs(d, 0, 3, C=4, hidden=8)),
    ]


swiglu = Answer(
    name="swiglu",
    reference=_swiglu_reference,
    hidden=_swiglu_hidden,
    misconceptions=(
        Misconception(
            "gate-and-up-swapped",
            "SiLU is on W_up's half instead of W_gate's",
            edits=(
                ("gate = self.W_gate(x)", "gate = self.W_up(x)"),
                ("torch.sigmoid(gate) * self.W_up(x)", "torch.sigmoid(gate) * self.W_gate(x)"),
            ),
        ),
        Misconception(
            "sigmoid-gate",
            "the gate is a plain sigmoid, as in the older GLU, instead of SiLU",
            edits=(("gate * torch.sigmoid(gate) * self.W_up(x)", "torch.sigmoid(gate) * self.W_up(x)"),),
        ),
        Misconception(
            "no-gate-activation",
            "the two halves are multiplied without an activation",
            edits=(("gate * torch.sigmoid(gate) * self.W_up(x)", "gate * self.W_up(x)"),),
        ),
        Misconception(
            "both-activated",
            "both halves go through SiLU",
            edits=(
                (
                    "gate * torch.sigmoid(gate) * self.W_up(x)",
                    "gate * torch.sigmoid(gate) * torch.nn.functional.silu(self.W_up(x))",
                ),
            ),
        ),
        Misconception(
            "added",
            "the two halves are added instead of multiplied",
            edits=(("gate * torch.sigmoid(gate) * self.W_up(x)", "gate * torch.sigmoid(gate) + self.W_up(x)"),),
        ),
        Misconception(
            "relu-gate",
            "the gate is ReLU instead of SiLU",
            edits=(("gate * torch.sigmoid(gate) * self.W_up(x)", "torch.relu(gate) * self.W_up(x)"),),
        ),
        Misconception(
            "biases",
            "the three layers have biases, which this network does without",
            code="class SwiGLU(nn.Module):\n"
            "    def __init__(self, width, hidden):\n"
            "        super().__init__()\n"
            "        self.W_gate = nn.Linear(width, hidden)\n"
            "        self.W_up = nn.Linear(width, hidden)\n"
            "        self.W_down = nn.Linear(hidden, width)\n\n"
            "    def forward(self, x):\n"
            "        return self.W_down(torch.nn.functional.silu(self.W_gate(x)) * self.W_up(x))\n",
        ),
    ),
)


def _matched_reference(i):
    # By counting upwards: the largest hidden width that costs no more, then the next multiple.
    width, multiple = i["width"], i["multiple"]
    plain, hidden = 2 * width * 4 * width, 0
    while 3 * width * (hidden + 1) <= plain:
        hidden += 1
    rounded = hidden
    while rounded % multiple:
        rounded += 1
    return {"hidden": rounded, "hidden, no multiple told": hidden, "hidden is an int": True}


def _matched_hidden(seed):
    d = Draw(seed)
    drawn = int(d.integers(50, 400, 1)) * 8
    return [
        Case("a width of 1", {"width": 1, "multiple": 1}),
        Case("an odd width", {"width": 2 * int(d.integers(20, 90, 1)) + 1, "multiple": 2}),
        Case("a multiple already", {"width": 96, "multiple": 256}),
        Case("a drawn width, multiple of 64", {"width": drawn, "multiple": 64}),
        Case("a width of 5120, multiple of 256", {"width": 5120, "multiple": 256}),
    ]


matched_hidden = Answer(
    name="matched_hidden",
    reference=_matched_reference,
    hidden=_matched_hidden,
    misconceptions=(
        Misconception(
            "not-matched",
            "the width in between stays 4 · width, which costs half as many weights again",
            edits=(("8 * width // 3", "4 * width"),),
        ),
        Misconception(
            "rounded-down",
            "the result goes down to a multiple instead of up",
            edits=(("(hidden + multiple - 1) // multiple * multiple", "hidden // multiple * multiple"),),
        ),
        Misconception(
            "no-multiple",
            "the multiple is ignored",
            edits=(("return (hidden + multiple - 1) // multiple * multiple", "return hidden"),),
        ),
        Misconception(
            "two-thirds-of-width",
            "two thirds of the width are taken instead of two thirds of 4 · width",
            edits=(("8 * width // 3", "2 * width // 3"),),
        ),
        Misconception(
            "half",
            "the hidden width is halved, as if there were four matrices",
            edits=(("8 * width // 3", "2 * width"),),
        ),
        Misconception(
            "fraction-kept",
            "the fraction is not dropped: a number of units is a whole number",
            edits=(("8 * width // 3", "8 * width / 3"),),
        ),
    ),
)


def _unit_reference(i):
    keys, values = i["state"]["in"], i["state"]["out"]["weight"].double()
    x = i["x"].double()
    wide = (x.unsqueeze(-2) * keys["weight"].double()).sum(-1) + keys["bias"].double()
    strengths = _ACTIVATIONS[i["activation"]](wide)
    return {"written": torch.einsum("...h,mh->...hm", strengths, values).to(i["x"].dtype)}


def _unit_hidden(seed):
    d = Draw(seed)
    return [
        Case("a single unit", unit_inputs(d, 3, C=4, hidden=1, M=4)),
        Case("an output of another width", unit_inputs(d, 2, 2, C=3, hidden=5, M=7, activation="softplus")),
        Case("everything of one size", unit_inputs(d, 4, 4, C=4, hidden=4, M=4)),
        Case("float64", unit_inputs(d, 2, C=3, hidden=4, M=3, activation="square", dtype=torch.float64)),
        Case("an empty batch", unit_inputs(d, 0, 2, C=3, hidden=4, M=3)),
    ]


unit_writes = Answer(
    name="unit_writes",
    reference=_unit_reference,
    hidden=_unit_hidden,
    misconceptions=(
        Misconception(
            "not-activated",
            "the strengths are taken before the activation",
            edits=(("strengths = activation(W_in(x))", "strengths = W_in(x)"),),
        ),
        Misconception(
            "key-bias-forgotten",
            "W_in's bias is left out of the strengths",
            edits=(("W_in(x)", "x @ W_in.weight.T"),),
        ),
        Misconception(
            "bias-in-each",
            "W_out's bias is added to every unit's part, so that the sum counts it many times",
            edits=(("* W_out.weight.T", "* W_out.weight.T + W_out.bias"),),
        ),
        Misconception(
            "transposed",
            "the result comes as (..., M, hidden): dimensions and units are swapped",
            edits=(("strengths[..., None] * W_out.weight.T", "strengths[..., None, :] * W_out.weight"),),
        ),
        Misconception(
            "rows-for-columns",
            "rows of W_out.weight are taken as values instead of columns",
            edits=(
                (
                    "* W_out.weight.T",
                    "* (W_out.weight if W_out.weight.shape[0] == W_out.weight.shape[1] else W_out.weight.T)",
                ),
            ),
        ),
        Misconception(
            "summed",
            "the parts are added up already",
            edits=(("* W_out.weight.T", "* W_out.weight.T).sum(-2)"), ("return strengths", "return (strengths")),
        ),
    ),
)


def _property_hidden(seed):
    d = Draw(seed)
    small = float(d.rng.uniform(0.02, 0.05))
    return [
        Case("a small leak from the next position", {"fault": "next position", "amount": small, "width": 4}),
        Case("a small leak from the previous one", {"fault": "previous position", "amount": small, "width": 6}),
        Case("only the last position leaks", {"fault": "only the last position", "amount": 0.5, "width": 4}),
        Case("a norm over positions", {"fault": "norm over positions", "amount": 0.5, "width": 4}),
        Case("the first sequence leaks into others", {"fault": "only the first sequence", "amount": 0.5, "width": 3}),
        Case("the length counts", {"fault": "length", "amount": small, "width": 4}),
        Case("positions and channels mixed by a view", {"fault": "flattened", "amount": 0.0, "width": 4}),
    ]


position_wise = Answer(
    name="position_wise",
    reference=lambda i: {"accepts a right one": True, "accepts the identity": True, "accepts the wrong one": False},
    hidden=_property_hidden,
    misconceptions=(
        Misconception(
            "shape-only",
            "only the shape is compared, so that any numbers pass",
            code="def position_wise(f, width):\n    return f(torch.randn(2, 3, width)).shape == (2, 3, width)\n",
        ),
        Misconception(
            "one-sequence",
            "only one sequence is tried, so that a leak between sequences of a batch goes unseen",
            edits=(("B, T = 3, 7", "B, T = 1, 7"),),
        ),
        Misconception(
            "positions-alike-not-asked",
            "one position is changed and the others are watched, but never whether all positions are treated alike",
            code="def position_wise(f, width):\n"
            "    x = torch.randn(3, 7, width, generator=torch.Generator().manual_seed(3))\n"
            "    for b in range(3):\n"
            "        for t in range(7):\n"
            "            y = x.clone()\n"
            "            y[b, t] += 1\n"
            "            moved = (f(y) - f(x)).abs().amax(-1) > 1e-4\n"
            "            moved[b, t] = False\n"
            "            if moved.any():\n"
            "                return False\n"
            "    return True\n",
        ),
        Misconception(
            "order-only",
            "only whether f follows a swap of positions is asked: a mean over positions follows it too",
            code="def position_wise(f, width):\n"
            "    x = torch.randn(3, 7, width, generator=torch.Generator().manual_seed(3))\n"
            "    return bool((f(x.flip(1)) - f(x).flip(1)).abs().max() < 1e-4)\n",
        ),
        Misconception(
            "rejects-all",
            "every function is rejected, the right ones too",
            code="def position_wise(f, width):\n    return False\n",
        ),
    ),
)
