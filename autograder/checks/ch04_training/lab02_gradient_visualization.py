"""Lab 4.2, the student's half: how gains, the probe, attention's gradients and the gradient checker are driven."""

import sys
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise

_OWN = "source.training.gradients."


def activation(name: str, scale: float = 1.0, slope: float = 0.1):
    """An activation by its name, times `scale`."""
    shapes = {
        "identity": lambda z: z * 1,
        "relu": torch.relu,
        "leaky": lambda z: F.leaky_relu(z, slope),
        "tanh": torch.tanh,
        "gelu": F.gelu,
        "silu": F.silu,
        "hardtanh": F.hardtanh,
        "shifted": lambda z: torch.tanh(z) + slope,
        "cube": lambda z: z**3,
    }
    return lambda z: scale * shapes[name](z)


def _gains_cases():
    return [
        Case("twice the input", {"name": "identity", "scale": 2.0, "slope": 0.0}),
        Case("ReLU", {"name": "relu", "scale": 1.0, "slope": 0.0}),
        Case("tanh", {"name": "tanh", "scale": 1.0, "slope": 0.0}),
        Case("leaky ReLU, times 3", {"name": "leaky", "scale": 3.0, "slope": 0.2}),
    ]


def _gains_act(f, i):
    found = f(activation(i["name"], i["scale"], i["slope"]))
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise WrongType(f"a {type(found).__name__} came back, not a pair of numbers")
    numbers = [g.item() if isinstance(g, torch.Tensor) and g.ndim == 0 else g for g in found]
    if not all(isinstance(g, float | int) for g in numbers):
        raise WrongType(
            f"the pair holds a {type(numbers[0]).__name__} and a {type(numbers[1]).__name__}, not two numbers"
        )
    return {"forward gain": float(numbers[0]), "backward gain": float(numbers[1])}


gains = Exercise(
    name="gains",
    title="The gain",
    minutes=12,
    difficulty=2,
    points=3,
    act=_gains_act,
    visible=_gains_cases,
    tolerance={"float64": 1e-4},  # a table of 4,000 points
    forbids=(_OWN + "gains",),
    hints=(
        "Two weighted sums: of the squared activation and of its squared slope. What makes the weights?",
        "`torch.autograd.grad(activation(z).sum(), z)` gives the slope at every point, since each output "
        "depends on one z "
        "alone. Weight with SHARES afterwards, not inside the sum that is differentiated.",
        "z = Z with gradients; a = activation(z); slope = the gradient of a's sum; forward = sum of SHARES * a "
        "squared; "
        "backward = sum of SHARES * slope squared; return one over the root of each, as numbers.",
    ),
)


