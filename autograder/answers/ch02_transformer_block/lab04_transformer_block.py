"""Lab 2.4, the instructor's half: references in float64 from the formulas, hidden cases, misconceptions."""

import math

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch02_transformer_block.lab04_transformer_block import (
    block_inputs,
    faulty,
    gpt2_weights,
    residual_inputs,
    rule_inputs,
    rules_block,
    stack_inputs,
)
from autograder.exercise import Answer, Case, Misconception
from source.blocks.gpt2_block import causal_mask


def _normed(x, gain, shift):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain + shift


def _residual_hidden(seed):
    d = Draw(seed)
    loose = residual_inputs(d, 2, 4, 6, False)
    edge = {"then without gradients": True}
    return [
        Case("pre-norm, without gradients", residual_inputs(d, 2, 3, 5, True, **edge)),
        Case("post-norm, without gradients", residual_inputs(d, 2, 3, 5, False, **edge)),
        Case("one position", residual_inputs(d, 3, 1, 8, True)),
        Case("post-norm, a non-contiguous input", {**loose, "x": transposed(loose["x"])}),
        Case("float64", residual_inputs(d, 1, 4, 7, True, dtype=torch.float64)),
        Case("an empty batch", residual_inputs(d, 0, 3, 4, False)),
    ]


def _residual_reference(i):
    x = i["x"].double().requires_grad_()
    W, gain, shift = (i[name].double() for name in ("sublayer", "gain", "shift"))
    read = _normed(x, gain, shift) if i["norm_first"] else x
    total = x + torch.einsum("btc,cd->btd", read, W)
    out = total if i["norm_first"] else _normed(total, gain, shift)
    (gradient,) = torch.autograd.grad(out, x, i["upstream"].double())
    dtype = i["x"].dtype
    outputs = {"out": out.detach().to(dtype), "calls of the sublayer": 1, "gradient of x": gradient.to(dtype)}
    if i.get("then without gradients"):
        outputs |= {"out without gradients": outputs["out"], "x after that": i["x"].detach()}
    return outputs


_PRE, _POST = "x + sublayer(norm(x))", "norm(x + sublayer(x))"
residual = Answer(
    name="residual",
    reference=_residual_reference,
    hidden=_residual_hidden,
    misconceptions=(
        Misconception(
            "orders-swapped",
            "the two orders are swapped: pre-norm where norm_first is False, post-norm where it is True",
            edits=(("if norm_first:", "if not norm_first:"),),
        ),
        Misconception(
            "always-pre-norm",
            "norm_first is ignored: the order is always pre-norm",
            edits=((_POST, _PRE + "  # always"),),
        ),
        Misconception(
            "normed-copy",
            "what is added to the sublayer's output in pre-norm is the normed x instead of x itself",
            edits=((_PRE, "norm(x) + sublayer(norm(x))"),),
        ),
        Misconception(
            "no-residual",
            "x is not added: only what the sublayer made of it is returned",
            edits=((_PRE, "sublayer(norm(x))"), (_POST, "norm(sublayer(x))")),
        ),
        Misconception(
            "norm-on-the-update",
            "in post-norm only the sublayer's output is normed, and x is added behind the norm",
            edits=((_POST, "x + norm(sublayer(x))"),),
        ),
        Misconception(
            "normed-twice",
            "in post-norm the sublayer reads the normed x, as in pre-norm, and the sum is normed as well",
            edits=((_POST, "norm(x + sublayer(norm(x)))"),),
        ),
        Misconception(
            "sum-normed-too",
            "in pre-norm the sum is normed as well",
            edits=((_PRE, "norm(x + sublayer(norm(x)))"),),
        ),
        Misconception(
            "normed-copy-in-post-norm",
            "in post-norm the norm is taken of x alone, and the sublayer's output is added behind it",
            edits=((_POST, "norm(x) + sublayer(x)"),),
        ),
        Misconception(
            "copy-detached",
            "x is detached before it is added: the output is right, but the gradient's free road is gone",
            edits=((_PRE, "x.detach() + sublayer(norm(x))"), (_POST, "norm(x.detach() + sublayer(x))")),
        ),
        Misconception(
            "in-place",
            "the sum is written into x itself (x += ...), which belongs to the caller and to the gradient",
            edits=((f"return {_PRE}", "x += sublayer(norm(x))\n        return x"),),
        ),
    ),
)


