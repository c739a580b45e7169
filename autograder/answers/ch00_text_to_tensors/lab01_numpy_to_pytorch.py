"""Lab 0.1, the instructor's half: references by NumPy itself, by loops or in float64; hidden cases, misconceptions."""

import numpy as np
import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch00_text_to_tensors.lab01_numpy_to_pytorch import (
    CONTRACTIONS,
    contraction_inputs,
    loss_inputs,
    table_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _standardise_hidden(seed):
    d = Draw(seed)
    return [
        Case("rows of one number", {"x": d.normal(3, 1)}),
        Case("booleans", {"x": d.chance(0.5, 2, 9)}),
        Case("bytes", {"x": d.integers(0, 256, 2, 3, 6).to(torch.uint8)}),
        Case("float16", {"x": d.normal(2, 6, dtype=torch.float16)}),
        # More digits than float32 holds.
        Case("counts in the tens of millions", {"x": 20_000_000 + d.integers(0, 90, 3, 5)}),
        Case("a non-contiguous input, as many rows as columns", {"x": transposed(d.normal(5, 5, dtype=torch.float64))}),
        Case("an empty batch", {"x": d.normal(0, 4)}),
    ]


def _standardise_reference(i):
    # The NumPy function of the lab, run by NumPy.
    x = i["x"].numpy()
    z = (x - x.mean(axis=-1, keepdims=True)) / (x.std(axis=-1, keepdims=True) + 1e-5)
    return {"z": torch.from_numpy(z)}


_RETURN = "return (x - mean) / (std + EPSILON)"
standardise = Answer(
    name="standardise",
    reference=_standardise_reference,
    hidden=_standardise_hidden,
    misconceptions=(
        Misconception(
            "line-by-line",
            "the NumPy lines are copied with dim for axis: PyTorch refuses the mean of integers, and its standard "
            "deviation divides by C - 1",
            edits=(("x = x if x.is_floating_point() else x.double()", "pass"), (", correction=0", "")),
        ),
        Misconception(
            "not-converted",
            "integers are not converted first: NumPy does it by itself, PyTorch refuses",
            edits=(("x = x if x.is_floating_point() else x.double()", "pass"),),
        ),
        Misconception(
            "unbiased",
            "the standard deviation is torch's default, which divides by C - 1, where NumPy divides by C",
            edits=((", correction=0", ""),),
        ),
        Misconception(
            "float32-for-integers",
            "integers become float32, torch's default, where NumPy computes in float64",
            edits=(("x.double()", "x.float()"),),
        ),
        Misconception(
            "float64-for-all",
            "float32 becomes float64 too, where NumPy keeps it",
            edits=(("x if x.is_floating_point() else x.double()", "x.double()"),),
        ),
        Misconception(
            "no-keepdim",
            "the mean and the standard deviation lose the dimension (keepdim): with as many rows as columns, row i's "
            "mean is subtracted from column i",
            edits=(
                ("x.mean(dim=-1, keepdim=True)", "x.mean(dim=-1)"),
                ("x.std(dim=-1, keepdim=True, correction=0)", "x.std(dim=-1, correction=0)"),
            ),
        ),
        Misconception(
            "wrong-dimension",
            "columns are standardised instead of rows",
            edits=(
                ("x.mean(dim=-1, keepdim=True)", "x.mean(dim=0, keepdim=True)"),
                ("x.std(dim=-1, keepdim=True, correction=0)", "x.std(dim=0, keepdim=True, correction=0)"),
            ),
        ),
        Misconception(
            "whole-tensor",
            "one mean and one standard deviation are taken of the whole tensor",
            edits=(
                ("x.mean(dim=-1, keepdim=True)", "x.mean()"),
                ("x.std(dim=-1, keepdim=True, correction=0)", "x.std(correction=0)"),
            ),
        ),
        Misconception(
            "variance",
            "the rows are divided by their variance instead of its square root",
            edits=(("(std + EPSILON)", "(std**2 + EPSILON)"),),
        ),
        Misconception(
            "no-epsilon",
            "nothing is added to the standard deviation, so that a row of equal numbers gives 0/0",
            edits=(("(std + EPSILON)", "std"),),
        ),
        Misconception(
            "epsilon-under-the-root",
            "EPSILON is added to the variance, under the square root, instead of to the standard deviation",
            edits=(("(std + EPSILON)", "(std**2 + EPSILON).sqrt()"),),
        ),
        Misconception(
            "in-place",
            "the mean is subtracted in place: a floating-point input is the caller's own memory, and an integer one "
            "was converted, so the fault shows for some dtypes only",
            edits=((_RETURN, "x -= mean\n    return x / (std + EPSILON)"),),
        ),
    ),
)


def _offsets_hidden(seed):
    d = Draw(seed)
    shape = [2, 3, 4, 2]
    order = d.rng.permutation(4)
    dense = np.zeros(shape, dtype=np.uint8).transpose(order)
    offset = int(d.rng.integers(1, 9))
    return [
        Case("no dimension at all", {"shape": [], "strides": [], "offset": offset}),
        Case("an empty dimension", {"shape": [2, 0, 3], "strides": [3, 3, 1], "offset": 0}),
        Case("one element", {"shape": [1, 1], "strides": [offset, 7], "offset": offset}),
        Case(
            "four dimensions, permuted",
            {"shape": list(dense.shape), "strides": list(dense.strides), "offset": 0},
        ),
        Case("a negative stride, as NumPy has them", {"shape": [4, 3], "strides": [-3, 1], "offset": 9 + offset}),
        Case("as many rows as columns", {"shape": [3, 3], "strides": [1, 3 + offset], "offset": 2}),
    ]


def _offsets_reference(i):
    offsets = np.empty(i["shape"], dtype=np.int64)
    for index in np.ndindex(*i["shape"]):
        offsets[index] = i["offset"] + sum(n * s for n, s in zip(index, i["strides"], strict=True))
    return {"offsets": torch.from_numpy(offsets)}


_STEP = "offsets = offsets[..., None] + torch.arange(size) * stride"
flat_offsets = Answer(
    name="flat_offsets",
    reference=_offsets_reference,
    hidden=_offsets_hidden,
    misconceptions=(
        Misconception(
            "always-contiguous",
            "the strides are ignored and the elements are counted through row by row",
            code="def flat_offsets(shape, strides, offset=0):\n"
            "    return offset + torch.arange(math.prod(shape)).reshape(shape)\n",
        ),
        Misconception(
            "no-offset",
            "the starting offset is left out",
            edits=(("torch.tensor(offset)", "torch.tensor(0)"),),
        ),
        Misconception(
            "strides-reversed",
            "the strides are taken in reverse, the last one for the first dimension",
            edits=(("zip(shape, strides)", "zip(shape, strides[::-1])"),),
        ),
        Misconception(
            "transposed",
            "the dimensions come out in reverse order: each new one is put in front instead of behind",
            edits=(
                (_STEP, "offsets = offsets[None] + (torch.arange(size) * stride).reshape(-1, *[1] * offsets.ndim)"),
            ),
        ),
        Misconception(
            "from-one",
            "an index runs from 1 instead of from 0",
            edits=(("torch.arange(size)", "torch.arange(1, size + 1)"),),
        ),
        Misconception(
            "offset-times-dimensions",
            "the starting offset is added once for every dimension",
            edits=(
                ("torch.arange(size) * stride", "torch.arange(size) * stride + offset"),
                ("torch.tensor(offset)", "torch.tensor(0)"),
            ),
        ),
        Misconception(
            "bytes",
            "the offsets are counted in bytes (NumPy's strides) instead of in elements",
            edits=(("return offsets", "return offsets * offsets.element_size()"),),
        ),
    ),
)


def _windows_hidden(seed):
    d = Draw(seed)
    ids = d.integers(0, 90, 30)
    return [
        Case("one window, the whole sequence", {"base": ids[:7].clone(), "start": 0, "step": 1, "W": 7}),
        Case("a sequence of one", {"base": ids[:1].clone(), "start": 0, "step": 1, "W": 1}),
        Case("float64", {"base": d.normal(9, dtype=torch.float64), "start": 0, "step": 1, "W": 2}),
        Case("a slice with a beginning and a step", {"base": ids, "start": 2, "step": 3, "W": 5}),
        Case("bytes, every second one", {"base": ids.to(torch.uint8), "start": 1, "step": 2, "W": 3}),
        Case("windows longer than half of the sequence", {"base": ids[:9].clone(), "start": 0, "step": 1, "W": 6}),
    ]


def _windows_reference(i):
    x = i["base"][i["start"] :: i["step"]]
    rows = [[x[n + w] for w in range(i["W"])] for n in range(len(x) - i["W"] + 1)]
    seen = torch.tensor(rows, dtype=x.dtype)
    return {"windows": seen, "windows after 100 was added to the input": seen + 100}


_VIEW = "x.as_strided((N, W), (step, step))"
sliding_windows = Answer(
    name="sliding_windows",
    reference=_windows_reference,
    hidden=_windows_hidden,
    misconceptions=(
        Misconception(
            "copies",
            "the windows are copied: they hold what the input was, and do not follow when it changes",
            edits=((f"return {_VIEW}", f"return {_VIEW}.clone()"),),
        ),
        Misconception(
            "stride-1",
            "the strides are written as 1: right for a contiguous input, but a slice with a step has its neighbours "
            "farther apart",
            edits=(("step = x.stride(0)", "step = 1"),),
        ),
        Misconception(
            "contiguous-first",
            "the input is made contiguous first, which for a slice with a step is a copy",
            edits=(("step = x.stride(0)", "x, step = x.contiguous(), 1"),),
        ),
        Misconception(
            "one-after-another",
            "the strides are those of windows that lie one after another, (W, 1), and reach beyond the memory: here a "
            "row begins one step after the row above",
            edits=(("(step, step))", "(W, 1))"),),
        ),
        Misconception(
            "from-the-beginning",
            "the view begins at the start of the memory, where the slice does not begin (a storage offset of 0)",
            edits=(("(step, step))", "(step, step), 0)"),),
        ),
        Misconception(
            "one-short",
            "the last window is missing: there are T - W + 1 of them",
            edits=(("N = len(x) - W + 1", "N = len(x) - W"),),
        ),
        Misconception(
            "blocks",
            "the windows lie side by side without overlapping: the stride of the rows is W steps instead of one",
            edits=(("N = len(x) - W + 1", "N = len(x) // W"), ("(step, step)", "(W * step, step)")),
        ),
        Misconception(
            "transposed",
            "rows and columns are swapped: row w holds the w-th id of every window",
            edits=(("(N, W), (step, step)", "(W, N), (step, step)"),),
        ),
        Misconception(
            "bytes",
            "the strides are counted in bytes (NumPy's) instead of in elements, and reach beyond the memory",
            edits=(("step = x.stride(0)", "step = x.stride(0) * x.element_size()"),),
        ),
    ),
)


def _contractions_hidden(seed):
    d = Draw(seed)
    one = {size: 1 for size in "TSVCBHDNW"}
    return [
        Case("every size 1", contraction_inputs(d, **one)),
        Case("an empty batch", contraction_inputs(d, B=0, N=0)),
        Case("float64", contraction_inputs(d, T=2, S=5, V=3, C=4, H=2, D=3, N=2, W=4, dtype=torch.float64)),
        Case("every size 4, in NumPy", contraction_inputs(d, **{size: 4 for size in one}, library="numpy")),
    ]


def _contractions_reference(i):
    x = {name: [a.double().numpy() for a in i[name]] for name in CONTRACTIONS}
    q, k = x["score"]
    (B, T, H, _), S = q.shape, k.shape[1]
    score = np.zeros((B, H, T, S))
    for b, h, t, s in np.ndindex(B, H, T, S):
        score[b, h, t, s] = (q[b, t, h] * k[b, s, h]).sum()
    windows, table = x["predict"]
    out = {
        "embed": x["embed"][0] @ x["embed"][1],
        "paired": (x["paired"][0] * x["paired"][1]).sum(axis=1),
        "count": x["count"][0].T @ x["count"][1],
        "score": score,
        "predict": sum(windows[:, w] @ table[w] for w in range(len(table))),
    }
    dtype = i["embed"][0].numpy().dtype
    if i["library"] == "numpy":
        return {name: value.astype(dtype) for name, value in out.items()}
    return {name: torch.from_numpy(value.astype(dtype)) for name, value in out.items()}


contractions = Answer(
    name="contractions",
    reference=_contractions_reference,
    hidden=_contractions_hidden,
    misconceptions=(
        Misconception(
            "no-arrow",
            "embed has no arrow: the letters that are left come out in the order of the alphabet, c before t",
            edits=(('"tv,vc->tc"', '"tv,vc"'),),
        ),
        Misconception(
            "all-pairs",
            "paired gives two letters to one index, so that every row meets every row",
            edits=(('"nc,nc->n"', '"nc,mc->nm"'),),
        ),
        Misconception(
            "count-transposed",
            "count has its two output indices swapped: who comes first is lost",
            edits=(('"tu,tv->uv"', '"tu,tv->vu"'),),
        ),
        Misconception(
            "count-one-letter",
            "count uses one letter for both operands' characters, which keeps the pairs of equal characters alone",
            edits=(('"tu,tv->uv"', '"tv,tv->v"'),),
        ),
        Misconception(
            "heads-behind",
            "score leaves the heads behind the queries, where they stand in q, instead of moving them to the front",
            edits=(('"bthd,bshd->bhts"', '"bthd,bshd->bths"'),),
        ),
        Misconception(
            "heads-summed",
            "score has no head after the arrow, so that the heads are summed",
            edits=(('"bthd,bshd->bhts"', '"bthd,bshd->bts"'),),
        ),
        Misconception(
            "keys-before-queries",
            "score has keys in the rows and queries in the columns",
            edits=(('"bthd,bshd->bhts"', '"bthd,bshd->bhst"'),),
        ),
        Misconception(
            "places-kept",
            "predict keeps the place in the window instead of summing over it",
            edits=(('"nwu,wuv->nv"', '"nwu,wuv->nwv"'),),
        ),
        Misconception(
            "table-transposed",
            "predict uses the table the wrong way round: its second index is the character read, its third the one "
            "foretold",
            edits=(('"nwu,wuv->nv"', '"nwv,wuv->nu"'),),
        ),
        Misconception(
            "same-character",
            "predict uses one letter for the character that is read and the one that is foretold",
            edits=(('"nwu,wuv->nv"', '"nwv,wvv->nv"'),),
        ),
    ),
)


def _loss_hidden(seed):
    d = Draw(seed)
    share = torch.from_numpy(d.rng.random(6))
    flags = d.chance(0.5, 8)
    flags[d.rng.integers(8)] = True
    return [
        Case("one window", loss_inputs(d, 1, 4, torch.tensor([0.7]))),
        Case("as many windows as characters", loss_inputs(d, 5, 5, d.integers(1, 4, 5).float())),
        Case("boolean weights", loss_inputs(d, 8, 3, flags)),
        Case("integer weights", loss_inputs(d, 6, 2, d.integers(1, 4, 6))),
        Case("float64 logits, float32 weights", loss_inputs(d, 6, 4, share.float(), dtype=torch.float64)),
        Case("float32 logits, float64 weights", loss_inputs(d, 6, 4, share)),
        Case("float64 logits and weights, more windows", loss_inputs(d, 6, 3, share / 3, dtype=torch.float64)),
        Case("float16 logits", loss_inputs(d, 4, 3, torch.tensor([1.0, 0.5, 2.0, 1.0]), dtype=torch.float16)),
        Case("logits in the thousands", loss_inputs(d, 4, 6, torch.ones(4), scale=2000.0)),
    ]


def _loss_reference(i):
    logits, weights = i["logits"].double(), i["weights"].double()
    N, dtype = len(logits), i["logits"].dtype
    p = torch.softmax(logits, dim=-1)
    one_hot = torch.eye(logits.shape[1], dtype=torch.float64)[i["targets"]]
    losses = torch.stack([torch.logsumexp(logits[n], 0) - logits[n, i["targets"][n]] for n in range(N)])
    gradient = (p - one_hot) * (weights / weights.sum())[:, None]
    return {
        "loss": ((losses * weights).sum() / weights.sum()).to(dtype),
        "gradient of the logits": gradient.to(dtype),
    }


def _loss_code(first: str, squeezed: bool, converted: bool, last: str) -> str:
    # A repaired_loss with faults left in.
    return "\n".join(
        [
            "def repaired_loss(logits, targets, weights):",
            f"    {first}",
            f"    log_total = logits.exp().sum(dim=-1, keepdim=True).log(){'.squeeze(-1)' if squeezed else ''}",
            f"    losses = log_total - logits.gather(-1, targets[:, None]){'.squeeze(-1)' if squeezed else ''}",
            *(["    weights = weights.to(logits.dtype)"] if converted else []),
            f"    return {last}",
            "",
        ]
    )


_IN_PLACE = "logits -= logits.amax(dim=-1, keepdim=True)"
_OUT_OF_PLACE = "logits = logits - logits.amax(dim=-1, keepdim=True)"
_MEANS = "(losses * weights).mean() / weights.mean()"
_SUMS = "(losses * weights).sum() / weights.sum()"
repaired_loss = Answer(
    name="repaired_loss",
    reference=_loss_reference,
    hidden=_loss_hidden,
    misconceptions=(
        Misconception(
            "nothing-mended",
            "the function is as it was",
            code=_loss_code(_IN_PLACE, False, False, _MEANS),
        ),
        Misconception(
            "still-in-place",
            "the maximum is still subtracted in place, from logits that belong to the caller",
            code=_loss_code(_IN_PLACE, True, True, _MEANS),
        ),
        Misconception(
            "still-all-pairs",
            "losses of shape (N, 1) still meet weights of shape (N,): each loss is multiplied by every weight, and the "
            "weights cancel out",
            code=_loss_code(_OUT_OF_PLACE, False, True, _MEANS),
        ),
        Misconception(
            "still-float64",
            "weights of dtype float64 still turn the loss into float64",
            code=_loss_code(_OUT_OF_PLACE, True, False, _MEANS),
        ),
        Misconception(
            "in-place-and-all-pairs",
            "the dtype is mended, and both others are left: the caller's logits change, and each loss meets every "
            "weight",
            code=_loss_code(_IN_PLACE, False, True, _MEANS),
        ),
        Misconception(
            "in-place-and-float64",
            "the shapes are mended, and both others are left: the caller's logits change, and float64 weights turn the "
            "loss into float64",
            code=_loss_code(_IN_PLACE, True, False, _MEANS),
        ),
        Misconception(
            "all-pairs-and-float64",
            "the change in place is mended, and both others are left: each loss meets every weight, and float64 "
            "weights turn the loss into float64",
            code=_loss_code(_OUT_OF_PLACE, False, False, _MEANS),
        ),
        Misconception(
            "shift-removed",
            "the maximum is not subtracted at all, so that large logits overflow",
            code=_loss_code("pass", True, True, _MEANS),
        ),
        Misconception(
            "one-shift-for-all",
            "one maximum of all logits is subtracted instead of each row's own, so that rows far below it underflow",
            code=_loss_code("logits = logits - logits.max()", True, True, _MEANS),
        ),
        Misconception(
            "log-of-softmax",
            "softmax is computed first and its logarithm after: where a probability underflows to 0 the loss is "
            "infinite",
            code=_loss_code("logits = logits.softmax(dim=-1).log()", True, True, _MEANS),
        ),
        Misconception(
            "every-target",
            "every row is given the targets of all rows: logits[:, targets] is (N, N), where row n should meet target "
            "n alone",
            code=_loss_code(_OUT_OF_PLACE, True, True, _MEANS)
            .replace("logits.gather(-1, targets[:, None]).squeeze(-1)", "logits[:, targets]")
            .replace("log().squeeze(-1)", "log()"),
        ),
        Misconception(
            "every-target-summed",
            "every row is given the targets of all rows (logits[:, targets] is (N, N)), and all of them are summed",
            code=_loss_code(_OUT_OF_PLACE, True, True, _SUMS)
            .replace("logits.gather(-1, targets[:, None]).squeeze(-1)", "logits[:, targets]")
            .replace("log().squeeze(-1)", "log()"),
        ),
        Misconception(
            "all-pairs-summed",
            "losses of shape (N, 1) still meet weights of shape (N,), and all N · N products are summed: the sum of "
            "the losses, whatever the weights",
            code=_loss_code(_OUT_OF_PLACE, False, True, _SUMS),
        ),
        Misconception(
            "weights-in-float32",
            "the weights are always made float32, also where the logits are float64",
            code=_loss_code(_OUT_OF_PLACE, True, True, _MEANS).replace("weights.to(logits.dtype)", "weights.float()"),
        ),
        Misconception(
            "divided-by-n",
            "the weighted losses are divided by the number of windows instead of by the sum of the weights",
            code=_loss_code(_OUT_OF_PLACE, True, True, "(losses * weights).mean()"),
        ),
        Misconception(
            "half-squeezed",
            "one of the two parts of the losses is (N, 1) and the other (N,), so that their difference is (N, N)",
            code=_loss_code(_OUT_OF_PLACE, True, True, _MEANS).replace(
                "targets[:, None]).squeeze(-1)", "targets[:, None])"
            ),
        ),
    ),
)


def _gradient_hidden(seed):
    d = Draw(seed)
    fortran = table_inputs(d, 7, 3, 4)
    return [
        Case("many windows, few characters", table_inputs(d, 60, 2, 3)),
        Case("eight places", table_inputs(d, 5, 8, 6)),
        Case("characters that never come", {**table_inputs(d, 5, 2, 9), "windows": np.full((5, 2), 4)}),
        Case("float64", table_inputs(d, 9, 3, 5, dtype=torch.float64)),
        Case("as many windows as places and characters", table_inputs(d, 4, 4, 4)),
        Case("windows in column order", {**fortran, "windows": np.asfortranarray(fortran["windows"])}),
        Case("scores of a million", table_inputs(d, 3, 2, 3, scale=1e6, dtype=torch.float64)),
    ]


def _gradient_reference(i):
    table = torch.from_numpy(i["table"]).double().requires_grad_()
    windows, targets = torch.from_numpy(np.ascontiguousarray(i["windows"])), torch.from_numpy(i["targets"])
    logits = sum(
        torch.nn.functional.one_hot(windows[:, w], table.shape[1]).double() @ table[w] for w in range(len(table))
    )
    loss = torch.nn.functional.cross_entropy(logits, targets)
    gradient = torch.autograd.grad(loss, table)[0]
    return {"loss": loss.item(), "gradient": gradient.numpy().astype(i["table"].dtype)}


_ADD = "np.add.at(gradient, (np.arange(W), windows), slope[:, None])"
loss_and_gradient = Answer(
    name="loss_and_gradient",
    reference=_gradient_reference,
    hidden=_gradient_hidden,
    misconceptions=(
        Misconception(
            "counted-once",
            "a character that stands in several windows at the same place is counted once: `gradient[...] += ...` "
            "keeps the last of equal indices",
            edits=((_ADD, "gradient[np.arange(W), windows] += slope[:, None]"),),
        ),
        Misconception(
            "sum-for-mean",
            "the gradient is that of the sum of the losses, and the loss their mean: a division by N is missing",
            edits=(("slope = slope / N", "pass"),),
        ),
        Misconception(
            "softmax-alone",
            "the one-hot of the target is not subtracted from the softmax",
            edits=(("slope[rows, targets] -= 1", "pass"),),
        ),
        Misconception(
            "sign",
            "the gradient's sign is turned round: it points uphill where it should point down",
            edits=(("slope = slope / N", "slope = -slope / N"),),
        ),
        Misconception(
            "divided-by-places",
            "the gradient is divided by the number of places too: the rows of a window are summed, so each gets the "
            "whole slope",
            edits=(("slope = slope / N", "slope = slope / N / W"),),
        ),
        Misconception(
            "rows-of-the-targets",
            "the slopes are added to the rows of the characters foretold instead of those read",
            edits=((_ADD, _ADD.replace("windows", "np.broadcast_to(targets[:, None], (N, W))")),),
        ),
        Misconception(
            "every-target",
            "1 is subtracted in the columns of all targets, in every row: slope[:, targets], where row n should lose "
            "it at target n alone",
            edits=(("slope[rows, targets] -= 1", "slope[:, targets] -= 1"),),
        ),
        Misconception(
            "log-of-softmax",
            "the loss is the logarithm of a softmax that may have underflowed to 0, and then it is infinite",
            edits=(
                (
                    "(np.log(total[:, 0]) - logits[rows, targets]).mean()",
                    "-np.log((e / total)[rows, targets]).mean()",
                ),
            ),
        ),
        Misconception(
            "overflow",
            "the largest logit is not subtracted before the exponential, so that large scores overflow",
            edits=(("logits = logits - logits.max(axis=-1, keepdims=True)", "pass"),),
        ),
        Misconception(
            "float64-gradient",
            "the gradient is made by `np.zeros`, which is float64 unless told otherwise",
            edits=(("np.zeros_like(table)", "np.zeros(table.shape)"),),
        ),
        Misconception(
            "one-place-for-all",
            "every place of the window gets the sum of all places' gradients",
            edits=((_ADD, _ADD + "\n    gradient = np.broadcast_to(gradient.sum(axis=0), table.shape)"),),
        ),
        Misconception(
            "read-and-foretold-swapped",
            "the last two axes are swapped: rows are the characters foretold instead of those read",
            edits=(("return loss, gradient", "return loss, gradient.swapaxes(1, 2)"),),
        ),
        Misconception(
            "mean-over-places",
            "the rows of a window are averaged instead of summed",
            edits=((".sum(axis=1)", ".mean(axis=1)"),),
        ),
    ),
)
