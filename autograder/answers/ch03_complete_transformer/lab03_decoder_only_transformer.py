"""Lab 3.3, the instructor's half: references in float64 from the formulas, hidden cases, misconceptions."""

import math

import torch

from autograder.cases import Draw
from autograder.checks.ch03_complete_transformer.lab03_decoder_only_transformer import (
    asked_inputs,
    gpt_inputs,
    inverse,
    start_inputs,
    text_inputs,
    toy_logits,
)
from autograder.exercise import Answer, Case, Misconception


def _parts_hidden(seed):
    d = Draw(seed)

    def some(**given):
        drawn = {"vocabulary": d.integers(20, 400), "context": d.integers(5, 90), "width": d.integers(3, 50)}
        return {name: int(n) for name, n in drawn.items()} | {"layers": int(d.integers(2, 9))} | given

    return [
        Case("any sizes", some()),
        Case("no layer at all", some(layers=0)),
        Case("width 1", some(width=1)),
        Case("a context longer than the vocabulary", some(vocabulary=9, context=100)),
    ]


def _parts_reference(i):
    # The shapes of every tensor, one by one.
    V, C = i["vocabulary"], i["width"]
    block = {
        "attention": [(3 * C, C), (3 * C,), (C, C), (C,)],
        "feed-forward": [(4 * C, C), (4 * C,), (C, 4 * C), (C,)],
        "norms": [(C,)] * 4,
    }
    shapes = {"token": [(V, C)], "position": [(i["context"], C)]}
    shapes |= {kind: some * i["layers"] for kind, some in block.items()}
    shapes["norms"] = shapes["norms"] + [(C,), (C,)]
    return {f"parameters of kind {kind}": sum(math.prod(s) for s in some) for kind, some in shapes.items()}


_ATTENTION = '"attention": L * ((C * 3 * C + 3 * C) + (C * C + C)),'
_FORWARD = '"feed-forward": L * ((C * 4 * C + 4 * C) + (4 * C * C + C)),'
parameter_parts = Answer(
    name="parameter_parts",
    reference=_parts_reference,
    hidden=_parts_hidden,
    misconceptions=(
        Misconception(
            "head-counted",
            "the head is counted as a second matrix of V × C: it is the token embedding, which is counted already",
            edits=(('"token": V * C,', '"token": 2 * V * C,'),),
        ),
        Misconception(
            "no-biases",
            "the linear layers' biases are left out",
            edits=((_ATTENTION, '"attention": L * 4 * C * C,'), (_FORWARD, '"feed-forward": L * 8 * C * C,')),
        ),
        Misconception(
            "attention-biases-left-out",
            "the biases of W_qkv and W_o are left out",
            edits=((_ATTENTION, '"attention": L * 4 * C * C,'),),
        ),
        Misconception(
            "one-bias-a-layer-of-width-c",
            "every linear layer is given a bias of width C: it is as wide as the layer's output",
            edits=(
                (_ATTENTION, '"attention": L * (4 * C * C + 2 * C),'),
                (_FORWARD, '"feed-forward": L * (8 * C * C + 2 * C),'),
            ),
        ),
        Misconception(
            "last-norm-left-out",
            "the norm behind the last block is left out",
            edits=(("(2 * L + 1) * 2 * C", "2 * L * 2 * C"),),
        ),
        Misconception(
            "gains-without-shifts",
            "a norm is counted as C numbers: it has a gain and a shift",
            edits=(("(2 * L + 1) * 2 * C", "(2 * L + 1) * C"),),
        ),
        Misconception(
            "one-norm-a-block",
            "a block is given one norm instead of two",
            edits=(("(2 * L + 1) * 2 * C", "(L + 1) * 2 * C"),),
        ),
        Misconception(
            "no-output-projection",
            "W_o is left out",
            edits=((_ATTENTION, '"attention": L * (C * 3 * C + 3 * C),'),),
        ),
        Misconception(
            "one-layer",
            "one block is counted instead of L",
            edits=(
                (_ATTENTION, '"attention": (C * 3 * C + 3 * C) + (C * C + C),'),
                (_FORWARD, '"feed-forward": (C * 4 * C + 4 * C) + (4 * C * C + C),'),
            ),
        ),
    ),
)


