"""Lab 3.5, the instructor's half: references in float64 by other means, hidden cases, misconceptions."""

from itertools import combinations

import numpy as np
import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch03_complete_transformer.lab05_mini_t5 import (
    WATCHED,
    attention_inputs,
    block_inputs,
    loss_inputs,
    oracle_inputs,
    translator,
)
from autograder.exercise import Answer, Case, Misconception


def _attended(x, context, state, H, seen, bias, prefix=""):
    """T5's attention in einsums, a head at a time; softmax written out. seen: bool (B, H, T, S)."""
    D = x.shape[-1] // H
    out, weights = 0.0, []
    for h in range(H):
        mine = slice(h * D, (h + 1) * D)
        q, k, v = (
            torch.einsum("bnc,dc->bnd", source, state[f"{prefix}W_{n}.weight"][mine])
            for n, source in (("q", x), ("k", context), ("v", context))
        )
        scores = torch.einsum("btd,bsd->bts", q, k)
        scores = scores if bias is None else scores + bias[h]
        e = torch.where(seen[:, h], scores, 0.0).exp() * seen[:, h]
        total = e.sum(-1, keepdim=True)
        weights.append(e / torch.where(total > 0, total, 1.0))
        out = out + torch.einsum("bts,bsd,cd->btc", weights[-1], v, state[f"{prefix}W_o.weight"][:, mine])
    return out, torch.stack(weights, 1)


def _leaves(i, names):
    given = {n: i[n] for n in names if i[n] is not None}
    return {n: v.detach().double().clone().requires_grad_() for n, v in (given | i["state"]).items()}


def _attention_hidden(seed):
    d = Draw(seed)
    holes = d.chance(0.6, 2, 3, 4, 5)  # a mask of its own for every head
    holes[0, 1, 2] = False
    padded = (torch.arange(6) < d.integers(1, 6, 2, 1))[:, None, None, :]
    causal = torch.ones(4, 4, dtype=torch.bool).tril()
    odd = attention_inputs(d, 2, 4, 15, 5, S=3)
    return [
        Case("one position", attention_inputs(d, 3, 1, 6, 3, bias=d.normal(3, 1, 1))),
        Case("causal, with a bias", attention_inputs(d, 2, 4, 6, 2, mask=causal, bias=d.normal(2, 4, 4))),
        Case("five heads, a non-contiguous context", {**odd, "context": transposed(odd["context"])}),
        Case(
            "a mask for each head, with a row that sees nothing, and a bias",
            attention_inputs(d, 2, 4, 9, 3, S=5, mask=holes, bias=d.normal(3, 4, 5)),
        ),
        Case("a padded context of another length", attention_inputs(d, 2, 3, 8, 4, S=6, mask=padded)),
        Case("float64", attention_inputs(d, 2, 3, 8, 2, S=5, dtype=torch.float64)),
        Case("bfloat16, forward only", attention_inputs(d, 1, 4, 8, 2, dtype=torch.bfloat16, upstream=None)),
        Case("an empty batch, after a full one", attention_inputs(d, 2, 3, 8, 2, **{"then an empty batch": True})),
    ]


def _attention_reference(i):
    H, dtype = i["heads"], i["x"].dtype
    leaves = _leaves(i, ("x", "context", "bias"))
    x, context = leaves["x"], leaves.get("context", leaves["x"])
    shape = (x.shape[0], H, x.shape[1], context.shape[1])
    seen = torch.ones(shape, dtype=torch.bool) if i["mask"] is None else i["mask"].expand(shape)
    out, weights = _attended(x, context, leaves, H, seen, leaves.get("bias"))
    outputs = {"out": out, "weights": weights}
    if i["upstream"] is not None:
        grads = torch.autograd.grad(out, list(leaves.values()), i["upstream"].double())
        outputs |= {f"gradient of {n}": g for n, g in zip(leaves, grads, strict=True)}
    if i.get("then an empty batch"):
        outputs["out of an empty batch"] = out[:0]
    return {name: value.detach().to(dtype) for name, value in outputs.items()}


