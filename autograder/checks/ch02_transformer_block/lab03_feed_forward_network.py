"""Lab 2.3, the student's half: how GELU, the two networks, their widths, parts and a property are driven."""

import torch
from torch import nn

from autograder.cases import Draw
from autograder.driving import forward_and_back, gradient, loaded
from autograder.exercise import Case, Exercise


def _gelu_cases():
    d = Draw(2301)
    return [
        Case("far left, zero, far right", {"x": torch.tensor([-100.0, 0.0, 100.0])}),
        Case("numbers around zero", {"x": torch.tensor([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])}),
        Case("a batch", {"x": d.normal(2, 3, 5, scale=2.0)}),
    ]


def _gelu_act(f, i):
    outputs = {}
    for name, asked in (("exact", {}), ("tanh", {"approximate": True})):
        x = i["x"].detach().requires_grad_()
        out = f(x, **asked)
        outputs[name] = out
        if x.numel() and isinstance(out, torch.Tensor):
            out.sum().backward()
            outputs[f"slope of {name}"] = gradient(x)
    return outputs


gelu = Exercise(
    name="gelu",
    title="GELU, twice",
    minutes=8,
    difficulty=1,
    points=2,
    act=_gelu_act,
    visible=_gelu_cases,
    forbids=("gelu", "source.blocks.feed_forward.gelu", "source.blocks.feed_forward.gelu_tanh"),
    hints=(
        "Both formulas are x/2 times one plus something between -1 and 1. Test yours at 1: Φ(1) is 0.8413.",
        "`torch.erf` and `torch.tanh` work on tensors of any shape; `math.sqrt` is enough for the constants.",
        "approximate: 0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))); else: 0.5 x (1 + erf(x / sqrt(2))).",
    ),
)

ACTIVATIONS = {"relu": torch.relu, "square": torch.square, "softplus": nn.functional.softplus}


def network_inputs(d: Draw, *lead: int, C: int, hidden: int, activation: str, dtype=torch.float32, **more):
    """An input, weights and the output's gradient for the plain network."""
    return {
        "x": d.normal(*lead, C, dtype=dtype),
        "hidden": hidden,
        "activation": activation,
        "state": {
            "W_in.weight": d.normal(hidden, C, dtype=dtype, scale=C**-0.5),
            "W_in.bias": d.normal(hidden, dtype=dtype),
            "W_out.weight": d.normal(C, hidden, dtype=dtype, scale=hidden**-0.5),
            "W_out.bias": d.normal(C, dtype=dtype),
        },
        "upstream": d.normal(*lead, C, dtype=dtype),
        **more,
    }


def _feed_forward_cases():
    d = Draw(2302)
    by_hand = {
        "x": torch.tensor([[1.0, -1.0]]),
        "hidden": 2,
        "activation": "relu",
        "state": {
            "W_in.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
            "W_in.bias": torch.zeros(2),
            "W_out.weight": torch.tensor([[2.0, 0.0], [0.0, 3.0]]),
            "W_out.bias": torch.tensor([0.5, 0.5]),
        },
        "upstream": torch.ones(1, 2),
    }
    return [
        Case("two numbers, two units, by hand", by_hand),
        Case("a batch of sequences", network_inputs(d, 2, 3, C=4, hidden=16, activation="relu")),
        Case("another activation", network_inputs(d, 2, 3, C=5, hidden=7, activation="square")),
    ]


def _feed_forward_act(f, i):
    layer = loaded(f(i["x"].shape[-1], i["hidden"], ACTIVATIONS[i["activation"]]), i["state"])
    return forward_and_back(layer, i["x"], i["upstream"])


feed_forward = Exercise(
    name="feed_forward",
    title="Widen, bend, narrow",
    minutes=10,
    difficulty=1,
    points=3,
    act=_feed_forward_act,
    visible=_feed_forward_cases,
    shapes={"out": "(..., C)", "gradient of x": "(..., C)"},
    forbids=("source.blocks.feed_forward.FeedForward.forward", "source.blocks.feed_forward.feed_forward_naive"),
    hints=(
        "Three steps, two of them matrices. Which of the three is applied to the wide vector?",
        "`nn.Linear(width, hidden)` works on the last dimension and leaves all in front alone; keep the activation as "
        "an attribute.",
        "W_in: Linear(width, hidden); W_out: Linear(hidden, width); forward: W_out(activation(W_in(x))).",
    ),
)


