"""Lab 4.5, the instructor's half: references by autograd in float64; hidden cases, misconceptions."""

from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F

from autograder.cases import Draw
from autograder.checks.ch04_training.lab05_backpropagation_from_scratch import (
    IGNORE,
    array,
    graph,
    loss_inputs,
    matmul_inputs,
    norm_inputs,
    take_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _leaf(x):
    return torch.from_numpy(np.array(x, dtype=np.float64)).requires_grad_()


def _as(x, like):
    return x.detach().numpy().astype(like.dtype)


def _unbroadcast_hidden(seed):
    d = Draw(seed)
    loose = array(d, 3, 4, 5).transpose(2, 0, 1)
    return [
        Case("four dimensions to two, both stretched", {"g": array(d, 2, 3, 4, 5), "shape": [1, 1]}),
        Case("an axis stretched in the middle", {"g": array(d, 2, 3, 4), "shape": [2, 1, 4]}),
        Case("an axis of size 1 that stayed", {"g": array(d, 3, 1, 4), "shape": [1, 1, 4]}),
        Case("a number from a number", {"g": array(d), "shape": []}),
        Case("float32", {"g": array(d, 4, 3, dtype="float32"), "shape": [3]}),
        Case("a non-contiguous gradient", {"g": loose, "shape": [3, 1]}),
        Case("an empty batch, after its gradient", {"g": array(d, 0, 3), "shape": [3]}),
        Case("all sizes alike", {"g": array(d, 3, 3, 3), "shape": [1, 3]}),
    ]


def _unbroadcast_reference(i):
    leaf = torch.zeros(tuple(i["shape"]), dtype=torch.float64, requires_grad=True)
    g = torch.from_numpy(np.array(i["g"], dtype=np.float64))
    (found,) = torch.autograd.grad(leaf.expand(g.shape), leaf, g)
    return {"gradient": _as(found, i["g"])}


_SUM = "g.sum(axis=(*range(added), *stretched)).reshape(shape)"
unbroadcast = Answer(
    name="unbroadcast",
    reference=_unbroadcast_reference,
    hidden=_unbroadcast_hidden,
    misconceptions=(
        Misconception(
            "mean-for-sum",
            "the gradients are averaged over the axes instead of added up: every use counts in full",
            edits=((_SUM, "g.mean(axis=(*range(added), *stretched)).reshape(shape)"),),
        ),
        Misconception(
            "front-only",
            "only the axes added in front are summed, and those stretched from size 1 are not",
            code="def unbroadcast(g, shape):\n    return g.sum(axis=tuple(range(g.ndim - len(shape))))\n",
        ),
        Misconception(
            "stretched-only",
            "only the axes stretched from size 1 are summed, and those added in front are not",
            code="def unbroadcast(g, shape):\n"
            "    added = g.ndim - len(shape)\n"
            "    axes = tuple(added + n for n, size in enumerate(shape) if size == 1)\n"
            "    return g.sum(axis=axes, keepdims=True)\n",
        ),
        Misconception(
            "axes-dropped",
            "the axes of size 1 are dropped by the sum instead of kept",
            edits=((".reshape(shape)", ""),),
        ),
        Misconception(
            "aligned-left",
            "shapes are compared from the left, so that the stretched axes are counted from the wrong end",
            edits=(
                ("[added + axis for", "[axis for"),
                ("(*range(added), *stretched)", "tuple({*range(added), *stretched})"),
            ),
        ),
        Misconception(
            "first-use-only",
            "the first of the entries is taken instead of the sum over all of them",
            code="def unbroadcast(g, shape):\n"
            "    added = g.ndim - len(shape)\n"
            "    g = g[(0,) * added]\n"
            "    at = tuple(slice(0, 1) if size == 1 else slice(None) for size in shape)\n"
            "    return np.array(g[at]).reshape(shape)\n",
        ),
        Misconception(
            "unchanged",
            "the gradient is handed on as it is, in the shape of the result",
            code="def unbroadcast(g, shape):\n    return g\n",
        ),
    ),
)


def _order_hidden(seed):
    d = Draw(seed)

    def drawn(size, most):
        parents = [[]]
        for n in range(1, size):
            count = int(d.integers(0 if n < size // 2 else 1, most + 1))
            parents.append([int(p) for p in d.integers(0, n, count)])
        return {"parents": parents, "root": size - 1}

    tower = [[], *([n] * 3 for n in range(40))]  # three roads a step
    return [
        Case("a random graph", drawn(12, 3)),
        Case("a larger random graph", drawn(60, 4)),
        Case("the root in the middle of a graph", drawn(20, 2) | {"root": int(d.integers(8, 15))}),
        Case("forty steps, each with three roads", {"parents": tower, "root": 40}),
        Case("a chain of 6,000", {"parents": [[], *([n] for n in range(5_999))], "root": 5_999}),
        Case("many leaves", {"parents": [[], [], [], [], [3, 1, 0, 2]], "root": 4}),
    ]


topological_order = Answer(
    name="topological_order",
    reference=None,
    hidden=_order_hidden,
    misconceptions=(
        Misconception(
            "breadth-first",
            "the nodes are listed as they are found, level by level from the root: a node may then stand before one "
            "that "
            "was made from it and was found later",
            code="def topological_order(root):\n"
            "    order = [root]\n"
            "    for node in order:\n"
            "        order.extend(p for p in dict.fromkeys(node.parents) if p not in order)\n"
            "    return order\n",
        ),
        Misconception(
            "depth-first",
            "each node is listed on the way down, before its parents are looked at, so that it may stand before "
            "another "
            "one that uses it",
            code="def topological_order(root):\n"
            "    order, seen, stack = [], set(), [root]\n"
            "    while stack:\n"
            "        node = stack.pop()\n"
            "        if node not in seen:\n"
            "            seen.add(node)\n"
            "            order.append(node)\n"
            "            stack.extend(node.parents[::-1])\n"
            "    return order\n",
        ),
        Misconception(
            "depth-first-last-parent-first",
            "each node is listed on the way down, the last parent's side first, so that a node may stand before "
            "another one "
            "that uses it",
            code="def topological_order(root):\n"
            "    order, seen, stack = [], set(), [root]\n"
            "    while stack:\n"
            "        node = stack.pop()\n"
            "        if node not in seen:\n"
            "            seen.add(node)\n"
            "            order.append(node)\n"
            "            stack.extend(node.parents)\n"
            "    return order\n",
        ),
        Misconception(
            "leaves-first",
            "the order is the other way round: parents come first, as for the forward pass",
            edits=(("    return order", "    return order[::-1]"),),
        ),
        Misconception(
            "recursive",
            "the function calls itself for every parent: right on small graphs, too deep for long chains",
            code="def topological_order(root):\n"
            "    order, seen = [], set()\n"
            "    def visit(node):\n"
            "        if node not in seen:\n"
            "            seen.add(node)\n"
            "            for parent in node.parents:\n"
            "                visit(parent)\n"
            "            order.append(node)\n"
            "    visit(root)\n"
            "    return order[::-1]\n",
        ),
        Misconception(
            "every-road",
            "nodes that were seen before are walked through again, once for every road to them",
            code="def topological_order(root):\n"
            "    order, stack = [], [root]\n"
            "    while stack:\n"
            "        node = stack.pop()\n"
            "        if node in order:\n"
            "            order.remove(node)\n"
            "        order.append(node)\n"
            "        stack.extend(node.parents)\n"
            "    return order\n",
        ),
        Misconception(
            "uses-counted-once",
            "a parent that stands twice among a node's parents is counted as one use but taken off twice, or the "
            "reverse",
            edits=(
                (
                    "        for parent in node.parents:\n            if parent not in uses",
                    "        for parent in set(node.parents):\n            if parent not in uses",
                ),
            ),
        ),
    ),
)


def _backward_hidden(seed):
    d = Draw(seed)

    def drawn(size, leaves):
        steps = []
        for n in range(leaves, leaves + size):
            # Every second step is a sine, so that no value grows large.
            kind = "sine" if n % 2 else ("add", "times", "half", "sum of three")[int(d.integers(0, 4))]
            count = {"add": 2, "times": 2, "sum of three": 3}.get(kind, 1)
            steps.append([kind, n - 1, *(int(p) for p in d.integers(0, n, count - 1))])
        return steps

    x, y = array(d, 2, 3), array(d, 2, 3)
    rows = [array(d, 4) for _ in range(3)]
    return [
        Case("a leaf alone", graph([x], [], upstream=array(d, 2, 3))),
        Case("a random graph", graph([x, y], drawn(8, 2), upstream=array(d, 2, 3))),
        Case("a larger random graph", graph(rows, drawn(20, 3), upstream=array(d, 4, scale=0.1))),
        Case("three times the same", graph([x], [["sum of three", 0, 0, 0], ["times", 1, 1]], upstream=array(d, 2, 3))),
        Case(
            "a leaf that the root does not use, and nodes behind the root",
            graph([x, y], [["sine", 0], ["half", 2], ["times", 3, 1]], root=3, upstream=array(d, 2, 3)),
        ),
        Case(
            "one gradient for three, twice over",
            graph(
                [x, y], [["sum of three", 0, 1, 0], ["sum of three", 0, 2, 1], ["add", 3, 2]], upstream=array(d, 2, 3)
            ),
        ),
        Case(
            "float32",
            graph([x.astype("float32")], [["times", 0, 0], ["add", 1, 0]], upstream=array(d, 2, 3, dtype="float32")),
        ),
        Case(
            "asked twice, with a gradient given",
            graph([x], [["add", 0, 0], ["add", 1, 0]], upstream=array(d, 2, 3), **{"then again": True}),
        ),
    ]


def _backward_reference(i):
    at = [_leaf(leaf) for leaf in i["leaves"]]
    parents = [[] for _ in at]
    for kind, *before in i["steps"]:
        a = [at[p] for p in before]
        out = {
            "add": lambda a=a: a[0] + a[1],
            "times": lambda a=a: a[0] * a[1],
            "sum of three": lambda a=a: a[0] + a[1] + a[2],
            "sine": lambda a=a: torch.sin(a[0]),
            "half": lambda a=a: a[0] / 2,
        }[kind]()
        at.append(out)
        parents.append(before)
    root, dtype = i["root"], np.asarray(i["leaves"][0]).dtype
    reached, left = {root}, [root]
    while left:
        for p in parents[left.pop()]:
            if p not in reached:
                reached.add(p)
                left.append(p)
    wanted = [n for n in i["report"] if n in reached]
    upstream = (
        torch.ones_like(at[root])
        if i["upstream"] is None
        else torch.from_numpy(np.array(i["upstream"], dtype=np.float64))
    )
    found = torch.autograd.grad(at[root], [at[n] for n in wanted], upstream, materialize_grads=True)
    gradients = {f"gradient of node {n}": g.numpy().astype(dtype) for n, g in zip(wanted, found, strict=True)}
    first = len(i["leaves"])
    ran = [int(n in reached) for n in range(first, len(at))]
    outputs = dict(gradients)
    if len(at) < 100:
        outputs["how often each rule ran"] = ran
    else:
        outputs["how often rules ran in all"] = [sum(ran)]
    if i.get("then again"):
        outputs |= {f"{name}, asked a second time": g for name, g in gradients.items()}
    return outputs


_PUT = "gradients[parent] = gradients[parent] + part if parent in gradients else part"
backward = Answer(
    name="backward",
    reference=_backward_reference,
    hidden=_backward_hidden,
    misconceptions=(
        Misconception(
            "overwritten",
            "a second gradient of the same node replaces the first instead of being added to it",
            edits=((_PUT, "gradients[parent] = part"),),
        ),
        Misconception(
            "first-kept",
            "only the first gradient that arrives at a node is kept",
            edits=((_PUT, "gradients.setdefault(parent, part)"),),
        ),
        Misconception(
            "in-place",
            "gradients are added in place (+=): the array is also another parent's gradient, or the node's own, and "
            "changes there too",
            edits=(
                (
                    _PUT,
                    "if parent in gradients:\n                gradients[parent] += part\n"
                    "            else:\n                gradients[parent] = part",
                ),
            ),
        ),
        Misconception(
            "upstream-ignored",
            "the way back always starts with ones, and the given gradient of the root is not used",
            edits=(("np.ones_like(root.value) if upstream is None else upstream", "np.ones_like(root.value)"),),
        ),
        Misconception(
            "same-parent-twice",
            "a node that stands twice among the parents of another gets only one of its two parts",
            edits=(("in zip(node.parents, parts)", "in dict(zip(node.parents, parts)).items()"),),
        ),
        Misconception(
            "each-road",
            "every gradient is handed on as it arrives: the result is right, but rules run once for every road",
            code="def backward(root, upstream=None):\n"
            "    gradients = {}\n"
            "    left = [(root, np.ones_like(root.value) if upstream is None else upstream)]\n"
            "    while left:\n"
            "        node, g = left.pop()\n"
            "        gradients[node] = gradients[node] + g if node in gradients else g\n"
            "        if node.rule is not None:\n"
            "            left.extend(zip(node.parents, node.rule(g)))\n"
            "    return gradients\n",
        ),
        Misconception(
            "too-early",
            "a node's rule runs as soon as its first gradient has arrived, level by level from the root, and what "
            "arrives "
            "later is not handed on",
            code="def backward(root, upstream=None):\n"
            "    gradients = {root: np.ones_like(root.value) if upstream is None else upstream}\n"
            "    order = [root]\n"
            "    for node in order:\n"
            "        if node.rule is None:\n"
            "            continue\n"
            "        for parent, part in zip(node.parents, node.rule(gradients[node])):\n"
            "            if parent not in gradients:\n"
            "                order.append(parent)\n"
            "            gradients[parent] = gradients[parent] + part if parent in gradients else part\n"
            "    return gradients\n",
        ),
        Misconception(
            "wrong-way-round",
            "the nodes are visited from the leaves up, when no gradient has arrived yet",
            edits=(("in ordered(root):", "in ordered(root)[::-1]:"),),
        ),
        Misconception(
            "leaves-only",
            "only the leaves' gradients are returned",
            edits=(("    return gradients", "    return {n: g for n, g in gradients.items() if n.rule is None}"),),
        ),
        Misconception(
            "starts-from-one",
            "the way back starts with the number 1 instead of ones of the root's shape",
            edits=(("np.ones_like(root.value)", "np.array(1.0)"),),
        ),
    ),
)


def _rule_hidden(seed):
    d = Draw(seed)
    p = np.exp(array(d, 4, 6))
    p = p / p.sum(-1, keepdims=True)
    one_hot = np.eye(3)[[2, 0]]
    q = np.exp(array(d, 3, 3, 3))
    loose = matmul_inputs(d, (2, 4, 3), (2, 3, 5))
    loose["a"] = np.ascontiguousarray(loose["a"].swapaxes(-1, -2)).swapaxes(-1, -2)
    return [
        Case("a product, the first factor shared by the batch", matmul_inputs(d, (3, 4), (5, 4, 2))),
        Case("a product, both stretched", matmul_inputs(d, (2, 1, 3, 4), (5, 4, 2))),
        Case("a product of one row and one column", matmul_inputs(d, (1, 1), (1, 1))),
        Case("a product, batched and square", matmul_inputs(d, (3, 3, 3), (3, 3, 3))),
        Case("a product, float32", matmul_inputs(d, (2, 3, 4), (2, 4, 2), dtype="float32")),
        Case("a product, a non-contiguous factor", loose),
        Case("a product, an empty batch", matmul_inputs(d, (0, 3, 4), (4, 2))),
        Case("softmax, two dimensions", {"rule": "softmax", "g": array(d, 4, 6), "p": p}),
        Case(
            "softmax, as many rows as columns",
            {"rule": "softmax", "g": array(d, 3, 3, 3), "p": q / q.sum(-1, keepdims=True)},
        ),
        Case("softmax, all weight on one", {"rule": "softmax", "g": array(d, 2, 3), "p": one_hot}),
        Case("softmax, one key", {"rule": "softmax", "g": array(d, 2, 1), "p": np.ones((2, 1))}),
        Case("softmax, one row", {"rule": "softmax", "g": array(d, 6), "p": p[0]}),
        Case("a table, ids at random", take_inputs(d, 5, 3, d.integers(0, 5, 4, 6).tolist())),
        Case("a table, one id", take_inputs(d, 3, 2, int(d.integers(0, 3)))),
        Case("a table, no id at all", take_inputs(d, 3, 2, [])),
        Case("a table, float32, every id the same", take_inputs(d, 4, 2, [[2, 2], [2, 2]], dtype="float32")),
    ]


def _rule_reference(i):
    g = torch.from_numpy(np.array(i["g"], dtype=np.float64))
    if i["rule"] == "matmul":
        a, b = _leaf(i["a"]), _leaf(i["b"])
        out = torch.einsum("...tc,...cv->...tv", a, b)
        found = torch.autograd.grad(out, (a, b), g)
        return {f"gradient of {n}": _as(x, i["a"]) for n, x in zip("ab", found, strict=True)}
    if i["rule"] == "softmax":
        # Through the matrix of derivatives, since the scores are not given.
        p = torch.from_numpy(i["p"])
        J = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
        return {"gradient of x": _as(torch.einsum("...i,...ij->...j", g, J), i["p"])}
    table = _leaf(i["table"])
    (found,) = torch.autograd.grad(F.embedding(torch.from_numpy(i["ids"]), table), table, g)
    return {"gradient of the table": _as(found, i["table"])}


_ADD_AT = "np.add.at(out, ids, g)"
operation_rules = Answer(
    name="operation_rules",
    reference=_rule_reference,
    hidden=_rule_hidden,
    misconceptions=(
        Misconception(
            "b-not-transposed",
            "the gradient of a is g @ b, with b as it is: it fits only where b is square, and is wrong there",
            edits=(("g @ b.swapaxes(-1, -2)", "g @ b"),),
        ),
        Misconception(
            "b-turned-round",
            "the gradient of b comes out transposed: it is g^T @ a instead of a^T @ g",
            edits=(("a.swapaxes(-1, -2) @ g", "g.swapaxes(-1, -2) @ a"),),
        ),
        Misconception(
            "all-axes-turned",
            "`.T` turns all axes around, the batch's too, instead of the last two",
            edits=(("g @ b.swapaxes(-1, -2)", "g @ b.T"), ("a.swapaxes(-1, -2) @ g", "a.T @ g")),
        ),
        Misconception(
            "batch-not-summed",
            "the gradients of a factor that the whole batch shares are not added up over the batch",
            edits=(("return fitted(of_a, a.shape), fitted(of_b, b.shape)", "return of_a, of_b"),),
        ),
        Misconception(
            "pair-swapped",
            "the two gradients are returned in the wrong order",
            edits=(
                (
                    "return fitted(of_a, a.shape), fitted(of_b, b.shape)",
                    "return fitted(of_b, b.shape), fitted(of_a, a.shape)",
                ),
            ),
        ),
        Misconception(
            "softmax-diagonal",
            "each weight's own derivative p (1 - p) is used alone, as if raising one score did not lower the other "
            "weights",
            edits=(("return p * (g - average)", "return g * p * (1 - p)"),),
        ),
        Misconception(
            "softmax-without-average",
            "the average is not subtracted: g * p is what the exponential alone would send back",
            edits=(("return p * (g - average)", "return p * g"),),
        ),
        Misconception(
            "softmax-plain-mean",
            "the plain mean of g is subtracted instead of its average under the weights p",
            edits=(("(g * p).sum(axis=-1, keepdims=True)", "g.mean(axis=-1, keepdims=True)"),),
        ),
        Misconception(
            "softmax-wrong-axis",
            "the average runs over the second last axis instead of each row",
            edits=(("(g * p).sum(axis=-1, keepdims=True)", "(g * p).sum(axis=-2, keepdims=True)"),),
        ),
        Misconception(
            "softmax-over-all",
            "one average is taken over the whole array instead of one for each row",
            edits=(("(g * p).sum(axis=-1, keepdims=True)", "(g * p).sum()"),),
        ),
        Misconception(
            "last-read-wins",
            "`out[ids] += g` is used: where an id repeats, only the last of its gradients arrives",
            edits=((_ADD_AT, "out[ids] += g"),),
        ),
        Misconception(
            "reads-averaged",
            "the gradients of a row that was read several times are averaged instead of added up",
            edits=(
                (
                    _ADD_AT,
                    "np.add.at(out, ids, g)\n"
                    "    out /= np.maximum(1, np.bincount(ids.ravel(), minlength=len(table)))[:, None]",
                ),
            ),
        ),
        Misconception(
            "into-the-table",
            "the gradients are added into the table itself instead of into zeros",
            edits=(("out = np.zeros_like(table)", "out = table.copy()"),),
        ),
    ),
)


def _repair_hidden(seed):
    d = Draw(seed)
    counted = d.integers(0, 6, 7).tolist()
    some = [t if keep else IGNORE for t, keep in zip(counted, d.chance(0.5, 7).tolist(), strict=True)]
    return [
        Case("layer norm, one row", norm_inputs(d, 6)),
        Case("layer norm, width 2", norm_inputs(d, 4, 2)),
        Case("layer norm, width 1", norm_inputs(d, 3, 1)),
        Case("layer norm, a small spread", norm_inputs(d, 3, 5, scale=0.01)),
        Case("layer norm, float32", norm_inputs(d, 2, 8, dtype="float32")),
        Case(
            "GELU, four dimensions", {"rule": "GELU", "g": array(d, 2, 1, 3, 2), "x": array(d, 2, 1, 3, 2, scale=1.5)}
        ),
        Case("GELU, one number", {"rule": "GELU", "g": array(d), "x": array(d)}),
        Case("GELU, far out", {"rule": "GELU", "g": array(d, 4), "x": np.array([-12.0, 12.0, 0.0, -3.0])}),
        Case("cross-entropy, some ignored at random", loss_inputs(d, [*some, 0], 6, g=float(d.normal()))),
        Case("cross-entropy, nothing counts", loss_inputs(d, [IGNORE, IGNORE], 3)),
        Case("cross-entropy, one class", loss_inputs(d, [0, 0, IGNORE], 1)),
        Case("cross-entropy, large logits", loss_inputs(d, [1, 2, IGNORE, 0], 3, scale=500.0)),
    ]


def _repair_reference(i):
    g = torch.from_numpy(np.array(i["g"], dtype=np.float64))
    if i["rule"] == "layer norm":
        # x itself is not given: y * spread has the same rule, for its mean is zero and its spread the same.
        y, spread = (torch.from_numpy(np.array(i[n], dtype=np.float64)) for n in ("y", "spread"))
        C = y.shape[-1]
        eye = torch.eye(C, dtype=torch.float64)
        J = (eye - 1 / C - y[..., :, None] * y[..., None, :] / C) / spread[..., None]
        return {"gradient of x": _as(torch.einsum("...i,...ij->...j", g, J), i["y"])}
    if i["rule"] == "GELU":
        x = _leaf(i["x"])
        (found,) = torch.autograd.grad(F.gelu(x, approximate="tanh"), x, g)
        return {"gradient of x": _as(found, i["x"])}
    logits, targets = _leaf(i["logits"]), torch.from_numpy(i["targets"])
    total = F.cross_entropy(logits, targets, reduction="sum", ignore_index=IGNORE)
    (found,) = torch.autograd.grad(total / max(1, int((targets != IGNORE).sum())), logits, g)
    return {"gradient of the logits": _as(found, i["logits"])}


_BUGS = {
    "norm": (
        "layer norm's spread is still treated as a constant",
        ("(centred - y * (g * y).mean(axis=-1, keepdims=True)) / spread", "centred / spread"),
    ),
    "gelu": ("the factor 3 of x^3's derivative is still missing in GELU's slope", ("1 + 3 * 0.044715", "1 + 0.044715")),
    "loss": (
        "rows that do not count still get a gradient from the cross-entropy",
        ("(p - hit) * counted[:, None] /", "(p - hit) /"),
    ),
}
repaired_rules = Answer(
    name="repaired_rules",
    reference=_repair_reference,
    hidden=_repair_hidden,
    misconceptions=(
        *(
            Misconception(
                f"{'-and-'.join(left)}-left",
                ", and ".join(_BUGS[bug][0] for bug in left) if n < 3 else "all three rules are left as they were",
                edits=tuple(_BUGS[bug][1] for bug in left),
            )
            for n in (1, 2, 3)
            for left in combinations(_BUGS, n)
        ),
        Misconception(
            "mean-over-all",
            "the loss is divided by the number of all targets instead of those that count",
            edits=(("max(1, counted.sum())", "len(targets)"),),
        ),
        Misconception(
            "sum-for-mean",
            "layer norm's second mean is a sum, which is C times too large",
            edits=(("(g * y).mean(axis=-1, keepdims=True)", "(g * y).sum(axis=-1, keepdims=True)"),),
        ),
        Misconception(
            "mean-forgotten",
            "layer norm's correction along y is there, and the mean of g is not subtracted: x's mean depends on x as "
            "well",
            edits=(("centred = g - g.mean(axis=-1, keepdims=True)", "centred = g"),),
        ),
        Misconception(
            "half-of-the-product-rule",
            "GELU's rule has only the first half of the product rule: tanh(u) depends on x as well",
            edits=((" + 0.5 * x * (1 - bend**2) * slope", ""),),
        ),
        Misconception(
            "spread-squared",
            "layer norm's correction is divided by the spread once more",
            edits=(("y * (g * y)", "y / spread * (g * y)"),),
        ),
    ),
)