_SCORES = "scores = q @ k.transpose(-2, -1)"
_BIAS = "scores = scores + bias"
_FILL = 'scores = scores.masked_fill(~mask, float("-inf"))'
_SOFTMAX = "weights = torch.softmax(scores, dim=-1).nan_to_num(0.0)"
t5_attention = Answer(
    name="t5_attention",
    reference=_attention_reference,
    hidden=_attention_hidden,
    misconceptions=(
        Misconception(
            "scaled",
            "the scores are divided by the square root of D, which T5 leaves to the first weights",
            edits=((_SCORES, _SCORES + " / q.shape[-1] ** 0.5"),),
        ),
        Misconception(
            "divided-by-width",
            "the scores are divided by D",
            edits=((_SCORES, _SCORES + " / q.shape[-1]"),),
        ),
        Misconception("bias-dropped", "the bias is not added", edits=((_BIAS, "pass"),)),
        Misconception(
            "bias-after-softmax",
            "the bias is added to the weights, after the softmax, instead of the scores",
            edits=(
                (_BIAS, "pass"),
                (_SOFTMAX, _SOFTMAX + "\n        weights = weights if bias is None else weights + bias"),
            ),
        ),
        Misconception("bias-subtracted", "the bias is subtracted", edits=((_BIAS, "scores = scores - bias"),)),
        Misconception(
            "nan-gradient",
            "the bias is added behind the mask, to scores of minus infinity: the output is right, and where a sentence "
            "is all padding the bias's gradient becomes NaN",
            edits=(
                (_BIAS, "pass"),
                (_SOFTMAX, "scores = scores if bias is None else scores + bias\n        " + _SOFTMAX),
            ),
        ),
        Misconception("mask-dropped", "the mask is not used", edits=((_FILL, "pass"),)),
        Misconception("mask-inverted", "the keys that may be seen are the ones masked", edits=(("(~mask,", "(mask,"),)),
        Misconception(
            "mask-after-softmax",
            "the weights are masked after the softmax, so that hidden keys keep their share and a row no longer sums "
            "to one",
            edits=(
                (_FILL, "pass"),
                (_SOFTMAX, _SOFTMAX + "\n        weights = weights if mask is None else weights * mask"),
            ),
        ),
        Misconception(
            "uniform-rows",
            "hidden scores are filled with a large negative number, so that a row with nothing to see becomes an "
            "average over all keys",
            edits=(('float("-inf")', "-1e9"),),
        ),
        Misconception("nan-rows", "a row whose keys are all hidden is left as NaN", edits=((".nan_to_num(0.0)", ""),)),
        Misconception(
            "context-ignored",
            "keys and values come from x even when there is a context",
            edits=(("context = x if context is None else context", "context = x"),),
        ),
        Misconception(
            "queries-from-the-context",
            "the queries come from the context, and keys and values from x",
            edits=(
                ("split(self.W_q(x)", "split(self.W_q(context)"),
                ("split(self.W_k(context)", "split(self.W_k(x)"),
                ("split(self.W_v(context)", "split(self.W_v(x)"),
            ),
        ),
        Misconception(
            "values-from-x",
            "the keys come from the context but the values from x",
            edits=(("split(self.W_v(context)", "split(self.W_v(x)"),),
        ),
        Misconception(
            "keys-as-values",
            "the values are projected by W_k instead of W_v",
            edits=(("split(self.W_v(context)", "split(self.W_k(context)"),),
        ),
        Misconception(
            "queries-and-keys-swapped",
            "W_k makes the queries and W_q makes the keys",
            edits=(("self.W_q(x)", "self.W_k(x)"), ("self.W_k(context)", "self.W_q(context)")),
        ),
        Misconception(
            "softmax-over-queries",
            "the softmax runs over the queries instead of the keys",
            edits=(("(scores, dim=-1)", "(scores, dim=-2)"),),
        ),
        Misconception(
            "merge-by-reshape",
            "the heads are not swapped back before they are merged",
            edits=(("merge(weights @ v)", "(weights @ v).reshape(x.shape)"),),
        ),
        Misconception(
            "no-output-projection",
            "the merged heads are returned without going through W_o",
            edits=(("self.W_o(merge(weights @ v))", "merge(weights @ v)"),),
        ),
        Misconception(
            "biases-kept",
            "the four matrices have biases, which T5's have not",
            code="class T5Attention(nn.Module):\n"
            "    def __init__(self, width, heads):\n"
            "        super().__init__()\n"
            "        self.W_q, self.W_k, self.W_v, self.W_o = (nn.Linear(width, width) for _ in range(4))\n",
        ),
    ),
)


def _rms(x, weight):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * weight


