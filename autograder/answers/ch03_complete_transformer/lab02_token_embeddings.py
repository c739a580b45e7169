"""Lab 3.2, the instructor's half: one-hot products and formulas in float64, hidden cases, misconceptions."""

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch03_complete_transformer.lab02_token_embeddings import (
    embedding_inputs,
    table_inputs,
    tied_inputs,
    use_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _one_hot(ids, V):
    return (ids[..., None].long() == torch.arange(V)).double()


def _table_hidden(seed):
    d = Draw(seed)
    loose = table_inputs(d, 3, 4, 5, 6)
    same = table_inputs(d, 2, 7, 3, 5)
    same["ids"] = torch.full((2, 7), int(d.integers(0, 5)))
    return [
        Case("one id everywhere", same),
        Case("more rows than places", table_inputs(d, 1, 3, 2, 50)),
        Case("one place", table_inputs(d, 1, 1, 4, 3)),
        Case("a padding id that is the last", table_inputs(d, 3, 4, 2, 5, padding=4)),
        Case("a non-contiguous gradient", {**loose, "upstream": transposed(loose["upstream"])}),
        Case("non-contiguous ids", {**loose, "ids": transposed(loose["ids"])}),
        Case("float64", table_inputs(d, 2, 5, 3, 4, dtype=torch.float64)),
        Case("an empty batch, after a full one", table_inputs(d, 2, 3, 2, 4, 1, **{"then an empty batch": True})),
    ]


def _table_reference(i):
    hot, G = _one_hot(i["ids"], i["vocabulary"]), i["upstream"].double()
    if i["padding"] is not None:
        hot[..., i["padding"]] = 0
    dtype = i["upstream"].dtype
    outputs = {"gradient": torch.einsum("btv,btc->vc", hot, G).to(dtype)}
    if i.get("then an empty batch"):
        outputs["gradient of an empty batch"] = torch.zeros(i["vocabulary"], G.shape[-1], dtype=dtype)
    return outputs


_ADD = "table.index_add_(0, ids.reshape(-1), upstream.reshape(-1, C))"
table_gradient = Answer(
    name="table_gradient",
    reference=_table_reference,
    hidden=_table_hidden,
    misconceptions=(
        Misconception(
            "last-one-wins",
            "an id that occurs several times keeps the gradient of one place alone: `table[ids] += ...` does not add "
            "up",
            edits=((_ADD, "table[ids.reshape(-1)] += upstream.reshape(-1, C)"),),
        ),
        Misconception(
            "averaged",
            "the gradients of an id's places are averaged instead of added",
            edits=(
                (
                    _ADD,
                    "table.index_add_(0, ids.reshape(-1), upstream.reshape(-1, C))\n"
                    "    table /= torch.bincount(ids.reshape(-1), minlength=vocabulary).clamp(min=1)[:, None]",
                ),
            ),
        ),
        Misconception(
            "padding-forgotten",
            "the padding id's row gets a gradient like any other",
            edits=(("    if padding is not None:\n        table[padding] = 0\n", ""),),
        ),
        Misconception(
            "padding-zero-is-false",
            "padding id 0 is not noticed: `if padding` is False for 0",
            edits=(("if padding is not None:", "if padding:"),),
        ),
        Misconception(
            "padding-taken-for-last",
            "without a padding id the last row is set to zero",
            edits=(
                (
                    "if padding is not None:\n        table[padding] = 0",
                    "table[-1 if padding is None else padding] = 0",
                ),
            ),
        ),
        Misconception(
            "divided-by-places",
            "the gradient is divided by the number of places: that division belongs to a mean loss and is in upstream "
            "already",
            edits=((_ADD, "table.index_add_(0, ids.reshape(-1), upstream.reshape(-1, C) / ids.numel())"),),
        ),
        Misconception(
            "first-sequence-only",
            "only the first sequence's places are added",
            edits=((_ADD, "table.index_add_(0, ids[0], upstream[0])"),),
        ),
        Misconception(
            "table-too-short",
            "the table ends with the largest id of the batch instead of having V rows",
            edits=(("torch.zeros(vocabulary, C,", "torch.zeros(int(ids.max()) + 1, C,"),),
        ),
        Misconception(
            "always-float32",
            "the gradient is float32 whatever upstream's dtype",
            edits=(
                ("dtype=upstream.dtype, ", ""),
                ("upstream.reshape(-1, C))", "upstream.reshape(-1, C).float())"),
            ),
        ),
    ),
)


def _embedding_hidden(seed):
    d = Draw(seed)
    V = int(d.integers(4, 9))
    asked = [
        [[V], 0],
        [[V - 1], 0],
        [[-V], 0],
        [[0], 6],
        [[0], 5],
        [[0, 0], 5],
        [[0], -1],
        [[0, 0, 0, 0, 0, 0, 0], 0],
        [[300], 0],
    ]
    of_int32 = embedding_inputs(d, 5, 6, 3, 2, 4)
    of_int32["ids"] = of_int32["ids"].int()
    mask_like = embedding_inputs(d, 4, 3, 2, 2, 2)  # bytes in the shape of the table itself
    mask_like["state"]["token"] = d.normal(4, 2)
    mask_like["ids"] = torch.tensor([[1, 0], [3, 2]], dtype=torch.uint8)
    empty = embedding_inputs(d, 5, 4, 3, 0, 3)
    return [
        Case("what exists and what does not", embedding_inputs(d, V, 6, 2, 1, 2, questions=asked)),
        Case("one token at the last position", embedding_inputs(d, 5, 7, 3, 2, 1, start=6)),
        Case("the whole context, one id everywhere", embedding_inputs(d, 1, 5, 4, 3, 5)),
        Case("int32 ids", of_int32),
        Case("bytes that look like a mask", mask_like),
        Case("an empty batch", empty),
        Case("no token at all", embedding_inputs(d, 5, 4, 3, 2, 0)),
        Case("a fresh layer", embedding_inputs(d, 3, 2, 4, 1, 2, **{"then look at a fresh one": True})),
    ]


def _embedding_reference(i):
    token, position = (i["state"][name].double() for name in ("token", "position"))
    (V, _), (context, _) = token.shape, position.shape
    hot, G = _one_hot(i["ids"], V), i["upstream"].double()
    T, start = hot.shape[1], i["start"]
    where = _one_hot(torch.arange(start, start + T), context)
    outputs = {}
    if i.get("then look at a fresh one"):
        outputs["fresh tables: standard deviations"] = [["position", 0.02], ["token", 0.02]]
    outputs |= {
        "out": (torch.einsum("btv,vc->btc", hot, token) + torch.einsum("tp,pc->tc", where, position)).float(),
        "gradient of token": torch.einsum("btv,btc->vc", hot, G).float(),
        "gradient of position": torch.einsum("tp,btc->pc", where, G).float(),
    }
    for ids, at in i["questions"]:
        if not all(0 <= v < V for v in ids):
            said = "IndexError"
        elif at < 0 or at + len(ids) > context:
            said = "ValueError"
        else:
            said = f"a tensor of shape {(1, len(ids), token.shape[1])}"
        outputs[f"ids {ids} at start {at}, V = {V}, context {context}"] = said
    return outputs


_SUM = "return self.token[ids] + self.position[start:end]"
_GUARD = "if ((ids < 0) | (ids >= V)).any():"
embeddings = Answer(
    name="embeddings",
    reference=_embedding_reference,
    hidden=_embedding_hidden,
    misconceptions=(
        Misconception(
            "start-forgotten",
            "positions always begin at 0, whatever start says: with a cache every new token stands at position 0",
            edits=((_SUM, "return self.token[ids] + self.position[: ids.shape[1]]"),),
        ),
        Misconception(
            "positions-left-out",
            "the position's vector is not added",
            edits=((_SUM, "return self.token[ids]"),),
        ),
        Misconception(
            "one-position-for-all",
            "every token gets the vector of position `start`",
            edits=((_SUM, "return self.token[ids] + self.position[start]"),),
        ),
        Misconception(
            "positions-picked-by-id",
            "the position table is looked up with the ids instead of the positions",
            edits=((_SUM, "return self.token[ids] + self.position[ids % context]"),),
        ),
        Misconception(
            "negative-ids-accepted",
            "a negative id is taken for a row counted from the end",
            edits=((_GUARD, "if (ids >= V).any():"),),
        ),
        Misconception(
            "vocabulary-off-by-one",
            "id V passes the guard, though the last row is V - 1",
            edits=(
                (_GUARD, "if ((ids < 0) | (ids > V)).any():"),
                (_SUM, _SUM.replace("[ids]", "[ids.clamp(max=V - 1)]")),
            ),
        ),
        Misconception(
            "clamped",
            "ids that do not exist are clamped to the nearest that does, without a word",
            edits=((_GUARD, "ids = ids.clamp(0, V - 1)\n        if False:"),),
        ),
        Misconception(
            "context-off-by-one",
            "the last position is refused, though the table has a row for it",
            edits=(("end > context", "end >= context"),),
        ),
        Misconception(
            "start-not-counted",
            "only the number of tokens is held against the context, not the position of the last one",
            edits=(
                ("end > context", "ids.shape[1] > context"),
                (_SUM, "return self.token[ids] + self.position[torch.arange(start, end).clamp(max=context - 1)]"),
            ),
        ),
        Misconception(
            "no-guard-for-positions",
            "positions beyond the table start again from its beginning, without a word",
            edits=(
                ("if start < 0 or end > context:", "if False:"),
                (_SUM, "return self.token[ids] + self.position[torch.arange(start, end) % context]"),
            ),
        ),
        Misconception(
            "nothing-guarded",
            "nothing is checked: id -1 is the last row, and a slice beyond the table's end is cut short without a "
            "word; one row of it is even added to all tokens",
            edits=((_GUARD, "if False:"), ("if start < 0 or end > context:", "if False:")),
        ),
        Misconception(
            "token-scaled",
            "the token's vector is multiplied by the square root of C, as the first transformer does and GPT-2 does "
            "not",
            edits=((_SUM, "return self.token[ids] * self.token.shape[1] ** 0.5 + self.position[start:end]"),),
        ),
        Misconception(
            "fresh-from-a-standard-normal",
            "a fresh table has the standard deviation 1 instead of 0.02",
            edits=(
                ("torch.randn(vocabulary, width) * 0.02", "torch.randn(vocabulary, width)"),
                ("torch.randn(context, width) * 0.02", "torch.randn(context, width)"),
            ),
        ),
        Misconception(
            "positions-fixed",
            "the positions are detached: the table is added and never learns",
            edits=((_SUM, "return self.token[ids] + self.position[start:end].detach()"),),
        ),
    ),
)


def _tied_hidden(seed):
    d = Draw(seed)
    return [
        Case("more channels than tokens", tied_inputs(d, 3, 7, 2, 4)),
        Case("one channel", tied_inputs(d, 5, 1, 1, 3)),
        Case("one token of two", tied_inputs(d, 2, 3, 3, 1)),
        Case("a longer text", tied_inputs(d, 11, 4, 2, 9)),
        Case("an empty batch, after a full one", tied_inputs(d, 4, 3, 2, 3, **{"then an empty batch": True})),
    ]


def _tied_reference(i):
    # Both uses' gradients from their formulas: O^T dX, and the sum of the logits' gradients times h.
    E, P, W, b = (
        i[group][name].double()
        for group, name in (("tables", "token"), ("tables", "position"), ("body", "0.weight"), ("body", "0.bias"))
    )
    hot, G = _one_hot(i["ids"], len(E)), i["upstream"].double()
    T = hot.shape[1]

    def hidden(E, P, W, b):
        return torch.tanh(torch.einsum("btc,dc->btd", hot @ E + P[:T], W) + b)

    h = hidden(E, P, W, b)
    before = (G @ E) * (1 - h**2)  # the gradient in front of the tanh
    dX = before @ W
    slope = torch.einsum("btv,btc->vc", hot, dX) + torch.einsum("btv,btc->vc", G, h)
    dW = torch.einsum("btd,btc->dc", before, hot @ E + P[:T])
    dP = torch.zeros_like(P)
    dP[:T] = dX.sum(0)
    after = [a - 0.3 * g for a, g in ((E, slope), (P, dP), (W, dW), (b, before.sum((0, 1))))]
    flipped = E.flip(0)
    outputs = {
        "logits": h @ E.T,
        "names of the parameters": ["body.0.bias", "body.0.weight", "embeddings.position", "embeddings.token"],
        "gradient of the table": slope,
        "gradient of the body's matrix": dW,
        "logits after a step of gradient descent": hidden(*after) @ after[0].T,
        "logits after the table was exchanged": hidden(flipped, *after[1:]) @ flipped.T,
    }
    if i.get("then an empty batch"):
        outputs["logits of an empty batch"] = outputs["logits"][:0]
    return {name: v.float() if isinstance(v, torch.Tensor) else v for name, v in outputs.items()}


_HEAD, _KEEP = "return h @ self.embeddings.token.T", "self.body = body"
tied_model = Answer(
    name="tied_model",
    reference=_tied_reference,
    hidden=_tied_hidden,
    misconceptions=(
        Misconception(
            "copied",
            "the head is a copy of the table: it begins equal and is trained apart from it",
            edits=(
                (_KEEP, "self.body = body\n        self.head = nn.Parameter(embeddings.token.detach().clone())"),
                (_HEAD, "return h @ self.head.T"),
            ),
        ),
        Misconception(
            "two-parameters-one-memory",
            "the head is a parameter of its own over the table's memory: it has its own gradient, and the optimizer "
            "moves the same numbers twice",
            edits=(
                (_KEEP, "self.body = body\n        self.head = nn.Parameter(embeddings.token.data)"),
                (_HEAD, "return h @ self.head.T"),
            ),
        ),
        Misconception(
            "frozen-copy",
            "the head is a copy of the table as it was in the beginning, and never learns",
            edits=(
                (_KEEP, "self.body = body\n        self.head = embeddings.token.detach().clone()"),
                (_HEAD, "return h @ self.head.T"),
            ),
        ),
        Misconception(
            "head-detached",
            "the table is detached in the head: it learns from the lookup alone",
            edits=((_HEAD, "return h @ self.embeddings.token.detach().T"),),
        ),
        Misconception(
            "lookup-detached",
            "the looked-up vectors are detached: the table learns from the head alone",
            edits=(("self.body(self.embeddings(ids))", "self.body(self.embeddings(ids).detach())"),),
        ),
        Misconception(
            "fresh-head",
            "the head is a matrix of its own, drawn anew: nothing is tied",
            edits=(
                (_KEEP, "self.body = body\n        self.head = nn.Linear(*embeddings.token.shape[::-1], bias=False)"),
                (_HEAD, "return self.head(h)"),
            ),
        ),
        Misconception(
            "bias-in-the-head",
            "the head has a bias of its own",
            edits=(
                (_KEEP, "self.body = body\n        self.bias = nn.Parameter(torch.zeros(len(embeddings.token)))"),
                (_HEAD, "return h @ self.embeddings.token.T + self.bias"),
            ),
        ),
        Misconception(
            "body-left-out",
            "the body is not called",
            edits=(("self.body(self.embeddings(ids))", "self.embeddings(ids)"),),
        ),
        Misconception(
            "probabilities",
            "softmax is applied: probabilities come back instead of logits",
            edits=((_HEAD, "return torch.softmax(h @ self.embeddings.token.T, dim=-1)"),),
        ),
        Misconception(
            "scaled",
            "the logits are divided by the square root of C",
            edits=((_HEAD, "return h @ self.embeddings.token.T / h.shape[-1] ** 0.5"),),
        ),
    ),
)


def _use_hidden(seed):
    d = Draw(seed)
    same = use_inputs(d, 5, 3, 2, 4)
    same["ids"] = torch.full((2, 4), int(d.integers(0, 5)))
    return [
        Case("one id everywhere", same),
        Case("many rows, few places", use_inputs(d, 30, 4, 1, 2, power=2)),
        Case("one place", use_inputs(d, 3, 2, 1, 1, power=3)),
        Case("one channel", use_inputs(d, 4, 1, 2, 3, power=2)),
        Case("float64, a parameter", use_inputs(d, 5, 3, 2, 3, dtype=torch.float64, **{"as a parameter": True})),
    ]


def _use_reference(i):
    E, W, G, n = i["table"].double(), i["W"].double(), i["upstream"].double(), i["power"]
    hot = _one_hot(i["ids"], len(E))
    a = hot @ E @ W
    dX = ((G @ E) * n * a ** (n - 1)) @ W.T
    outputs = {
        "gradient as input": torch.einsum("btv,btc->vc", hot, dX),
        "gradient as output": torch.einsum("btv,btc->vc", G, a**n),
    }
    outputs = {name: value.to(i["table"].dtype) for name, value in outputs.items()}
    return outputs | ({"the table's .grad afterwards": "None"} if i.get("as a parameter") else {})


_COPIES = "read, scored = (table.detach().clone().requires_grad_() for _ in range(2))"
_GRAD = "return torch.autograd.grad(logits, (read, scored), upstream)"
gradient_by_use = Answer(
    name="gradient_by_use",
    reference=_use_reference,
    hidden=_use_hidden,
    misconceptions=(
        Misconception(
            "sum-twice",
            "both uses go through one and the same tensor, so that each result is the sum of both",
            edits=((_COPIES, "read = scored = table.detach().clone().requires_grad_()"),),
        ),
        Misconception(
            "swapped",
            "the two are swapped: what came through the head is given as the lookup's",
            edits=((_GRAD, "return torch.autograd.grad(logits, (scored, read), upstream)"),),
        ),
        Misconception(
            "upstream-ignored",
            "the gradient of the sum of all logits is taken instead of the given one",
            edits=((_GRAD, "return torch.autograd.grad(logits.sum(), (read, scored))"),),
        ),
        Misconception(
            "body-left-out",
            "the body is left out",
            edits=(("body(read[ids]) @ scored.T", "read[ids] @ scored.T"),),
        ),
        Misconception(
            "lookups-alone",
            "the lookup's gradient is that of the looked-up vectors without the way through the head's weights",
            edits=(
                (
                    _GRAD,
                    "_, out = torch.autograd.grad(logits, (read, scored), upstream)\n"
                    "    summed = torch.autograd.grad(body(read[ids]).sum(), read)[0]\n"
                    "    return summed, out",
                ),
            ),
        ),
        Misconception(
            "last-place-wins",
            "an id that occurs several times keeps the lookup gradient of one place alone",
            edits=(
                (
                    _COPIES + "\n    logits = body(read[ids]) @ scored.T\n    " + _GRAD,
                    "x, scored = table.detach()[ids].requires_grad_(), table.detach().clone().requires_grad_()\n"
                    "    dx, out = torch.autograd.grad(body(x) @ scored.T, (x, scored), upstream)\n"
                    "    read = torch.zeros_like(table.detach())\n"
                    "    read[ids] = dx\n"
                    "    return read, out",
                ),
            ),
        ),
        Misconception(
            "halved",
            "the whole gradient is cut into two equal halves",
            edits=(
                (_COPIES, "read = scored = table.detach().clone().requires_grad_()"),
                (_GRAD, "(g,) = torch.autograd.grad(logits, read, upstream)\n    return g / 2, g / 2"),
            ),
        ),
    ),
)