def gated_inputs(d: Draw, *lead: int, C: int, hidden: int, dtype=torch.float32, **more):
    """An input, weights and the output's gradient for the gated network."""
    return {
        "x": d.normal(*lead, C, dtype=dtype),
        "hidden": hidden,
        "state": {
            "W_gate.weight": d.normal(hidden, C, dtype=dtype, scale=1.5 * C**-0.5),
            "W_up.weight": d.normal(hidden, C, dtype=dtype, scale=C**-0.5),
            "W_down.weight": d.normal(C, hidden, dtype=dtype, scale=hidden**-0.5),
        },
        "upstream": d.normal(*lead, C, dtype=dtype),
        **more,
    }


def _swiglu_cases():
    d = Draw(2303)
    one = torch.ones(1, 1)
    state = {"W_gate.weight": 2 * one, "W_up.weight": 3 * one, "W_down.weight": 5 * one}
    return [
        Case("one number, by hand", {"x": one, "hidden": 1, "state": state, "upstream": one}),
        Case("a batch of sequences", gated_inputs(d, 2, 3, C=4, hidden=10)),
        Case("narrower in between", gated_inputs(d, 5, C=6, hidden=3)),
    ]


swiglu = Exercise(
    name="swiglu",
    title="The gated network",
    minutes=10,
    difficulty=2,
    points=3,
    act=lambda f, i: forward_and_back(loaded(f(i["x"].shape[-1], i["hidden"]), i["state"]), i["x"], i["upstream"]),
    visible=_swiglu_cases,
    shapes={"out": "(..., C)", "gradient of x": "(..., C)"},
    forbids=("source.blocks.feed_forward.SwiGLU.forward", "source.blocks.feed_forward.swiglu_naive"),
    hints=(
        "Check the case by hand: the gate is 2, what is gated is 3, and SiLU(2) is 2 · 0.8808.",
        "`torch.sigmoid`, or `F.silu` for both steps at once; `*` multiplies element by element. No bias: "
        "`nn.Linear(..., bias=False)`.",
        "gate = W_gate(x); up = W_up(x); return W_down(gate · sigmoid(gate) · up).",
    ),
)


def _matched_act(f, i):
    hidden = f(i["width"], i["multiple"])
    return {"hidden": hidden, "hidden, no multiple told": f(i["width"]), "hidden is an int": type(hidden) is int}


matched_hidden = Exercise(
    name="matched_hidden",
    title="Equal numbers of weights",
    minutes=6,
    difficulty=1,
    points=1,
    act=_matched_act,
    visible=lambda: [
        Case("a width that 3 divides", {"width": 6, "multiple": 1}),
        Case("a width that 3 does not divide", {"width": 1024, "multiple": 1}),
        Case("up to a multiple of 256", {"width": 4096, "multiple": 256}),
    ],
    forbids=("source.blocks.feed_forward.matched_hidden",),
    hints=(
        "Count: two matrices of width × 4·width against three of width × hidden. What must hidden be?",
        "`//` divides and drops the fraction. `(n + m - 1) // m * m` is the next multiple of m from n on.",
        "hidden = 8 · width // 3, then up to the next multiple.",
    ),
)


def unit_inputs(d: Draw, *lead: int, C: int, hidden: int, M: int, activation: str = "relu", dtype=torch.float32):
    """An input and two layers' weights; the output may have another width than the input."""
    return {
        "x": d.normal(*lead, C, dtype=dtype),
        "activation": activation,
        "state": {
            "in": {"weight": d.normal(hidden, C, dtype=dtype), "bias": d.normal(hidden, dtype=dtype)},
            "out": {"weight": d.normal(M, hidden, dtype=dtype), "bias": d.normal(M, dtype=dtype)},
        },
    }


def _unit_cases():
    d = Draw(2304)
    by_hand = {
        "x": torch.tensor([3.0]),
        "activation": "relu",
        "state": {
            "in": {"weight": torch.tensor([[1.0], [-1.0]]), "bias": torch.zeros(2)},
            "out": {"weight": torch.tensor([[10.0, 20.0]]), "bias": torch.tensor([7.0])},
        },
    }
    return [
        Case("one number, two units, by hand", by_hand),
        Case("a batch of sequences", unit_inputs(d, 2, 3, C=4, hidden=6, M=4)),
        Case("as many units as dimensions", unit_inputs(d, 3, C=4, hidden=4, M=4, activation="square")),
    ]


