"""Lab 4.6, the student's half: how counts, the instrument for saved bytes and the repaired budget are driven."""

import torch
import torch.nn.functional as F

from autograder.acting import WrongType
from autograder.exercise import Case, Exercise
from source.models.gpt import Sizes

PARTS = ("token embedding", "position embedding", "attention", "feed-forward", "norms", "head")


def sizes(V: int, context: int, C: int, H: int, L: int) -> dict[str, int]:
    """A model's sizes as plain data."""
    return {"vocabulary": V, "context": context, "width": C, "heads": H, "layers": L}


def whole_numbers(found: object, names: tuple[str, ...]) -> dict[str, int]:
    """The entries of a dict that came back, each a whole number. Raises WrongType, naming what is not."""
    if not isinstance(found, dict):
        raise WrongType(f"what came back is of type {type(found).__name__}, not a dict")
    if set(found) != set(names):
        missing = ", ".join(n for n in names if n not in found) or "none"
        extra = ", ".join(str(n) for n in found if n not in names) or "none"
        raise WrongType(f"the names are not the lab's. Missing: {missing}. Not expected: {extra}")
    for name in names:
        value = found[name]
        if isinstance(value, float) and value == int(value):
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise WrongType(f"{name} is {value!r}, not a whole number")
    return {name: int(found[name]) for name in names}


def _parameter_cases():
    return [
        Case("two tokens wide, by hand", {"sizes": sizes(10, 4, 2, 1, 1), "tied": True}),
        Case("GPT-2 small", {"sizes": sizes(50257, 1024, 768, 12, 12), "tied": True}),
        Case("the course's model of bytes", {"sizes": sizes(256, 128, 128, 4, 4), "tied": True}),
        Case("a head of its own", {"sizes": sizes(1000, 64, 48, 6, 3), "tied": False}),
    ]


def _parameter_act(f, i):
    told = {} if i["tied"] else {"tied": False}
    found = whole_numbers(f(Sizes(**i["sizes"]), **told), PARTS)
    return found | {"all parts together": sum(found.values())}


parameter_counts = Exercise(
    name="parameter_counts",
    title="Parameters by part",
    minutes=12,
    difficulty=1,
    points=3,
    act=_parameter_act,
    visible=_parameter_cases,
    forbids=("source.accounting.parameters",),
    hints=(
        "Write one block on paper: every matrix with its shape, and beside each what is added after it. What is there "
        "outside the blocks?",
        "A map from m to n with a bias has m * n + n parameters; a norm has 2 C. There are two norms in each block, "
        "and one after the last.",
        "attention: L * 4 * (C * C + C); feed-forward: L * (C * 4C + 4C + 4C * C + C); norms: (2 L + 1) * 2 C; tables: "
        "V * C and context * C; head: 0 if tied, else V * C.",
    ),
)

PRODUCTS = ("projections", "scores and blend", "feed-forward", "head")


def flops_case(kind: str, model: dict[str, int], B: int, T: int) -> Case:
    """A forward pass to be counted."""
    return Case(kind, {"sizes": model, "B": B, "T": T})


def _flops_cases():
    return [
        flops_case("two wide, by hand", sizes(10, 4, 2, 1, 1), 1, 3),
        flops_case("GPT-2 small, one text of 1,024 tokens", sizes(50257, 1024, 768, 12, 12), 1, 1024),
        flops_case("four heads, a batch, not the whole context", sizes(256, 128, 64, 4, 3), 5, 40),
    ]


def _flops_act(f, i):
    found = whole_numbers(f(Sizes(**i["sizes"]), i["B"], i["T"]), PRODUCTS)
    return found | {"all parts together": sum(found.values())}


forward_flops = Exercise(
    name="forward_flops",
    title="FLOPs by part",
    minutes=15,
    difficulty=2,
    points=4,
    act=_flops_act,
    visible=_flops_cases,
    forbids=("source.accounting.forward_flops", "source.accounting.training_flops"),
    hints=(
        "List the matrix products of one block for one sequence, with all three sizes of each. For the two that have "
        "no "
        "weights: how many heads are there, and how wide is each?",
        "Each product costs 2 * m * k * n. The H heads' scores together cost H * 2 * T * D * T, and H * D is C.",
        "tokens = B * T; projections: L * 4 * 2 * tokens * C * C; scores and blend: L * 2 * 2 * B * T * T * C; "
        "feed-forward: L * 2 * 2 * tokens * C * 4C; head: 2 * tokens * C * V.",
    ),
)


def _kept_case(kind, run, n=12, m=5, dtype="float32", **more):
    return Case(kind, {"run": run, "n": n, "m": m, "dtype": dtype, **more})


def _kept_cases():
    return [
        _kept_case("x * x", "square"),
        _kept_case("x + 1, which keeps nothing", "plus one"),
        _kept_case("exp of x", "exp"),
        _kept_case("one linear map", "linear"),
        _kept_case("three maps of one input", "three maps"),
        _kept_case("thirds of one product, each squared", "thirds"),
        _kept_case("a small part of a large memory", "part"),
        _kept_case("in bfloat16", "exp", dtype="bfloat16"),
        _kept_case("two layers with a ReLU between", "network"),
    ]


