"""Lab 2.1, the instructor's half: references in float64 by other means, hidden cases, misconceptions."""

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch02_transformer_block.lab01_layer_normalization import (
    exact_norm_inputs,
    exact_rows,
    gradient_inputs,
    module_inputs,
    norm_inputs,
    rms_inputs,
)
from autograder.exercise import Answer, Case, Misconception

DOUBLE, HALF, BRAIN = torch.float64, torch.float16, torch.bfloat16


def _statistics_hidden(seed):
    d = Draw(seed)
    return [
        Case("one row and nothing in front", {"x": d.normal(7)}),
        Case("a width of 1", {"x": d.normal(3, 1)}),
        Case("four dimensions", {"x": d.normal(2, 2, 3, 5, scale=2.0)}),
        Case("a mean of -3,000", {"x": d.normal(2, 200) - 3000}),
        Case("float64 with a mean of 10 million", {"x": d.normal(3, 32, dtype=DOUBLE) + 1e7}),
        Case("float16 whose squares overflow", {"x": d.normal(3, 8, dtype=HALF, scale=2000.0)}),
        Case("bfloat16, far from zero", {"x": (d.normal(3, 24) + 30).to(BRAIN)}),
        Case("a non-contiguous input", {"x": transposed(d.normal(4, 6))}),
        Case("an empty batch", {"x": d.normal(0, 3, 4)}),
    ]


def _statistics_reference(i):
    x = i["x"].double()
    dtype = DOUBLE if i["x"].dtype == DOUBLE else torch.float32
    both = {"mean": x.numpy().mean(-1, keepdims=True), "variance": x.numpy().var(-1, keepdims=True)}
    return {name: torch.from_numpy(value).to(dtype) for name, value in both.items()}


_VARIANCE = "(wide - mean).square().mean(dim=-1, keepdim=True)"
statistics = Answer(
    name="statistics",
    reference=_statistics_reference,
    hidden=_statistics_hidden,
    misconceptions=(
        Misconception(
            "unbiased",
            "the squares are divided by C - 1 instead of C",
            edits=((_VARIANCE, "(wide - mean).square().sum(dim=-1, keepdim=True) / (x.shape[-1] - 1)"),),
        ),
        Misconception(
            "one-pass",
            "the variance is the mean of the squares minus the square of the mean: with a large mean, rounding is all "
            "that this difference leaves",
            edits=((_VARIANCE, "wide.square().mean(dim=-1, keepdim=True) - mean.square()"),),
        ),
        Misconception(
            "in-sixteen-bits",
            "the statistics are computed and returned in the 16 bits of the input",
            edits=(("x.to(torch.promote_types(x.dtype, torch.float32))", "x"),),
        ),
        Misconception(
            "cast-too-late",
            "the mean and the squares are computed in 16 bits and cast to float32 only at the end",
            edits=(
                ("x.to(torch.promote_types(x.dtype, torch.float32))", "x"),
                (
                    f"return mean, {_VARIANCE}",
                    f"v = {_VARIANCE}\n    up = torch.promote_types(x.dtype, torch.float32)\n"
                    "    return mean.to(up), v.to(up)",
                ),
            ),
        ),
        Misconception(
            "always-float32",
            "float64 is cut down to float32",
            edits=(("x.to(torch.promote_types(x.dtype, torch.float32))", "x.float()"),),
        ),
        Misconception(
            "always-float64",
            "everything is computed and returned in float64",
            edits=(("x.to(torch.promote_types(x.dtype, torch.float32))", "x.double()"),),
        ),
        Misconception(
            "standard-deviation",
            "the standard deviation is returned instead of the variance",
            edits=((_VARIANCE, f"{_VARIANCE}.sqrt()"),),
        ),
        Misconception(
            "wrong-axis",
            "mean and variance run over the first dimension instead of the last",
            code="def statistics(x):\n"
            "    wide = x.to(torch.promote_types(x.dtype, torch.float32))\n"
            "    mean = wide.mean(dim=0, keepdim=True)\n"
            "    return mean, (wide - mean).square().mean(dim=0, keepdim=True)\n",
        ),
        Misconception(
            "dimension-dropped",
            "the last dimension is dropped instead of kept with size 1",
            edits=((f"return mean, {_VARIANCE}", f"return mean[..., 0], {_VARIANCE}[..., 0]"),),
        ),
        Misconception(
            "one-for-all",
            "there is one mean and one variance for the whole tensor instead of one for each row",
            code="def statistics(x):\n"
            "    wide = x.to(torch.promote_types(x.dtype, torch.float32))\n"
            "    shape = (*x.shape[:-1], 1)\n"
            "    mean = wide.mean()\n"
            "    return mean.expand(shape), (wide - mean).square().mean().expand(shape)\n",
        ),
    ),
)


