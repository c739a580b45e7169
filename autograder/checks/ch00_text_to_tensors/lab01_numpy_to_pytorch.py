"""Lab 0.1, the student's half: how a port, offsets, windows, einsum patterns, a repaired loss and a gradient by hand
are driven."""

import math

import numpy as np
import torch

from autograder.cases import Draw
from autograder.exercise import Case, Exercise


def _standardise_cases():
    d = Draw(1)
    flat = torch.cat([d.normal(2, 5), torch.full((1, 5), 7.0)])
    return [
        Case("four counts by hand", {"x": torch.tensor([[1, 1, 3, 3]])}),
        Case("counts, as many rows as columns", {"x": d.integers(0, 50, 4, 4)}),
        Case("float32, three dimensions", {"x": d.normal(2, 3, 5) * 4 + 1}),
        Case("a row of equal numbers", {"x": flat}),
        Case("float64, one row", {"x": d.normal(6, dtype=torch.float64)}),
    ]


standardise = Exercise(
    name="standardise",
    title="A port that gives the same values and dtypes",
    minutes=10,
    difficulty=1,
    points=2,
    act=lambda f, i: {"z": f(i["x"])},
    visible=_standardise_cases,
    shapes={"z": "(..., C)"},
    # Through NumPy and back it would be no port.
    forbids=("numpy", "__array__", "source.tensors.standardise", "source.tensors.standardise_numpy"),
    hints=(
        "Run the NumPy function on integers and on float32 and look at the dtype of each result. Then look up by what "
        "`torch.std` divides.",
        "`x.is_floating_point()` tells whether to convert; `.double()` is float64. `x.std(dim=-1, keepdim=True, "
        "correction=0)` divides by C, as NumPy does.",
        "if x is not floating point, make it float64; mean and standard deviation over the last dimension, keepdim, "
        "correction 0; return (x - mean) / (std + EPSILON), without changing x.",
    ),
)


def _offsets_case(kind, shape, strides, offset=0):
    return Case(kind, {"shape": list(shape), "strides": list(strides), "offset": offset})


def _offsets_cases():
    return [
        _offsets_case("three rows of two, read column by column", (3, 2), (1, 3)),
        _offsets_case("rows one after another", (2, 3), (3, 1)),
        _offsets_case("every second column, from element 5 on", (3, 2), (4, 2), 5),
        _offsets_case("windows that overlap", (4, 3), (1, 1)),
        _offsets_case("three dimensions, one of them expanded", (2, 3, 4), (4, 0, 1), 2),
    ]


flat_offsets = Exercise(
    name="flat_offsets",
    title="Where an element lies",
    minutes=12,
    difficulty=2,
    points=3,
    act=lambda f, i: {"offsets": f(tuple(i["shape"]), tuple(i["strides"]), i["offset"])},
    visible=_offsets_cases,
    forbids=("as_strided", "source.tensors.flat_offsets", "source.tensors.flat_offsets_naive"),
    hints=(
        "Begin with one dimension: which offsets has a row of `size` elements, `stride` apart? Then add a second "
        "dimension by broadcasting a column against a row.",
        "`torch.arange(size) * stride` is one dimension's share. `a[..., None] + b` adds every element of a to every "
        "element of the row b and gives the result one dimension more.",
        "offsets = a tensor that holds the starting offset alone, of shape (); for each size and stride: offsets = "
        "offsets[..., None] + arange(size) * stride; return offsets.",
    ),
)


def _windows_cases():
    ids = Draw(3).integers(0, 90, 20)
    return [
        Case("five ids, windows of three", {"base": torch.tensor([5, 6, 7, 8, 9]), "start": 0, "step": 1, "W": 3}),
        Case("windows of one", {"base": ids[:6], "start": 0, "step": 1, "W": 1}),
        Case("a slice that begins at the fourth id", {"base": ids, "start": 3, "step": 1, "W": 4}),
        Case("every second id", {"base": ids, "start": 0, "step": 2, "W": 4}),
    ]


def _windows_act(f, i):
    out = f(i["base"][i["start"] :: i["step"]], i["W"])
    if isinstance(out, list | tuple):
        raise TypeError(f"a {type(out).__name__} came back; return one tensor of all windows")
    # A second run, on memory that is then written to: only a view follows. (.clone() keeps what is seen now.)
    memory = i["base"].clone()
    later = f(memory[i["start"] :: i["step"]], i["W"])
    memory += 100
    return {
        "windows": out,
        "windows after 100 was added to the input": later.clone() if isinstance(later, torch.Tensor) else later,
    }