def _decoded(x, memory, real, bias, state, H):
    """A decoder block position by position: position t is given nothing that it may not see."""
    B, T, _ = x.shape
    S = memory.shape[1]
    rows, weights = [], []
    for t in range(T):
        before = _rms(x[:, : t + 1], state["norm1.weight"])
        every = torch.ones(B, H, 1, t + 1, dtype=torch.bool)
        near = None if bias is None else bias[:, t : t + 1, : t + 1]
        a = x[:, t : t + 1] + _attended(before[:, -1:], before, state, H, every, near, "self_attention.")[0]
        seen = real[:, None, None, :].expand(B, H, 1, S)
        asked = _rms(a, state["norm2.weight"])
        update, w = _attended(asked, memory, state, H, seen, None, "cross_attention.")
        a = a + update
        inner = (_rms(a, state["norm3.weight"]) @ state["feed_forward.W_in.weight"].T).clamp(min=0)
        rows.append(a + inner @ state["feed_forward.W_out.weight"].T)
        weights.append(w)
    return torch.cat(rows, 1), torch.cat(weights, 2)


def _block_hidden(seed):
    d = Draw(seed)
    loose = block_inputs(d, [4, 3], 4, 10, 5)
    return [
        Case("one target word", block_inputs(d, [5, 1], 1, 6, 2)),
        Case("one source word", block_inputs(d, [1, 1], 4, 6, 2)),
        Case("a longer target", block_inputs(d, [3, 2, 1], 7, 6, 3)),
        Case("a sentence that is all padding", block_inputs(d, [4, 0], 4, 8, 2)),
        Case("no bias, padded", block_inputs(d, [2, 4], 4, 8, 4, bias=None)),
        Case("one position and an empty batch", block_inputs(d, [3, 2], 3, 8, 2, bias=None, **{"then edges": True})),
        Case("five heads, a non-contiguous memory", {**loose, "memory": transposed(loose["memory"])}),
        Case("float64", block_inputs(d, [4, 2], 3, 8, 2, dtype=torch.float64)),
    ]


def _block_reference(i):
    H, dtype = i["heads"], i["x"].dtype
    leaves = _leaves(i, ("x", "memory"))
    bias = None if i["bias"] is None else i["bias"].double()
    out, weights = _decoded(leaves["x"], leaves["memory"], i["real"], bias, leaves, H)
    outputs = {"out": out, "weights": weights}
    if i["upstream"] is not None:
        grads = torch.autograd.grad(out, list(leaves.values()), i["upstream"].double())
        outputs |= {f"gradient of {n}": g for n, g in zip(leaves, grads, strict=True)}
    if i.get("then edges"):
        outputs["out of one position"] = out[:, :1]
        outputs["out of an empty batch"] = out[:0]
    return {name: value.detach().to(dtype) for name, value in outputs.items()}