def _gpt_hidden(seed):
    d = Draw(seed)
    behind = torch.arange(6) < d.integers(1, 6, 2, 1)
    document = torch.tensor([[0, 0, 1, 1, 1, 2]])
    packed = (document[:, :, None] == document[:, None, :])[:, None]  # (B, 1, T, T)
    restarted = torch.tensor([[0, 1, 0, 1, 2, 0]])
    targets = d.integers(0, 9, 2, 6)
    targets[~behind] = -100
    each_head = d.chance(0.6, 2, 2, 4, 4) | torch.eye(4, dtype=torch.bool)
    first_left_out = d.integers(0, 5, 2, 3)
    first_left_out[0, 0] = -100
    scattered = torch.tensor([[5, 2, 0], [1, 1, 3]])
    return [
        Case("one token", gpt_inputs(d, 3, 1, 5, 6, 2, 2, context=4)),
        Case("shorter inputs after a full one", gpt_inputs(d, 2, 5, 7, 8, 4, 2, **{"then less": True})),
        Case(
            "padded behind, with targets",
            gpt_inputs(d, 2, 6, 9, 8, 2, 2, mask=behind[:, None, None, :], targets=targets),
        ),
        Case(
            "packed documents",
            gpt_inputs(d, 1, 6, 7, 8, 2, 2, mask=packed, positions=restarted, context=9),
        ),
        Case("a mask for each head", gpt_inputs(d, 2, 4, 5, 8, 2, 1, mask=each_head)),
        Case("positions in any order", gpt_inputs(d, 2, 3, 5, 4, 2, 1, context=6, positions=scattered)),
        Case("float64, three layers", gpt_inputs(d, 2, 4, 6, 6, 3, 3, context=5, dtype=torch.float64)),
        Case("a target that does not count", gpt_inputs(d, 2, 3, 5, 8, 2, 1, targets=first_left_out)),
    ]


def _normed(x, gain, shift):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain + shift


def _run(ids, state, sizes, mask, positions):
    """The stream at every depth and the logits, in einsums, one head at a time; softmax and GELU written out."""
    B, T = ids.shape
    H, C = sizes["heads"], sizes["width"]
    D = C // H
    seen = torch.ones(B, H, T, T, dtype=torch.bool) if mask is None else mask.expand(B, H, T, T)
    t = torch.arange(T)
    seen = seen & (t[:, None] >= t[None, :])
    places = t.expand(B, T) if positions is None else positions
    chosen = torch.nn.functional.one_hot(places, sizes["context"]).to(state["token.weight"].dtype)
    token = torch.nn.functional.one_hot(ids, sizes["vocabulary"]).to(state["token.weight"].dtype)
    x = torch.einsum("btv,vc->btc", token, state["token.weight"])
    x = x + torch.einsum("btp,pc->btc", chosen, state["position.weight"])
    stream = [x]
    for layer in range(sizes["layers"]):
        w = {name.split(".", 2)[2]: v for name, v in state.items() if name.startswith(f"blocks.{layer}.")}
        a = _normed(x, w["norm1.weight"], w["norm1.bias"])
        qkv = torch.einsum("btc,dc->btd", a, w["attention.W_qkv.weight"]) + w["attention.W_qkv.bias"]
        x = x + w["attention.W_o.bias"]
        for h in range(H):
            q, k, v = (qkv[..., n * C + h * D : n * C + (h + 1) * D] for n in range(3))
            scores = torch.einsum("btd,bsd->bts", q, k) * D**-0.5
            e = torch.where(seen[:, h], scores, 0.0).exp() * seen[:, h]
            total = e.sum(-1, keepdim=True)
            e = e / torch.where(total > 0, total, 1.0)
            W = w["attention.W_o.weight"][:, h * D : (h + 1) * D]
            x = x + torch.einsum("bts,bsd,cd->btc", e, v, W)
        a = _normed(x, w["norm2.weight"], w["norm2.bias"])
        a = torch.einsum("btc,dc->btd", a, w["feed_forward.W_in.weight"]) + w["feed_forward.W_in.bias"]
        a = a * (1 + torch.tanh(math.sqrt(2 / math.pi) * (a + 0.044715 * a**3))) / 2
        x = x + torch.einsum("btd,cd->btc", a, w["feed_forward.W_out.weight"]) + w["feed_forward.W_out.bias"]
        stream.append(x)
    read = _normed(x, state["last_norm.weight"], state["last_norm.bias"])
    return stream, torch.einsum("btc,vc->btv", read, state["token.weight"])