def _norm_hidden(seed):
    d = Draw(seed)
    loose = norm_inputs(d, 4, 6)
    return [
        Case("one row and nothing in front", norm_inputs(d, 5)),
        Case("a width of 1", norm_inputs(d, 3, 1)),
        Case("four dimensions", norm_inputs(d, 2, 2, 3, 7, mean=-1.0)),
        Case("a large eps", norm_inputs(d, 2, 3, 6, eps=0.5)),
        Case("a mean of 100", norm_inputs(d, 3, 32, mean=100.0)),
        Case("a row of zeros among others", {**loose, "x": loose["x"] * torch.tensor([[1.0], [0.0], [1.0], [1.0]])}),
        Case("float64", norm_inputs(d, 3, 8, mean=50.0, dtype=DOUBLE)),
        Case("float16 whose squares overflow", norm_inputs(d, 2, 8, scale=2000.0, dtype=HALF)),
        Case("bfloat16, two sequences", {**exact_norm_inputs(d, 2, 3, 8), "eps": 1e-5}),
        Case("bfloat16 rows, a float32 gain", {**exact_norm_inputs(d, 3, 12, gain=torch.float32), "eps": 1e-5}),
        Case("a non-contiguous input", {**loose, "x": transposed(loose["x"])}),
        Case("an empty batch", norm_inputs(d, 0, 3, 4)),
    ]


def _normed(x, weight, bias, eps):
    # float64 all the way, by the norm of the centred row: no mean of squares is formed.
    C = x.shape[-1]
    centred = x - x.sum(-1, keepdim=True) / C
    length = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
    return centred / torch.hypot(length / C**0.5, torch.tensor(eps, dtype=DOUBLE).sqrt()) * weight + bias


def _norm_reference(i):
    x, weight, bias = (i[name].double() for name in ("x", "weight", "bias"))
    return {"out": _normed(x, weight, bias, i["eps"]).to(i["x"].dtype)}


