"""Lab 1.3, the instructor's half: references in float64, head by head or by formula; hidden cases, misconceptions."""

from itertools import combinations

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch01_attention.lab03_multi_head_attention import layer_inputs, parts_inputs, repair_inputs
from autograder.exercise import Answer, Case, Misconception


def _split(x, heads):
    D = x.shape[-1] // heads
    return torch.stack([x[..., h * D : (h + 1) * D] for h in range(heads)], dim=1)


def _split_hidden(seed):
    d = Draw(seed)

    def also(x, heads, edge, edge_heads):
        return {"x": x, "heads": heads, "edge": edge, "edge heads": edge_heads}

    return [
        Case("one head, after five of them", also(d.normal(2, 3, 10), 5, d.normal(2, 3, 4), 1)),
        Case("one position, after four of them", also(d.normal(3, 4, 6), 2, d.normal(3, 1, 6), 3)),
        Case("heads of width 1", {"x": d.normal(2, 4, 7), "heads": 7}),
        Case("a non-contiguous input", {"x": transposed(d.normal(2, 6, 9)), "heads": 3}),
        Case("bfloat16", {"x": d.normal(1, 3, 8, dtype=torch.bfloat16), "heads": 2}),
        Case("an empty batch, after a full one", also(d.normal(2, 4, 6), 3, d.normal(0, 4, 6), 3)),
    ]


def _split_reference(i):
    extra = {"heads of the edge shape": _split(i["edge"], i["edge heads"])} if "edge" in i else {}
    return {"heads": _split(i["x"], i["heads"]), **extra}


split_heads = Answer(
    name="split_heads",
    reference=_split_reference,
    hidden=_split_hidden,
    misconceptions=(
        Misconception(
            "reshape-alone",
            "the tensor is reshaped straight to (B, H, T, D), which cuts the sequence instead of the width: numbers of "
            "different positions end up in one row",
            edits=(("x.reshape(B, T, heads, D).transpose(1, 2)", "x.reshape(B, heads, T, D)"),),
        ),
        Misconception(
            "interleaved",
            "the heads take columns in turn (head 0 gets columns 0, H, 2H, ...) instead of a block of D columns each",
            edits=(("x.reshape(B, T, heads, D).transpose(1, 2)", "x.reshape(B, T, D, heads).permute(0, 3, 1, 2)"),),
        ),
        Misconception(
            "not-moved",
            "the heads are not moved in front of the positions",
            edits=((".transpose(1, 2)", ""),),
        ),
        Misconception(
            "width-moved",
            "the last two dimensions are swapped instead of positions and heads",
            edits=((".transpose(1, 2)", ".transpose(2, 3)"),),
        ),
        Misconception(
            "heads-before-batch",
            "the heads are moved in front of the batch too",
            edits=((".transpose(1, 2)", ".permute(2, 0, 1, 3)"),),
        ),
    ),
)


def _merge(z):
    return torch.cat(list(z.unbind(1)), dim=-1)


def _merge_hidden(seed):
    d = Draw(seed)
    return [
        Case("one head, after three of them", {"z": d.normal(2, 3, 4, 2), "edge": d.normal(2, 1, 4, 3)}),
        Case("one position, after five of them", {"z": d.normal(2, 2, 5, 3), "edge": d.normal(2, 4, 1, 3)}),
        Case("heads of width 1", {"z": d.normal(2, 5, 4, 1)}),
        Case("a non-contiguous input", {"z": d.normal(2, 4, 3, 5).transpose(1, 2)}),
        Case("float64", {"z": d.normal(1, 3, 2, 4, dtype=torch.float64)}),
        Case("an empty batch, after a full one", {"z": d.normal(2, 3, 4, 2), "edge": d.normal(0, 3, 4, 2)}),
    ]