def _gpt_reference(i):
    sizes, dtype = i["sizes"], i["state"]["token.weight"].dtype
    state = {name: weight.double().clone().requires_grad_() for name, weight in i["state"].items()}
    stream, logits = _run(i["ids"], state, sizes, i["mask"], i["positions"])
    outputs = {"logits": logits}
    total = (logits * i["upstream"].double()).sum()
    if i["targets"] is not None:
        counts = i["targets"] >= 0
        logs = logits - logits.exp().sum(-1, keepdim=True).log()
        total = -logs[counts].gather(1, i["targets"][counts][:, None]).sum() / counts.sum()
        outputs["loss"] = total
    outputs |= {f"the stream after {depth} blocks": x for depth, x in enumerate(stream)}
    grads = torch.autograd.grad(total, list(state.values()), allow_unused=True)
    for (name, weight), grad in zip(state.items(), grads, strict=True):
        outputs[f"gradient of {name}"] = torch.zeros_like(weight) if grad is None else grad
    if i.get("then less"):
        outputs["logits of the first two tokens alone"] = logits[:, :2]
        outputs["logits of an empty batch"] = logits[:0]
    outputs = {name: value.detach().to(dtype) for name, value in outputs.items()}
    return {**outputs, "length of the stream": sizes["layers"] + 1}


_X0 = "x = [self.token(ids) + self.position(where)]"
_WHERE = "torch.arange(T, device=ids.device) if positions is None else positions"
_SEEN = "causal if mask is None else causal & mask"
_BLOCKS = "nn.ModuleList(Block(sizes.width, sizes.heads) for _ in range(sizes.layers))"
_LOGITS = "self.last_norm(x) @ self.token.weight.T"
_LOSS = "F.cross_entropy(logits.flatten(0, 1), targets.flatten())"
gpt = Answer(
    name="gpt",
    reference=_gpt_reference,
    hidden=_gpt_hidden,
    misconceptions=(
        Misconception(
            "positions-left-out",
            "the position embedding is not added",
            edits=((_X0, "x = [self.token(ids) + 0 * self.position(where)]"),),
        ),
        Misconception(
            "positions-ignored",
            "positions are always 0 to T - 1, whatever was given",
            edits=((_WHERE, "torch.arange(T, device=ids.device)"),),
        ),
        Misconception("mask-ignored", "the mask is not used, only causality", edits=((_SEEN, "causal"),)),
        Misconception(
            "not-causal",
            "nothing keeps a position from seeing those behind it",
            edits=((_SEEN, "mask"),),
        ),
        Misconception(
            "mask-instead-of-causality",
            "a given mask replaces the causal one, so that the future is seen",
            edits=((_SEEN, "causal if mask is None else mask"),),
        ),
        Misconception(
            "mask-or-causality",
            "a key is seen if one of the two masks allows it, instead of both",
            edits=((_SEEN, "causal if mask is None else causal | mask"),),
        ),
        Misconception(
            "mask-inverted",
            "what the mask allows is hidden, and the reverse",
            edits=((_SEEN, "causal if mask is None else causal & ~mask"),),
        ),
        Misconception(
            "no-last-norm",
            "the stream is read without the last norm",
            edits=((_LOGITS, "x @ self.token.weight.T"),),
        ),
        Misconception(
            "stream-normed",
            "the last norm is already applied to the end of the stream that stream() returns",
            edits=(
                (
                    "        return x\n        ### END",
                    "        return [*x[:-1], self.last_norm(x[-1])]\n        ### END",
                ),
                (_LOGITS, "x @ self.token.weight.T"),
            ),
        ),
        Misconception(
            "normed-after-each-block",
            "the last norm is applied after every block: the stream itself is never normed",
            edits=(("x.append(block(x[-1], seen))", "x.append(self.last_norm(block(x[-1], seen)))"),),
        ),
        Misconception(
            "embedding-not-in-the-stream",
            "stream() returns only what the blocks put out, without the embeddings at the beginning",
            edits=(("        return x\n        ### END", "        return x[1:] or x\n        ### END"),),
        ),
        Misconception(
            "one-block-for-all",
            "all layers are the same block ([Block(...)] * L repeats one object), so that they share their weights",
            edits=((_BLOCKS, "nn.ModuleList([Block(sizes.width, sizes.heads)] * sizes.layers)"),),
        ),
        Misconception(
            "embedding-scaled",
            "the token embedding is multiplied by the root of C, as in the first transformer: GPT-2 does not",
            edits=((_X0, "x = [self.token(ids) * self.sizes.width**0.5 + self.position(where)]"),),
        ),
        Misconception(
            "shifted-again",
            "the targets are shifted inside the model once more, so that each position is asked for the token "
            "after the next",
            edits=((_LOSS, "F.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten())"),),
        ),
        Misconception(
            "loss-summed",
            "the loss is the sum over the positions instead of their mean",
            edits=((_LOSS, 'F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")'),),
        ),
        Misconception(
            "ignored-positions-in-the-mean",
            "the positions that do not count add nothing, but the mean is still taken over all",
            edits=(
                (
                    _LOSS,
                    'F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / targets.numel()',
                ),
            ),
        ),
        Misconception(
            "batch-and-positions-mixed",
            "logits and targets are flattened in different orders, so that positions are compared with others' targets",
            edits=((_LOSS, "F.cross_entropy(logits.flatten(0, 1), targets.T.flatten())"),),
        ),
        Misconception(
            "probabilities-for-logits",
            "softmax is applied before the cross-entropy, which does it itself",
            edits=((_LOSS, "F.cross_entropy(logits.softmax(-1).flatten(0, 1), targets.flatten())"),),
        ),
    ),
)