_NORMED = "(x - mean) / torch.sqrt(variance + eps)"
layer_norm = Answer(
    name="layer_norm",
    reference=_norm_reference,
    hidden=_norm_hidden,
    misconceptions=(
        Misconception(
            "unbiased",
            "the variance is torch.var's own, which divides by C - 1",
            edits=(("torch.sqrt(variance + eps)", "torch.sqrt(x.var(dim=-1, keepdim=True) + eps)"),),
        ),
        Misconception(
            "eps-outside-the-root",
            "eps is added to the standard deviation instead of to the variance",
            edits=(("torch.sqrt(variance + eps)", "(torch.sqrt(variance) + eps)"),),
        ),
        Misconception(
            "no-eps", "eps is left out, so that a constant row is 0/0", edits=(("variance + eps", "variance"),)
        ),
        Misconception(
            "eps-always-the-same",
            "eps is 1e-5 whatever is asked for",
            edits=(("variance + eps", "variance + 1e-5"),),
        ),
        Misconception(
            "no-root",
            "the row is divided by its variance instead of its standard deviation",
            edits=(("torch.sqrt(variance + eps)", "(variance + eps)"),),
        ),
        Misconception(
            "over-the-batch",
            "each channel is normalised over all tokens, which is batch normalisation",
            code="def layer_norm(x, weight, bias, eps=1e-5):\n"
            "    rows = x.to(torch.promote_types(x.dtype, torch.float32)).reshape(-1, x.shape[-1])\n"
            "    v, m = torch.var_mean(rows, dim=0, correction=0)\n"
            "    return ((rows - m) / (v + eps).sqrt() * weight + bias).reshape(x.shape).to(x.dtype)\n",
        ),
        Misconception(
            "over-the-sequence",
            "mean and variance run over all tokens of a sequence together instead of over each token",
            code="def layer_norm(x, weight, bias, eps=1e-5):\n"
            "    wide = x.to(torch.promote_types(x.dtype, torch.float32))\n"
            "    dims = (-2, -1) if x.dim() > 1 else (-1,)\n"
            "    v, m = torch.var_mean(wide, dim=dims, correction=0, keepdim=True)\n"
            "    return ((wide - m) / (v + eps).sqrt() * weight + bias).to(x.dtype)\n",
        ),
        Misconception(
            "mean-kept",
            "the mean is not taken away",
            edits=((_NORMED, "x / torch.sqrt(variance + eps)"),),
        ),
        Misconception(
            "bias-times-gain",
            "the bias is added before the gain is applied, and so is scaled too",
            edits=(("normed * weight + bias", "(normed + bias) * weight"),),
        ),
        Misconception(
            "no-gain-no-bias",
            "gain and bias are not used",
            edits=(("(normed * weight + bias)", "normed"),),
        ),
        Misconception(
            "not-cast-back",
            "the result stays in float32 when x has 16 bits",
            edits=((".to(x.dtype)", ""),),
        ),
        Misconception(
            "eps-as-a-floor",
            "eps is the least standard deviation allowed instead of being added to the variance",
            edits=(("torch.sqrt(variance + eps)", "torch.sqrt(variance).clamp(min=eps)"),),
        ),
        Misconception(
            "cast-too-early",
            "the normalised row is cast back before the gain is applied, so that 16 bits are rounded more than once",
            edits=(("(normed * weight + bias).to(x.dtype)", "(normed.to(x.dtype) * weight + bias).to(x.dtype)"),),
        ),
        Misconception(
            "mean-in-sixteen-bits",
            "the mean is rounded to x's dtype before it is taken away",
            edits=(("x - mean)", "x - mean.to(x.dtype))"),),
        ),
    ),
)


def _module_hidden(seed):
    d = Draw(seed)
    loose = module_inputs(d, 2, 4, 6)
    return [
        Case("one token of width 1", module_inputs(d, 1, 1, 1)),
        Case("a batch of rows", module_inputs(d, 5, 3)),
        Case("one row and nothing in front", module_inputs(d, 9)),
        Case("a small eps, and rows that hardly vary", _hardly(module_inputs(d, 2, 3, 8, eps=1e-8))),
        Case("a non-contiguous input", {**loose, "x": transposed(loose["x"])}),
        Case("float64", module_inputs(d, 2, 3, 4, dtype=DOUBLE)),
        Case("bfloat16, forward only", module_inputs(d, 2, 3, 8, dtype=BRAIN) | {"upstream": None}),
        Case("an empty batch", module_inputs(d, 0, 3, 4)),
    ]


def _hardly(inputs):
    return {**inputs, "x": inputs["x"] * 1e-3, "upstream": inputs["upstream"] * 1e-3}


def _module_reference(i):
    leaves = {"x": i["x"], **i["state"]}
    leaves = {name: leaf.double().clone().requires_grad_() for name, leaf in leaves.items()}
    out = _normed(leaves["x"], leaves["weight"], leaves["bias"], i["eps"])
    C = i["x"].shape[-1]
    outputs = {"weight of a new layer": torch.ones(C), "bias of a new layer": torch.zeros(C)}
    dtype = i["x"].dtype
    outputs["out"] = out.detach().to(dtype)
    if i["upstream"] is not None:
        grads = torch.autograd.grad(out, list(leaves.values()), i["upstream"].double())
        outputs |= {f"gradient of {name}": g.to(dtype) for name, g in zip(leaves, grads, strict=True)}
    return outputs