def _formula(x, state, mask, H, norm_first):
    """A block in einsums, one head at a time; softmax and GELU written out."""
    B, T, C = x.shape
    D = C // H
    seen = torch.ones(B, H, T, T, dtype=torch.bool) if mask is None else mask.expand(B, H, T, T)

    def linear(name, a):
        return torch.einsum("btc,dc->btd", a, state[f"{name}.weight"]) + state[f"{name}.bias"]

    def norm(n, a):
        return _normed(a, state[f"norm{n}.weight"], state[f"norm{n}.bias"])

    def attention(a):
        q, k, v = (linear(f"attention.W_{n}", a) for n in "qkv")
        out = state["attention.W_o.bias"].expand(B, T, C)
        for h in range(H):
            mine = slice(h * D, (h + 1) * D)
            scores = torch.einsum("btd,bsd->bts", q[..., mine], k[..., mine]) * D**-0.5
            e = torch.where(seen[:, h], scores, 0.0).exp() * seen[:, h]
            total = e.sum(-1, keepdim=True)
            w = e / torch.where(total > 0, total, 1.0)
            out = out + torch.einsum("bts,bsd,cd->btc", w, v[..., mine], state["attention.W_o.weight"][:, mine])
        return out

    def feed_forward(a):
        a = linear("feed_forward.W_in", a)
        a = a * (1 + torch.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))) / 2
        return linear("feed_forward.W_out", a)

    if norm_first:
        x = x + attention(norm(1, x))
        return x + feed_forward(norm(2, x))
    x = norm(1, x + attention(x))
    return norm(2, x + feed_forward(x))


def _block_hidden(seed):
    d = Draw(seed)
    real = torch.arange(6) < d.integers(1, 6, 2, 1)
    each_head = d.chance(0.6, 2, 3, 4, 4)
    each_head[0, 1, 2] = False
    loose = block_inputs(d, 2, 4, 10, 5)
    return [
        Case("post-norm, causal mask", block_inputs(d, 2, 4, 6, 2, norm_first=False, mask=causal_mask(4))),
        Case("causal, and padded behind", block_inputs(d, 2, 6, 8, 4, mask=causal_mask(6, real))),
        Case(
            "post-norm, causal, and padded in front",
            block_inputs(d, 2, 6, 8, 2, norm_first=False, mask=causal_mask(6, real.flip(1))),
        ),
        Case("padded keys alone, both may look ahead", block_inputs(d, 2, 6, 4, 2, mask=real[:, None, None, :])),
        Case("a mask for each head, with a row that sees nothing", block_inputs(d, 2, 4, 9, 3, mask=each_head)),
        Case("the default order", block_inputs(d, 1, 3, 8, 2, norm_first=None)),
        Case("one position and an empty batch, after a full one", block_inputs(d, 2, 3, 8, 2, **{"then edges": True})),
        Case("two blocks of different orders", block_inputs(d, 2, 3, 8, 2, **{"then another block": True})),
        Case("five heads, a non-contiguous input", {**loose, "x": transposed(loose["x"])}),
        Case("float64", block_inputs(d, 2, 3, 8, 2, dtype=torch.float64)),
        Case("bfloat16, forward only", block_inputs(d, 1, 4, 8, 2, dtype=torch.bfloat16, upstream=None)),
    ]


def _block_reference(i):
    H, dtype = i["heads"], i["x"].dtype
    norm_first = i["norm_first"] is not False
    leaves = {"x": i["x"], **i["state"]}
    leaves = {name: leaf.double().clone().requires_grad_() for name, leaf in leaves.items()}
    x = leaves["x"]
    out = _formula(x, leaves, i["mask"], H, norm_first)
    outputs = {"out": out}
    if i["upstream"] is not None:
        grads = torch.autograd.grad(out, list(leaves.values()), i["upstream"].double())
        outputs |= {f"gradient of {name}": g for name, g in zip(leaves, grads, strict=True)}
    if i.get("then edges"):
        outputs["out of one position"] = _formula(x[:, :1], leaves, None, H, norm_first)
        outputs["out of an empty batch"] = out[:0]
    if i.get("then another block"):
        outputs["out of the other order"] = _formula(x, leaves, i["mask"], H, not norm_first)
        outputs["out of the first block again"] = out
    return {name: value.detach().to(dtype) for name, value in outputs.items()}