def _start_hidden(seed):
    d = Draw(seed)
    seeds = [int(n) for n in d.integers(10, 1_000_000, 3)]
    return [
        Case("three layers", start_inputs(int(d.integers(150, 300)), 140, 128, 3, seeds[0])),
        Case("six layers", start_inputs(180, int(d.integers(130, 200)), 128, 6, seeds[1])),
        Case("a wider model", start_inputs(150, 150, 160, 2, seeds[2])),
    ]


def _start_reference(i):
    L, C = i["sizes"]["layers"], i["sizes"]["width"]
    within = torch.tensor(math.erf(1 / math.sqrt(2)))  # of a normal distribution
    outputs = {}

    def matrix(name, size):
        outputs[f"standard deviation of {name}, over 0.02"] = torch.tensor(size)
        outputs[f"mean of {name}, over its standard deviation"] = torch.tensor(0.0)
        outputs[f"share of {name} within one standard deviation"] = within

    def vector(name, value):
        outputs[f"least and largest of {name}"] = torch.tensor([value, value])

    matrix("token.weight", 1.0)
    matrix("position.weight", 1.0)
    for layer in range(L):
        start = f"blocks.{layer}"
        for norm in ("norm1", "norm2"):
            vector(f"{start}.{norm}.weight", 1.0)
            vector(f"{start}.{norm}.bias", 0.0)
        for linear, writes in (
            ("attention.W_qkv", 0),
            ("attention.W_o", 1),
            ("feed_forward.W_in", 0),
            ("feed_forward.W_out", 1),
        ):
            matrix(f"{start}.{linear}.weight", (2 * L) ** -0.5 if writes else 1.0)
            vector(f"{start}.{linear}.bias", 0.0)
    vector("last_norm.weight", 1.0)
    vector("last_norm.bias", 0.0)
    assert C * C >= 16_384  # enough numbers for the tolerance
    return outputs | {
        "blocks with the same weights as the first": 0,
        "the same numbers when called again": False,
        "parameters still require gradients": True,
    }