def forward(i: dict) -> tuple[object, list[torch.Tensor]]:
    """A run to be measured, and the parameters whose memory does not count. Sizes n and m, a dtype."""
    n, m = i["n"], i["m"]
    dtype = getattr(torch, i["dtype"])
    torch.manual_seed(0)
    x = torch.randn(m, n, dtype=dtype, requires_grad=True)
    W = [torch.randn(n, n, dtype=dtype, requires_grad=True) for _ in range(3)]
    kind = i["run"]
    if kind == "square":
        return lambda: x * x, []
    if kind == "plus one":
        return lambda: x + 1, []
    if kind == "exp":
        return lambda: x.exp(), []
    if kind == "linear":
        return lambda: F.linear(x, W[0]), W  # saves W[0].T, another tensor than W[0]
    if kind == "three maps":
        return lambda: x @ W[0] + x @ W[1] + x @ W[2], W
    if kind == "thirds":
        wide = torch.randn(n, 3 * n, dtype=dtype, requires_grad=True)
        return lambda: sum(part * part for part in (x @ wide).chunk(3, dim=-1)), [wide]
    if kind == "part":
        large = torch.randn(100 * m, n, dtype=dtype)
        return lambda: large[:2] * x[:2], []
    if kind == "network":
        return lambda: F.linear(F.relu(F.linear(x, W[0])), W[1]), W
    if kind == "no parameters told":
        return lambda: F.linear(x, W[0]), []
    if kind == "expanded":
        row = torch.randn(1, n, dtype=dtype, requires_grad=True)
        return lambda: row.expand(m, n) * x, []
    if kind == "nothing needs a gradient":
        return lambda: (x.detach() * 2).exp() * x.detach(), []
    raise ValueError(kind)


def _kept_act(f, i):
    run, parameters = forward(i)
    calls = []

    def counted():
        calls.append(1)
        return run()

    found = f(counted, parameters)
    if isinstance(found, bool) or not isinstance(found, int):
        raise WrongType(f"what came back is of type {type(found).__name__}, not a whole number of bytes")
    outputs = {"bytes": found, "how often run was called": len(calls)}
    if i.get("then again"):
        outputs["bytes, asked a second time"] = f(counted, parameters)
    if i.get("parameters from a generator"):
        outputs["bytes, parameters from a generator"] = f(counted, (p for p in parameters))
    if i.get("then backward"):
        # What a hook hands back is what the backward pass will use.
        out = []
        f(lambda: out.append(run()) or out[-1], parameters)
        out[0].sum().backward()
        outputs["backward works afterwards"] = True
    return outputs


saved_bytes = Exercise(
    name="saved_bytes",
    title="What autograd keeps",
    minutes=20,
    difficulty=2,
    points=4,
    act=_kept_act,
    visible=_kept_cases,
    forbids=("source.memory.saved_bytes", "source.memory.saved_bytes_naive"),
    hints=(
        "What is it that you want to count only once: tensors, or pieces of memory? And how would you recognise one?",
        "`with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):` around the call of run. A dict from "
        "`x.untyped_storage().data_ptr()` to `x.untyped_storage().nbytes()` counts each memory once.",
        "weights = the set of addresses of the parameters' storages; kept = {}; pack(x): unless the address of x's "
        "storage is in weights, kept[address] = its bytes; return x. Run inside the context, hold the result in a "
        "variable, return the sum of kept's values.",
    ),
)

BUDGET = ("training memory", "FLOPs of a step", "cache")


def _budget_cases():
    return [
        flops_case("two wide, by hand", sizes(10, 4, 2, 1, 1), 1, 3),
        flops_case("GPT-2 small, 8 texts of 1,024 tokens", sizes(50257, 1024, 768, 12, 12), 8, 1024),
        flops_case("a small model, many short texts", sizes(512, 128, 128, 4, 4), 16, 20),
    ]


repaired_budget = Exercise(
    name="repaired_budget",
    title="Find four wrong lines",
    minutes=15,
    difficulty=3,
    points=4,
    act=lambda f, i: whole_numbers(f(Sizes(**i["sizes"]), i["B"], i["T"]), BUDGET),
    visible=_budget_cases,
    forbids=tuple(
        f"source.accounting.{name}" for name in ("state_bytes", "activation_bytes", "training_flops", "cache_bytes")
    ),
    hints=(
        "Go through the comments and ask of each: is that how many there are? How many numbers does AdamW remember for "
        "a weight? How many gradients does a product send back? What has to be kept to attend to a position later?",
        "In the trial with few tokens, memory is off by almost exactly the same share of the state: which? In the "
        "trial "
        "with a large vocabulary, FLOPs are off by more than in the others: which part depends on the vocabulary?",
        "AdamW: two moments of 4 bytes, so 8 n. Products: all four parts of forward. Step: products once forward and "
        "twice backward. Cache: twice as much, for keys and for values.",
    ),
)