_ATTEND = "self.attention(h, mask=mask)[0]"
_FIRST = "a = wire(x, lambda h: self.attention(h, mask=mask)[0], self.norm1, self.norm_first)"
_SECOND = "return wire(a, self.feed_forward, self.norm2, self.norm_first)"
block = Answer(
    name="block",
    reference=_block_reference,
    hidden=_block_hidden,
    misconceptions=(
        Misconception(
            "mask-dropped", "the mask does not reach the attention", edits=((_ATTEND, "self.attention(h)[0]"),)
        ),
        Misconception(
            "mask-inverted",
            "what may be seen is hidden, and the reverse",
            edits=((_ATTEND, "self.attention(h, mask=None if mask is None else ~mask)[0]"),),
        ),
        Misconception(
            "always-causal",
            "a causal mask of its own is used in place of the one given",
            edits=((_ATTEND, "self.attention(h, mask=causal_mask(h.shape[1]))[0]"),),
        ),
        Misconception(
            "second-addition-uses-x",
            "the feed-forward network's output is added to the block's input, so that what the attention wrote is lost",
            edits=(
                (
                    _SECOND,
                    "f = self.feed_forward\n        return x + f(self.norm2(a)) if self.norm_first "
                    "else self.norm2(x + f(a))",
                ),
            ),
        ),
        Misconception(
            "feed-forward-reads-x",
            "the feed-forward network reads the block's input instead of what the attention left there",
            edits=(
                (
                    _SECOND,
                    "f = self.feed_forward\n        return a + f(self.norm2(x)) if self.norm_first "
                    "else self.norm2(a + f(x))",
                ),
            ),
        ),
        Misconception(
            "one-norm-for-both",
            "norm1 is used in front of both sublayers, and norm2 never",
            edits=(("self.feed_forward, self.norm2,", "self.feed_forward, self.norm1,"),),
        ),
        Misconception(
            "norms-swapped",
            "norm2 belongs to the attention and norm1 to the feed-forward network",
            edits=(
                ("[0], self.norm1,", "[0], self.norm2,"),
                ("self.feed_forward, self.norm2,", "self.feed_forward, self.norm1,"),
            ),
        ),
        Misconception(
            "feed-forward-first",
            "the feed-forward network comes before the attention",
            edits=(
                (_FIRST, "a = wire(x, self.feed_forward, self.norm2, self.norm_first)"),
                (_SECOND, "return wire(a, lambda h: self.attention(h, mask=mask)[0], self.norm1, self.norm_first)"),
            ),
        ),
        Misconception(
            "always-pre-norm",
            "norm_first is ignored: the block is always pre-norm",
            edits=(
                ("self.norm1, self.norm_first", "self.norm1, True"),
                ("self.norm2, self.norm_first", "self.norm2, True"),
            ),
        ),
        Misconception(
            "orders-swapped",
            "pre-norm and post-norm are swapped",
            edits=(("self.norm_first = norm_first", "self.norm_first = not norm_first"),),
        ),
        Misconception(
            "normed-copy",
            "in pre-norm the normed x is handed past the sublayer instead of x itself",
            edits=(
                (
                    _FIRST,
                    "n = self.norm1(x) if self.norm_first else x\n        a = n + self.attention(n, mask=mask)[0]\n"
                    "        a = a if self.norm_first else self.norm1(a)",
                ),
                (
                    _SECOND,
                    "n = self.norm2(a) if self.norm_first else a\n        n = n + self.feed_forward(n)\n"
                    "        return n if self.norm_first else self.norm2(n)",
                ),
            ),
        ),
        Misconception(
            "no-second-residual",
            "nothing is added to the feed-forward network's output",
            edits=(
                (
                    _SECOND,
                    "return self.feed_forward(self.norm2(a)) if self.norm_first else self.norm2(self.feed_forward(a))",
                ),
            ),
        ),
        Misconception(
            "no-first-residual",
            "nothing is added to the attention's output",
            edits=(
                (
                    _FIRST,
                    "a = self.attention(self.norm1(x) if self.norm_first else x, mask=mask)[0]\n"
                    "        a = a if self.norm_first else self.norm1(a)",
                ),
            ),
        ),
        Misconception(
            "one-norm-more",
            "the block's output is normed once more at the end",
            edits=((_SECOND, "return self.norm2(wire(a, self.feed_forward, self.norm2, self.norm_first))"),),
        ),
        Misconception(
            "input-added-twice",
            "the block's input is added a second time: a already contains it",
            edits=((_SECOND, "return x + wire(a, self.feed_forward, self.norm2, self.norm_first)"),),
        ),
        Misconception(
            "causal-by-default",
            "without a mask a causal one is used: no mask means that all may see all",
            edits=((_ATTEND, "self.attention(h, mask=causal_mask(h.shape[1]) if mask is None else mask)[0]"),),
        ),
        Misconception(
            "first-mask-for-all",
            "the first sequence's mask is used for every sequence",
            edits=((_ATTEND, "self.attention(h, mask=mask[:1] if mask is not None and mask.ndim == 4 else mask)[0]"),),
        ),
        Misconception(
            "weights-for-output",
            "the attention's second result, its weights, is added instead of its output",
            edits=((_ATTEND, "self.attention(h, mask=mask)[1]"),),
        ),
    ),
)


