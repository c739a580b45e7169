"""Lab 2.1, the student's half: how statistics, both norms, the gradient and a test of a norm are driven."""

import math

import torch

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import loaded
from autograder.exercise import Case, Exercise

NORMS = ("layer_norm", "native_layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm")
_OWN = "source.blocks.layer_norm."


def _parts(result, *names):
    if not (isinstance(result, tuple | list) and len(result) == len(names)):
        raise WrongType(f"a {type(result).__name__} came back, not {len(names)} tensors: {', '.join(names)}")
    return dict(zip(names, result, strict=True))


def _statistics_cases():
    d = Draw(2101)
    return [
        Case("a row to check by hand", {"x": torch.tensor([[1.0, 7.0, 9.0, 15.0]])}),
        Case("two sequences", {"x": d.normal(2, 3, 8, scale=3.0)}),
        Case("a mean of 10,000", {"x": d.normal(3, 64) + 10_000}),
        Case("bfloat16", {"x": (d.normal(4, 16) + 5).to(torch.bfloat16)}),
        Case("float64", {"x": d.normal(2, 6, dtype=torch.float64) + 1000}),
    ]


statistics = Exercise(
    name="statistics",
    title="Mean and variance that survive",
    minutes=10,
    difficulty=1,
    points=2,
    act=lambda f, i: _parts(f(i["x"]), "mean", "variance"),
    visible=_statistics_cases,
    shapes={"mean": "(..., 1)", "variance": "(..., 1)"},
    forbids=("var", "std", "var_mean", "std_mean", *NORMS, _OWN + "statistics"),
    hints=(
        "What is the variance the mean *of*? Compute that first, and take the mean of it. In which dtype do you have "
        "to be by then?",
        "`x.mean(dim=-1, keepdim=True)` leaves a dimension of size 1, so that `x - mean` works for every shape. "
        "`x.to(torch.promote_types(x.dtype, torch.float32))` turns 16 bits into 32 and leaves 32 and 64 alone.",
        "wide = x in float32 at least; mean = its mean over the last dimension, kept; variance = the mean of "
        "(wide - mean) squared over the last dimension, kept.",
    ),
)


def norm_inputs(
    d: Draw, *shape: int, mean: float = 0.0, scale: float = 1.0, eps: float = 1e-5, dtype: torch.dtype = torch.float32
) -> dict[str, object]:
    """Rows of the given mean and scale, a gain and a bias."""
    return {
        "x": (d.normal(*shape, dtype=torch.float64, scale=scale) + mean).to(dtype),
        "weight": d.normal(shape[-1], dtype=dtype),
        "bias": d.normal(shape[-1], dtype=dtype),
        "eps": eps,
    }


