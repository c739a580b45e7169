"""Lab 4.5, the student's half: how sums over broadcasts, the order, the way back and the rules are driven."""

import numpy as np
import torch

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise, Property
from source.autodiff.tape import Node


def array(d: Draw, *shape: int, dtype: str = "float64", scale: float = 1.0) -> np.ndarray:
    """Gaussian entries, as numpy has them."""
    return d.normal(*shape, dtype=torch.float64, scale=scale).numpy().astype(dtype)


def as_array(name: str, value: object) -> np.ndarray:
    """What a rule returned, as an array: numpy makes a bare number of what has no axis."""
    if isinstance(value, np.generic | float | int):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray):
        raise WrongType(f"{name} is of type {type(value).__name__}, expected a NumPy array")
    return value


def _unbroadcast_case(kind, g, shape):
    return Case(kind, {"g": g, "shape": list(shape)})


def _unbroadcast_cases():
    d = Draw(4501)
    by_hand = np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    return [
        _unbroadcast_case("a row added to two rows, by hand", by_hand, (3,)),
        _unbroadcast_case("a column stretched along the rows, by hand", by_hand, (2, 1)),
        _unbroadcast_case("a bias in a batch", array(d, 4, 3, 5), (5,)),
        _unbroadcast_case("an axis in front and an axis stretched", array(d, 2, 3, 3), (3, 1)),
        _unbroadcast_case("nothing was broadcast", array(d, 2, 3), (2, 3)),
        _unbroadcast_case("one number, added everywhere", array(d, 2, 3), ()),
    ]


def _unbroadcast_act(f, i):
    return {"gradient": as_array("what came back", f(i["g"], tuple(i["shape"])))}


unbroadcast = Exercise(
    name="unbroadcast",
    title="Back through a broadcast",
    minutes=10,
    difficulty=1,
    points=3,
    act=_unbroadcast_act,
    visible=_unbroadcast_cases,
    forbids=("backward", "grad", "source.autodiff.rules.unbroadcast"),
    hints=(
        "Broadcasting compares shapes from the right. Write both under each other, aligned at the right end: which "
        "axes of g have nothing below them, and which have a 1 below?",
        "`g.sum(axis=(0, 2))` sums over several axes at once; it drops them all, and `.reshape(shape)` brings those of "
        "size 1 back. `g.ndim - len(shape)` axes were added in front.",
        "added = g.ndim - len(shape); axes = the first `added` ones, and added + axis for every axis of shape with "
        "size 1; sum g over these; reshape to shape.",
    ),
)


def build(parents: list[list[int]], kind: type = Node) -> list[Node]:
    """Nodes 0, 1, 2, ...; parents[n] names those that node n was made from, all of them before n."""
    nodes: list[Node] = []
    for n, before in enumerate(parents):
        nodes.append(kind(np.array(0.0), tuple(nodes[p] for p in before), None, f"node {n}"))
    return nodes


class _TooManyLooks(Exception):
    """Parents were looked at far more often than there are nodes."""


class _Counted(Node):
    # Each look at the parents counts: a walk along every road would not end within a lifetime.
    looks = 0
    allowed = 0

    @property
    def parents(self):
        _Counted.looks += 1
        if _Counted.looks > _Counted.allowed:
            raise _TooManyLooks(
                f"parents were looked at more than {_Counted.allowed} times in this small graph: your walk goes along "
                "every road. Remember which nodes you have seen"
            )
        return self._parents

    @parents.setter
    def parents(self, value):
        self._parents = value