sliding_windows = Exercise(
    name="sliding_windows",
    title="Windows without a copy",
    minutes=10,
    difficulty=2,
    points=3,
    act=_windows_act,
    visible=_windows_cases,
    shapes={"windows": "(T - W + 1, W)", "windows after 100 was added to the input": "(T - W + 1, W)"},
    forbids=("unfold", "source.tensors.sliding_windows", "source.tensors.sliding_windows_naive"),
    hints=(
        "Write down the offsets of the windows of 5 6 7 8 9, as in step 2. By how much does an offset grow from one "
        "column to the next, and from one row to the next?",
        "`x.as_strided(size, stride)` makes a view with the shape and strides that you name. `x.stride(0)` is how far "
        "apart two neighbours of x lie, which is not always 1.",
        "number of windows = T - W + 1; step = x.stride(0); return x.as_strided((that number, W), (step, step)).",
    ),
)


def contraction_inputs(d: Draw, T=4, S=3, V=5, C=2, B=2, H=3, D=4, N=6, W=2, dtype=torch.float32, library="torch"):
    """Two operands for each pattern, and the library that is to contract them."""
    return {
        "library": library,
        "embed": [d.normal(T, V, dtype=dtype), d.normal(V, C, dtype=dtype)],
        "paired": [d.normal(N, C, dtype=dtype), d.normal(N, C, dtype=dtype)],
        "count": [d.normal(T, V, dtype=dtype), d.normal(T, V, dtype=dtype)],
        "score": [d.normal(B, T, H, D, dtype=dtype), d.normal(B, S, H, D, dtype=dtype)],
        "predict": [d.normal(N, W, V, dtype=dtype), d.normal(W, V, V, dtype=dtype)],
    }


CONTRACTIONS = ("embed", "paired", "count", "score", "predict")


def _contractions_cases():
    d = Draw(4)
    equal = {size: 3 for size in "TSVCBHDNW"}
    return [
        Case("every size another number", contraction_inputs(d)),
        Case("every size 3, so that no shape can tell", contraction_inputs(d, **equal)),
        Case("the same strings in NumPy", contraction_inputs(d, library="numpy")),
    ]


def _contractions_act(f, i):
    patterns = f()
    if not isinstance(patterns, dict):
        raise TypeError(f"a {type(patterns).__name__} came back; return a dict of strings")
    missing = [name for name in CONTRACTIONS if name not in patterns]
    if missing:
        raise ValueError(f"the dict has no pattern {missing[0]!r}; it needs {', '.join(CONTRACTIONS)}")
    results = {}
    for name in CONTRACTIONS:
        try:
            if i["library"] == "numpy":
                results[name] = np.einsum(patterns[name], *(x.numpy() for x in i[name]))
            else:
                results[name] = torch.einsum(patterns[name], *i[name])
        except Exception as error:
            shapes = " and ".join(str(tuple(x.shape)) for x in i[name])
            raise ValueError(f"{name}: {patterns[name]!r} does not fit operands of shape {shapes}: {error}") from None
    return results


contractions = Exercise(
    name="contractions",
    title="Five contractions by letters",
    minutes=10,
    difficulty=2,
    points=3,
    act=_contractions_act,
    visible=_contractions_cases,
    shapes={"embed": "(T, C)", "paired": "(N,)", "count": "(V, V)", "score": "(B, H, T, S)", "predict": "(N, V)"},
    hints=(
        "One letter for each index of the formula. Which letters stand under the sum? Those do not come after the "
        "arrow; all others do, in the order of the output's indices.",
        "A letter that stands in both operands and after the arrow pairs them up (row n with row n). Two indices that "
        "run over the same size but vary by themselves need two letters.",
        "copy each formula's indices: out's behind the arrow, the two operands' in front of it, with a comma between. "
        "score: q's are b t h d, k's are b s h d, out's are b h t s.",
    ),
)


def loss_inputs(d: Draw, N: int, V: int, weights: torch.Tensor, scale: float = 2.0, dtype: torch.dtype = torch.float32):
    """Logits, targets and weights."""
    return {"logits": d.normal(N, V, dtype=dtype, scale=scale), "targets": d.integers(0, V, N), "weights": weights}


def _loss_cases():
    d = Draw(5)
    by_hand = {
        "logits": torch.tensor([[0.0, math.log(3.0)], [0.0, 0.0]]),
        "targets": torch.tensor([0, 1]),
        "weights": torch.tensor([3.0, 1.0]),
    }
    thirds = torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64) / 3
    unlikely = loss_inputs(d, 4, 5, torch.tensor([1.0, 2, 1, 2]), scale=300.0)
    unlikely["targets"] = unlikely["logits"].argmin(dim=-1)
    return [
        Case("two windows by hand", by_hand),
        Case("weights of 0 and 1", loss_inputs(d, 6, 4, torch.tensor([1.0, 0, 1, 1, 0, 1]))),
        Case("float64 weights, as NumPy makes them", loss_inputs(d, 5, 3, torch.tensor([0.5, 2, 1, 0, 1]).double())),
        Case("logits in the hundreds, the least likely targets", unlikely),
        Case("float64 logits and weights", loss_inputs(d, 3, 4, thirds, dtype=torch.float64)),
    ]