merge_heads = Answer(
    name="merge_heads",
    reference=lambda i: {"merged": _merge(i["z"]), **({"edge shape merged": _merge(i["edge"])} if "edge" in i else {})},
    hidden=_merge_hidden,
    misconceptions=(
        Misconception(
            "reshape-alone",
            "the heads are not swapped back before the reshape, so that each row mixes numbers of different positions",
            edits=(("z.transpose(1, 2).reshape", "z.reshape"),),
        ),
        Misconception(
            "view-after-transpose",
            "the swapped tensor goes to view, which cannot join dimensions that are apart in memory",
            edits=(("z.transpose(1, 2).reshape", "z.transpose(1, 2).view"),),
        ),
        Misconception(
            "interleaved",
            "the heads' columns are put in turn (one of each head) instead of block by block",
            edits=(("z.transpose(1, 2).reshape", "z.permute(0, 2, 3, 1).reshape"),),
        ),
        Misconception(
            "width-swapped",
            "the last two dimensions are swapped instead of heads and positions",
            edits=(("z.transpose(1, 2).reshape", "z.transpose(2, 3).reshape"),),
        ),
    ),
)


def _layer_hidden(seed):
    d = Draw(seed)
    holes = d.chance(0.6, 2, 3, 4, 5)  # a mask of its own for every head
    holes[0, 1, 2] = False
    holes[1, 0, 0] = False
    padding = torch.arange(6) < d.integers(1, 6, 2, 1, 1, 1)
    both = torch.ones(6, 6, dtype=torch.bool).tril() & padding
    odd = layer_inputs(d, 2, 4, 15, 5)
    return [
        Case("one position", layer_inputs(d, 3, 1, 6, 3)),
        Case("one head, a causal mask", layer_inputs(d, 2, 4, 6, 1, mask=torch.ones(4, 4, dtype=torch.bool).tril())),
        Case("five heads, a non-contiguous input", {**odd, "x": transposed(odd["x"])}),
        Case("as many heads as the width", layer_inputs(d, 2, 3, 4, 4)),
        Case("a mask for each head, with fully masked rows", layer_inputs(d, 2, 4, 9, 3, S=5, mask=holes)),
        Case("causal and padded", layer_inputs(d, 2, 6, 8, 2, mask=both)),
        Case("float64", layer_inputs(d, 2, 3, 8, 2, S=5, dtype=torch.float64)),
        Case("bfloat16, forward only", layer_inputs(d, 1, 4, 8, 2, dtype=torch.bfloat16, upstream=None)),
        Case("an empty batch, after a full one", layer_inputs(d, 2, 3, 8, 2, **{"then an empty batch": True})),
    ]


def _layer_reference(i):
    H, dtype = i["heads"], i["x"].dtype
    leaves = {"x": i["x"], **i["state"], **({} if i["context"] is None else {"context": i["context"]})}
    leaves = {name: leaf.double().clone().requires_grad_() for name, leaf in leaves.items()}
    x, context = leaves["x"], leaves.get("context", leaves["x"])
    B, T, C = x.shape
    S, D = context.shape[1], C // H
    seen = torch.ones(B, H, T, S, dtype=torch.bool) if i["mask"] is None else i["mask"].expand(B, H, T, S)
    out, weights = leaves["W_o.bias"].expand(B, T, C), []
    for h in range(H):
        mine = slice(h * D, (h + 1) * D)
        q, k, v = (
            torch.einsum("bnc,dc->bnd", source, leaves[f"W_{n}.weight"][mine]) + leaves[f"W_{n}.bias"][mine]
            for n, source in (("q", x), ("k", context), ("v", context))
        )
        e = torch.where(seen[:, h], torch.einsum("btd,bsd->bts", q, k) * D**-0.5, 0.0).exp() * seen[:, h]
        total = e.sum(-1, keepdim=True)
        w = e / torch.where(total > 0, total, 1.0)
        weights.append(w)
        out = out + torch.einsum("bts,bsd,cd->btc", w, v, leaves["W_o.weight"][:, mine])
    outputs = {"out": out, "weights": torch.stack(weights, 1)}
    if i["upstream"] is not None:
        grads = torch.autograd.grad(out, list(leaves.values()), i["upstream"].double())
        outputs |= {f"gradient of {name}": g for name, g in zip(leaves, grads, strict=True)}
    if i.get("then an empty batch"):
        outputs["out of an empty batch"] = out[:0]
    return {name: value.detach().to(dtype) for name, value in outputs.items()}