_SELF = "self.self_attention(self.norm1(x), mask=seen, bias=bias)[0]"
_CROSS = "self.cross_attention(self.norm2(x), memory, mask=real[:, None, None, :])"
_PADDING = "mask=real[:, None, None, :]"
_LAST = "return x + self.feed_forward(self.norm3(x)), weights"
t5_decoder_block = Answer(
    name="t5_decoder_block",
    reference=_block_reference,
    hidden=_block_hidden,
    misconceptions=(
        Misconception(
            "self-attention-sees-the-future",
            "the self-attention has no causal mask: every place sees the words that it has to say",
            edits=(("mask=seen, bias=bias", "bias=bias"),),
        ),
        Misconception(
            "padding-seen",
            "the cross-attention is not told what is padding",
            edits=((_CROSS, "self.cross_attention(self.norm2(x), memory)"),),
        ),
        Misconception(
            "mask-of-two-dimensions",
            "real (B, S) is given as a mask as it is: its B then meets the queries' T, where (B, 1, 1, S) is wanted",
            edits=((_PADDING, "mask=real"),),
        ),
        Misconception(
            "padding-inverted",
            "the cross-attention sees the padding and not the words",
            edits=((_PADDING, "mask=~real[:, None, None, :]"),),
        ),
        Misconception(
            "padding-of-queries",
            "real is turned the wrong way: it hides queries instead of keys",
            edits=((_PADDING, "mask=real[:, None, :, None]"),),
        ),
        Misconception(
            "cross-attention-causal",
            "the cross-attention is causal as well: the first word is written before the second source word is read",
            edits=((_PADDING, "mask=real[:, None, None, :] & torch.ones(x.shape[1], memory.shape[1]).bool().tril()"),),
        ),
        Misconception(
            "padding-in-the-self-attention",
            "the source's padding mask is given to the self-attention, and the cross-attention has none",
            edits=(
                ("seen = causal_mask(x.shape[1])", "seen = causal_mask(x.shape[1], real)"),
                (_CROSS, "self.cross_attention(self.norm2(x), memory)"),
            ),
        ),
        Misconception(
            "bias-dropped",
            "the bias does not reach the self-attention: the decoder does not know its words' order",
            edits=(("mask=seen, bias=bias", "mask=seen"),),
        ),
        Misconception(
            "bias-in-both",
            "the bias is given to the cross-attention too, though two texts share no positions",
            edits=((_PADDING, "mask=real[:, None, None, :], bias=bias"),),
        ),
        Misconception(
            "memory-normed",
            "the memory is normed once more before the cross-attention",
            edits=(("self.norm2(x), memory,", "self.norm2(x), self.norm2(memory),"),),
        ),
        Misconception(
            "queries-not-normed",
            "the cross-attention reads the stream without a norm",
            edits=(("self.norm2(x), memory,", "x, memory,"),),
        ),
        Misconception(
            "cross-attention-to-itself",
            "the cross-attention's keys and values come from the decoder's own stream: the source is never read",
            edits=(
                (_CROSS, "self.cross_attention(self.norm2(x))"),
                (_LAST, "return x + self.feed_forward(self.norm3(x)), weights.detach()"),
            ),
        ),
        Misconception(
            "default-eps",
            "the norms keep their default eps of 1e-5 instead of T5's 1e-6",
            edits=tuple((f"self.norm{n} = RMSNorm(width, 1e-6)", f"self.norm{n} = RMSNorm(width)") for n in (1, 2, 3)),
        ),
        Misconception(
            "gelu",
            "the feed-forward network has its default activation, a GELU, instead of ReLU",
            edits=(('hidden, "relu", bias=False', "hidden, bias=False"),),
        ),
        Misconception(
            "feed-forward-reads-too-early",
            "the feed-forward network reads the stream as it was before the cross-attention wrote to it",
            edits=(
                ("x = x + update", "before = x\n        x = x + update"),
                ("self.feed_forward(self.norm3(x))", "self.feed_forward(self.norm3(before))"),
            ),
        ),
        Misconception(
            "no-residual",
            "what the cross-attention writes replaces the stream instead of being added to it",
            edits=(("x = x + update", "x = update"),),
        ),
        Misconception(
            "side-by-side",
            "the cross-attention reads the block's input, so that it does not know what the self-attention wrote",
            edits=(
                (f"x = x + {_SELF}", f"before = x\n        x = x + {_SELF}"),
                ("self.norm2(x), memory,", "self.norm2(before), memory,"),
            ),
        ),
        Misconception(
            "cross-attention-first",
            "the cross-attention comes before the self-attention",
            edits=(
                (f"x = x + {_SELF}", "pass"),
                ("x = x + update", f"x = x + update\n        x = x + {_SELF}"),
            ),
        ),
        Misconception(
            "one-norm-for-all",
            "norm1 stands in front of all three sublayers, and the others are never used",
            edits=(("self.norm2(x), memory", "self.norm1(x), memory"), ("self.norm3(x)", "self.norm1(x)")),
        ),
        Misconception(
            "feed-forward-not-added",
            "what the feed-forward network writes replaces the stream instead of being added to it",
            edits=((_LAST, "return self.feed_forward(self.norm3(x)), weights"),),
        ),
        Misconception(
            "weights-of-the-self-attention",
            "the weights that are returned are the self-attention's",
            edits=(
                (
                    f"x = x + {_SELF}",
                    "own, first = self.self_attention(self.norm1(x), mask=seen, bias=bias)\n        x = x + own",
                ),
                (_LAST, "return x + self.feed_forward(self.norm3(x)), first"),
            ),
        ),
    ),
)