def _state_hidden(seed):
    d = Draw(seed)
    extra = {"attn.bias": torch.ones(1, 1, 4, 4, dtype=torch.bool).tril(), "crossattention.bias": torch.zeros(2)}
    mixed = gpt2_weights(d, 4)
    mixed = {name: mixed[name] for name in sorted(mixed, reverse=True)}
    loose = {name: w.T.contiguous().T if w.ndim == 2 else w for name, w in gpt2_weights(d, 5).items()}
    return [
        Case("width 1", {"gpt2": gpt2_weights(d, 1)}),
        Case("width 12, with more things that are no weights", {"gpt2": gpt2_weights(d, 12) | extra}),
        Case("the names in another order", {"gpt2": mixed}),
        Case("weights that are not contiguous", {"gpt2": loose}),
        Case("bfloat16", {"gpt2": gpt2_weights(d, 3, dtype=torch.bfloat16)}),
    ]


def _state_reference(i):
    g = i["gpt2"]
    C = len(g["ln_1.weight"])
    state = {}
    for ours, theirs, first, outputs in (
        ("norm1", "ln_1", 0, C),
        ("attention.W_q", "attn.c_attn", 0, C),
        ("attention.W_k", "attn.c_attn", C, C),
        ("attention.W_v", "attn.c_attn", 2 * C, C),
        ("attention.W_o", "attn.c_proj", 0, C),
        ("norm2", "ln_2", 0, C),
        ("feed_forward.W_in", "mlp.c_fc", 0, 4 * C),
        ("feed_forward.W_out", "mlp.c_proj", 0, C),
    ):
        weight, rows = g[f"{theirs}.weight"], range(first, first + outputs)
        # Row o of ours is all that reaches output o: column `first + o` of theirs.
        state[f"{ours}.weight"] = torch.stack([weight[..., o] for o in rows])
        state[f"{ours}.bias"] = torch.stack([g[f"{theirs}.bias"][o] for o in rows])
    return state