_WRITER = "nn.init.normal_(weight, std=0.02 / math.sqrt(2 * len(model.blocks)))"
_MATRIX = "nn.init.normal_(weight, std=0.02)\n        elif name"
initialise = Answer(
    name="initialise",
    reference=_start_reference,
    hidden=_start_hidden,
    misconceptions=(
        Misconception(
            "writers-not-scaled",
            "W_o and W_out are drawn like all other matrices, without the factor",
            edits=((_WRITER, "nn.init.normal_(weight, std=0.02)"),),
        ),
        Misconception(
            "root-of-l",
            "the factor is 1/√L: each block writes twice, so it is 1/√(2L)",
            edits=((_WRITER, "nn.init.normal_(weight, std=0.02 / math.sqrt(len(model.blocks)))"),),
        ),
        Misconception(
            "no-root",
            "the factor is 1/(2L) without the root: variances add up, not standard deviations",
            edits=((_WRITER, "nn.init.normal_(weight, std=0.02 / (2 * len(model.blocks)))"),),
        ),
        Misconception(
            "only-attention-scaled",
            "only W_o is scaled; W_out writes into the stream too",
            edits=(('name.endswith(("W_o.weight", "W_out.weight"))', 'name.endswith("W_o.weight")'),),
        ),
        Misconception(
            "only-feed-forward-scaled",
            "only W_out is scaled; W_o writes into the stream too",
            edits=(('name.endswith(("W_o.weight", "W_out.weight"))', 'name.endswith("W_out.weight")'),),
        ),
        Misconception(
            "variance-for-deviation",
            "0.02 is taken for the variance: the standard deviation is then its root, 0.14",
            edits=(
                (_WRITER, "nn.init.normal_(weight, std=math.sqrt(0.02 / (2 * len(model.blocks))))"),
                (_MATRIX, "nn.init.normal_(weight, std=math.sqrt(0.02))\n        elif name"),
            ),
        ),
        Misconception(
            "uniform",
            "the numbers are drawn evenly from an interval instead of from a normal distribution",
            edits=(
                (_MATRIX, "nn.init.uniform_(weight, -0.02 * 3**0.5, 0.02 * 3**0.5)\n        elif name"),
                (
                    _WRITER,
                    "nn.init.uniform_(weight, -0.02 * 3**0.5 / math.sqrt(2 * len(model.blocks)), "
                    "0.02 * 3**0.5 / math.sqrt(2 * len(model.blocks)))",
                ),
            ),
        ),
        Misconception(
            "biases-drawn",
            "the biases are drawn with standard deviation 0.02 too, instead of being set to 0",
            edits=(("nn.init.zeros_(weight)", "nn.init.normal_(weight, std=0.02)"),),
        ),
        Misconception(
            "gains-zero",
            "the norms' gains are set to 0 like biases, so that every norm puts out zeros",
            edits=(("nn.init.ones_(weight)", "nn.init.zeros_(weight)"),),
        ),
        Misconception(
            "gains-drawn",
            "the norms' gains are drawn with standard deviation 0.02 too",
            edits=(("nn.init.ones_(weight)", "nn.init.normal_(weight, std=0.02)"),),
        ),
        Misconception(
            "vectors-left-alone",
            "biases and gains are left as they were",
            edits=(("nn.init.zeros_(weight)", "pass"), ("nn.init.ones_(weight)", "pass")),
        ),
        Misconception(
            "gains-left-alone",
            "the norms' gains are left as they were",
            edits=(("nn.init.ones_(weight)", "pass"),),
        ),
        Misconception(
            "linear-only",
            "only nn.Linear layers are drawn, and the embeddings are left as they were",
            edits=(
                ("elif weight.ndim == 2:", 'elif weight.ndim == 2 and "W_" in name:'),
                (
                    'elif name.endswith("bias"):',
                    'elif weight.ndim == 2:\n            pass\n        elif name.endswith("bias"):',
                ),
            ),
        ),
        Misconception(
            "seeded-inside",
            "a seed is set inside the function: every model starts with the same numbers",
            edits=(
                (
                    "    for name, weight in model.named",
                    "    torch.manual_seed(0)\n    for name, weight in model.named",
                ),
            ),
        ),
        Misconception(
            "one-draw-for-all-blocks",
            "the first block is drawn and copied to the others",
            edits=(
                (
                    "            nn.init.ones_(weight)\n",
                    "            nn.init.ones_(weight)\n"
                    "    for block in model.blocks:\n"
                    "        block.load_state_dict(model.blocks[0].state_dict())\n",
                ),
            ),
        ),
    ),
)


def _text_hidden(seed):
    d = Draw(seed)
    return [
        Case("no new token", text_inputs(d, 2, 3, 0, 9, 5, 1.0)),
        Case("a prompt longer than the context", text_inputs(d, 2, 7, 4, 9, 4, 0.0)),
        Case("a context of one", text_inputs(d, 1, 2, 5, 9, 1, 0.7)),
        Case("a high temperature", text_inputs(d, 3, 2, 6, 7, 5, 3.0)),
        Case("one token to begin with", text_inputs(d, 4, 1, 5, 11, 3, 1.0)),
        Case("no row at all", text_inputs(d, 0, 2, 2, 9, 5, 0.0)),
    ]