multi_head_attention = Answer(
    name="multi_head_attention",
    reference=_layer_reference,
    hidden=_layer_hidden,
    misconceptions=(
        Misconception(
            "no-output-projection",
            "the merged heads are returned without going through W_o",
            edits=(("self.W_o(merge(z)), weights", "merge(z), weights"),),
        ),
        Misconception(
            "keys-as-values",
            "the values are projected by W_k instead of W_v",
            edits=(("split(self.W_v(context), self.heads)", "split(self.W_k(context), self.heads)"),),
        ),
        Misconception(
            "context-ignored",
            "keys and values come from x even when there is a context",
            edits=(("context = x if context is None else context", "context = x"),),
        ),
        Misconception(
            "values-from-x",
            "the keys come from the context but the values from x",
            edits=(("split(self.W_v(context), self.heads)", "split(self.W_v(x), self.heads)"),),
        ),
        Misconception(
            "queries-and-keys-swapped",
            "W_k makes the queries and W_q makes the keys",
            edits=(("split(self.W_q(x)", "split(self.W_k(x)"), ("split(self.W_k(context)", "split(self.W_q(context)")),
        ),
        Misconception(
            "mask-inverted",
            "the keys that may be seen are the ones masked",
            edits=(("attention(q, k, v, mask)", "attention(q, k, v, None if mask is None else ~mask)"),),
        ),
        Misconception(
            "mask-dropped",
            "the mask does not reach the attention",
            edits=(("attention(q, k, v, mask)", "attention(q, k, v)"),),
        ),
        Misconception(
            "split-by-reshape",
            "the projections are reshaped straight to (B, H, T, D), which mixes positions",
            edits=(
                ("split(self.W_q(x), self.heads)", "torch.reshape(self.W_q(x), (B, H, -1, D))"),
                ("split(self.W_k(context), self.heads)", "torch.reshape(self.W_k(context), (B, H, -1, D))"),
                ("split(self.W_v(context), self.heads)", "torch.reshape(self.W_v(context), (B, H, -1, D))"),
                (
                    "        context = x if",
                    "        B, H, D = x.shape[0], self.heads, x.shape[2] // self.heads\n        context = x if",
                ),
            ),
        ),
        Misconception(
            "merge-by-reshape",
            "the heads are not swapped back before they are merged",
            edits=(("self.W_o(merge(z))", "self.W_o(z.reshape(x.shape))"),),
        ),
        Misconception(
            "scale-by-width",
            "the scores are divided by the square root of the model width C instead of the head width D",
            edits=(("attention(q, k, v, mask)", "attention(q / self.heads**0.5, k, v, mask)"),),
        ),
        Misconception(
            "nan-gradient",
            "minus infinity is added to the scores instead of filled in: the output is right, and where a row is fully "
            "masked the gradients of the other rows' weights become NaN",
            edits=(
                (
                    "z, weights = attention(q, k, v, mask)",
                    "s = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5\n"
                    "        if mask is not None:\n"
                    "            s = s + torch.zeros(mask.shape, dtype=s.dtype).masked_fill(~mask, float('-inf'))\n"
                    "        weights = torch.softmax(s, dim=-1).nan_to_num(0.0)\n"
                    "        z = weights @ v",
                ),
            ),
        ),
        Misconception(
            "nan-rows",
            "a row whose keys are all masked is left as NaN instead of 0",
            edits=(
                (
                    "z, weights = attention(q, k, v, mask)",
                    "s = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5\n"
                    "        s = s if mask is None else s.masked_fill(~mask, float('-inf'))\n"
                    "        weights = torch.softmax(s, dim=-1)\n"
                    "        z = weights @ v",
                ),
            ),
        ),
    ),
)


def _parts_hidden(seed):
    d = Draw(seed)
    loose = parts_inputs(d, 2, 3, 4, 2, 6)
    return [
        Case("one head, one position", parts_inputs(d, 2, 1, 1, 4, 4)),
        Case("five heads of width 1", parts_inputs(d, 2, 5, 3, 1, 5)),
        Case("an output narrower than the heads", parts_inputs(d, 1, 3, 2, 4, 5)),
        Case("non-contiguous blends", {**loose, "z": transposed(loose["z"])}),
        Case("float64", parts_inputs(d, 2, 2, 3, 3, 6, dtype=torch.float64)),
        Case("an empty batch, after a full one", parts_inputs(d, 2, 2, 3, 4, 8, **{"then an empty batch": True})),
    ]