_T = 'gpt2[f"{name}.weight"].T if ours[:4] != "norm"'
block_state = Answer(
    name="block_state",
    reference=_state_reference,
    hidden=_state_hidden,
    misconceptions=(
        Misconception(
            "square-left-as-it-is",
            "attn.c_proj.weight is not transposed: it is square, so it fits both ways round and nothing complains",
            edits=((_T, 'gpt2[f"{name}.weight"].T if ours[:4] != "norm" and ours != "attention.W_o"'),),
        ),
        Misconception(
            "parts-not-transposed",
            "the queries', keys' and values' parts of c_attn are cut out but not transposed",
            edits=(('.weight"] = weight.T', '.weight"] = weight'),),
        ),
        Misconception(
            "squares-not-transposed",
            "only the matrices whose shape demands it are transposed, and the square ones are not",
            edits=(
                (_T, 'gpt2[f"{name}.weight"].T if ours[:4] != "norm" and ours != "attention.W_o"'),
                ('.weight"] = weight.T', '.weight"] = weight'),
            ),
        ),
        Misconception(
            "nothing-transposed",
            "no matrix is transposed",
            edits=(
                (_T, 'gpt2[f"{name}.weight"] if ours[:4] != "norm"'),
                ('.weight"] = weight.T', '.weight"] = weight'),
            ),
        ),
        Misconception(
            "reshaped",
            "the matrices are reshaped to the wanted shape instead of transposed, which keeps the order of the numbers",
            edits=(
                (_T, 'gpt2[f"{name}.weight"].reshape(gpt2[f"{name}.weight"].T.shape) if ours[:4] != "norm"'),
                ('.weight"] = weight.T', '.weight"] = weight.reshape(weight.T.shape)'),
            ),
        ),
        Misconception(
            "columns-in-turn",
            "queries, keys and values take c_attn's columns in turn instead of a third each",
            edits=(
                (
                    'gpt2["attn.c_attn.weight"].chunk(3, dim=1)',
                    '[gpt2["attn.c_attn.weight"][:, n::3] for n in range(3)]',
                ),
                ('gpt2["attn.c_attn.bias"].chunk(3)', '[gpt2["attn.c_attn.bias"][n::3] for n in range(3)]'),
            ),
        ),
        Misconception(
            "keys-first",
            "the first third of c_attn is taken for the keys and the second for the queries",
            edits=(('zip("qkv"', 'zip("kqv"'),),
        ),
        Misconception(
            "norms-swapped",
            "ln_1 and ln_2 are swapped",
            edits=(('"norm1": "ln_1"', '"norm1": "ln_2"'), ('"norm2": "ln_2"', '"norm2": "ln_1"')),
        ),
        Misconception(
            "one-bias-for-three",
            "queries, keys and values all get the first third of c_attn's bias",
            edits=(('.bias"] = bias', '.bias"] = biases[0]'),),
        ),
        Misconception(
            "all-names-kept",
            "what is no weight (the old causal mask attn.bias) is kept",
            edits=(
                (
                    "    return state",
                    '    state |= {n: w for n, w in gpt2.items() if n == "attn.bias"}\n    return state',
                ),
            ),
        ),
    ),
)


def _norms_hidden(seed):
    d = Draw(seed)
    real = torch.arange(5) >= d.integers(0, 3, 2, 1)
    return [
        Case("no block at all, after one", stack_inputs(d, [True], 1, 2, 4, 1, **{"then none": True})),
        Case("one block, one position", stack_inputs(d, [True], 2, 1, 4, 1)),
        Case(
            "both orders, padded in front", stack_inputs(d, [True, False, True], 2, 5, 6, 2, mask=causal_mask(5, real))
        ),
        Case("five blocks", stack_inputs(d, [True] * 5, 1, 4, 4, 2, mask=causal_mask(4))),
        Case("asked twice", stack_inputs(d, [True, False], 2, 3, 4, 2, **{"then again": True})),
        Case("float64", stack_inputs(d, [False, True], 2, 3, 6, 3, dtype=torch.float64)),
    ]


def _norms_reference(i):
    # A suffix of the stack at a time, each with a graph of its own.
    states = [{name: value.double() for name, value in state.items()} for state in i["states"]]
    steps = list(zip(i["orders"], states, strict=True))

    def through(a, some):
        for norm_first, state in some:
            a = _formula(a, state, i["mask"], i["heads"], norm_first)
        return a

    norms = []
    for depth in range(len(steps) + 1):
        at = through(i["x"].detach().double(), steps[:depth])
        _, gradient = torch.autograd.functional.vjp(
            lambda a, d=depth: through(a, steps[d:]) * 1, at, i["upstream"].double()
        )
        norms.append(gradient.square().sum().sqrt())
    found = torch.stack(norms).to(i["x"].dtype)
    outputs = {"norms": found} | ({"norms, asked a second time": found} if i.get("then again") else {})
    return outputs | ({"norms without a block": found[-1:]} if i.get("then none") else {})


