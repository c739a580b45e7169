"""Lab 4.6, the instructor's half: references from real modules, PyTorch's counter and formulas by hand."""

from itertools import combinations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autograder.cases import Draw
from autograder.checks.ch04_training.lab06_counting_the_cost import flops_case, sizes
from autograder.exercise import Answer, Case, Misconception


def _drawn(d, layers=None):
    H = int(d.integers(1, 6))
    return sizes(
        int(d.integers(20, 3000)),
        int(d.integers(16, 300)),
        H * int(d.integers(3, 40)),
        H,
        int(d.integers(2, 9)) if layers is None else layers,
    )


def _parameter_hidden(seed):
    d = Draw(seed)
    return [
        Case("sizes at random", {"sizes": _drawn(d), "tied": True}),
        Case("sizes at random, a head of its own", {"sizes": _drawn(d), "tied": False}),
        Case("no layer at all", {"sizes": _drawn(d, layers=0), "tied": True}),
        Case("one layer", {"sizes": _drawn(d, layers=1), "tied": True}),
        Case("GPT-2 XL", {"sizes": sizes(50257, 1024, 1600, 25, 48), "tied": True}),
    ]


def _numel(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def _parameter_reference(i):
    s = i["sizes"]
    V, C, L, H = s["vocabulary"], s["width"], s["layers"], s["heads"]
    with torch.device("meta"):  # shapes without memory
        parts = {
            "token embedding": _numel(nn.Embedding(V, C)),
            "position embedding": _numel(nn.Embedding(s["context"], C)),
            "attention": L * _numel(nn.MultiheadAttention(C, H)),
            "feed-forward": L * _numel(nn.Linear(C, 4 * C), nn.Linear(4 * C, C)),
            "norms": (L * 2 + 1) * _numel(nn.LayerNorm(C)),
            "head": 0 if i["tied"] else _numel(nn.Linear(C, V, bias=False)),
        }
    return parts | {"all parts together": sum(parts.values())}


parameter_counts = Answer(
    name="parameter_counts",
    reference=_parameter_reference,
    hidden=_parameter_hidden,
    misconceptions=(
        Misconception(
            "head-counted-twice",
            "a tied head is counted as a matrix of its own",
            edits=(("0 if tied else V * C", "V * C"),),
        ),
        Misconception(
            "head-never-counted",
            "the head is left out even where it is not tied",
            edits=(("0 if tied else V * C", "0"),),
        ),
        Misconception(
            "no-biases",
            "the biases are left out",
            edits=(("4 * (C * C + C)", "4 * C * C"), ("((C * 4 * C + 4 * C) + (4 * C * C + C))", "8 * C * C")),
        ),
        Misconception(
            "wide-bias-narrow",
            "the bias of the first feed-forward map is counted with C numbers instead of 4C",
            edits=(("(C * 4 * C + 4 * C)", "(C * 4 * C + C)"),),
        ),
        Misconception(
            "three-projections",
            "attention is counted with three maps: the output projection is left out",
            edits=(("L * 4 * (C * C + C)", "L * 3 * (C * C + C)"),),
        ),
        Misconception(
            "per-head",
            "every head is given four maps as wide as the model, although the heads share them",
            edits=(("L * 4 * (C * C + C)", "L * sizes.heads * 4 * (C * C + C)"),),
        ),
        Misconception(
            "last-norm-forgotten",
            "the norm after the last block is left out",
            edits=(("(2 * L + 1) * 2 * C", "2 * L * 2 * C"),),
        ),
        Misconception(
            "gains-without-shifts",
            "each norm is counted with a gain alone",
            edits=(("(2 * L + 1) * 2 * C", "(2 * L + 1) * C"),),
        ),
        Misconception(
            "one-norm-a-block",
            "each block is given one norm instead of two",
            edits=(("(2 * L + 1) * 2 * C", "(L + 1) * 2 * C"),),
        ),
        Misconception(
            "one-layer",
            "the blocks are counted once instead of once for each layer",
            edits=(("L * 4 *", "4 *"), ("L * ((C", "((C"), ("(2 * L + 1) * 2", "3 * 2")),
        ),
        Misconception(
            "positions-forgotten",
            "the position table is taken for free, as with sines",
            edits=(("sizes.context * C", "0"),),
        ),
    ),
)


def _flops_hidden(seed):
    d = Draw(seed)
    return [
        flops_case("sizes at random", _drawn(d), int(d.integers(2, 9)), int(d.integers(5, 200))),
        flops_case("other sizes at random", _drawn(d), int(d.integers(2, 9)), int(d.integers(5, 200))),
        flops_case("one token", _drawn(d), int(d.integers(2, 5)), 1),
        flops_case("no layer at all", _drawn(d, layers=0), 2, 7),
        flops_case("an empty batch", _drawn(d), 0, 9),
        flops_case("a long text", sizes(256, 1 << 17, 64, 4, 2), 1, 1 << 17),
    ]


def _products(s, B, T):
    # The products themselves, on the device without memory, under PyTorch's own counter.
    V, C, L, H = s["vocabulary"], s["width"], s["layers"], s["heads"]
    D = C // H

    def counted(*pairs):
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            for a, b in pairs:
                torch.empty(*a) @ torch.empty(*b)
        return counter.get_total_flops()

    rows = B * T
    return {
        "projections": L * counted(*[((rows, C), (C, C))] * 4),
        "scores and blend": L * counted(((B * H, T, D), (B * H, D, T)), ((B * H, T, T), (B * H, T, D))),
        "feed-forward": L * counted(((rows, C), (C, 4 * C)), ((rows, 4 * C), (4 * C, C))),
        "head": counted(((rows, C), (C, V))),
    }


def _flops_reference(i):
    parts = _products(i["sizes"], i["B"], i["T"])
    return parts | {"all parts together": sum(parts.values())}


_SCORES = "2 * (2 * B * T * T * C) * L"
forward_flops = Answer(
    name="forward_flops",
    reference=_flops_reference,
    hidden=_flops_hidden,
    misconceptions=(
        Misconception(
            "multiply-adds",
            "a multiply-add is counted as one operation instead of two",
            edits=(
                ("2 * tokens * 4 * C", "tokens * 4 * C"),
                (_SCORES, "2 * (B * T * T * C) * L"),
                ("2 * tokens * 8 * C", "tokens * 8 * C"),
                ("2 * tokens * C * sizes", "tokens * C * sizes"),
            ),
        ),
        Misconception(
            "scores-forgotten",
            "the products without weights, scores and blend, are taken for free",
            edits=((_SCORES, "0"),),
        ),
        Misconception(
            "blend-forgotten",
            "only the scores are counted and not the blend of the values",
            edits=((_SCORES, "2 * B * T * T * C * L"),),
        ),
        Misconception(
            "every-head-full-width",
            "each head's scores are counted at the model's width C instead of the head's width D",
            edits=((_SCORES, "2 * (2 * B * T * T * C) * L * sizes.heads"),),
        ),
        Misconception(
            "one-head-only",
            "the scores are counted for one head of width D instead of all of them",
            edits=((_SCORES, "2 * (2 * B * T * T * C) * L // sizes.heads"),),
        ),
        Misconception(
            "linear-attention",
            "the scores are counted with one key for each query: T instead of T squared",
            edits=((_SCORES, "2 * (2 * B * T * C) * L"),),
        ),
        Misconception(
            "batch-attends-to-batch",
            "the scores are counted as if all tokens of the batch attended to each other",
            edits=((_SCORES, "2 * (2 * tokens * tokens * C) * L"),),
        ),
        Misconception(
            "half-square",
            "only the visible half of the (T, T) square is counted, where the lab counts the whole",
            edits=((_SCORES, "2 * (B * T * (T + 1) * C) * L"),),
        ),
        Misconception(
            "tied-head-free",
            "a tied head is taken for free: it has no weights of its own, but its product has to be computed",
            edits=(("2 * tokens * C * sizes.vocabulary", "0"),),
        ),
        Misconception(
            "last-position-only",
            "the head is counted for the last position of each text alone, as in generation: training scores every one",
            edits=(("2 * tokens * C * sizes.vocabulary", "2 * B * C * sizes.vocabulary"),),
        ),
        Misconception(
            "context-for-length",
            "the whole context is counted instead of the T tokens that are there",
            edits=(
                ("sizes.layers, B * T", "sizes.layers, B * sizes.context"),
                (_SCORES, "4 * B * sizes.context**2 * C * L"),
            ),
        ),
        Misconception(
            "three-projections",
            "the output projection of attention is left out",
            edits=(("2 * tokens * 4 * C * C * L", "2 * tokens * 3 * C * C * L"),),
        ),
        Misconception(
            "one-layer",
            "one block is counted instead of all layers",
            edits=(("sizes.width, sizes.layers, B", "sizes.width, 1, B"),),
        ),
    ),
)


def _kept_hidden(seed):
    d = Draw(seed)

    def case(kind, run, **more):
        return Case(
            kind, {"run": run, "n": int(d.integers(4, 20)), "m": int(d.integers(2, 9)), "dtype": "float32", **more}
        )

    return [
        case("a map whose weights count", "no parameters told"),
        case("an expanded row", "expanded"),
        case("a run without gradients", "nothing needs a gradient"),
        case("thirds, in float64", "thirds", dtype="float64"),
        case("a network, in bfloat16", "network", dtype="bfloat16"),
        case("asked twice", "three maps", **{"then again": True}),
        case("parameters from a generator", "linear", **{"parameters from a generator": True}),
        case("a part, in float16", "part", dtype="float16"),
        case("backward afterwards", "network", **{"then backward": True}),
    ]


def _kept_reference(i):
    # Which memory each run keeps, by the derivatives of its operations, counted in numbers.
    n, m = i["n"], i["m"]
    numbers = {
        "square": m * n,  # x
        "plus one": 0,
        "exp": m * n,  # the result
        "linear": m * n,  # x
        "three maps": m * n,  # x
        "thirds": m * n + 3 * m * n,  # x, and the product, all of whose thirds lie in one memory
        "part": 100 * m * n,  # the large memory; x is not needed, since `large` needs no gradient
        "network": m * n + m * n,  # x, and ReLU's result, which the second map keeps as well
        "no parameters told": m * n + n * n,  # x and the weights
        "expanded": n + m * n,  # the row, and x
        "nothing needs a gradient": 0,
    }[i["run"]]
    size = numbers * torch.empty(0, dtype=getattr(torch, i["dtype"])).element_size()
    outputs = {"bytes": size, "how often run was called": 1}
    if i.get("then again"):
        outputs["bytes, asked a second time"] = size
    if i.get("parameters from a generator"):
        outputs["bytes, parameters from a generator"] = size
    if i.get("then backward"):
        outputs["backward works afterwards"] = True
    return outputs


_KEEP = "kept[storage.data_ptr()] = storage.nbytes()"
saved_bytes = Answer(
    name="saved_bytes",
    reference=_kept_reference,
    hidden=_kept_hidden,
    misconceptions=(
        Misconception(
            "every-save-counted",
            "memory is counted as often as it is saved",
            edits=((_KEEP, "kept[len(kept)] = storage.nbytes()"),),
        ),
        Misconception(
            "by-address-of-tensor",
            "memory is recognised by the address of the tensor, x.data_ptr(): parts of one memory begin at different "
            "addresses, and each counts the whole",
            edits=((_KEEP, "kept[x.data_ptr()] = storage.nbytes()"),),
        ),
        Misconception(
            "size-of-the-view",
            "the size of the tensor is counted instead of that of the memory behind it, all of which stays",
            edits=((_KEEP, "kept[storage.data_ptr()] = x.nbytes"),),
        ),
        Misconception(
            "views-apart",
            "every tensor counts with its own size and is recognised by its own address: a part of a large memory "
            "keeps all "
            "of it",
            edits=((_KEEP, "kept[x.data_ptr()] = x.nbytes"),),
        ),
        Misconception(
            "everything-saved",
            "every tensor counts with its own size each time that it is saved, the weights too",
            edits=(("if storage.data_ptr() not in weights:", "if True:"), (_KEEP, "kept[len(kept)] = x.nbytes")),
        ),
        Misconception(
            "numbers-for-bytes",
            "numbers are counted instead of bytes",
            edits=((_KEEP, "kept[storage.data_ptr()] = storage.nbytes() // x.element_size()"),),
        ),
        Misconception(
            "always-four-bytes",
            "every number is taken for four bytes, whatever its dtype",
            edits=((_KEEP, "kept[storage.data_ptr()] = 4 * (storage.nbytes() // x.element_size())"),),
        ),
        Misconception(
            "weights-counted",
            "the parameters' memory is counted too",
            edits=(("if storage.data_ptr() not in weights:", "if True:"),),
        ),
        Misconception(
            "weights-by-identity",
            "parameters are recognised as tensors instead of by their memory, so that the transpose of a weight, "
            "which a "
            "linear map saves, counts",
            edits=(
                ("{p.untyped_storage().data_ptr() for p in parameters}", "list(parameters)"),
                ("if storage.data_ptr() not in weights:", "if not any(x is p for p in weights):"),
            ),
        ),
        Misconception(
            "output-only",
            "the size of the output is returned instead of what is kept",
            code="def saved_bytes(run, parameters):\n    return run().nbytes\n",
        ),
    ),
)


def _budget_hidden(seed):
    d = Draw(seed)
    return [
        flops_case("sizes at random", _drawn(d), int(d.integers(2, 9)), int(d.integers(5, 200))),
        flops_case("other sizes at random", _drawn(d), int(d.integers(2, 9)), int(d.integers(5, 200))),
        flops_case("one token", _drawn(d), 1, 1),
        flops_case("an empty batch", _drawn(d), 0, 9),
        flops_case("no layer at all", _drawn(d, layers=0), 3, 7),
    ]


def _budget_reference(i):
    s, B, T = i["sizes"], i["B"], i["T"]
    n = _parameter_reference({"sizes": s, "tied": True})["all parts together"]
    C, L = s["width"], s["layers"]
    kept_by_block = sum((C, C, 3 * C, C, C, C, 4 * C, 4 * C))  # as in the figure of step 3
    return {
        "training memory": n * (4 + 4 + 4 + 4) + B * T * (L * kept_by_block + s["vocabulary"]) * 4,
        "FLOPs of a step": 3 * sum(_products(s, B, T).values()),
        "cache": sum(B * T * C * 2 for _ in range(L) for _ in ("keys", "values")),
    }


_BUGS = {
    "moments": ("AdamW is still given one moment instead of two", ("+ 8 * n", "+ 4 * n")),
    "head": (
        "the head's product is still left out because the head is tied",
        ("sum(forward.values())", 'sum(forward.values()) - forward["head"]'),
    ),
    "backward": (
        "the backward pass is still counted as one forward pass instead of two",
        ("products + 2 * products", "products + products"),
    ),
    "cache": ("the cache still holds keys alone, or values alone", ("2 * (2 * B * T * C * L)", "2 * B * T * C * L")),
}
repaired_budget = Answer(
    name="repaired_budget",
    reference=_budget_reference,
    hidden=_budget_hidden,
    misconceptions=(
        *(
            Misconception(
                f"{'-and-'.join(left)}-left",
                ", and ".join(_BUGS[bug][0] for bug in left) if n < 4 else "all four lines are left as they were",
                edits=tuple(_BUGS[bug][1] for bug in left),
            )
            for n in (1, 2, 3, 4)
            for left in combinations(_BUGS, n)
        ),
        Misconception(
            "rule-of-six",
            "the FLOPs are estimated as 6 for each parameter and token, without the products that have no weights",
            edits=(("step = products + 2 * products", "step = 6 * n * B * T"),),
        ),
        Misconception(
            "everything-doubled-back",
            "the step is counted as four forward passes: a checkpointed step would be, this one is not",
            edits=(("products + 2 * products", "products + 3 * products"),),
        ),
    ),
)