def _shift_hidden(seed):
    d = Draw(seed)
    gone = torch.arange(7) < d.integers(1, 7, 4, 1)
    loose = d.integers(3, 90, 3, 5)
    return [
        Case("one place", {"labels": d.integers(3, 9, 3, 1), "start": 2, "pad": 0}),
        Case("lengths of all kinds", {"labels": d.integers(3, 90, 4, 7).where(gone, -100), "start": 1, "pad": 2}),
        Case("a sentence of nothing", {"labels": torch.full((1, 4), -100), "start": 5, "pad": 2}),
        Case("a start token that is a word as well", {"labels": d.integers(0, 4, 3, 6), "start": 2, "pad": 0}),
        Case("non-contiguous labels", {"labels": transposed(loose), "start": 2, "pad": 0}),
        Case("an empty batch", {"labels": d.integers(3, 9, 0, 4), "start": 2, "pad": 0}),
    ]


def _shift_reference(i):
    labels = i["labels"].numpy()
    inputs = np.empty_like(labels)
    for b, row in enumerate(labels):
        for t in range(len(row)):
            inputs[b, t] = i["start"] if t == 0 else i["pad"] if row[t - 1] < 0 else row[t - 1]
    return {"inputs": torch.from_numpy(inputs)}


_CAT = "inputs = torch.cat([first, labels[:, :-1]], dim=1)"
_RETURN = "return inputs.masked_fill(inputs == -100, pad)"
shift_right = Answer(
    name="shift_right",
    reference=_shift_reference,
    hidden=_shift_hidden,
    misconceptions=(
        Misconception(
            "not-shifted",
            "the labels are not moved: only the first is replaced by the start token, and every other place reads the "
            "very word that it has to say",
            edits=((_CAT, "inputs = torch.cat([first, labels[:, 1:]], dim=1)"),),
        ),
        Misconception(
            "shifted-left",
            "the labels are moved to the left, so that every place reads the word after the one it has to say",
            edits=((_CAT, "inputs = torch.cat([labels[:, 1:], first], dim=1)"),),
        ),
        Misconception(
            "start-behind",
            "the start token is put behind the labels instead of in front of them",
            edits=((_CAT, "inputs = torch.cat([labels[:, :-1], first], dim=1)"),),
        ),
        Misconception(
            "rolled",
            "the labels are rolled: the last word stands where the start token belongs",
            edits=((_CAT, "inputs = labels.roll(1, dims=1)"),),
        ),
        Misconception(
            "nothing-dropped",
            "the start token is put in front and no label is dropped: there is one input too many",
            edits=((_CAT, "inputs = torch.cat([first, labels], dim=1)"),),
        ),
        Misconception(
            "minus-100-left",
            "-100 is left in the input, and no embedding can look it up",
            edits=((_RETURN, "return inputs"),),
        ),
        Misconception(
            "start-for-minus-100",
            "-100 becomes the start token instead of padding",
            edits=((_RETURN, "return inputs.masked_fill(inputs == -100, start)"),),
        ),
        Misconception(
            "padding-at-the-start",
            "the decoder starts from the padding token, whatever start says",
            edits=(("(labels[:, :1], start)", "(labels[:, :1], pad)"),),
        ),
        Misconception(
            "in-place",
            "-100 is replaced in the caller's labels: the loss would then count the padding",
            edits=(("first = torch.full_like", "labels[labels == -100] = pad\n    first = torch.full_like"),),
        ),
    ),
)


def _greedy_hidden(seed):
    d = Draw(seed)
    return [
        Case("one step", oracle_inputs(d, [3, 4], 1, 0.3)),
        Case("two sentences, two steps", oracle_inputs(d, [3, 4], 2, -9.0, start=4, end=6, pad=4)),
        Case("eight sentences", oracle_inputs(d, [1, 2, 3, 4, 5, 6, 7, 8], 15, 0.3)),
        Case(
            "eight sentences, other tokens", oracle_inputs(d, [8, 1, 3, 4, 5, 2, 7, 6], 15, 0.25, start=8, end=0, pad=4)
        ),
        Case(
            "a sentence in company and alone",
            oracle_inputs(d, [2, 6, 4], 12, 0.4, start=3, end=2, pad=1) | {"then again": True},
        ),
        Case("most are cut off", oracle_inputs(d, [5, 3, 4, 2], 6, 0.1)),
    ]


def _said(i, b):
    """One sentence's words, without any batch: in numpy, on its real words only."""
    tables = {n: t.numpy() for n, t in i["tables"].items()}
    rows = tables["source"][i["ids"][b].numpy()[i["real"][b].numpy()]]
    context = (rows + rows.mean(0)).mean(0)
    state, word, words = context, i["start"], []
    while len(words) < i["longest"] and (not words or words[-1] != i["end"]):
        state = np.tanh(state @ tables["step"] + tables["target"][word] + context)
        scores = state @ tables["read"]
        scores[i["end"]] += tables["hurry"] * len(words)
        scores[[i["start"], i["pad"]]] = -np.inf
        word = int(scores.argmax())
        words.append(word)
    return words