def _parts_reference(i):
    z, weight = i["z"].double(), i["weight"].double()
    parts = []
    for h in range(z.shape[1]):  # all other heads silenced: the difference to the bias alone is what head h writes
        alone = torch.zeros_like(z)
        alone[:, h] = z[:, h]
        parts.append(torch.cat(list(alone.unbind(1)), dim=-1) @ weight.T)
    contributions = torch.stack(parts, dim=1).to(i["z"].dtype)
    extra = {"contributions, empty batch": contributions[:0]} if i.get("then an empty batch") else {}
    return {"contributions": contributions, **extra}


_BLOCKS = "W_o.weight.T.reshape(H, D, -1)"
head_contributions = Answer(
    name="head_contributions",
    reference=_parts_reference,
    hidden=_parts_hidden,
    misconceptions=(
        Misconception(
            "rows-for-columns",
            "W_o.weight is cut along its rows (outputs) instead of its columns (inputs)",
            edits=((_BLOCKS, "W_o.weight.reshape(H, D, -1)"),),
        ),
        Misconception(
            "interleaved",
            "head h meets every H-th column of W_o.weight instead of a block of D columns",
            edits=((_BLOCKS, "W_o.weight.T.reshape(D, H, -1).transpose(0, 1)"),),
        ),
        Misconception(
            "bias-in-every-head",
            "the bias is added to every head's contribution, so that their sum has it H times",
            edits=(("return z @ W", "return z @ W + W_o.bias"),),
        ),
        Misconception(
            "bias-shared-out",
            "each head gets an H-th of the bias, which belongs to none of them",
            edits=(("return z @ W", "return z @ W + W_o.bias / H"),),
        ),
        Misconception(
            "all-heads-in-each",
            "every head's contribution is the whole output, the sum over all heads",
            edits=(("return z @ W", "return (z @ W).sum(dim=1, keepdim=True).expand(-1, H, -1, -1)"),),
        ),
    ),
)


def _influence_hidden(seed):
    d = Draw(seed)
    double = {"dtype": torch.float64}
    return [
        Case("one position", {"A": d.normal(1, 1), "W": d.normal(3, 3), "power": 2, "x": d.normal(1, 3)}),
        Case("more inputs than outputs", {"A": d.normal(2, 6), "W": d.normal(3, 3), "power": 2, "x": d.normal(6, 3)}),
        Case("more outputs than inputs", {"A": d.normal(5, 2), "W": d.normal(2, 4), "power": 1, "x": d.normal(2, 2)}),
        Case("zeros below", {"A": d.normal(4, 4).triu(), "W": d.normal(2, 3), "power": 2, "x": d.normal(4, 2)}),
        Case(
            "float64",
            {"A": d.normal(3, 4, **double), "W": d.normal(5, 2, **double), "power": 3, "x": d.normal(4, 5, **double)},
        ),
    ]


def _influence_reference(i):
    # d out[t, m] / d x[s, c] = A[t, s] * W[c, m] * power * x[s, c] ** (power - 1)
    A, W, x, power = i["A"].double(), i["W"].double(), i["x"].double(), i["power"]
    slope = power * x.pow(power - 1)  # (S, C)
    return {"influence": (A.abs() * (slope.square() @ W.square().sum(1)).sqrt()).to(i["x"].dtype)}