def _order_cases():
    ladder: list[list[int]] = [[]]
    for n in range(40):  # node n + 1 uses node n, and node n - 1
        ladder.append([n, max(n - 1, 0)])
    return [
        Case("a chain of three", {"parents": [[], [0], [1]], "root": 2}),
        Case("a leaf alone", {"parents": [[]], "root": 0}),
        Case("one node used directly and through another", {"parents": [[], [0], [0, 1]], "root": 2}),
        Case("the same, parents the other way round", {"parents": [[], [0], [1, 0]], "root": 2}),
        Case("a node used by a late and by an early one", {"parents": [[], [0], [1], [0, 2], [1, 3]], "root": 4}),
        Case("the same parent twice", {"parents": [[], [0, 0], [1, 1]], "root": 2}),
        Case("used twice by one node and once by a deeper one", {"parents": [[], [0], [1], [0, 0], [3, 2]], "root": 4}),
        Case("nodes that the root does not depend on", {"parents": [[], [], [0], [1], [2], [4, 3]], "root": 4}),
        Case("forty steps, each with two roads", {"parents": ladder, "root": 40}),
        Case("a chain of 5,000", {"parents": [[], *([n] for n in range(4999))], "root": 4999}),
    ]


def _order_act(f, i):
    _Counted.looks, _Counted.allowed = 0, 10**9
    nodes = build(i["parents"], _Counted)
    number = {node: n for n, node in enumerate(nodes)}
    _Counted.looks, _Counted.allowed = 0, 20 * len(nodes) + 100
    try:
        order = f(nodes[i["root"]])
    except RecursionError:
        raise RuntimeError(
            f"RecursionError: your function calls itself once for every node of a road, and here the roads are "
            f"{len(nodes):,} nodes long. Keep a list of what is left to do instead"
        ) from None
    except _TooManyLooks as error:  # raised anew here: a walk's traceback has a line for every step
        raise RuntimeError(str(error)) from None
    finally:
        _Counted.allowed = 10**9
    if not isinstance(order, list | tuple):
        raise WrongType(f"what came back is of type {type(order).__name__}, not a list of nodes")
    for node in order:
        if not isinstance(node, Node) or node not in number:
            raise WrongType(f"the list holds a {type(node).__name__} that is none of the graph's nodes")
    return {"problem": _problem([number[n] for n in order], i), "order": [number[n] for n in order[:20]]}


def _problem(order: list[int], i: dict) -> str:
    # What is wrong with an order, "" for nothing.
    parents, root = i["parents"], i["root"]
    wanted, left = {root}, [root]
    while left:
        for p in parents[left.pop()]:
            if p not in wanted:
                wanted.add(p)
                left.append(p)
    shown = f"{order[:20]}{' ...' if len(order) > 20 else ''}"
    place = {}
    for at, n in enumerate(order):
        if n in place:
            return f"node {n} is listed twice: {shown}"
        place[n] = at
    if missing := sorted(wanted - set(order)):
        return f"node {missing[0]} is missing: {shown}"
    if extra := sorted(set(order) - wanted):
        return f"node {extra[0]} is listed, and the root, {root}, does not depend on it: {shown}"
    for n in order:
        for p in parents[n]:
            if place[p] < place[n]:
                return f"node {p} stands before node {n}, which was made from it: {shown}"
    return ""


topological_order = Exercise(
    name="topological_order",
    title="Every node before its parents",
    minutes=20,
    difficulty=2,
    points=4,
    act=_order_act,
    visible=_order_cases,
    properties=(
        Property(
            "all that the root depends on, each once, every node before its parents",
            lambda i, o: _said(o) or None,
        ),
    ),
    forbids=("source.autodiff.tape.topological_order", "source.autodiff.tape.backward"),
    hints=(
        "When may a node enter the list? When all that use it are in. How would you know that without looking at the "
        "whole list each time?",
        "Two walks. First find all nodes, each once (a set or dict of those seen), and count for each how many times "
        "it "
        "stands among somebody's parents. Then start with the root; whenever a node enters the list, one use of each "
        "of its parents is done. A `for` loop over a list goes on over what you append meanwhile.",
        "uses = how often each reachable node is a parent; order = [root]; for node in order: for parent in its "
        "parents: uses[parent] -= 1, and if that is 0, append the parent. Or: walk depth-first with a stack of your "
        "own, list a node when all its parents are listed, and turn the list around at the end.",
    ),
)


def _said(outputs) -> str:
    return str(outputs["problem"])