def _greedy_reference(i):
    said = [_said(i, b) for b in range(len(i["ids"]))]
    T = max(map(len, said))
    outputs = {"words": torch.tensor([row + [i["pad"]] * (T - len(row)) for row in said]), "runs of the encoder": 1}
    if i.get("then again"):
        outputs["words of the first sentence alone"] = torch.tensor(said[:1])
    return outputs


_LOGITS = "logits = model.decode(words, memory, real)[:, -1]"
_WORD = "word = logits.argmax(dim=-1).masked_fill(done, pad)"
greedy_translation = Answer(
    name="greedy_translation",
    reference=_greedy_reference,
    hidden=_greedy_hidden,
    misconceptions=(
        Misconception(
            "start-kept", "the start token is returned as the first word", edits=(("words[:, 1:]", "words"),)
        ),
        Misconception(
            "talks-on",
            "a sentence that has ended goes on speaking until its neighbours are done",
            edits=((_WORD, "word = logits.argmax(dim=-1)"),),
        ),
        Misconception(
            "end-for-padding",
            "a sentence that has ended is filled up with the end token instead of padding",
            edits=((_WORD, "word = logits.argmax(dim=-1).masked_fill(done, end)"),),
        ),
        Misconception(
            "end-forgotten",
            "only what a sentence said last is looked at: one step after its end it speaks again",
            edits=(("done = done | (word == end)", "done = word == end"),),
        ),
        Misconception(
            "first-end-stops-all",
            "all sentences stop as soon as one has ended",
            edits=(("done.all()", "done.any()"),),
        ),
        Misconception(
            "never-stops-early",
            "the loop always runs to the longest length, though all sentences have ended",
            edits=(("if done.all():", "if False:"),),
        ),
        Misconception(
            "all-at-one-step",
            "it stops only when all sentences say the end token in the same step",
            edits=(("if done.all():", "if bool((word == end).all()):"), (_WORD, "word = logits.argmax(dim=-1)")),
        ),
        Misconception(
            "first-place-read",
            "the next word is taken from the first place's logits, which answer the start token",
            edits=(("(words, memory, real)[:, -1]", "(words, memory, real)[:, 0]"),),
        ),
        Misconception(
            "last-word-only",
            "the decoder is given the last word alone, without the words before it",
            edits=((_LOGITS, "logits = model.decode(words[:, -1:], memory, real)[:, -1]"),),
        ),
        Misconception(
            "encodes-each-time",
            "the encoder runs again for every word, though the source does not change",
            edits=(
                (_LOGITS, "logits = model.decode(words, model.encode(ids, real), real)[:, -1]"),
                ("memory = model.encode(ids, real)", "pass"),
            ),
        ),
        Misconception(
            "padding-seen",
            "the decoder is told that all of the source is real, its padding too",
            edits=((_LOGITS, "logits = model.decode(words, memory, torch.ones_like(real))[:, -1]"),),
        ),
        Misconception(
            "starts-from-padding",
            "the decoder starts from the padding token, whatever start says",
            edits=(("(len(ids), 1), start)", "(len(ids), 1), pad)"),),
        ),
        Misconception(
            "one-too-many",
            "one word more than the longest length is written",
            edits=(("range(longest)", "range(longest + 1)"),),
        ),
        Misconception(
            "end-cut-off",
            "the end token itself is replaced by padding",
            edits=(("return words[:, 1:]", "return words[:, 1:].masked_fill(words[:, 1:] == end, pad)"),),
        ),
    ),
)


def _loss_hidden(seed):
    d = Draw(seed)
    more = {"then more padding": 2}
    return [
        Case("one word to read, one to say", loss_inputs(d, [1], [1])),
        Case("one word among longer ones", loss_inputs(d, [1, 4], [1, 5])),
        Case("five sentences, with more padding behind", loss_inputs(d, [2, 6, 3, 1, 4], [3, 1, 6, 2, 5], **more)),
        Case("start and padding differ, more padding behind", loss_inputs(d, [4, 2], [2, 5], start=3, pad=6, **more)),
        Case("padding where there is none needed", loss_inputs(d, [3], [4], **{"then more padding": 5})),
        Case("float64", loss_inputs(d, [3, 5], [4, 2], dtype=torch.float64)),
    ]