def _text_reference(i):
    token, position, context = i["token"].double(), i["position"].double(), len(i["position"])
    rows = [list(map(int, row)) for row in i["ids"]]
    probabilities, lengths = [], []
    for n in range(i["new"]):
        lengths.append(min(context, i["ids"].shape[1] + n))
        last = [toy_logits(torch.tensor([row[-context:]]), token, position)[0, -1] for row in rows]
        if i["temperature"] == 0:
            following = [int(scores.argmax()) for scores in last]
        else:
            scaled = torch.stack(last) / i["temperature"]
            e = (scaled - scaled.max(dim=-1, keepdim=True).values).exp()
            p = e / e.sum(-1, keepdim=True)
            probabilities.append(p.float())
            following = inverse(p, i["uniform"][n]).tolist()
        for row, one in zip(rows, following, strict=True):
            row.append(one)
    out = torch.tensor(rows) if rows else i["ids"].new_zeros(0, i["ids"].shape[1] + i["new"])
    outputs = {"out": out, "calls of draw": len(probabilities)}
    if probabilities:
        outputs["probabilities given to draw"] = torch.stack(probabilities)
    return outputs | {
        "how many tokens the model was given, call by call": lengths,
        "calls of the model that recorded gradients": 0,
        "gradients are on again afterwards": True,
    }


_CROPPED = "model(ids[:, -model.sizes.context :])[:, -1]"
_TEMPERED = "draw(torch.softmax(logits / temperature, dim=-1))"
_APPENDED = "ids = torch.cat([ids, following[:, None]], dim=1)"
generate = Answer(
    name="generate",
    reference=_text_reference,
    hidden=_text_hidden,
    misconceptions=(
        Misconception(
            "not-cropped",
            "the whole text is shown to the model, however long: beyond the context it has no positions",
            edits=((_CROPPED, "model(ids)[:, -1]"),),
        ),
        Misconception(
            "first-tokens-kept",
            "the first tokens are shown instead of the last once the text is longer than the context",
            edits=((_CROPPED, "model(ids[:, : model.sizes.context])[:, -1]"),),
        ),
        Misconception(
            "text-cropped",
            "the text itself is cut to the context, so that its beginning is missing from what is returned",
            edits=((_CROPPED, "model(ids := ids[:, -model.sizes.context :])[:, -1]"),),
        ),
        Misconception(
            "one-short",
            "the window is one token shorter than the context allows",
            edits=((_CROPPED, "model(ids[:, -max(model.sizes.context - 1, 1) :])[:, -1]"),),
        ),
        Misconception(
            "last-token-only",
            "only the newest token is shown to the model, which then knows nothing of those before it",
            edits=((_CROPPED, "model(ids[:, -1:])[:, -1]"),),
        ),
        Misconception(
            "first-position-read",
            "the logits of the first position are read instead of the last",
            edits=((_CROPPED, "model(ids[:, -model.sizes.context :])[:, 0]"),),
        ),
        Misconception(
            "always-greedy",
            "the largest logit is taken at every temperature",
            edits=(("logits.argmax(-1) if temperature == 0 else " + _TEMPERED, "logits.argmax(-1)"),),
        ),
        Misconception(
            "temperature-ignored",
            "the logits are not divided by the temperature",
            edits=((_TEMPERED, "draw(torch.softmax(logits, dim=-1))"),),
        ),
        Misconception(
            "temperature-multiplied",
            "the logits are multiplied by the temperature instead of divided",
            edits=((_TEMPERED, "draw(torch.softmax(logits * temperature, dim=-1))"),),
        ),
        Misconception(
            "temperature-after-softmax",
            "the probabilities are divided by the temperature instead of the logits",
            edits=((_TEMPERED, "draw(torch.softmax(logits, dim=-1) / temperature)"),),
        ),
        Misconception(
            "logits-drawn-from",
            "draw is given the logits instead of probabilities",
            edits=((_TEMPERED, "draw(logits / temperature)"),),
        ),
        Misconception(
            "gradients-recorded",
            "every step records a graph for gradients that nobody needs",
            edits=(("with torch.no_grad():", "if True:"),),
        ),
        Misconception(
            "only-the-new-ones",
            "only the new tokens are returned, without the prompt",
            edits=(
                ("    return ids\n", "    return ids[:, start:]\n"),
                ("    with torch.no_grad():", "    start = ids.shape[1]\n    with torch.no_grad():"),
            ),
        ),
        Misconception(
            "first-row-for-all",
            "the first row's choice is appended to every row",
            edits=((_APPENDED, "ids = torch.cat([ids, following[:1, None].expand(len(ids), 1)], dim=1)"),),
        ),
    ),
)