# What the nodes of the cases for `backward` compute: value of the parents' values, and its rule.
def _made(kind: str, parents: list[Node]) -> tuple[np.ndarray, object]:
    values = [p.value for p in parents]
    if kind == "add":
        return values[0] + values[1], lambda g: (g, g)  # the same array twice, on purpose
    if kind == "times":
        return values[0] * values[1], lambda g: (g * values[1], g * values[0])
    if kind == "sum of three":
        return values[0] + values[1] + values[2], lambda g: (g, g, g)
    if kind == "sine":
        return np.sin(values[0]), lambda g: (g * np.cos(values[0]),)
    if kind == "half":
        return values[0] / 2, lambda g: (g / 2,)
    raise ValueError(kind)


def graph(leaves: list[np.ndarray], steps: list[list], root: int | None = None, upstream=None, **more) -> dict:
    """A case for `backward`: leaves, then steps [kind, parent, ...]. Numbers count leaves first; root: the last."""
    total = len(leaves) + len(steps)
    root = total - 1 if root is None else root
    return {"leaves": leaves, "steps": steps, "root": root, "upstream": upstream, "report": list(range(total)), **more}


def _backward_cases():
    d = Draw(4503)
    x, y = array(d, 3), array(d, 3)
    chain = [["sine", 0]] + [["half" if n % 7 == 0 else "sine", n] for n in range(1, 3000)]
    return [
        Case("x * x by hand", graph([np.array(3.0)], [["times", 0, 0]])),
        Case("a chain, with a gradient given", graph([x], [["sine", 0], ["half", 1]], upstream=array(d, 3))),
        Case("a value used twice", graph([x, y], [["times", 0, 1], ["add", 0, 2]], upstream=array(d, 3))),
        Case("x + x, used on", graph([x], [["add", 0, 0], ["sine", 1], ["add", 1, 2]], upstream=array(d, 3))),
        Case("one gradient for both, and another use", graph([x, y], [["half", 0], ["add", 0, 1], ["add", 2, 3]])),
        Case(
            "a long road and a short one",
            graph(
                [x], [["sine", 0], ["sine", 1], ["times", 1, 2], ["add", 3, 1], ["times", 4, 0]], upstream=array(d, 3)
            ),
        ),
        Case(
            "a chain of 3,000", graph([np.array(0.9)], chain, upstream=np.array(2.0)) | {"report": [0, 1, 2990, 3000]}
        ),
        Case("asked twice", graph([x, y], [["times", 0, 1], ["add", 0, 2], ["add", 0, 3]], **{"then again": True})),
    ]


def _backward_act(f, i):
    nodes, calls = [Node(leaf) for leaf in i["leaves"]], []
    given = len(nodes)

    def counted(n, rule):
        def run(g):
            calls.append(n)
            return rule(g)

        return run

    for kind, *parents in i["steps"]:
        made_from = [nodes[p] for p in parents]
        value, rule = _made(kind, made_from)
        nodes.append(Node(value, tuple(made_from), counted(len(nodes), rule)))
    told = () if i["upstream"] is None else (i["upstream"],)
    try:
        gradients = f(nodes[i["root"]], *told)
    except RecursionError:
        raise RuntimeError(
            "RecursionError: your function calls itself once for every node of a road; loop instead"
        ) from None
    outputs = _gradients(gradients, nodes, i, "")
    runs = [calls.count(n) for n in range(given, len(nodes))] if len(nodes) < 100 else [len(calls)]
    outputs["how often each rule ran" if len(nodes) < 100 else "how often rules ran in all"] = runs
    if i.get("then again"):
        outputs |= _gradients(f(nodes[i["root"]], *told), nodes, i, ", asked a second time")
    return outputs


def _gradients(gradients, nodes, i, when):
    if not isinstance(gradients, dict):
        raise WrongType(f"what came back is of type {type(gradients).__name__}, not a dict from nodes to gradients")
    found = {}
    for n in i["report"]:
        name = f"gradient of node {n}"
        if nodes[n] in gradients:
            found[name + when] = as_array(name, gradients[nodes[n]])
    return found