layer_norm_module = Answer(
    name="layer_norm_module",
    reference=_module_reference,
    hidden=_module_hidden,
    misconceptions=(
        Misconception(
            "gain-starts-at-zero",
            "the gain of a new layer is zero, so that the layer passes nothing on",
            edits=(("torch.ones(width)", "torch.zeros(width)"),),
        ),
        Misconception(
            "bias-starts-at-one",
            "the bias of a new layer is one",
            edits=(("torch.zeros(width)", "torch.ones(width)"),),
        ),
        Misconception(
            "no-parameters",
            "weight and bias are not both an `nn.Parameter` of shape (width,): an optimizer finds only parameters, a "
            "checkpoint goes by their names, and each channel has its own",
            edits=(
                ("nn.Parameter(torch.ones(width))", "torch.ones(width)"),
                ("nn.Parameter(torch.zeros(width))", "torch.zeros(width)"),
            ),
        ),
        Misconception(
            "eps-not-passed-on",
            "the layer's eps does not reach the normalisation",
            edits=((", self.bias, self.eps)", ", self.bias)"),),
        ),
        Misconception(
            "statistics-cut-off",
            "mean and variance are detached: the output is right, and the gradient of x is not",
            edits=(
                (
                    "return normalise(x, self.weight, self.bias, self.eps)",
                    "mean, variance = row_statistics(x.detach())\n"
                    "        normed = (x - mean) / torch.sqrt(variance + self.eps)\n"
                    "        return (normed * self.weight + self.bias).to(x.dtype)",
                ),
            ),
        ),
        Misconception(
            "gain-cut-off",
            "the gain and the bias get no gradient: `.data` and `.detach()` leave autograd behind",
            edits=(("normalise(x, self.weight, self.bias,", "normalise(x, self.weight.data, self.bias.data,"),),
        ),
    ),
)


def _backward_hidden(seed):
    d = Draw(seed)
    loose = gradient_inputs(d, 4, 6)
    return [
        Case("one row and nothing in front", gradient_inputs(d, 6)),
        Case("a width of 1", gradient_inputs(d, 4, 1)),
        Case("a width of 2", gradient_inputs(d, 3, 2)),
        Case("four dimensions", gradient_inputs(d, 2, 2, 3, 5)),
        Case("a large mean", gradient_inputs(d, 3, 16, mean=50.0)),
        Case("a constant row", {**loose, "x": torch.full((4, 6), 1.5), "eps": 0.1}),
        Case("a negative gain and one of zero", {**loose, "weight": torch.tensor([-2.0, 0, 1, -1, 0.5, 3])}),
        Case("non-contiguous inputs", {**loose, "x": transposed(loose["x"]), "grad": transposed(loose["grad"])}),
        Case("float64", gradient_inputs(d, 2, 3, 8, dtype=DOUBLE)),
        Case("bfloat16, far from zero", gradient_inputs(d, 3, 8, mean=10.0, dtype=BRAIN)),
        Case("bfloat16 rows, a float32 gain", _mixed(gradient_inputs(d, 3, 8))),
        Case("an empty batch", gradient_inputs(d, 0, 2, 4)),
    ]


def _mixed(inputs):
    return {**inputs, "x": inputs["x"].to(BRAIN), "grad": inputs["grad"].to(BRAIN)}


def _backward_reference(i):
    leaves = [i[n].double().clone().requires_grad_() for n in ("x", "weight")]
    bias = torch.zeros_like(leaves[1], requires_grad=True)
    with torch.enable_grad():
        out = _normed(*leaves, bias, i["eps"])
        dx, dweight, dbias = torch.autograd.grad(out, [*leaves, bias], i["grad"].double())
    # At a constant row the length of the centred row has no derivative by autograd; the variance has, and it is 0.
    flat = (i["x"] == i["x"][..., :1]).all(-1, keepdim=True)
    if flat.any():
        g = i["grad"].double() * i["weight"].double()
        dx = torch.where(flat, (g - g.mean(-1, keepdim=True)) / i["eps"] ** 0.5, dx)
    dtype = i["weight"].dtype
    return {"dx": dx.to(i["x"].dtype), "dweight": dweight.to(dtype), "dbias": dbias.to(dtype)}