def _loss_reference(i):
    # Every sentence by itself, without padding; and every word by a pass of its own, over the words before it only.
    model = translator(i).double()
    total = count = 0
    for ids, target in zip(i["ids"], i["target"], strict=True):
        ids, target = ids[ids != i["pad"]][None], target[target != i["pad"]].tolist()
        real = torch.ones_like(ids, dtype=torch.bool)
        memory = model.encode(ids, real)
        for t, word in enumerate(target):
            logits = model.decode(torch.tensor([[i["start"], *target[:t]]]), memory, real)[0, -1]
            total = total + logits.logsumexp(0) - logits[word]
        count += len(target)
    loss = total / count
    named = dict(model.named_parameters())
    grads = torch.autograd.grad(loss, [named[n] for n in WATCHED], allow_unused=True)
    outputs = {"loss": loss}
    outputs |= {
        f"gradient of {n}": torch.zeros_like(named[n]) if g is None else g for n, g in zip(WATCHED, grads, strict=True)
    }
    if i.get("then more padding"):
        outputs["loss with more padding"] = loss
    dtype = i["state"]["token.weight"].dtype
    return {name: value.detach().to(dtype) for name, value in outputs.items()}


_INPUTS = "inputs = torch.cat([first, target[:, :-1]], dim=1)"
_MEAN = "return (losses * words).sum() / words.sum()"
_BUGS = {
    "shift": (
        "the target is still not moved to the right: every place but the first reads the word that it has to say",
        (_INPUTS, "inputs = torch.cat([first, target[:, 1:]], dim=1)"),
    ),
    "padding": (
        "the decoder still looks at the source's padding, whose memory is not zero",
        ("model.decode(inputs, memory, real)", "model.decode(inputs, memory, memory.any(dim=-1))"),
    ),
    "mean": (
        "the sum of the losses is still divided by all places, the padding's too",
        (_MEAN, "return (losses * words).mean()"),
    ),
}
repaired_seq2seq_loss = Answer(
    name="repaired_seq2seq_loss",
    reference=_loss_reference,
    hidden=_loss_hidden,
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
            "first-word-never-learned",
            "inputs and labels are cut out of the target as in a language model: nothing learns to say the first word",
            edits=(
                (_INPUTS, "inputs, target = target[:, :-1], target[:, 1:]"),
                (_MEAN, "return (losses * words).sum() / words.sum().clamp(min=1)"),
            ),
        ),
        Misconception(
            "rolled",
            "the target is rolled: its last word or padding stands where the start token belongs",
            edits=((_INPUTS, "inputs = target.roll(1, dims=1)"),),
        ),
        Misconception(
            "mean-of-means",
            "each sentence's mean is taken first, then their mean, so that a word of a short sentence counts more",
            edits=(
                (
                    _MEAN,
                    "losses, words = losses.view(target.shape), words.view(target.shape)\n"
                    "    return ((losses * words).sum(1) / words.sum(1)).mean()",
                ),
            ),
        ),
        Misconception(
            "padding-learned",
            "padding counts as words to be said",
            edits=((_MEAN, "return losses.mean()"),),
        ),
        Misconception(
            "a-sum",
            "the losses are summed and not divided",
            edits=((_MEAN, "return (losses * words).sum()"),),
        ),
        Misconception(
            "divided-by-sentences",
            "the sum of the losses is divided by the number of sentences instead of words",
            edits=((_MEAN, "return (losses * words).sum() / len(target)"),),
        ),
        Misconception(
            "divided-by-source-words",
            "the sum of the losses is divided by the number of source words",
            edits=((_MEAN, "return (losses * words).sum() / real.sum()"),),
        ),
        Misconception(
            "encoder-sees-padding",
            "the encoder is told that all of the source is real, its padding too",
            edits=(("model.encode(ids, real)", "model.encode(ids, torch.ones_like(real))"),),
        ),
        Misconception(
            "target-masks-the-source",
            "the cross-attention is given the target's padding instead of the source's",
            edits=(
                (
                    "model.decode(inputs, memory, real)",
                    "model.decode(inputs, memory, torch.nn.functional.pad(target != pad, (0, real.shape[1]))"
                    "[:, : real.shape[1]])",
                ),
            ),
        ),
    ),
)