_GRAD = "torch.autograd.grad(stream[-1], stream, upstream)"
_STACK = "torch.stack([g.norm() for g in gradients])"
gradient_norms = Answer(
    name="gradient_norms",
    reference=_norms_reference,
    hidden=_norms_hidden,
    misconceptions=(
        Misconception(
            "upstream-ignored",
            "the gradient of the output's sum is taken instead of the given upstream gradient",
            edits=((_GRAD, "torch.autograd.grad(stream[-1].sum(), stream)"),),
        ),
        Misconception(
            "mask-dropped",
            "the blocks are called without the mask",
            edits=(("block(stream[-1], mask)", "block(stream[-1], None)"),),
        ),
        Misconception(
            "from-the-top",
            "the norms are listed from the last block down to the first",
            edits=((_STACK, "torch.stack([g.norm() for g in gradients[::-1]])"),),
        ),
        Misconception(
            "block-by-block",
            "each block is cut off from the next: the upstream gradient enters every block anew, in place of what "
            "arrives from above",
            code="def gradient_norms(blocks, x, mask, upstream):\n"
            "    norms = []\n"
            "    for block in blocks:\n"
            "        x = x.detach().requires_grad_()\n"
            "        out = block(x, mask)\n"
            "        norms.append(torch.autograd.grad(out, x, upstream)[0].norm())\n"
            "        x = out\n"
            "    return torch.stack([*norms, upstream.norm()])\n",
        ),
        Misconception(
            "squared",
            "the root is missing: squares of norms are returned",
            edits=((_STACK, "torch.stack([g.pow(2).sum() for g in gradients])"),),
        ),
        Misconception(
            "mean-over-positions",
            "the norm is taken for each position and averaged, instead of over all of (B, T, C)",
            edits=((_STACK, "torch.stack([g.norm(dim=-1).mean() for g in gradients])"),),
        ),
        Misconception(
            "root-mean-square",
            "the root of the mean square is taken instead of the norm",
            edits=((_STACK, "torch.stack([g.pow(2).mean().sqrt() for g in gradients])"),),
        ),
        Misconception(
            "end-left-out",
            "the gradient after the last block, the upstream itself, is left out",
            edits=((_STACK, "torch.stack([g.norm() for g in gradients[:-1]])"),),
        ),
        Misconception(
            "relative",
            "the norms are divided by the upstream gradient's",
            edits=((_STACK, "torch.stack([g.norm() for g in gradients]) / upstream.norm()"),),
        ),
        Misconception(
            "batch-summed",
            "the gradients of the sequences are added up before the norm is taken, so that they cancel",
            edits=((_STACK, "torch.stack([g.sum(dim=0).norm() for g in gradients])"),),
        ),
        Misconception(
            "stream-for-gradient",
            "the size of the stream itself is returned instead of its gradient's",
            edits=((_STACK, "torch.stack([h.detach().norm() for h in stream])"),),
        ),
    ),
)


def _rules_hidden(seed):
    d = Draw(seed)
    both = torch.tensor([[False, True, True, True, False], [True] * 5, [False] * 5])
    single = torch.ones(1, 4, dtype=torch.bool)
    order = torch.from_numpy(d.rng.permutation(3))
    second = torch.arange(5) >= torch.tensor([[0], [d.rng.integers(1, 4)]])
    return [
        Case(
            "padded on both sides, and one sequence that is all padding",
            rule_inputs(d, both[order], 4, ["none", "no mask"]),
        ),
        Case(
            "the second sequence padded in front",
            rule_inputs(d, second, 4, ["none", "first sequence's mask for all", "norm over the batch"]),
        ),
        Case(
            "one sequence",
            rule_inputs(d, single, 6, ["none", "one position ahead", "norm over the sequences", "norm over the batch"]),
        ),
        Case(
            "one position in each sequence",
            rule_inputs(d, torch.ones(3, 1, dtype=torch.bool), 4, ["none", "norm over the batch"]),
        ),
        Case("a faint leak, padded", rule_inputs(d, second, 8, ["a faint leak", "noise as small as rounding", "none"])),
        Case(
            "a long reach",
            rule_inputs(d, torch.ones(2, 9, dtype=torch.bool), 4, ["last position seen by the first", "none"]),
        ),
    ]


def _rules_reference(i):
    # By derivatives instead of replacements: which block of the Jacobian is not zero.
    x, real = i["x"].detach(), i["real"]
    T = x.shape[1]
    outputs = {}
    for fault in i["faults"]:
        run = faulty(fault, rules_block(i))
        J = torch.autograd.functional.jacobian(lambda a, run=run: run(a, causal_mask(T, real)), x)
        reach = J.abs().amax(dim=(2, 5)) > 1e-9  # (B, T, C, B, T, C) -> (B, T, B, T): output (b, t), input (c, s)
        found = set()
        for b, t, c, s in reach.nonzero().tolist():
            if not real[b, t]:
                continue
            if b != c:
                found.add("batch")
            elif not real[c, s]:
                found.add("padding")
            elif s > t:
                found.add("future")
        outputs[f"rules broken by the block with fault '{fault}'"] = sorted(found)
    return outputs