class Net(nn.Module):
    """A linear layer, a block that is called `times` times, one that is called under no_grad, and a linear layer."""

    def __init__(self, first: torch.Tensor, inner: torch.Tensor, last: torch.Tensor, times: int) -> None:
        super().__init__()
        self.times = times
        self.first = nn.Linear(*first.shape[::-1], bias=False)
        self.block = nn.Sequential(nn.Linear(*inner.shape[::-1], bias=False), nn.Tanh())
        self.aside = nn.Tanh()
        self.never = nn.Tanh()
        self.last = nn.Linear(*last.shape[::-1], bias=False)
        self.double()
        with torch.no_grad():
            for layer, weight in ((self.first, first), (self.block[0], inner), (self.last, last)):
                layer.weight.copy_(weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x: (B, C) -> (B, M)."""
        x = self.first(x)
        for _ in range(self.times):
            x = self.block(x)
        self.aside(x)  # its result is thrown away
        return self.last(x)


def probe_inputs(d: Draw, B: int, C: int, M: int, names: list[str], times: int = 1, runs: str = "once"):
    """A net, what goes in at both ends, and the names to probe.

    runs: "once", "twice", "without gradients first" or "raises".
    """
    double = {"dtype": torch.float64}
    return {
        "first": d.normal(C, C, scale=C**-0.5, **double),
        "inner": d.normal(C, C, scale=1.5 * C**-0.5, **double),
        "last": d.normal(M, C, **double),
        "x": d.normal(B, C, **double),
        "upstream": d.normal(B, M, **double),
        "names": names,
        "times": times,
        "runs": runs,
    }


def _probe_cases():
    d = Draw(4202)
    return [
        Case("two linear layers", probe_inputs(d, 2, 3, 2, ["first", "last"])),
        Case("a module inside another", probe_inputs(d, 3, 4, 1, ["block.0", "block", "first"])),
        Case("a block that is called three times", probe_inputs(d, 2, 3, 2, ["block", "last"], times=3)),
        Case("a call that no gradient reaches, and none at all", probe_inputs(d, 2, 3, 2, ["aside", "never", "first"])),
        Case("two forward and backward passes", probe_inputs(d, 2, 3, 2, ["first", "block"], runs="twice")),
        Case(
            "a pass without gradients first",
            probe_inputs(d, 2, 3, 2, ["first", "last"], runs="without gradients first"),
        ),
        Case("a run that raises", probe_inputs(d, 2, 3, 2, ["first", "last"], runs="raises")),
    ]


class _Stopped(RuntimeError):
    pass


def _probe_act(f, i):
    net = Net(i["first"], i["inner"], i["last"], i["times"])
    calls = []

    def run():
        calls.append(1)
        if i["runs"] == "without gradients first":
            with torch.no_grad():
                net(i["x"])
        for factor in (1, 2) if i["runs"] == "twice" else (1,):
            (net(i["x"]) * i["upstream"] * factor).sum().backward()
        if i["runs"] == "raises":
            raise _Stopped

    outputs = {}
    try:
        found = f(net, list(i["names"]), run)
        if not isinstance(found, dict) or list(found) != i["names"]:
            raise WrongType(f"a dict with the names {i['names']}, in this order, is wanted; yours: {str(found)[:200]}")
        for name, norms in found.items():
            if not isinstance(norms, list):
                raise WrongType(f"at {name} stands a {type(norms).__name__}, not a list with one number for each call")
            outputs[f"norms at {name}"] = [float(n) for n in norms]
    except _Stopped:
        outputs["the error is passed on"] = True
    else:
        if i["runs"] == "raises":
            outputs["the error is passed on"] = False
    outputs["calls of run"] = len(calls)
    outputs["hooks that are left"] = sum(
        len(m._forward_hooks) + len(m._backward_hooks) + len(m._forward_pre_hooks) + len(m._backward_pre_hooks)
        for m in net.modules()
    )
    grads = {name: p.grad for name, p in net.named_parameters()}
    outputs |= {f"gradient of {n}": torch.zeros(1) if g is None else g.clone() for n, g in grads.items()}
    return outputs


output_gradients = Exercise(
    name="output_gradients",
    title="A probe for any module",
    minutes=18,
    difficulty=3,
    points=4,
    act=_probe_act,
    visible=_probe_cases,
    tolerance={"float64": 1e-6},
    forbids=(_OWN + "output_gradients",),
    hints=(
        "When the forward hook runs, the call's place in the list is known, and its gradient is not. When the gradient "
        "comes, who still knows the place?",
        "A function made inside the forward hook remembers the place and the name: `place = len(norms[name])`, a 0.0 "
        "appended, and `def keep(gradient): norms[name][place] = gradient.norm().item()` put on the output with "
        "`register_hook`. Ask `output.requires_grad` first. `try: ... finally: ...` for the handles.",
        "norms = a list for each name; for each name: a forward hook at the submodule that appends 0.0 and "
        "registers keep "
        "on the output if it requires gradients; run(); finally remove every handle; return norms.",
    ),
)


def attention_inputs(
    d: Draw, lead: tuple[int, ...], T: int, S: int, D: int, E: int, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """Queries, keys, values and the output's gradient."""
    return {
        "Q": d.normal(*lead, T, D, dtype=dtype),
        "K": d.normal(*lead, S, D, dtype=dtype),
        "V": d.normal(*lead, S, E, dtype=dtype),
        "upstream": d.normal(*lead, T, E, dtype=dtype),
        "mask": None,
        **more,
    }


def _attention_cases():
    d = Draw(4203)
    by_hand = {
        "Q": torch.ones(1, 1),
        "K": torch.zeros(2, 1),
        "V": torch.tensor([[0.0], [8.0]]),
        "upstream": torch.ones(1, 1),
        "mask": None,
    }
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    nothing = torch.tensor([[True, False, True], [False] * 3])
    return [
        Case("two keys by hand", by_hand),
        Case("three queries, five keys, no mask", attention_inputs(d, (), 3, 5, 4, 2)),
        Case("heads, causal", attention_inputs(d, (2, 2), 4, 4, 4, 4, mask=causal)),
        Case("a query that sees nothing", attention_inputs(d, (), 2, 3, 4, 4, mask=nothing)),
    ]


def _attention_act(f, i):
    found = f(i["Q"], i["K"], i["V"], i["upstream"], i["mask"])
    if not isinstance(found, tuple | list) or len(found) != 3:
        raise WrongType(f"a {type(found).__name__} came back, not three tensors dQ, dK, dV")
    return dict(zip(("dQ", "dK", "dV"), found, strict=True))


attention_gradients = Exercise(
    name="attention_gradients",
    title="The way back through attention",
    minutes=15,
    difficulty=2,
    points=4,
    act=_attention_act,
    visible=_attention_cases,
    shapes={"dQ": "(..., T, D)", "dK": "(..., S, D)", "dV": "(..., S, E)"},
    forbids=(
        "grad",
        "backward",
        "scaled_dot_product_attention",
        _OWN + "attention_gradients",
        _OWN + "attention_gradients_naive",
    ),
    hints=(
        "Write the shape beside every factor: only one order of each product fits, and one transposition. What "
        "is summed "
        "in the bracket, and over which axis?",
        "`_, P = attention(Q, K, V, mask)`; `A.transpose(-2, -1)` transposes whatever stands in front. The "
        "bracket's sum is "
        "`(P * dP).sum(dim=-1, keepdim=True)`. The mask needs no line of its own: P is 0 there.",
        "P = the weights; dV = P transposed @ upstream; dP = upstream @ V transposed; dS = P * (dP - row sum of "
        "P * dP), "
        "divided by the root of D; return dS @ K, dS transposed @ Q, dV.",
    ),
)


def operation(fault: str):
    """A function of tensors whose output is right and whose gradient has one fault, or none."""

    def custom(forward, backward):
        class Op(torch.autograd.Function):
            @staticmethod
            def forward(ctx, *inputs):
                ctx.save_for_backward(*inputs)
                return forward(*inputs)

            @staticmethod
            def backward(ctx, upstream):
                return backward(*ctx.saved_tensors, upstream)

        return Op.apply

    def layer(x, W, b):
        return torch.tanh(x @ W + b)

    def layer_back(change):
        def backward(x, W, b, up):
            y = layer(x, W, b)
            g = up * (1 - y * y)
            found = {"x": g @ W.T, "W": x.T @ g, "b": g.sum(0)}
            return tuple(change(found, y, x, W, up).values())

        return backward

    def changed(**what):
        return custom(layer, layer_back(lambda found, y, x, W, up: found | {k: v(found[k]) for k, v in what.items()}))

    def soft_back(x, up):
        p = torch.softmax(x, dim=-1)
        return p * (up - (p * up).sum(-1, keepdim=True))

    def last_negative(x, up):
        slope = torch.where(x > 0, 1.0, 0.3)
        slope.view(-1)[-1] = 1.0  # forgotten for the last entry, which is negative
        return up * slope

    mask = torch.tensor([True, False, True])
    ones = torch.ones_like
    return {
        "none: a layer": lambda x, W, b: layer(x, W, b),
        "none: a layer with a backward pass by hand": custom(layer, layer_back(lambda found, *_: found)),
        "none: a softmax": lambda x: torch.softmax(x, dim=-1),
        "none: steep": lambda x: torch.exp(3 * x),
        "none: an input that does not matter": lambda x, y: x * 2,
        "none: a scalar": lambda x: (x**3).sum(),
        "the bias gets the mean over the rows": changed(b=lambda g: g / 2),
        "the weights' gradient is one part in a thousand too large": changed(W=lambda g: g * 1.001),
        "x and W have the sign turned": changed(x=lambda g: -g, W=lambda g: -g),
        "slope of tanh without the square": custom(
            layer,
            lambda x, W, b, up: (
                (up * (1 - layer(x, W, b))) @ W.T,
                x.T @ (up * (1 - layer(x, W, b))),
                (up * (1 - layer(x, W, b))).sum(0),
            ),
        ),
        "a softmax that hands back nothing": lambda x: torch.softmax(x, dim=-1).detach() + 0 * x,
        "a softmax without its row sum": custom(
            lambda x: torch.softmax(x, dim=-1), lambda x, up: torch.softmax(x, dim=-1) * up
        ),
        "the gradient from above is ignored": custom(lambda x: x**2, lambda x, up: 2 * x * ones(up)),
        "the second input is detached": lambda x, y: x * y.detach(),
        "everything is detached": lambda x, y: (x * y).detach(),
        "wrong at the last entry alone": custom(lambda x: torch.where(x > 0, x, 0.3 * x), last_negative),
        "a NaN where nothing was chosen": lambda x: torch.where(mask, (x * mask).sqrt(), 0.0 * x),
        "right at zero alone": custom(lambda x: torch.sin(x), lambda x, up: up),
        "softmax of the transposed": custom(lambda x: torch.softmax(x, dim=-1), lambda x, up: soft_back(x.T, up.T).T),
    }[fault]


def checker_inputs(d: Draw, faults: list[str]) -> dict[str, object]:
    """Operations by their fault, and inputs for each."""
    double = {"dtype": torch.float64}
    inputs = []
    for fault in faults:
        if "layer" in fault or "bias" in fault or "weights'" in fault or "W have" in fault or "tanh" in fault:
            given = [d.normal(2, 3, **double), d.normal(3, 2, **double, scale=0.6), d.normal(2, **double)]
        elif "softmax" in fault:
            given = [d.normal(3, 3, **double)]
        elif "does not matter" in fault or "detached" in fault:
            given = [d.normal(2, 2, **double), d.normal(2, 2, **double)]
        elif "steep" in fault:
            given = [d.normal(4, **double, scale=0.3) + 2]
        elif "last entry" in fault:
            given = [d.normal(2, 3, **double).abs() + 0.5]
            given[0][-1, -1] = -1.0
        elif "chosen" in fault:
            given = [d.normal(3, **double).abs() + 0.5]
        elif "scalar" in fault:
            given = [d.normal(1, **double)[0] + 2]
        else:
            given = [d.normal(2, 3, **double) + 1]
        inputs.append(given)
    return {"faults": faults, "inputs": inputs}


def _checker_cases():
    d = Draw(4204)
    return [
        Case(
            "right ones",
            checker_inputs(
                d,
                [
                    "none: a layer",
                    "none: a layer with a backward pass by hand",
                    "none: a softmax",
                    "none: an input that does not matter",
                ],
            ),
        ),
        Case("a steep function, and right", checker_inputs(d, ["none: steep", "none: a scalar"])),
        Case(
            "layers with one wrong gradient",
            checker_inputs(
                d,
                [
                    "the bias gets the mean over the rows",
                    "the weights' gradient is one part in a thousand too large",
                    "x and W have the sign turned",
                ],
            ),
        ),
        Case(
            "what a gradient of ones does not see",
            checker_inputs(d, ["a softmax that hands back nothing", "the gradient from above is ignored"]),
        ),
        Case("a softmax without its row sum", checker_inputs(d, ["a softmax without its row sum"])),
        Case(
            "inputs that autograd takes for unused",
            checker_inputs(d, ["the second input is detached", "everything is detached"]),
        ),
        Case("wrong at the last entry alone", checker_inputs(d, ["wrong at the last entry alone"])),
        Case("a NaN where nothing was chosen", checker_inputs(d, ["a NaN where nothing was chosen"])),
    ]


@contextmanager
def _without_gradcheck():
    # Anybody may use PyTorch's own; whoever builds one may not.
    def refuse(*_, **__):
        raise WrongType("torch.autograd.gradcheck hands the answer over: write it yourself here")

    module = sys.modules["torch.autograd.gradcheck"]
    kept = torch.autograd.gradcheck, module.gradcheck
    torch.autograd.gradcheck = module.gradcheck = refuse
    try:
        yield
    finally:
        torch.autograd.gradcheck, module.gradcheck = kept


def _checker_act(f, i):
    outputs = {}
    with _without_gradcheck():
        for fault, inputs in zip(i["faults"], i["inputs"], strict=True):
            found = f(operation(fault), list(inputs))
            if not isinstance(found, list) or not all(isinstance(n, int) and not isinstance(n, bool) for n in found):
                raise WrongType(f"a list of numbers of inputs is wanted; yours: {str(found)[:200]}")
            outputs[f"wrong inputs of '{fault}'"] = sorted(found)
    return outputs


wrong_gradients = Exercise(
    name="wrong_gradients",
    title="A checker that finds a wrong gradient",
    minutes=22,
    difficulty=3,
    points=5,
    act=_checker_act,
    visible=_checker_cases,
    forbids=(_OWN + "wrong_gradients", _OWN + "numerical_gradient"),
    hints=(
        "Two gradients for every input: autograd's, and the one from the definition. Which gradient of the "
        "output do both "
        "have to use, and why not all ones?",
        "`torch.autograd.grad(out, leaves, upstream, allow_unused=True)` on copies that require gradients. "
        "`for place in np.ndindex(*x.shape)` visits every entry, also of a number without dimensions; a tensor "
        "of zeros "
        "with h at that place is the step. `torch.allclose` is false where there is a NaN.",
        "leaves = copies; out = f(*leaves); upstream = random, fixed; found = autograd's, None for all if out does not "
        "require gradients. For each input n, for each place: up and down = f with x + step and x - step in "
        "place of input "
        "n; right[place] = sum of (up - down) * upstream / 2h. None = zeros. Not close: n is wrong.",
    ),
)