backward = Exercise(
    name="backward",
    title="The way back",
    minutes=15,
    difficulty=3,
    points=5,
    act=_backward_act,
    visible=_backward_cases,
    forbids=("backward", "grad", "source.autodiff.tape.backward", "source.autodiff.tape.backward_naive"),
    hints=(
        "For a node in the middle: which gradients have arrived when its turn comes, and where do you keep them until "
        "then? What if one has arrived already?",
        "A dict from node to gradient. `zip(node.parents, node.rule(gradient))` pairs each parent with its part; "
        "`old + part` makes a new array, `old += part` changes the one that somebody else may hold.",
        "gradients = {root: upstream, or ones like its value}; for node in ordered(root): skip a leaf; for each parent "
        "and part: if the parent has a gradient, replace it by old + part, else store part; return gradients.",
    ),
)


def _rule_cases():
    d = Draw(4504)
    p = np.exp(array(d, 2, 3, 5))
    p = p / p.sum(-1, keepdims=True)
    hand = {"rule": "matmul", "g": np.array([[1.0]]), "a": np.array([[2.0, 3.0]]), "b": np.array([[5.0], [7.0]])}
    return [
        Case("a product by hand", hand),
        Case("a product of square matrices", matmul_inputs(d, (3, 3), (3, 3))),
        Case("a product, batched, with heads", matmul_inputs(d, (2, 3, 4, 5), (2, 3, 5, 6))),
        Case("a product, one weight matrix for the whole batch", matmul_inputs(d, (2, 3, 4), (4, 5))),
        Case(
            "softmax by hand",
            {"rule": "softmax", "g": np.array([[4.0, 0.0]]), "p": np.array([[0.25, 0.75]])},
        ),
        Case("softmax, three dimensions", {"rule": "softmax", "g": array(d, 2, 3, 5), "p": p}),
        Case("rows read once", take_inputs(d, 5, 2, [[3, 0], [1, 4]])),
        Case("a row read three times", take_inputs(d, 4, 3, [1, 3, 1, 1])),
    ]


def matmul_inputs(d: Draw, a: tuple, b: tuple, dtype: str = "float64") -> dict:
    """Factors of the given shapes and a gradient of their product."""
    a, b = array(d, *a, dtype=dtype), array(d, *b, dtype=dtype)
    return {"rule": "matmul", "g": array(d, *(a @ b).shape, dtype=dtype), "a": a, "b": b}


def take_inputs(d: Draw, rows: int, C: int, ids: list, dtype: str = "float64") -> dict:
    """A table, ids of its rows and a gradient of what was read."""
    ids = np.array(ids, dtype=np.int64)
    table = array(d, rows, C, dtype=dtype)
    return {"rule": "take", "g": array(d, *ids.shape, C, dtype=dtype), "table": table, "ids": ids}


def _rule_act(f, i):
    matmul, softmax, take = f
    if i["rule"] == "matmul":
        found = matmul(i["g"], i["a"], i["b"])
        if not (isinstance(found, tuple | list) and len(found) == 2):
            raise WrongType(f"matmul_rule returned a {type(found).__name__}, not the pair of both gradients")
        return {f"gradient of {n}": as_array(f"gradient of {n}", x) for n, x in zip("ab", found, strict=True)}
    if i["rule"] == "softmax":
        return {"gradient of x": as_array("gradient of x", softmax(i["g"], i["p"]))}
    return {"gradient of the table": as_array("gradient of the table", take(i["g"], i["table"], i["ids"]))}


