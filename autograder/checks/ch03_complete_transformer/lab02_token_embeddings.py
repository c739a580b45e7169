"""Lab 3.2, the student's half: how the table's gradient, the embeddings and the tied model are driven."""

import torch
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient, loaded
from autograder.exercise import Case, Exercise
from source.blocks import embeddings as course


def table_inputs(
    d: Draw, B: int, T: int, C: int, V: int, padding: int | None = None, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """Ids with repetitions, the padding id among them, and the gradient of what was looked up."""
    ids = d.integers(0, V, B, T)
    if padding is not None:
        ids[0, :2] = padding
    return {
        "ids": ids,
        "upstream": d.normal(B, T, C, dtype=dtype),
        "vocabulary": V,
        "padding": padding,
        **more,
    }


def _table_cases():
    d = Draw(3201)
    by_hand = {
        "ids": torch.tensor([[2, 0, 2]]),
        "upstream": torch.tensor([[[1.0], [10.0], [100.0]]]),
        "vocabulary": 4,
        "padding": None,
    }
    return [
        Case("three places to add up by hand", by_hand),
        Case("two sequences", table_inputs(d, 2, 6, 3, 4)),
        Case("a padding id", table_inputs(d, 2, 5, 2, 4, padding=2)),
        Case("padding id 0", table_inputs(d, 2, 5, 2, 3, padding=0)),
    ]


def _table_act(f, i):
    outputs = {"gradient": f(i["ids"], i["upstream"], i["vocabulary"], i["padding"])}
    if i.get("then an empty batch"):
        outputs["gradient of an empty batch"] = f(i["ids"][:0], i["upstream"][:0], i["vocabulary"], i["padding"])
    return outputs


table_gradient = Exercise(
    name="table_gradient",
    title="The gradient of a lookup",
    minutes=12,
    difficulty=2,
    points=3,
    act=_table_act,
    visible=_table_cases,
    shapes={"gradient": "(V, C)", "gradient of an empty batch": "(V, C)"},
    forbids=(
        "embedding",
        "backward",
        "grad",
        "source.blocks.embeddings.table_gradient",
        "source.blocks.embeddings.table_gradient_naive",
    ),
    hints=(
        "Row v is a sum over all places that hold id v. In the first case, which places go into row 2, and what is "
        "their sum?",
        "`table.index_add_(0, rows, values)` adds every value to its row, repeated rows included; `index_put_` does "
        "with `accumulate=True`. A loop over places is right, too.",
        "table = zeros (V, C) in upstream's dtype; add upstream, flattened to (B * T, C), to the rows ids, flattened; "
        "if padding is not None, set that row to zero.",
    ),
)


def embedding_inputs(d: Draw, V: int, context: int, C: int, B: int, T: int, start: int = 0, **more):
    """Tables, ids, and a gradient to send back."""
    return {
        "state": {"token": d.normal(V, C), "position": d.normal(context, C)},
        "ids": d.integers(0, V, B, T),
        "start": start,
        "upstream": d.normal(B, T, C),
        "questions": [],
        **more,
    }


def _embedding_cases():
    d = Draw(3202)
    asked = [[[0, -1], 0], [[0, 5], 0], [[0, 1, 2, 3], 0], [[0, 1], 2], [[4, 0, 1], 0]]
    of_bytes = embedding_inputs(d, 9, 4, 2, 1, 3)
    of_bytes["ids"] = torch.tensor([[1, 0, 8]], dtype=torch.uint8)
    return [
        Case("two sequences", embedding_inputs(d, 5, 4, 3, 2, 3)),
        Case("tokens behind five others", embedding_inputs(d, 6, 9, 4, 2, 3, start=5)),
        Case("ids and positions that do not exist", embedding_inputs(d, 5, 3, 2, 1, 2, questions=asked)),
        Case("bytes as ids", of_bytes),
    ]


def _embedding_act(f, i):
    (V, C), context = i["state"]["token"].shape, len(i["state"]["position"])
    layer = f(V, context, C)
    outputs = {}
    if i.get("then look at a fresh one"):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            big = f(300, 200, 100)
        spread = {name: float(p.detach().std()) for name, p in big.named_parameters()}
        outputs["fresh tables: standard deviations"] = [[name, round(s, 3)] for name, s in sorted(spread.items())]
    layer = loaded(layer, i["state"])
    out = layer(i["ids"], start=i["start"]) if i["start"] else layer(i["ids"])
    if not isinstance(out, torch.Tensor):
        raise WrongType(f"forward returned a {type(out).__name__}, not a tensor")
    outputs["out"] = out
    if out.shape == i["upstream"].shape and out.requires_grad:
        out.backward(i["upstream"])
    outputs |= {f"gradient of {name}": gradient(p) for name, p in layer.named_parameters()}
    for ids, start in i["questions"]:
        try:
            said = f"a tensor of shape {tuple(layer(torch.tensor([ids]), start=start).shape)}"
        except (IndexError, ValueError) as error:
            said = type(error).__name__
        outputs[f"ids {ids} at start {start}, V = {V}, context {context}"] = said
    return outputs


embeddings = Exercise(
    name="embeddings",
    title="Token plus position",
    minutes=15,
    difficulty=2,
    points=4,
    act=_embedding_act,
    visible=_embedding_cases,
    shapes={"out": "(B, T, C)", "gradient of token": "(V, C)", "gradient of position": "(context, C)"},
    forbids=(
        "embedding",
        "source.blocks.embeddings.checked",
        "source.blocks.embeddings.Embeddings.forward",
        "source.blocks.embeddings.TokenEmbedding.forward",
    ),
    hints=(
        "Two look-ups and a sum; before them, three questions: what are the ids' dtype, smallest and largest value, "
        "and what is the last position asked for?",
        "`nn.Parameter(torch.randn(V, C) * 0.02)` is a table. `ids.long()` makes indices of bytes. "
        "`((ids < 0) | (ids >= V)).any()` works for an empty batch, too, which `min` and `max` do not.",
        "ids = ids as int64; raise IndexError if one is not 0 to V - 1; end = start + T; raise ValueError if start < 0 "
        "or end > context; return token[ids] + position[start:end].",
    ),
)


def tied_inputs(d: Draw, V: int, C: int, B: int, T: int, **more) -> dict[str, object]:
    """Tables, the weights of a body, ids, and a gradient to send back."""
    return {
        "tables": {"token": d.normal(V, C), "position": d.normal(T + 1, C)},
        "body": {"0.weight": d.normal(C, C, scale=C**-0.5), "0.bias": d.normal(C)},
        "ids": d.integers(0, V, B, T),
        "upstream": d.normal(B, T, V),
        **more,
    }


def _tied_cases():
    d = Draw(3203)
    return [
        Case("two sequences", tied_inputs(d, 5, 3, 2, 3)),
        Case("as many tokens as channels", tied_inputs(d, 4, 4, 1, 3)),
        Case("one token, then a step of the optimizer", tied_inputs(d, 6, 2, 1, 1)),
    ]


def _tied_act(f, i):
    V, C = i["tables"]["token"].shape
    tables = course.Embeddings(V, len(i["tables"]["position"]), C)
    tables.load_state_dict(i["tables"])
    body = nn.Sequential(nn.Linear(C, C), nn.Tanh())
    body.load_state_dict(i["body"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = f(tables, body)
    if not isinstance(model, nn.Module):
        raise WrongType(f"a {type(model).__name__} came back, not an nn.Module")
    logits = model(i["ids"])
    if not isinstance(logits, torch.Tensor):
        raise WrongType(f"forward returned a {type(logits).__name__}, not a tensor")
    names = [name for name, _ in model.named_parameters()]
    outputs = {"logits": logits, "names of the parameters": sorted(names)}
    if logits.shape == i["upstream"].shape:
        logits.backward(i["upstream"])
    outputs["gradient of the table"] = gradient(tables.token)
    outputs["gradient of the body's matrix"] = gradient(body[0].weight)
    torch.optim.SGD(model.parameters(), lr=0.3).step()
    outputs["logits after a step of gradient descent"] = model(i["ids"])
    with torch.no_grad():
        tables.token.copy_(i["tables"]["token"].flip(0))
    outputs["logits after the table was exchanged"] = model(i["ids"])
    if i.get("then an empty batch"):
        outputs["logits of an empty batch"] = model(i["ids"][:0])
    return outputs


tied_model = Exercise(
    name="tied_model",
    title="One matrix, used twice",
    minutes=12,
    difficulty=2,
    points=4,
    act=_tied_act,
    visible=_tied_cases,
    shapes={
        "logits": "(B, T, V)",
        "gradient of the table": "(V, C)",
        "logits after a step of gradient descent": "(B, T, V)",
        "logits after the table was exchanged": "(B, T, V)",
        "logits of an empty batch": "(B, T, V)",
    },
    forbids=("source.blocks.embeddings.TiedModel.forward",),
    hints=(
        "How many parameters does your model list, and how many tables are among them? What happens to the head when "
        "the table changes?",
        "A module kept as an attribute brings its parameters along. `h @ W.T` multiplies with a parameter without "
        "making a new one.",
        "__init__: keep embeddings and body. forward: h = body of embeddings of ids; return h @ (the embeddings' token "
        "table, transposed).",
    ),
)


def use_inputs(
    d: Draw, V: int, C: int, B: int, T: int, power: int = 1, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """A table, ids, a body that mixes channels and raises to a power, and the logits' gradient."""
    return {
        "table": d.normal(V, C, dtype=dtype),
        "ids": d.integers(0, V, B, T),
        "W": d.normal(C, C, dtype=dtype, scale=C**-0.5),
        "power": power,
        "upstream": d.normal(B, T, V, dtype=dtype),
        **more,
    }


def _use_cases():
    d = Draw(3204)
    by_hand = {
        "table": torch.tensor([[1.0], [10.0]]),
        "ids": torch.tensor([[0]]),
        "W": torch.tensor([[3.0]]),
        "power": 1,
        "upstream": torch.tensor([[[0.0, 1.0]]]),
    }
    return [
        Case("two rows to check by hand", by_hand),
        Case("two sequences, a linear body", use_inputs(d, 5, 3, 2, 4)),
        Case("a body that is not linear", use_inputs(d, 7, 2, 1, 3, power=2)),
        Case("a table that is a parameter", use_inputs(d, 4, 3, 2, 3, **{"as a parameter": True})),
    ]


def _use_act(f, i):
    table = i["table"].detach().clone().requires_grad_(bool(i.get("as a parameter")))
    found = f(table, i["ids"], lambda x: (x @ i["W"]).pow(i["power"]), i["upstream"])
    if not (isinstance(found, tuple | list) and len(found) == 2):
        raise WrongType(f"expected a pair of gradients; yours is a {type(found).__name__}")
    outputs = {"gradient as input": found[0], "gradient as output": found[1]}
    if i.get("as a parameter"):
        outputs["the table's .grad afterwards"] = "None" if table.grad is None else "changed"
    return outputs


gradient_by_use = Exercise(
    name="gradient_by_use",
    title="Two gradients in one",
    minutes=12,
    difficulty=2,
    points=4,
    act=_use_act,
    visible=_use_cases,
    shapes={"gradient as input": "(V, C)", "gradient as output": "(V, C)"},
    forbids=("source.blocks.embeddings.gradient_by_use",),
    hints=(
        "Autograd adds up what reaches the same tensor. How could the lookup and the head use two tensors with the "
        "same numbers?",
        "`table.detach().clone().requires_grad_()` is a leaf of its own. `torch.autograd.grad(out, (a, b), upstream)` "
        "returns both gradients and leaves every `.grad` alone.",
        "read, scored = two such copies of the table; logits = body(read[ids]) @ scored.T; return the gradients of "
        "logits with respect to read and scored, given upstream.",
    ),
)