def _loss_act(f, i):
    before = i["logits"].clone()
    loss = f(i["logits"], i["targets"], i["weights"])
    usable = isinstance(loss, torch.Tensor) and loss.ndim == 0 and loss.is_floating_point()
    if not usable or not torch.equal(i["logits"], before):
        # Another fault is to be told first: autograd's own error would hide it.
        return {"loss": loss, "gradient of the logits": torch.zeros_like(before)}
    leaf = before.requires_grad_()
    again = f(leaf, i["targets"], i["weights"])
    if not again.requires_grad:
        raise RuntimeError("no gradient reaches the logits: .detach(), .item(), no_grad and NumPy cut it off")
    return {"loss": loss, "gradient of the logits": torch.autograd.grad(again, leaf)[0]}


repaired_loss = Exercise(
    name="repaired_loss",
    title="Find three faults that raise no error",
    minutes=15,
    difficulty=3,
    points=4,
    act=_loss_act,
    visible=_loss_cases,
    shapes={"loss": "()", "gradient of the logits": "(N, V)"},
    forbids=(
        "cross_entropy",
        "nll_loss",
        "source.models.window_table.weighted_loss",
        "source.models.window_table.weighted_loss_naive",
    ),
    hints=(
        "Go through the function line by line and write every shape and dtype behind it. What is the shape of "
        "`losses`, what is that of `weights`, and what does broadcasting make of the two?",
        "`a -= b` writes into a's memory, and a is the caller's. `.squeeze(-1)` turns (N, 1) into (N,). "
        "`weights.to(logits.dtype)` converts.",
        "subtract the maximum into a new tensor; make the losses (N,) before they meet the weights; convert the "
        "weights to the logits' dtype; return the sum of losses times weights over the sum of weights.",
    ),
)


def table_inputs(d: Draw, N: int, W: int, V: int, scale: float = 1.0, dtype: torch.dtype = torch.float32):
    """A table, windows and targets, as arrays."""
    return {
        "table": d.normal(W, V, V, scale=scale, dtype=dtype).numpy(),
        "windows": d.integers(0, V, N, W).numpy(),
        "targets": d.integers(0, V, N).numpy(),
    }


def _gradient_cases():
    d = Draw(6)
    by_hand = {
        "table": np.zeros((1, 2, 2), dtype=np.float32),
        "windows": np.array([[0]]),
        "targets": np.array([1]),
    }
    return [
        Case("one window by hand", by_hand),
        Case("three places, five characters", table_inputs(d, 4, 3, 5)),
        Case("two characters that come again and again", table_inputs(d, 12, 2, 2)),
        Case("float64, scores in the thousands", table_inputs(d, 6, 2, 4, scale=2000.0, dtype=torch.float64)),
    ]


def _gradient_act(f, i):
    loss, gradient = f(i["table"], i["windows"], i["targets"])
    if np.ndim(loss):
        raise TypeError(f"the first result is the loss, one number; yours has shape {np.shape(loss)}")
    return {"loss": float(loss), "gradient": gradient}


loss_and_gradient = Exercise(
    name="loss_and_gradient",
    title="The gradient by hand, in NumPy",
    minutes=20,
    difficulty=3,
    points=5,
    act=_gradient_act,
    visible=_gradient_cases,
    shapes={"gradient": "(W, V, V)"},
    forbids=(
        "backward",
        "grad",
        "source.models.window_table.loss_and_gradient",
        "source.models.window_table.loss_by_autograd",
        "source.models.window_table.numerical_gradient",
    ),
    hints=(
        "Forward first, down to the loss. Then one window alone: which rows of the table did it read? Each of those "
        "rows gets the window's softmax minus one-hot, and a row that is read twice gets both.",
        "`table[np.arange(W), windows]` is (N, W, V). `np.add.at(a, indices, values)` adds at every index, also where "
        "one comes twice; `a[indices] += values` adds once.",
        "logits = the W rows of each window, summed; subtract each row's maximum; loss = mean of log(sum of e^logits) "
        "minus the target's logit; slope = softmax, minus 1 at the targets, divided by N; gradient = zeros like the "
        "table; add slope[:, None] at (arange(W), windows).",
    ),
)