def _unit_act(f, i):
    layers = []
    for state in i["state"].values():
        layer = nn.Linear(*state["weight"].shape[::-1], dtype=state["weight"].dtype)
        layer.load_state_dict(state)
        layers.append(layer)
    return {"written": f(i["x"], *layers, ACTIVATIONS[i["activation"]])}


unit_writes = Exercise(
    name="unit_writes",
    title="What each unit writes",
    minutes=10,
    difficulty=2,
    points=3,
    act=_unit_act,
    visible=_unit_cases,
    shapes={"written": "(..., hidden, M)"},
    forbids=("source.blocks.feed_forward.written_by_units",),
    hints=(
        "The output is a product of the hidden vector with a matrix: a sum over hidden units. You want the terms of "
        "that sum before they are added up.",
        "`strengths[..., None]` has shape (..., hidden, 1) and broadcasts against (hidden, M). Which way round is "
        "`W_out.weight` stored?",
        "strengths = activation(W_in(x)); return strengths[..., None] times W_out.weight transposed; no bias.",
    ),
)


def candidate(fault: str, amount: float, width: int):
    """A function from (B, T, C) to (B, T, C) with a named fault of a given size; "none" is position-wise."""
    W = torch.linspace(-1, 1, width * width).view(width, width) / width**0.5

    def f(x):
        B, T, _ = x.shape
        out = torch.relu(x @ W)  # (B, T, C)
        if fault == "next position":
            out = out + amount * torch.cat([x[:, 1:], torch.zeros_like(x[:, :1])], dim=1)
        if fault == "previous position":
            out = out + amount * torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)
        if fault == "mean over positions":
            out = out + amount * x.mean(dim=1, keepdim=True)
        if fault == "mean over the batch":
            out = out + amount * x.mean(dim=0, keepdim=True)
        if fault == "other for each position":
            out = out * (1 + amount * torch.arange(T).view(1, T, 1))
        if fault == "norm over positions":
            out = out / (1 + amount * x.std(dim=1, keepdim=True, correction=0))
        if fault == "only the last position" and T > 1:
            out = torch.cat([out[:, :-1], out[:, -1:] + amount * x[:, :1]], dim=1)
        if fault == "length":
            out = out * (1 + amount * T)
        if fault == "flattened":
            out = torch.relu(x.transpose(1, 2).reshape(B, T, width) @ W)
        if fault == "only the first sequence":
            out = torch.cat([out[:1], out[1:] + amount * x[:1]], dim=0)
        return out

    return f


def _property_cases():
    return [
        Case("each position sees the next", {"fault": "next position", "amount": 0.5, "width": 4}),
        Case("the mean over positions is added", {"fault": "mean over positions", "amount": 0.5, "width": 4}),
        Case("positions are treated differently", {"fault": "other for each position", "amount": 0.3, "width": 5}),
        Case("the mean over the batch is added", {"fault": "mean over the batch", "amount": 0.5, "width": 3}),
    ]


def _property_act(f, i):
    # Each case holds right candidates too: a test that says the same to all is worth nothing.
    width = i["width"]
    right = candidate("none", 0.0, width)
    return {
        "accepts a right one": bool(f(right, width)),
        "accepts the identity": bool(f(lambda x: x.clone(), width)),
        "accepts the wrong one": bool(f(candidate(**i), width)),
    }


position_wise = Exercise(
    name="position_wise",
    title="Write the property",
    minutes=15,
    difficulty=3,
    points=3,
    act=_property_act,
    visible=_property_cases,
    hints=(
        "If a position depends on nothing but itself, what does f say of a sequence that consists of it alone?",
        "`x[b:b + 1, t:t + 1]` keeps all three dimensions. Use more than one sequence and more than two positions, "
        "and random inputs: zeros hide leaks.",
        "together = f(x); for each b and t: alone = f(x[b:b+1, t:t+1]); if alone[0, 0] and together[b, t] differ by "
        "more than rounding, return False; at the end return True.",
    ),
)