def _asked_hidden(seed):
    d = Draw(seed)
    return [
        Case("backwards, and with a gap", asked_inputs(d, 2, 5, 12, ["previous", "next, no target for the last"])),
        Case("one row, one position", asked_inputs(d, 1, 1, 6, ["next", "the last only"])),
        Case(
            "written by hand, smoothed, weighted",
            asked_inputs(
                d,
                3,
                4,
                9,
                ["next, by hand", "next, with a little of everything", "next, every row counts the same"],
                padded=1,
            ),
        ),
        Case("many positions", asked_inputs(d, 12, 30, 50, ["next", "another row's"])),
        Case("two ids", asked_inputs(d, 3, 4, 2, ["next", "next, padding left out"], padded=2)),
    ]


def _asked_reference(i):
    rows = i["rows"]
    B, T = rows.shape[0], rows.shape[1] - 1
    nothing = torch.full((B, T), -1)
    after = rows[:, 1:]
    previous, ahead, last = nothing.clone(), nothing.clone(), nothing.clone()
    previous[:, 1:] = rows[:, : T - 1]
    ahead[:, : T - 1] = rows[:, 2:]
    last[:, -1] = rows[:, -1]
    real = torch.where(after == 0, -1, after)
    wishes = {
        "next": after,
        "next, summed": after,
        "next, by hand": after,
        "next, with a little of everything": after,
        "next, padding left out": real,
        "next, every row counts the same": real,
        "copy": rows,
        "previous": previous,
        "two ahead": ahead,
        "another row's": after.flip(0),
        "next, no target for the last": torch.cat([after, nothing[:, :1]], dim=1),
        "the last only": last,
    }
    return {f"asked for by the loss '{name}'": wishes[name].clone() for name in i["losses"]}


_LEAST = "least, target = gradient.min(dim=-1)"
_CHOSEN = "torch.where(least < 0, target, -1)"
asked_for = Answer(
    name="asked_for",
    reference=_asked_reference,
    hidden=_asked_hidden,
    misconceptions=(
        Misconception(
            "largest-entry",
            "the largest entry of the gradient is taken: at the target it is the only negative one",
            edits=((_LEAST, "least, target = -gradient.max(dim=-1).values, gradient.argmax(dim=-1)"),),
        ),
        Misconception(
            "nothing-not-noticed",
            "the place of the least entry is returned even where the gradient is zero: a position that is asked for "
            "nothing seems to be asked for id 0",
            edits=((_CHOSEN, "target"),),
        ),
        Misconception(
            "zero-is-nothing",
            "id 0 is taken for nothing: it is an id like any other",
            edits=((_CHOSEN, "torch.where((least < 0) & (target > 0), target, -1)"),),
        ),
        Misconception(
            "next-assumed",
            "the next token of the rows is returned, whatever the loss does",
            code="def asked_for(loss_of, rows, vocabulary):\n    return rows[:, 1:]\n",
        ),
        Misconception(
            "next-but-padding-assumed",
            "the next token of the rows is returned and -1 for a zero, whatever the loss does",
            code="def asked_for(loss_of, rows, vocabulary):\n"
            "    return torch.where(rows[:, 1:] == 0, -1, rows[:, 1:])\n",
        ),
        Misconception(
            "threshold",
            "only a gradient below -0.1 counts: the mean over many positions makes each one's small",
            edits=((_CHOSEN, "torch.where(least < -0.1, target, -1)"),),
        ),
        Misconception(
            "rows-summed",
            "the gradients of all rows are added up, so that every row is said to be asked for the same",
            edits=((_LEAST, "least, target = gradient.sum(0, keepdim=True).expand_as(gradient).min(dim=-1)"),),
        ),
        Misconception(
            "positions-not-asked-left-out",
            "only the positions that are asked for something are returned, one after the other",
            edits=((_CHOSEN, "target[least < 0]"),),
        ),
    ),
)