_DX = "(g - through_mean - through_std) / std"
layer_norm_backward = Answer(
    name="layer_norm_backward",
    reference=_backward_reference,
    hidden=_backward_hidden,
    misconceptions=(
        Misconception(
            "direct-term-only",
            "mean and standard deviation are treated as constants: only the direct term is left",
            edits=((_DX, "g / std"),),
        ),
        Misconception(
            "no-mean-term",
            "the term through the mean is missing",
            edits=((_DX, "(g - through_std) / std"),),
        ),
        Misconception(
            "no-spread-term",
            "the term through the standard deviation is missing",
            edits=((_DX, "(g - through_mean) / std"),),
        ),
        Misconception(
            "sign-of-the-terms",
            "the two terms through the statistics are added instead of subtracted",
            edits=((_DX, "(g + through_mean + through_std) / std"),),
        ),
        Misconception(
            "not-divided",
            "dx is not divided by the standard deviation",
            edits=((_DX, "(g - through_mean - through_std)"),),
        ),
        Misconception(
            "no-gain",
            "the gradient is not carried through the gain first",
            edits=(("g = grad * weight", "g = grad"),),
        ),
        Misconception(
            "gain-last",
            "the gain is applied after the terms through the statistics were taken out, instead of before",
            edits=(("g = grad * weight", "g = grad"), (_DX, f"weight * {_DX}")),
        ),
        Misconception(
            "sums-for-means",
            "the two terms use sums over the row instead of means",
            edits=(
                ("g.mean(dim=-1, keepdim=True)", "g.sum(dim=-1, keepdim=True)"),
                ("(g * normed).mean(dim=-1, keepdim=True)", "(g * normed).sum(dim=-1, keepdim=True)"),
            ),
        ),
        Misconception(
            "means-over-everything",
            "the two means run over the whole tensor instead of over each row",
            edits=(
                ("g.mean(dim=-1, keepdim=True)", "g.mean()"),
                ("(g * normed).mean(dim=-1, keepdim=True)", "(g * normed).mean()"),
            ),
        ),
        Misconception(
            "rows-averaged",
            "dweight and dbias are averaged over the rows instead of summed",
            edits=(
                ("(grad * normed).reshape(-1, C).sum(dim=0)", "(grad * normed).reshape(-1, C).mean(dim=0)"),
                ("dbias = grad.reshape(-1, C).sum(dim=0)", "dbias = grad.reshape(-1, C).mean(dim=0)"),
            ),
        ),
        Misconception(
            "rows-not-summed",
            "dweight and dbias keep a gradient for every row instead of their sum",
            edits=(
                ("(grad * normed).reshape(-1, C).sum(dim=0)", "grad * normed"),
                ("dbias = grad.reshape(-1, C).sum(dim=0)", "dbias = grad"),
            ),
        ),
        Misconception(
            "first-dimension-only",
            "dweight and dbias are summed over the first dimension alone",
            edits=(
                ("(grad * normed).reshape(-1, C).sum(dim=0)", "(grad * normed).sum(dim=0)"),
                ("dbias = grad.reshape(-1, C).sum(dim=0)", "dbias = grad.sum(dim=0)"),
            ),
        ),
        Misconception(
            "raw-rows-for-the-gain",
            "dweight multiplies by x instead of by the normalised row",
            edits=(("dweight = (grad * normed)", "dweight = (grad * x)"),),
        ),
        Misconception(
            "gain-in-dweight",
            "dweight and dbias are sums of the gradient after it went through the gain",
            edits=(("dweight = (grad * normed)", "dweight = (g * normed)"), ("dbias = grad.", "dbias = g.")),
        ),
        Misconception(
            "divided-by-the-variance",
            "dx is divided by the variance instead of the standard deviation",
            edits=((_DX, "(g - through_mean - through_std) / (variance + eps)"),),
        ),
        Misconception(
            "centred-for-normed",
            "the term through the standard deviation multiplies by x - mean instead of by the normalised row",
            edits=(("through_std = normed *", "through_std = (x - mean) *"),),
        ),
        Misconception(
            "gains-and-biases-swapped",
            "dweight and dbias come back in each other's place",
            edits=(
                (
                    "dweight.to(weight.dtype), dbias.to(weight.dtype)",
                    "dbias.to(weight.dtype), dweight.to(weight.dtype)",
                ),
            ),
        ),
        Misconception(
            "not-cast-back",
            "the gradients stay in float32 when x and weight have 16 bits",
            edits=(("dx.to(x.dtype), dweight.to(weight.dtype), dbias.to(weight.dtype)", "dx, dweight, dbias"),),
        ),
        Misconception(
            "eps-forgotten",
            "eps is left out of the standard deviation",
            edits=(("torch.sqrt(variance + eps)", "torch.sqrt(variance)"),),
        ),
    ),
)