operation_rules = Exercise(
    name="operation_rules",
    title="Rules for products, softmax and tables",
    minutes=20,
    difficulty=2,
    points=5,
    act=_rule_act,
    visible=_rule_cases,
    shapes={"gradient of a": "(..., T, C)", "gradient of b": "(..., C, V)", "gradient of the table": "(V, C)"},
    forbids=(
        "backward",
        "grad",
        *(f"source.autodiff.rules.{name}_rule{twin}" for name in ("softmax", "take") for twin in ("", "_naive")),
        "source.autodiff.rules.matmul_rule",
        "source.autodiff.numeric.numeric_gradient",
    ),
    hints=(
        "Write the three shapes of the product under each other, g's too. Which arrangement of g and b gives a's "
        "shape? "
        "For softmax, is the sum of g * p one number a row or one a column? For the table: what should row 1 hold if "
        "it was "
        "read twice?",
        "`x.swapaxes(-1, -2)` exchanges the last two axes; `fitted(gradient, a.shape)` is your step 1. "
        "`.sum(axis=-1, keepdims=True)` keeps a row's sum beside its row. `np.add.at(out, ids, g)` adds at every id.",
        "product: g @ b swapped, fitted to a's shape, and a swapped @ g, fitted to b's. softmax: average = sum of g "
        "* p "
        "over the last axis, kept; p * (g - average). table: zeros like it; np.add.at of g at the ids.",
    ),
)


IGNORE = -100


def norm_inputs(d: Draw, *shape: int, dtype: str = "float64", scale: float = 1.0) -> dict:
    """What the layer norm's rule is given for a random x."""
    x = array(d, *shape, scale=scale)
    spread = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    y = (x - x.mean(-1, keepdims=True)) / spread
    given = {"g": array(d, *shape), "y": y, "spread": spread}
    return {"rule": "layer norm"} | {name: value.astype(dtype) for name, value in given.items()}


def loss_inputs(d: Draw, targets: list[int], V: int, g: float = 1.0, scale: float = 1.0) -> dict:
    """Logits, targets and the gradient of their mean loss."""
    logits = array(d, len(targets), V, scale=scale)
    return {"rule": "cross-entropy", "g": np.array(g), "logits": logits, "targets": np.array(targets, dtype=np.int64)}


def _repair_cases():
    d = Draw(4505)
    return [
        Case("layer norm, three rows", norm_inputs(d, 3, 5)),
        Case("layer norm, three dimensions", norm_inputs(d, 2, 3, 4, scale=3.0)),
        Case("GELU", {"rule": "GELU", "g": array(d, 3, 4), "x": array(d, 3, 4)}),
        Case("GELU, larger inputs", {"rule": "GELU", "g": array(d, 8), "x": array(d, 8, scale=2.5)}),
        Case("cross-entropy, every target counts", loss_inputs(d, [2, 0, 3], 4)),
        Case("cross-entropy, some targets ignored", loss_inputs(d, [1, IGNORE, 4, 4, IGNORE], 5, g=0.5)),
    ]


def _repair_act(f, i):
    norm, gelu, loss = f
    if i["rule"] == "layer norm":
        found = norm(i["g"], i["y"], i["spread"])
    elif i["rule"] == "GELU":
        found = gelu(i["g"], i["x"])
    else:
        return {"gradient of the logits": as_array("gradient", loss(i["g"], i["logits"], i["targets"]))}
    return {"gradient of x": as_array("gradient of x", found)}


repaired_rules = Exercise(
    name="repaired_rules",
    title="Find three wrong lines",
    minutes=20,
    difficulty=3,
    points=5,
    act=_repair_act,
    visible=_repair_cases,
    shapes={"gradient of the logits": "(n, V)"},
    forbids=(
        "backward",
        "grad",
        "gelu",
        "layer_norm",
        "cross_entropy",
        "nll_loss",
        *(f"source.autodiff.rules.{name}_rule" for name in ("layer_norm", "gelu", "cross_entropy")),
        *(f"source.autodiff.operations.{name}" for name in ("layer_norm", "gelu", "cross_entropy")),
        "source.autodiff.numeric.numeric_gradient",
    ),
    hints=(
        "Which of a formula's letters depend on x? In y = (x - mean) / spread there are three. And what should "
        "arrive at "
        "the logits of a row that does not count?",
        "Look at the differences row by row: in cross-entropy, whole rows are wrong; in GELU, the difference grows "
        "with "
        "|x|; in layer norm, it is a multiple of y in every row.",
        "layer norm: from g - mean(g), also take away y times the row's mean of g * y, then divide by the spread. "
        "GELU: "
        "the slope of u is sqrt(2/pi) * (1 + 3 * 0.044715 x^2). cross-entropy: multiply each row by whether it counts.",
    ),
)
