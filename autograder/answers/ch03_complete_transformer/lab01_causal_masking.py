"""Lab 3.1, the instructor's half: masks cell by cell, softmax and its gradient by formula, each fault's true reach."""

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch03_complete_transformer.lab01_causal_masking import (
    INF,
    pieces_inputs,
    reads_inputs,
    slopes,
    softmax_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _cells(T, S, may):
    return torch.tensor([[bool(may(t, s)) for s in range(S)] for t in range(T)], dtype=torch.bool).view(T, S)


def _causal_hidden(seed):
    d = Draw(seed)
    T, before = (int(n) for n in d.integers(3, 9, 2))
    return [
        Case("one query, one key", {"T": 1, "S": 1}),
        Case("as many as there are", {"T": T, "S": T}),
        Case("the last of more", {"T": T, "S": T + before}),
        Case("all but one", {"T": T, "S": T + 1}),
        Case("no query", {"T": 0, "S": before}),
    ]


causal_mask = Answer(
    name="causal_mask",
    reference=lambda i: {"mask": _cells(i["T"], i["S"], lambda t, s: s - t <= i["S"] - i["T"])},
    hidden=_causal_hidden,
    misconceptions=(
        Misconception(
            "top-left",
            "the triangle begins in the top left corner, as if the queries were the first positions: the newest query "
            "misses the newest keys",
            edits=(("torch.arange(S - T, S)", "torch.arange(T)"),),
        ),
        Misconception(
            "not-itself",
            "a query may not see its own key",
            edits=(("torch.arange(S) <= places", "torch.arange(S) < places"),),
        ),
        Misconception(
            "one-ahead",
            "every query sees one key too far: the very token that it has to foretell",
            edits=(("torch.arange(S) <= places", "torch.arange(S) <= places + 1"),),
        ),
        Misconception(
            "future",
            "rows see themselves and what comes after them, instead of what came before",
            edits=(("torch.arange(S) <= places", "torch.arange(S) >= places"),),
        ),
        Misconception(
            "inverted",
            "True stands where a key may not be seen",
            edits=(("torch.arange(S) <= places", "torch.arange(S) > places"),),
        ),
        Misconception(
            "numbers",
            "ones and zeros come back in place of booleans",
            edits=(("torch.arange(S) <= places", "(torch.arange(S) <= places).float()"),),
        ),
        Misconception(
            "additive",
            "zeros and minus infinity come back, the form that is added to scores, in place of booleans",
            edits=(
                ("torch.arange(S) <= places", "torch.zeros(T, S).masked_fill(torch.arange(S) > places, -torch.inf)"),
            ),
        ),
    ),
)


def _pieces_hidden(seed):
    d = Draw(seed)
    cut = int(d.integers(1, 6))
    loose = pieces_inputs(d, [2], 5, 8, [2, 3])
    return [
        Case("one piece", pieces_inputs(d, [], 5, 5, [5])),
        Case("one piece, with keys from before", pieces_inputs(d, [2], 3, 6, [3])),
        Case("uneven pieces", pieces_inputs(d, [2, 3], 6, 6, [cut, 6 - cut])),
        Case("one query, many keys", pieces_inputs(d, [1], 1, 9, [1])),
        Case("non-contiguous keys", {**loose, "K": transposed(loose["K"])}),
        Case("float64, four pieces", pieces_inputs(d, [], 8, 11, [3, 1, 2, 2], dtype=torch.float64)),
    ]


def _pieces_reference(i):
    # One query at a time, over exactly the keys that it may see.
    Q, K, V = (i[name].double() for name in "QKV")
    T, S = Q.shape[-2], K.shape[-2]
    rows = []
    for t in range(T):
        n = S - T + t + 1
        w = torch.softmax(torch.einsum("...d,...sd->...s", Q[..., t, :], K[..., :n, :]) * Q.shape[-1] ** -0.5, -1)
        rows.append(torch.einsum("...s,...se->...e", w, V[..., :n, :]))
    ends = [S - T + sum(i["sizes"][: n + 1]) for n in range(len(i["sizes"]))]
    return {
        "queries, keys and values of each call": [[n, e, e] for n, e in zip(i["sizes"], ends, strict=True)],
        "out": torch.stack(rows, dim=-2).to(i["Q"].dtype),
    }


_CALL = "attend(Q[..., start:stop, :], K[..., :end, :], V[..., :end, :], mask_of(size, end))"
in_pieces = Answer(
    name="in_pieces",
    reference=_pieces_reference,
    hidden=_pieces_hidden,
    misconceptions=(
        Misconception(
            "all-keys-every-time",
            "each piece gets all keys and a mask that hides most of them: the result is right, and the hidden half of "
            "the scores is computed all the same",
            edits=((_CALL, "attend(Q[..., start:stop, :], K, V, mask_of(T, S)[start:stop])"),),
        ),
        Misconception(
            "top-left",
            "a piece's mask begins in the top left corner: its queries see the oldest keys instead of all up to their "
            "own",
            edits=(("mask_of(size, end)", "torch.ones(size, end, dtype=torch.bool).tril()"),),
        ),
        Misconception(
            "own-keys-only",
            "a piece looks at its own keys alone and forgets all that came before it",
            edits=(
                (
                    _CALL,
                    "attend(Q[..., start:stop, :], K[..., end - size : end, :], V[..., end - size : end, :], "
                    "mask_of(size, size))",
                ),
            ),
        ),
        Misconception(
            "cache-forgotten",
            "keys are counted as if the first query stood at position 0: those from before it take their places",
            edits=(("end = S - T + stop", "end = stop"),),
        ),
        Misconception(
            "no-mask-inside",
            "inside a piece every query sees every key, the future ones of its own piece, too",
            edits=(("mask_of(size, end)", "torch.ones(size, end, dtype=torch.bool)"),),
        ),
        Misconception(
            "keys-before-the-piece",
            "a piece's keys end where it begins, so that the triangle lies over the wrong ones",
            edits=(
                ("K[..., :end, :], V[..., :end, :]", "K[..., : end - size, :], V[..., : end - size, :]"),
                ("mask_of(size, end)", "torch.ones(size, end - size, dtype=torch.bool)"),
            ),
        ),
        Misconception(
            "last-piece-first",
            "the pieces are joined in the wrong order",
            edits=(("torch.cat(out, dim=-2)", "torch.cat(out[::-1], dim=-2)"),),
        ),
    ),
)


def _softmax_hidden(seed):
    d = Draw(seed)
    some = torch.where(d.chance(0.5, 3, 5), 0.0, -INF)
    some[1] = -INF
    nothing = torch.full((1, 4), -INF)
    mixed = torch.where(d.chance(0.6, 2, 1, 4, 4), 0.0, -INF)
    mixed[0, 0, 2], mixed[1, 0, 0] = -INF, -INF
    loose = softmax_inputs(d, [4, 6], slopes(4, 6))
    return [
        Case("nothing is seen at all", softmax_inputs(d, [3, 4], nothing)),
        Case("rows with nothing among others", softmax_inputs(d, [3, 5], some)),
        Case("a mask for each sequence, three heads", softmax_inputs(d, [2, 3, 4, 4], mixed)),
        Case("scores in the thousands", softmax_inputs(d, [4, 6], slopes(4, 6), scale=1e3)),
        Case("one key", softmax_inputs(d, [3, 1], torch.tensor([[0.0], [-INF], [2.0]]))),
        Case("a bias that only shifts and tilts", softmax_inputs(d, [2, 3, 4], d.normal(3, 4, scale=3.0))),
        Case("non-contiguous scores", {**loose, "scores": transposed(loose["scores"])}),
        Case("float64", softmax_inputs(d, [3, 5], some, dtype=torch.float64)),
        Case("bfloat16", softmax_inputs(d, [3, 5], some, dtype=torch.bfloat16)),
        Case(
            "an empty batch, after a full one", softmax_inputs(d, [2, 3, 4], slopes(3, 4), **{"then an empty batch": 1})
        ),
    ]


def _softmax_reference(i):
    # Row by row over the keys in sight; the gradient by the formula w * (g - sum of g * w).
    scores, upstream = i["scores"].double(), i["upstream"].double()
    bias = i["bias"].double().expand(scores.shape)
    S = scores.shape[-1]
    weights, slope = torch.zeros_like(scores), torch.zeros_like(scores)
    for x, b, g, w, back in zip(
        *(a.reshape(-1, S) for a in (scores, bias, upstream)), weights.view(-1, S), slope.view(-1, S), strict=True
    ):
        seen = [s for s in range(S) if b[s] > -INF]
        if seen:
            e = (x[seen] + b[seen] - (x[seen] + b[seen]).max()).exp()
            w[seen] = e / e.sum()
            back[seen] = w[seen] * (g[seen] - (g[seen] * w[seen]).sum())
    dtype = i["scores"].dtype
    outputs = {"weights": weights, "gradient of scores": slope, "gradient of bias": slope.sum_to_size(i["bias"].shape)}
    if i.get("then an empty batch"):
        outputs["weights of an empty batch"] = weights[:0]
    return {name: value.to(dtype) for name, value in outputs.items()}


_FIRST = "torch.softmax(x.masked_fill(empty, 0.0), dim=-1)"
_LAST = "weights.masked_fill(empty, 0.0)"
biased_softmax = Answer(
    name="biased_softmax",
    reference=_softmax_reference,
    hidden=_softmax_hidden,
    misconceptions=(
        Misconception(
            "nan-left",
            "a row that sees nothing is left to softmax, which makes it NaN",
            edits=((_FIRST, "torch.softmax(x, dim=-1)"), (_LAST, "weights")),
        ),
        Misconception(
            "nan-taken-out-too-late",
            "the NaN is taken out of the weights after the softmax: they look right, but the softmax's own gradient is "
            "computed with it and is NaN",
            edits=((_FIRST, "torch.softmax(x, dim=-1)"), (_LAST, "weights.nan_to_num(0.0)")),
        ),
        Misconception(
            "finite-number",
            "minus infinity is replaced by the most negative finite number: a row that sees nothing becomes an average "
            "over all that is hidden",
            edits=(
                ("x = scores + bias", "x = scores + bias.clamp(min=torch.finfo(bias.dtype).min)"),
                (_FIRST, "torch.softmax(x, dim=-1)"),
                (_LAST, "weights"),
            ),
        ),
        Misconception(
            "minus-ten-thousand",
            "minus infinity is replaced by -10000: a row that sees nothing gets the weights that it would have without "
            "a mask",
            edits=(
                ("x = scores + bias", "x = scores + bias.clamp(min=-1e4)"),
                (_FIRST, "torch.softmax(x, dim=-1)"),
                (_LAST, "weights"),
            ),
        ),
        Misconception(
            "average-left",
            "a row that sees nothing is made harmless before the softmax, but not made zero after it: it averages all "
            "that is hidden",
            edits=((_LAST, "weights"),),
        ),
        Misconception(
            "masked-after-softmax",
            "the scores are normalised over all keys, and the hidden ones taken out afterwards: the rows no longer sum "
            "to one",
            code="def biased_softmax(scores, bias):\n"
            "    hidden = bias == float('-inf')\n"
            "    return torch.softmax(scores + bias.masked_fill(hidden, 0.0), dim=-1) * ~hidden\n",
        ),
        Misconception(
            "bias-taken-for-a-mask",
            "the finite numbers in the bias are ignored: only where it is minus infinity does it count",
            edits=(("x = scores + bias", "x = scores.masked_fill(bias == float('-inf'), float('-inf'))"),),
        ),
        Misconception(
            "no-maximum",
            "the exponentials are taken of the scores as they are: without subtracting the largest they overflow",
            code="def biased_softmax(scores, bias):\n"
            "    e = (scores + bias).exp()\n"
            "    total = e.sum(dim=-1, keepdim=True)\n"
            "    return e / total.masked_fill(total == 0, 1.0)\n",
        ),
        Misconception(
            "a-little-added-below",
            "a small number is added to the sum of exponentials so that it is never zero, and nothing else is done: "
            "large scores overflow all the same",
            code="def biased_softmax(scores, bias):\n"
            "    e = (scores + bias).exp()\n"
            "    return e / (e.sum(dim=-1, keepdim=True) + 1e-6)\n",
        ),
        Misconception(
            "wrong-axis",
            "the softmax runs over the queries instead of the keys",
            code="def biased_softmax(scores, bias):\n"
            "    x = (scores + bias).transpose(-2, -1)\n"
            "    empty = (x == float('-inf')).all(dim=-1, keepdim=True)\n"
            "    w = torch.softmax(x.masked_fill(empty, 0.0), dim=-1).masked_fill(empty, 0.0)\n"
            "    return w.transpose(-2, -1)\n",
        ),
        Misconception(
            "subtracted",
            "the bias is subtracted instead of added",
            edits=(
                ("x = scores + bias", "x = scores - bias"),
                ('(x == float("-inf"))', '(x == float("inf"))'),
            ),
        ),
        Misconception(
            "whole-matrix-empty",
            "only a matrix without a single visible key is taken care of, not a single row",
            edits=((".all(dim=-1, keepdim=True)", ".all()"),),
        ),
        Misconception(
            "shared-row-only",
            "a row counts as empty as soon as one key of it is hidden",
            edits=((".all(dim=-1, keepdim=True)", ".any(dim=-1, keepdim=True)"),),
        ),
    ),
)


def _visible_hidden(seed):
    d = Draw(seed)
    lengths = [int(n) for n in d.integers(1, 4, 3)]
    packed = [n for n, length in enumerate(lengths, start=1) for _ in range(length)]
    packed += [0] * (10 - len(packed))
    front = sorted(int(n) for n in d.integers(0, 6, 3))
    padded = torch.tensor([[0] * n + [1] * (6 - n) for n in front])
    return [
        Case("three packed rows, all queries", {"segments": torch.tensor([packed, [1] * 10, [1] * 9 + [0]]), "T": 10}),
        Case("packed, the last two queries", {"segments": torch.tensor([packed[: sum(lengths)]]), "T": 2}),
        Case("padded in front, one query", {"segments": padded, "T": 1}),
        Case("padded in front, all queries", {"segments": padded, "T": 6}),
        Case("a sequence that is all padding", {"segments": torch.tensor([[0, 0, 0], [1, 1, 0]]), "T": 3}),
        Case("padded on both sides, two documents", {"segments": torch.tensor([[0, 1, 1, 2, 2, 2, 0]]), "T": 5}),
        Case("one position", {"segments": torch.tensor([[1], [0]]), "T": 1}),
        Case("an empty batch", {"segments": torch.zeros(0, 4, dtype=torch.long), "T": 2}),
    ]


def _visible_reference(i):
    rows, T = i["segments"].tolist(), i["T"]
    S = i["segments"].shape[1]

    def may(row, t, s):
        p = S - T + t
        return s <= p and 0 not in row[s : p + 1] and len(set(row[s : p + 1])) == 1

    masks = [_cells(T, S, lambda t, s, row=row: may(row, t, s)) for row in rows]
    return {"mask": torch.stack(masks)[:, None] if masks else torch.zeros(0, 1, T, S, dtype=torch.bool)}


_JOIN = "(same & real & mask_of(T, S))[:, None]"
visible = Answer(
    name="visible",
    reference=_visible_reference,
    hidden=_visible_hidden,
    misconceptions=(
        Misconception(
            "padding-sees-padding",
            "padding counts as a document, number 0: padded queries see padded keys",
            edits=((_JOIN, "(same & mask_of(T, S))[:, None]"),),
        ),
        Misconception(
            "not-causal",
            "the future of the same document may be seen",
            edits=((_JOIN, "(same & real)[:, None]"),),
        ),
        Misconception(
            "documents-ignored",
            "only padded keys are hidden: documents in one row see each other, and padded queries see tokens",
            edits=((_JOIN, "(real & mask_of(T, S)).expand_as(same)[:, None]"),),
        ),
        Misconception(
            "documents-merged",
            "future and padding are hidden, but the documents before a token's own in the same row are not",
            edits=((_JOIN, "(real & (queries > 0)[:, :, None] & mask_of(T, S))[:, None]"),),
        ),
        Misconception(
            "first-queries",
            "the first T positions are taken for the queries' segments instead of the last",
            edits=(("segments[:, S - T :]", "segments[:, :T]"),),
        ),
        Misconception(
            "top-left",
            "the triangle begins in the top left corner instead of ending in the bottom right one",
            edits=(("mask_of(T, S)", "torch.ones(T, S, dtype=torch.bool).tril()"),),
        ),
        Misconception(
            "no-dimension-for-heads",
            "the dimension that all heads share is missing: (B, T, S) instead of (B, 1, T, S)",
            edits=((_JOIN, "same & real & mask_of(T, S)"),),
        ),
        Misconception(
            "transposed",
            "rows are keys and columns are queries",
            code="def visible(segments, T):\n"
            "    S = segments.shape[1]\n"
            "    same = segments[:, :, None] == segments[:, None, :]\n"
            "    seen = (same & (segments > 0)[:, None] & mask_of(S, S))[:, None].transpose(2, 3)\n"
            "    return seen[:, :, S - T :]\n",
        ),
        Misconception(
            "inverted",
            "True stands where a key may not be seen",
            edits=((_JOIN, "~(same & real & mask_of(T, S))[:, None]"),),
        ),
        Misconception(
            "not-itself",
            "a token may not see itself",
            edits=(
                (
                    _JOIN,
                    "(same & real & mask_of(T, S) & (torch.arange(S) != torch.arange(S - T, S)[:, None]))[:, None]",
                ),
            ),
        ),
        Misconception(
            "other-documents-only",
            "a token sees the documents other than its own",
            edits=(
                (
                    "same = queries[:, :, None] == segments[:, None, :]",
                    "same = queries[:, :, None] != segments[:, None, :]",
                ),
            ),
        ),
    ),
)


def _reads_hidden(seed):
    d = Draw(seed)
    return [
        Case("six positions", reads_inputs(d, 6, 6, ["none", "one position ahead", "not itself"], D=8, E=2)),
        Case("one position", reads_inputs(d, 1, 1, ["none", "masked after softmax"])),
        Case("one query, four keys", reads_inputs(d, 1, 4, ["none", "triangle from the top left"])),
        Case(
            "leaks that sleep, the last three of six",
            reads_inputs(d, 3, 6, ["maximum over hidden keys, too", "keys divided by the largest of all", "none"]),
        ),
        Case(
            "values of one number", reads_inputs(d, 4, 4, ["a faint trace of every value", "masked after softmax"], E=1)
        ),
        Case("the first sees the last", reads_inputs(d, 5, 5, ["the first query sees the last key", "no mask"])),
        Case(
            "a number in place of infinity",
            reads_inputs(d, 4, 4, ["-8 in place of minus infinity", "noise as small as rounding"]),
        ),
    ]


def _reads_reference(i):
    # What each fault reads follows from its formula; no attention is called.
    T, S = len(i["Q"]), len(i["K"])
    causal = _cells(T, S, lambda t, s: s <= S - T + t)
    everything = torch.ones(T, S, dtype=torch.bool)
    outputs = {}
    for fault in i["faults"]:
        seen = {
            "one position ahead": _cells(T, S, lambda t, s: s <= S - T + t + 1),
            "triangle from the top left": _cells(T, S, lambda t, s: s <= t),
            "not itself": _cells(T, S, lambda t, s: s < S - T + t),
            "the first query sees the last key": _cells(T, S, lambda t, s: s <= S - T + t or (t == 0 and s == S - 1)),
            "no mask": everything,
        }.get(fault, causal)
        several = seen.sum(1, keepdim=True) > 1  # a single key's weight is one, whatever the key
        by_key, by_value = seen & several, seen
        if fault == "masked after softmax":
            by_key = everything & (S > 1)
        elif fault == "-8 in place of minus infinity":
            by_key, by_value = everything & (S > 1), everything
        elif fault == "maximum over hidden keys, too":
            by_key = by_key | ~causal.all(1, keepdim=True)  # 0/0 as soon as one score dwarfs the visible ones
        elif fault == "keys divided by the largest of all":
            by_key = everything & several  # any key can become the largest
        elif fault == "a faint trace of every value":
            by_value = everything
        outputs[f"by_key of the attention with '{fault}'"] = by_key
        outputs[f"by_value of the attention with '{fault}'"] = by_value
    return outputs


_SAME, _MARK = "same = (attend(Q, *changed) - before).abs() <= 1e-9", "maps[which, :, s] |= ~same.all(dim=-1)"
_REPLACE = "changed[which][s] = factor * new"
reads = Answer(
    name="reads",
    reference=_reads_reference,
    hidden=_reads_hidden,
    misconceptions=(
        Misconception(
            "ordinary-numbers-only",
            "rows are replaced by ordinary numbers alone: a leak that needs an enormous key stays asleep",
            edits=(("(1.0, 1e6, -1e6)", "(1.0,)"),),
        ),
        Misconception(
            "one-sign-only",
            "enormous numbers are tried with one sign alone: half of the scores become very negative and show nothing",
            edits=(("(1.0, 1e6, -1e6)", "(1.0, 1e6)"),),
        ),
        Misconception(
            "nan-unseen",
            "an output that has become NaN counts as unmoved: every comparison with NaN is False",
            edits=(
                (_SAME, "moved = (attend(Q, *changed) - before).abs() > 1e-9"),
                (_MARK, "maps[which, :, s] |= moved.any(dim=-1)"),
            ),
        ),
        Misconception(
            "threshold-too-high",
            "an output counts as moved only from 0.00001 on, so that a faint leak is missed",
            edits=((_SAME, _SAME.replace("1e-9", "1e-5")),),
        ),
        Misconception(
            "no-tolerance",
            "any difference counts, even one as small as rounding",
            edits=((_SAME, _SAME.replace("1e-9", "0")),),
        ),
        Misconception(
            "infinity-for-a-value",
            "rows are replaced by infinity: zero times infinity is NaN, so that even a weight of zero seems to read it",
            edits=((_REPLACE, "changed[which][s] = factor * float('inf')"),),
        ),
        Misconception(
            "key-and-value-together",
            "key and value are replaced together, so that nobody can tell through which of them the output moved",
            edits=(
                (
                    _REPLACE,
                    "changed[0][s], changed[1][s] = factor * torch.randn(K.shape[1]), factor * torch.randn(V.shape[1])",
                ),
            ),
        ),
        Misconception(
            "all-from-there-on",
            "all rows from s to the end are replaced at once",
            edits=((_REPLACE, "changed[which][s:] = factor * new"),),
        ),
        Misconception(
            "swapped",
            "the two maps are swapped: what was found through keys comes back as by_value",
            edits=(("return maps[0], maps[1]", "return maps[1], maps[0]"),),
        ),
        Misconception(
            "transposed",
            "rows are keys and columns are queries",
            edits=(("return maps[0], maps[1]", "return maps[0].T, maps[1].T"),),
        ),
        Misconception(
            "last-try-only",
            "each try overwrites what the one before had found",
            edits=((_MARK, "maps[which, :, s] = ~same.all(dim=-1)"),),
        ),
        Misconception(
            "future-only",
            "only keys behind the query are looked at: what it may read, and whether it does, stays out of the maps",
            edits=(
                (
                    "return maps[0], maps[1]",
                    "future = torch.ones(len(Q), len(K), dtype=torch.bool).triu(len(K) - len(Q) + 1)\n"
                    "    return maps[0] & future, maps[1] & future",
                ),
            ),
        ),
        Misconception(
            "by-gradient",
            "gradients are taken instead of replacements: they know what an infinitesimal change does, here and now, "
            "and sleeping leaks stay asleep",
            code="def reads(attend, Q, K, V):\n"
            "    J = torch.autograd.functional.jacobian(lambda k, v: attend(Q, k, v), (K, V))\n"
            "    return tuple(j.abs().amax(dim=(1, 3)) > 1e-9 for j in J)\n",
        ),
    ),
)