def _rms_hidden(seed):
    d = Draw(seed)
    loose = rms_inputs(d, 4, 6)
    wide = exact_rows(d, 8, 3)
    return [
        Case("one row and nothing in front", rms_inputs(d, 5)),
        Case("a width of 1", rms_inputs(d, 3, 1)),
        Case("four dimensions", rms_inputs(d, 2, 2, 3, 7, mean=-2.0)),
        Case("a large eps", rms_inputs(d, 2, 3, 6, eps=0.5)),
        Case("a row of zeros among others", {**loose, "x": loose["x"] * torch.tensor([[1.0], [0.0], [1.0], [1.0]])}),
        Case("float64, far from zero", rms_inputs(d, 3, 8, mean=5.0, dtype=DOUBLE)),
        Case("float16 whose squares overflow", rms_inputs(d, 2, 8, scale=2000.0, dtype=HALF)),
        Case("bfloat16, two sequences", {**rms_inputs(d, 1, 12, dtype=BRAIN), "x": wide.view(2, 4, 12)}),
        Case("a non-contiguous input", {**loose, "x": transposed(loose["x"])}),
        Case("an empty batch", rms_inputs(d, 0, 3, 4)),
    ]


def _rms_reference(i):
    x = i["x"].double()
    size = torch.hypot(
        torch.linalg.vector_norm(x, dim=-1, keepdim=True) / x.shape[-1] ** 0.5,
        torch.tensor(i["eps"], dtype=DOUBLE).sqrt(),
    )
    return {"out": ((x / size).to(i["x"].dtype).double() * i["weight"].double()).to(i["x"].dtype)}


_RMS = "wide * torch.rsqrt(wide.square().mean(dim=-1, keepdim=True) + eps)"
rms_norm = Answer(
    name="rms_norm",
    reference=_rms_reference,
    hidden=_rms_hidden,
    misconceptions=(
        Misconception(
            "mean-taken-away",
            "the mean is taken away first, which is LayerNorm without a bias",
            edits=(
                (
                    _RMS,
                    "(wide - wide.mean(dim=-1, keepdim=True)) * torch.rsqrt("
                    "wide.var(dim=-1, correction=0, keepdim=True) + eps)",
                ),
            ),
        ),
        Misconception(
            "divided-by-the-standard-deviation",
            "the row is divided by its standard deviation around the mean instead of its root mean square",
            edits=((_RMS, "wide * torch.rsqrt(wide.var(dim=-1, correction=0, keepdim=True) + eps)"),),
        ),
        Misconception(
            "gain-before-the-cast",
            "the gain is applied in float32, before the cast, so that 16 bits round once instead of twice as in Llama",
            edits=(("weight * normed.to(x.dtype)", "(weight * normed).to(x.dtype)"),),
        ),
        Misconception(
            "in-sixteen-bits",
            "the root mean square is computed in the 16 bits of the input",
            edits=(("x.to(torch.promote_types(x.dtype, torch.float32))", "x"),),
        ),
        Misconception(
            "not-cast-back",
            "the result stays in float32 when x has 16 bits",
            edits=(("normed.to(x.dtype)", "normed"),),
        ),
        Misconception(
            "always-float32",
            "float64 is cut down to float32",
            edits=(("x.to(torch.promote_types(x.dtype, torch.float32))", "x.float()"),),
        ),
        Misconception(
            "eps-outside-the-root",
            "eps is added to the root instead of under it",
            edits=((_RMS, "wide / (wide.square().mean(dim=-1, keepdim=True).sqrt() + eps)"),),
        ),
        Misconception(
            "no-eps",
            "eps is left out, so that a row of zeros is 0/0",
            edits=(("keepdim=True) + eps)", "keepdim=True))"),),
        ),
        Misconception(
            "square-of-the-mean",
            "the mean is squared instead of the squares being averaged",
            edits=(("wide.square().mean(dim=-1, keepdim=True)", "wide.mean(dim=-1, keepdim=True).square()"),),
        ),
        Misconception(
            "over-the-batch",
            "the root mean square runs over the first dimension instead of the last",
            edits=(("mean(dim=-1, keepdim=True)", "mean(dim=0, keepdim=True)"),),
        ),
        Misconception(
            "sum-for-mean",
            "the row is divided by its length, the root of the sum of squares, instead of the root of their mean",
            edits=((_RMS, "wide * torch.rsqrt(wide.square().sum(dim=-1, keepdim=True) + eps)"),),
        ),
        Misconception(
            "no-root",
            "the row is divided by the mean square without its root",
            edits=((_RMS, "wide / (wide.square().mean(dim=-1, keepdim=True) + eps)"),),
        ),
        Misconception(
            "one-plus-gain",
            "the gain is taken as 1 + weight, which is how Gemma stores it and Llama does not",
            edits=(("return weight *", "return (1 + weight) *"),),
        ),
        Misconception(
            "no-gain",
            "the gain is not used",
            edits=(("return weight *", "return"),),
        ),
    ),
)