_REPLACE = "changed[b, s] = torch.randn(C)"
broken_rules = Answer(
    name="broken_rules",
    reference=_rules_reference,
    hidden=_rules_hidden,
    misconceptions=(
        Misconception(
            "constant-added",
            "a constant is added to the input instead of replacing it: the block's norm takes it out again, and leaks "
            "behind the norm stay unseen",
            edits=((_REPLACE, "changed[b, s] += 1"),),
        ),
        Misconception(
            "doubled",
            "the input is doubled instead of replaced: the block's norm takes a factor out again",
            edits=((_REPLACE, "changed[b, s] *= 2"),),
        ),
        Misconception(
            "zeroed",
            "the input is replaced by zeros: where padding holds zeros already, nothing changes",
            edits=((_REPLACE, "changed[b, s] = 0"),),
        ),
        Misconception(
            "all-from-there-on",
            "all inputs from the replaced one to the end change at once, so that nobody can tell which one mattered",
            edits=((_REPLACE, "changed[b, s:] = torch.randn(T - s, C)"),),
        ),
        Misconception(
            "no-tolerance",
            "any difference counts, even one as small as rounding",
            edits=(("> 1e-6", "> 0"),),
        ),
        Misconception(
            "mean-over-channels",
            "the differences are averaged over the channels, where opposite signs cancel",
            edits=((".abs().amax(dim=-1)", ".mean(dim=-1).abs()"),),
        ),
        Misconception(
            "threshold-too-high",
            "an output counts as moved only from 0.1 on, so that a faint leak is missed",
            edits=(("> 1e-6", "> 0.1"),),
        ),
        Misconception(
            "padding-looks-back-only",
            "a padded input is only held against the outputs before it, not those behind it",
            edits=(("not real[b, s] and moved[b].any()", "not real[b, s] and moved[b, :s].any()"),),
        ),
        Misconception(
            "padding-counted",
            "what padded positions put out is counted too",
            edits=(("> 1e-6) & real", "> 1e-6)"),),
        ),
        Misconception(
            "itself-counted",
            "a position that moves because its own input was replaced counts as the future",
            edits=(("moved[b, :s].any()", "moved[b, : s + 1].any()"),),
        ),
        Misconception(
            "padding-never-replaced",
            "only real inputs are replaced: whether padding matters is never tried",
            edits=(
                (
                    "            changed = x.clone()",
                    "            if not real[b, s]:\n                continue\n            changed = x.clone()",
                ),
            ),
        ),
        Misconception(
            "first-sequence-only",
            "only inputs of the first sequence are replaced",
            edits=(("for b in range(B):", "for b in range(1):"),),
        ),
        Misconception(
            "last-input-only",
            "only the last position of each sequence is replaced",
            edits=(("for s in range(T):", "for s in range(T - 1, T):"),),
        ),
        Misconception(
            "one-step-back-only",
            "only the position just before the replaced one is looked at: a leak that reaches further is missed",
            edits=(("moved[b, :s].any()", "moved[b, max(s - 1, 0) : s].any()"),),
        ),
        Misconception(
            "causal-mask-alone",
            "the mask given to the block is causal but says nothing about padding, so that a right block seems wrong",
            edits=(("mask = causal_mask(T, real)", "mask = causal_mask(T).expand(B, 1, T, T)"),),
        ),
        Misconception(
            "own-sequence-counted",
            "moves in the replaced input's own sequence count for the rule about other sequences",
            edits=(("            moved[b] = False\n", ""),),
        ),
        Misconception(
            "padding-moves-are-future",
            "a padded input that moves an output before it counts as the future as well",
            edits=(("if real[b, s] and moved[b, :s].any():", "if moved[b, :s].any():"),),
        ),
        Misconception(
            "shape-only",
            "nothing is replaced: every block is said to keep every rule",
            code="def broken_rules(block, x, real):\n    return []\n",
        ),
    ),
)