def exact_norm_inputs(d: Draw, *shape: int, gain: torch.dtype = torch.bfloat16) -> dict[str, object]:
    """bfloat16 rows and a gain with which no rounding is a close call: every right way gives the same bits.

    The width is a multiple of 4. Every row has the mean 128.5, which bfloat16 does not have, and a standard deviation
    of 2.5, so that x̂ is a multiple of 1/5. The gain's mantissas are odd and no multiples of 5; the bias is zero.
    """
    rows, C = math.prod(shape[:-1]), shape[-1]
    apart = torch.tensor([[-3.5, -0.5, 0.5, 3.5], [-2.5, -2.5, 2.5, 2.5]])[d.integers(0, 2, rows, C // 4)]
    shuffle = torch.from_numpy(d.rng.permuted(torch.arange(C).expand(rows, C).numpy(), axis=1))
    x = 128.5 + apart.reshape(rows, C).gather(1, shuffle)
    odd = torch.tensor([n for n in range(129, 256, 2) if n % 5])[d.integers(0, 51, C)] / 128
    weight = torch.where(d.chance(0.5, C), odd, -odd)
    return {"x": x.view(shape).to(torch.bfloat16), "weight": weight.to(gain), "bias": torch.zeros(C, dtype=gain)}


def _norm_cases():
    d = Draw(2102)
    by_hand = {"x": torch.tensor([[1.0, 7.0, 9.0, 15.0]]), "weight": torch.ones(4), "bias": torch.zeros(4)}
    constant = norm_inputs(d, 2, 6)
    return [
        Case("a row to check by hand", {**by_hand, "eps": 1e-5}),
        Case("two sequences, a gain and a bias", norm_inputs(d, 2, 3, 8, mean=1.0, scale=2.0)),
        Case("rows that hardly vary", norm_inputs(d, 3, 8, scale=1e-2, eps=1e-4)),
        Case("a constant row", {**constant, "x": torch.tensor([[7.0], [-0.5]]).expand(2, 6).clone()}),
        Case("bfloat16, far from zero", {**exact_norm_inputs(d, 4, 16), "eps": 1e-5}),
    ]


layer_norm = Exercise(
    name="layer_norm",
    title="Normalise every token",
    minutes=10,
    difficulty=1,
    points=3,
    act=lambda f, i: {"out": f(i["x"], i["weight"], i["bias"], i["eps"])},
    visible=_norm_cases,
    shapes={"out": "(..., C)"},
    # float32: a row far from zero rounds its mean. bfloat16: the inputs are such that every right way rounds alike.
    tolerance={"float32": 5e-5, "bfloat16": 1e-6},
    forbids=(*NORMS, _OWN + "layer_norm", _OWN + "layer_norm_naive", _OWN + "LayerNorm.forward"),
    hints=(
        "Four steps: take the mean away, divide by the standard deviation, multiply by the gain, add the bias. Where "
        "does eps go, so that a constant row divides by a number that is not zero?",
        "`row_statistics(x)` gives both numbers in a shape that broadcasts; `.to(x.dtype)` casts back.",
        "mean, variance = row_statistics(x); normed = (x - mean) / sqrt(variance + eps); out = normed * weight + bias; "
        "return it in x's dtype.",
    ),
)


def module_inputs(
    d: Draw, *shape: int, eps: float = 1e-5, dtype: torch.dtype = torch.float32, **more: object
) -> dict[str, object]:
    """One run of the layer, forward and backward."""
    made = norm_inputs(d, *shape, mean=0.5, scale=1.5, eps=eps, dtype=dtype)
    state = {"weight": made.pop("weight"), "bias": made.pop("bias")}
    return {**made, "state": state, "upstream": d.normal(*shape, dtype=dtype), **more}


def _module_cases():
    d = Draw(2103)
    return [
        Case("one sequence", module_inputs(d, 1, 3, 4)),
        Case("two sequences", module_inputs(d, 2, 5, 8)),
        Case("a large eps", module_inputs(d, 2, 3, 6, eps=0.5)),
    ]


def _module_act(f, i):
    x = i["x"].detach().requires_grad_()
    layer = f(x.shape[-1], eps=i["eps"])
    fresh = {f"{name} of a new layer": value.detach().clone() for name, value in layer.state_dict().items()}
    layer = loaded(layer, i["state"])
    trained = dict(layer.named_parameters())
    for name in i["state"]:
        if name not in trained:
            raise WrongType(f"{name} is no parameter: an optimizer would not find it")
    out = layer(x)
    outputs = {**fresh, "out": out}
    if i["upstream"] is not None:
        out.backward(i["upstream"])
        leaves = {"x": x, **{name: trained[name] for name in i["state"]}}
        outputs |= {
            f"gradient of {name}": torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            for name, leaf in leaves.items()
        }
    return outputs


layer_norm_module = Exercise(
    name="layer_norm_module",
    title="A layer that learns its gain",
    minutes=10,
    difficulty=1,
    points=3,
    act=_module_act,
    visible=_module_cases,
    shapes={
        "out": "(..., C)",
        "weight of a new layer": "(C,)",
        "bias of a new layer": "(C,)",
        "gradient of x": "(..., C)",
    },
    forbids=(*NORMS, _OWN + "LayerNorm.forward"),
    hints=(
        "A new layer should pass the normalised row on as it is. Which gain and which bias do that?",
        "`nn.Parameter(tensor)` set as an attribute in `__init__` is found by `parameters()` and `state_dict()`; a "
        "plain tensor is not.",
        "__init__: keep eps; weight = nn.Parameter of ones, bias = nn.Parameter of zeros, both of shape (width,). "
        "forward: normalise(x, weight, bias, eps).",
    ),
)


def gradient_inputs(
    d: Draw, *shape: int, mean: float = 0.5, scale: float = 1.5, eps: float = 1e-5, dtype: torch.dtype = torch.float32
) -> dict[str, object]:
    """An upstream gradient, rows and a gain."""
    made = norm_inputs(d, *shape, mean=mean, scale=scale, eps=eps, dtype=dtype)
    made.pop("bias")
    return {"grad": d.normal(*shape, dtype=dtype), **made}


def _backward_cases():
    d = Draw(2104)
    by_hand = {"grad": torch.tensor([[5.0, 0, 0, 0]]), "x": torch.tensor([[1.0, 7.0, 9.0, 15.0]])}
    return [
        Case("a row to check by hand", {**by_hand, "weight": torch.ones(4), "eps": 1e-5}),
        Case("three rows, a gain", gradient_inputs(d, 3, 6)),
        Case("two sequences", gradient_inputs(d, 2, 4, 8, scale=0.5)),
        Case("a large eps", gradient_inputs(d, 2, 5, eps=0.5)),
        Case("bfloat16", gradient_inputs(d, 3, 8, dtype=torch.bfloat16)),
    ]


def _backward_act(f, i):
    with torch.no_grad():  # autograd would do it all: here its work is done by hand
        return _parts(f(i["grad"], i["x"], i["weight"], i["eps"]), "dx", "dweight", "dbias")


layer_norm_backward = Exercise(
    name="layer_norm_backward",
    title="The backward pass by hand",
    minutes=20,
    difficulty=3,
    points=5,
    act=_backward_act,
    visible=_backward_cases,
    shapes={"dx": "(..., C)", "dweight": "(C,)", "dbias": "(C,)"},
    tolerance={"float32": 5e-5, "bfloat16": 2e-2},
    forbids=(
        "grad",
        "backward",
        *NORMS,
        _OWN + "layer_norm_backward",
        _OWN + "layer_norm",
        _OWN + "LayerNorm.forward",
    ),
    hints=(
        "Begin with dbias and dweight: every row used the same bias and gain, so all rows' gradients add up. For dx, "
        "first carry the gradient through the gain; the rest is the formula, a row at a time.",
        "`row_statistics(x)` again. `.reshape(-1, C).sum(dim=0)` adds over whatever dimensions are in front. Both "
        "means in the formula run over the last dimension, with `keepdim=True`.",
        "std = sqrt(variance + eps); normed = (x - mean) / std; g = grad * weight; dx = (g - mean of g - normed * "
        "mean of (g * normed)) / std; dweight = sum over rows of grad * normed; dbias = sum over rows of grad; cast "
        "dx to x's dtype, the others to weight's.",
    ),
)

# Rows of four whole numbers whose root mean square is 5, so that no rounding is a close call.
_FIVES = ((1, 7, 5, 5), (2, 4, 4, 8), (1, 1, 7, 7), (3, 3, 1, 9), (5, 5, 5, 5), (9, 1, 3, 3))


def exact_rows(d: Draw, rows: int, blocks: int) -> torch.Tensor:
    """(rows, 4 * blocks) in bfloat16: shuffled and signed, each row times a power of two."""
    made = []
    for _ in range(rows):
        row = [n for _ in range(blocks) for n in d.rng.permutation(_FIVES[d.rng.integers(len(_FIVES))])]
        signs = d.rng.choice([-1.0, 1.0], 4 * blocks)
        made.append(torch.tensor(row) * torch.from_numpy(signs) * 2.0 ** int(d.rng.integers(4)))
    return torch.stack(made).to(torch.bfloat16)


def rms_inputs(
    d: Draw, *shape: int, mean: float = 0.0, scale: float = 1.0, eps: float = 1e-5, dtype: torch.dtype = torch.float32
) -> dict[str, object]:
    """Rows and a gain."""
    made = norm_inputs(d, *shape, mean=mean, scale=scale, eps=eps, dtype=dtype)
    made.pop("bias")
    return made


def _rms_cases():
    d = Draw(2105)
    by_hand = {"x": torch.tensor([[1.0, 7.0, 5.0, 5.0]]), "weight": torch.ones(4), "eps": 1e-5}
    return [
        Case("a row to check by hand", by_hand),
        Case("rows with a mean, and a gain", rms_inputs(d, 2, 3, 8, mean=1.0)),
        Case("rows close to zero", rms_inputs(d, 3, 6, scale=2e-3)),
        Case("bfloat16", {"x": exact_rows(d, 6, 4), "weight": d.normal(16, dtype=torch.bfloat16), "eps": 1e-5}),
        Case("float64", rms_inputs(d, 2, 6, dtype=torch.float64)),
    ]


rms_norm = Exercise(
    name="rms_norm",
    title="RMSNorm, in Llama's order",
    minutes=10,
    difficulty=2,
    points=3,
    act=lambda f, i: {"out": f(i["x"], i["weight"], i["eps"])},
    visible=_rms_cases,
    shapes={"out": "(..., C)"},
    tolerance={"bfloat16": 1e-6},  # the inputs are such that every right way rounds alike
    forbids=(*NORMS, _OWN + "rms_norm", _OWN + "rms_norm_naive", _OWN + "RMSNorm.forward"),
    hints=(
        "It is layer_norm with the mean left where it is. What is the variance around zero?",
        "`.square().mean(dim=-1, keepdim=True)` of the float32 row; `.to(x.dtype)` *before* the gain comes.",
        "wide = x in float32 at least; normed = wide / sqrt(mean of wide squared + eps); return weight * (normed cast "
        "to x's dtype).",
    ),
)


def faulty(fault: str, amount: float):
    """A layer norm with a named fault; "none" is right, "none, in float64" too. What a test has to tell apart."""

    def layer_norm(x, weight, bias, eps):
        wide = x if fault == "statistics in bfloat16" else x.to(torch.promote_types(x.dtype, torch.float32))
        if fault == "none, in float64":
            wide = x.double()
        if fault == "always in float32":
            wide = x.float()
        over = (-2, -1) if fault == "statistics over positions too" and x.dim() > 1 else (-1,)
        mean = wide.mean(dim=over, keepdim=True)
        if fault == "variance in one pass":
            variance = wide.square().mean(dim=over, keepdim=True) - mean.square()
        else:
            variance = (wide - mean).square().mean(dim=over, keepdim=True)
        if fault == "unbiased variance":
            variance = variance * x.shape[-1] / (x.shape[-1] - 1)
        if fault == "no gradient through the statistics":
            mean, variance = mean.detach(), variance.detach()
        if fault == "no gradient through the mean":
            mean = mean.detach()
        if fault == "eps outside the root":
            std = variance.sqrt() + eps
        else:
            std = (variance + (amount if fault == "an eps of its own" else eps)).sqrt()
        normed = (wide if fault == "mean kept" else wide - mean) / std
        if fault == "gain without a gradient":
            weight = weight.detach()
        if fault == "gain off by a factor":
            weight = weight * amount
        out = (normed + bias) * weight if fault == "bias times gain" else normed * weight + bias
        return out if fault == "result in float32" else out.to(x.dtype)

    return layer_norm


def _test_cases():
    return [
        Case(fault, {"fault": fault, "amount": 0.0})
        for fault in (
            "unbiased variance",
            "statistics over positions too",
            "eps outside the root",
            "no gradient through the statistics",
        )
    ]


def _test_act(f, i):
    right = [bool(f(faulty(name, 0.0))) for name in ("none", "none, in float64")]
    return {"accepts the right ones": all(right), "accepts the wrong one": bool(f(faulty(**i)))}


norm_test = Exercise(
    name="norm_test",
    title="Write the test that catches them",
    minutes=15,
    difficulty=3,
    points=4,
    act=_test_act,
    visible=_test_cases,
    forbids=NORMS,
    hints=(
        "A fault shows only where it changes something. On rows of mean 0 and variance 1 with gain 1 and bias 0, most "
        "of them change nothing. Which inputs bring each promise into play, and what sees a wrong gradient?",
        "`torch.allclose` with tolerances, on rows normalised one by one in float64. "
        "`torch.autograd.gradcheck(f, inputs, raise_exception=False)` compares f's gradients, in float64, with finite "
        "differences of f itself.",
        "for each dtype and for several means, scales and eps: compare the candidate with each row's own (row - mean) "
        "/ sqrt(variance + eps) * weight + bias in float64, and its dtype with x's; then gradcheck with x, weight and "
        "bias in float64, all requiring gradients; return True only if everything held.",
    ),
)