def _test_hidden(seed):
    d = Draw(seed)
    faults = (
        ("gain off by a factor", float(d.rng.uniform(1.05, 1.2))),
        ("an eps of its own", float(d.rng.uniform(1e-5, 2e-5))),
        ("mean kept", 0.0),
        ("bias times gain", 0.0),
        ("variance in one pass", 0.0),
        ("statistics in bfloat16", 0.0),
        ("always in float32", 0.0),
        ("result in float32", 0.0),
        ("no gradient through the mean", 0.0),
        ("gain without a gradient", 0.0),
    )
    return [Case(fault, {"fault": fault, "amount": amount}) for fault, amount in faults]


def _small_test(body):
    """A test that looks at standard normal rows in float32; body: what it looks at."""
    return (
        "def norm_test(candidate):\n"
        "    generator = torch.Generator().manual_seed(0)\n"
        "    x = torch.randn(2, 3, 8, generator=generator, dtype=torch.float64)\n"
        "    weight, bias = torch.ones(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)\n" + body
    )


_GRADCHECK = "return torch.autograd.gradcheck(lambda *leaves: candidate(*leaves, 1e-3), leaves, raise_exception=False)"
norm_test = Answer(
    name="norm_test",
    reference=lambda i: {"accepts the right ones": True, "accepts the wrong one": False},
    hidden=_test_hidden,
    misconceptions=(
        Misconception(
            "shape-only",
            "nothing but shape and dtype is looked at, so that any numbers pass",
            code=_small_test(
                "    out = candidate(x, weight, bias, 1e-5)\n    return out.shape == x.shape and out.dtype == x.dtype\n"
            ),
        ),
        Misconception(
            "mean-and-variance-only",
            "only the output's mean and variance are looked at, on rows of ordinary size: that sees neither the place "
            "of eps nor any gradient",
            code=_small_test(
                "    out = candidate(x, weight, bias, 1e-5)\n"
                "    centred = out.mean(dim=-1).abs().max() < 1e-3\n"
                "    return bool(centred and (out.var(dim=-1, correction=0) - 1).abs().max() < 1e-3)\n"
            ),
        ),
        Misconception(
            "no-gradients",
            "only outputs are compared, never a gradient",
            edits=((_GRADCHECK, "return True"),),
        ),
        Misconception(
            "gradients-only",
            "only gradients are compared, and those with the candidate's own output: a wrong output with the right "
            "gradient of it passes",
            code=_small_test(
                "    leaves = [leaf.clone().requires_grad_() for leaf in (x, weight, bias)]\n"
                "    return torch.autograd.gradcheck(lambda *t: candidate(*t, 1e-3), leaves, raise_exception=False)\n"
            ),
        ),
        Misconception(
            "ordinary-rows-only",
            "outputs and gradients are compared, but only on rows of ordinary size, where the place of eps does not "
            "show",
            edits=(
                (
                    "((0, 1, 1e-5), (0, 1e-3, 1e-5), (0, 1, 0.5), (20, 1, 1e-5), (1000, 1, 1e-5))",
                    "((0, 1, 1e-5),)",
                ),
                ("(torch.float64, 1e-8), (torch.float32, 1e-3), (torch.bfloat16, 0.03)", "(torch.float32, 1e-3),"),
            ),
        ),
        Misconception(
            "rejects-the-right-ones",
            "right candidates are rejected too, as by an exact comparison: another order of adding rounds differently",
            code="def norm_test(candidate):\n    return False\n",
        ),
    ),
)