influence = Answer(
    name="influence",
    reference=_influence_reference,
    hidden=_influence_hidden,
    misconceptions=(
        Misconception(
            "gradient-of-the-sum",
            "the entries of each output are summed before the gradient is taken, so that opposite signs cancel",
            edits=(("jacobian(layer, x)", "jacobian(lambda a: layer(a).sum(dim=1, keepdim=True), x)"),),
        ),
        Misconception("transposed", "rows are inputs and columns are outputs", edits=((".sqrt()", ".sqrt().T"),)),
        Misconception("no-root", "the square root of the norm is missing", edits=((".sqrt()", ""),)),
        Misconception(
            "absolute-sum",
            "absolute values are added up instead of squares",
            edits=(("J.pow(2).sum(dim=(1, 3)).sqrt()", "J.abs().sum(dim=(1, 3))"),),
        ),
        Misconception(
            "gradients-add-up",
            "the gradient is not cleared between two outputs, so that each row holds the ones before it too",
            code="def influence(layer, x):\n"
            "    x = x.clone().requires_grad_()\n"
            "    rows, out = [], layer(x)\n"
            "    for t in range(out.shape[0]):\n"
            "        total = 0\n"
            "        for m in range(out.shape[1]):\n"
            "            out[t, m].backward(retain_graph=True)\n"
            "            total = total + x.grad.pow(2).sum(1)\n"
            "        rows.append(total.sqrt())\n"
            "    return torch.stack(rows)\n",
        ),
    ),
)


def _repair_hidden(seed):
    d = Draw(seed)
    loose = repair_inputs(d, 2, 6, 8, 2)
    return [
        Case("one position and an empty batch, after a full one", repair_inputs(d, 2, 5, 8, 2, **{"then edges": True})),
        Case("one head", repair_inputs(d, 2, 4, 5, 1)),
        Case("five heads of width 1", repair_inputs(d, 2, 3, 5, 5)),
        Case("a longer sequence", repair_inputs(d, 1, 13, 6, 3)),
        Case("a non-contiguous input", {**loose, "x": transposed(loose["x"])}),
        Case("float64", repair_inputs(d, 2, 4, 12, 4, dtype=torch.float64)),
    ]


def _repaired(x, state, H):
    out = state["W_o.bias"].expand(x.shape).clone()
    _, T, C = x.shape
    D = C // H
    q, k, v = ((x @ state["W_qkv.weight"].T + state["W_qkv.bias"])[..., n * C : (n + 1) * C] for n in range(3))
    for h in range(H):
        mine = slice(h * D, (h + 1) * D)
        for t in range(T):  # position t is given nothing but what it may see
            s = torch.einsum("bd,bsd->bs", q[:, t, mine], k[:, : t + 1, mine]) * D**-0.5
            blend = torch.einsum("bs,bsd->bd", s.softmax(-1), v[:, : t + 1, mine])
            out[:, t] += blend @ state["W_o.weight"][:, mine].T
    return out


def _repair_reference(i):
    state = {name: value.double() for name, value in i["state"].items()}
    outputs = {"out": _repaired(i["x"].double(), state, i["heads"])}
    if i.get("then edges"):
        outputs["out of one position"] = _repaired(i["x"][:, :1].double(), state, i["heads"])
        outputs["out of an empty batch"] = outputs["out"][:0]
    return {name: value.to(i["x"].dtype) for name, value in outputs.items()}


_BUGS = {
    "scale": ("the scores are still divided by the square root of C", ("math.sqrt(D)", "math.sqrt(C)")),
    "mask": (
        "the weights are still masked after softmax, so that what may not be seen changes each row's sum",
        ('torch.softmax(s.masked_fill(~seen, float("-inf")), dim=-1)', "torch.softmax(s, dim=-1) * seen"),
    ),
    "merge": ("the heads are still merged without being swapped back", ("z.transpose(1, 2).reshape", "z.reshape")),
}
repaired = Answer(
    name="repaired",
    reference=_repair_reference,
    hidden=_repair_hidden,
    misconceptions=(
        *(
            Misconception(
                f"{'-and-'.join(left)}-left",
                ", and ".join(_BUGS[bug][0] for bug in left) if n < 3 else "all three lines are left as they were",
                edits=tuple(_BUGS[bug][1] for bug in left),
            )
            for n in (1, 2, 3)
            for left in combinations(_BUGS, n)
        ),
        Misconception(
            "mask-off-by-one",
            "the mask lets every position see the next one",
            edits=((".tril()", ".tril(1)"),),
        ),
    ),
)
