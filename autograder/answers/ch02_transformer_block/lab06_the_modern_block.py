"""Lab 2.6, the instructor's half: references head by head and place by place, hidden cases, misconceptions."""

import math

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch02_transformer_block.lab06_the_modern_block import (
    block_inputs,
    grouped_inputs,
    lift_inputs,
    llama_state,
)
from autograder.exercise import Answer, Case, Misconception


def _grouped_hidden(seed):
    d = Draw(seed)
    ragged = d.chance(0.6, 4, 6)
    ragged[:, 0] = True
    loose = grouped_inputs(d, 2, 4, 2, 3, 5, 4)
    return [
        Case("one head, one query, one key", grouped_inputs(d, 1, 1, 1, 1, 1, 3)),
        Case("eight heads, four groups", grouped_inputs(d, 1, 8, 4, 3, 5, 4)),
        Case("as many queries as heads", grouped_inputs(d, 2, 4, 2, 4, 4, 4)),
        Case("a ragged mask", grouped_inputs(d, 2, 6, 3, 4, 6, 4, mask=ragged)),
        Case("one query, as with a cache", grouped_inputs(d, 2, 8, 2, 1, 9, 4)),
        Case("float64", grouped_inputs(d, 1, 4, 2, 3, 3, 4, dtype=torch.float64)),
        Case("bfloat16, forward only", grouped_inputs(d, 1, 4, 2, 3, 5, 4, dtype=torch.bfloat16, backward=False)),
        Case("a non-contiguous key", {**loose, "k": transposed(loose["k"])}),
        Case("an empty batch", grouped_inputs(d, 0, 4, 2, 3, 5, 4)),
    ]


def _grouped(q, k, v, mask):
    H, T, D = q.shape[1:]
    G, S = k.shape[1:3]
    seen = torch.ones(T, S, dtype=torch.bool) if mask is None else mask
    heads = []
    for h in range(H):
        x = torch.einsum("btd,bsd->bts", q[:, h], k[:, h * G // H]) * D**-0.5
        e = torch.where(seen, (x - x.amax(-1, keepdim=True)).exp(), 0.0) if x.numel() else x
        heads.append(torch.einsum("bts,bsd->btd", e / e.sum(-1, keepdim=True), v[:, h * G // H]))
    return torch.stack(heads, 1)


def _grouped_reference(i):
    leaves = {name: i[name].double().clone().requires_grad_() for name in "qkv"}
    out = _grouped(*leaves.values(), i["mask"])
    told = {"out": out}
    if out.numel() and i.get("backward", True):
        upstream = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape)
        grads = torch.autograd.grad(out, list(leaves.values()), upstream)
        told |= {f"gradient of {name}": g for name, g in zip(leaves, grads, strict=True)}
    return {name: value.detach().to(i["q"].dtype) for name, value in told.items()}


grouped_attention = Answer(
    name="grouped_attention",
    reference=_grouped_reference,
    hidden=_grouped_hidden,
    misconceptions=(
        Misconception(
            "groups-dealt-out",
            "the groups are dealt out one head at a time, so that head 1 reads group 1 instead of group 0",
            edits=(
                ("q.unflatten(1, (G, H // G))", "q.unflatten(1, (H // G, G)).transpose(1, 2)"),
                ("out.flatten(1, 2)", "out.transpose(1, 2).flatten(1, 2)"),
            ),
        ),
        Misconception(
            "first-group-only",
            "every head reads the first group",
            edits=(("k[:, :, None], v[:, :, None]", "k[:, :1, None], v[:, :1, None]"),),
        ),
        Misconception(
            "values-not-grouped",
            "the keys are grouped rightly, but every head reads the first group's values",
            edits=(("v[:, :, None]", "v[:, :1, None]"),),
        ),
        Misconception(
            "mask-dropped",
            "the mask does not reach the attention",
            edits=((", v[:, :, None], mask)", ", v[:, :, None])"),),
        ),
        Misconception(
            "queries-averaged",
            "the query heads of a group are averaged into one before they ask",
            edits=(
                (
                    "q = q.unflatten(1, (G, H // G))",
                    "q = q.unflatten(1, (G, H // G)).mean(2, keepdim=True).expand(-1, -1, H // G, -1, -1)",
                ),
            ),
        ),
        Misconception(
            "not-merged",
            "the output keeps a dimension for the groups",
            edits=(("return out.flatten(1, 2)", "return out"),),
        ),
    ),
)


def _rms(x, weight):
    return x * (x.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt() * weight


def _turned(x):
    # Each pair (i, i + D/2) as one complex number, times a number of length one.
    T, D = x.shape[-2:]
    speed = 10000.0 ** (-2 * torch.arange(D // 2, dtype=torch.float64) / D)
    turn = torch.polar(torch.ones(T, D // 2, dtype=torch.float64), torch.arange(T)[:, None] * speed)
    z = torch.complex(x[..., : D // 2], x[..., D // 2 :]) * turn
    return torch.cat([z.real, z.imag], -1)


def _block_reference(i):
    p = {name: t.double().clone().requires_grad_() for name, t in {"x": i["x"], **i["state"]}.items()}
    H, G = i["heads"], i["kv_heads"]
    x = p["x"]
    B, T, C = x.shape
    D = C // H
    h = _rms(x, p["norm1.weight"])
    q, k, v = (
        torch.einsum("btc,dc->btd", h, p[f"W_{n}.weight"]).view(B, T, heads, D).permute(0, 2, 1, 3)
        for n, heads in (("q", H), ("k", G), ("v", G))
    )
    z = _grouped(_turned(q), _turned(k), v, torch.ones(T, T, dtype=torch.bool).tril())
    x = x + torch.einsum("bhtd,chd->btc", z, p["W_o.weight"].view(C, H, D))
    h = _rms(x, p["norm2.weight"])
    gate, up = (torch.einsum("btc,hc->bth", h, p[f"feed_forward.W_{n}.weight"]) for n in ("gate", "up"))
    out = x + torch.einsum("bth,ch->btc", gate / (1 + torch.exp(-gate)) * up, p["feed_forward.W_down.weight"])
    grads = torch.autograd.grad(out, list(p.values()), i["upstream"].double())
    told = {"out": out, **{f"gradient of {name}": g for name, g in zip(p, grads, strict=True)}}
    return {name: value.detach().to(i["x"].dtype) for name, value in told.items()}


def _block_hidden(seed):
    d = Draw(seed)
    loose = block_inputs(d, 2, 6, 8, 2, 1, 12)
    return [
        Case("a group for each head", block_inputs(d, 2, 4, 12, 3, 3, 8)),
        Case("a longer text", block_inputs(d, 1, 24, 16, 4, 2, 12)),
        Case("heads of width 2", block_inputs(d, 2, 3, 8, 4, 2, 8)),
        Case("float64", block_inputs(d, 1, 5, 8, 2, 2, 12, dtype=torch.float64)),
        Case("a non-contiguous input", {**loose, "x": transposed(loose["x"])}),
        Case("an empty batch", block_inputs(d, 0, 3, 8, 2, 1, 8)),
    ]


modern_block = Answer(
    name="modern_block",
    reference=_block_reference,
    hidden=_block_hidden,
    misconceptions=(
        Misconception(
            "values-turned",
            "the values are turned as well as queries and keys",
            edits=(("rotate_halves(k, angles), v,", "rotate_halves(k, angles), rotate_halves(v, angles),"),),
        ),
        Misconception(
            "keys-not-turned",
            "only the queries are turned, so that scores depend on the absolute position",
            edits=(("rotate_halves(k, angles), v,", "k, v,"),),
        ),
        Misconception(
            "queries-one-ahead",
            "the queries are turned by one position more than the keys, so that a token is one away from itself",
            edits=(("rotate_halves(q, angles)", "rotate_halves(q, rope_angles(torch.arange(1, T + 1), q.shape[-1]))"),),
        ),
        Misconception(
            "no-positions",
            "nothing is turned: the block does not know where tokens stand",
            edits=(("grouped(rotate_halves(q, angles), rotate_halves(k, angles), v,", "grouped(q, k, v,"),),
        ),
        Misconception(
            "not-causal",
            "the mask is missing, so that positions see what comes later",
            edits=((", v, causal)", ", v)"),),
        ),
        Misconception(
            "attention-not-normed",
            "the attention reads the stream without its norm",
            edits=(("h = self.norm1(x)", "h = x"),),
        ),
        Misconception(
            "network-not-normed",
            "the feed-forward network reads the stream without its norm",
            edits=(("self.feed_forward(self.norm2(x))", "self.feed_forward(x)"),),
        ),
        Misconception(
            "first-norm-twice",
            "the feed-forward network reads what the first norm gives instead of the second",
            edits=(("self.feed_forward(self.norm2(x))", "self.feed_forward(self.norm1(x))"),),
        ),
        Misconception(
            "residual-after-norm",
            "the attention's output is added to the normed stream instead of the stream itself",
            edits=(("x = x + self.W_o(merge(z))", "x = h + self.W_o(merge(z))"),),
        ),
        Misconception(
            "no-second-residual",
            "the feed-forward network's output replaces the stream instead of being added",
            edits=(("return x + self.feed_forward", "return self.feed_forward"),),
        ),
        Misconception(
            "parallel-halves",
            "the feed-forward network reads the block's input instead of what attention has added to",
            edits=(
                ("x = x + self.W_o(merge(z))", "x, before = x + self.W_o(merge(z)), x"),
                ("self.norm2(x)", "self.norm2(before)"),
            ),
        ),
        Misconception(
            "turned-before-the-split",
            "queries and keys are turned before they are split into heads, with angles for the whole width",
            edits=(
                (
                    "q = split(self.W_q(h), self.heads)",
                    "whole = rope_angles(torch.arange(T), x.shape[-1])\n        q = split(rotate_halves(self.W_q(h), "
                    "whole), self.heads)",
                ),
                (
                    "k = split(self.W_k(h), self.kv_heads)",
                    "ours = self.W_k(h)\n"
                    "        k = split(rotate_halves(ours, rope_angles(torch.arange(T), ours.shape[-1])), "
                    "self.kv_heads)",
                ),
                ("rotate_halves(q, angles), rotate_halves(k, angles), v,", "q, k, v,"),
            ),
        ),
    ),
)

_OURS = {
    "norm1": "input_layernorm",
    "norm2": "post_attention_layernorm",
    "W_q": "self_attn.q_proj",
    "W_k": "self_attn.k_proj",
    "W_v": "self_attn.v_proj",
    "W_o": "self_attn.o_proj",
    "feed_forward.W_gate": "mlp.gate_proj",
    "feed_forward.W_up": "mlp.up_proj",
    "feed_forward.W_down": "mlp.down_proj",
}


def _translate_reference(i):
    state = {f"{ours}.weight": i["state"][f"{theirs}.weight"] for ours, theirs in _OURS.items()}
    return {"names": sorted(state), **{name: state[name] for name in sorted(state)}}


def _translate_hidden(seed):
    d = Draw(seed)
    return [
        Case("one group", {"state": llama_state(d, 8, 4, 1, 12)}),
        Case("a group for each head", {"state": llama_state(d, 6, 3, 3, 6)}),
        Case("float64", {"state": llama_state(d, 8, 2, 1, 10, dtype=torch.float64)}),
    ]


from_llama = Answer(
    name="from_llama",
    reference=_translate_reference,
    hidden=_translate_hidden,
    misconceptions=(
        Misconception(
            "norms-swapped",
            "the two norms are swapped: post_attention_layernorm is the one before the feed-forward network",
            edits=(
                ('"norm1": "input_layernorm"', '"norm1": "post_attention_layernorm"'),
                ('"norm2": "post_attention_layernorm"', '"norm2": "input_layernorm"'),
            ),
        ),
        Misconception(
            "transposed",
            "the matrices are transposed, as GPT-2's have to be: Llama's are nn.Linear",
            edits=((': state[f"{theirs}.weight"] for', ': state[f"{theirs}.weight"].T for'),),
        ),
        Misconception(
            "gate-and-up-swapped",
            "gate_proj and up_proj are swapped",
            edits=(
                (
                    'for n in ("gate", "up", "down")}',
                    'for n in ("gate", "up", "down")}, "feed_forward.W_gate": "mlp.up_proj", "feed_forward.W_up": '
                    '"mlp.gate_proj"',
                ),
            ),
        ),
        Misconception(
            "no-feed-forward-prefix",
            "the network's names lack `feed_forward.` in front",
            edits=(('f"feed_forward.W_{n}"', 'f"W_{n}"'),),
        ),
        Misconception(
            "no-weight-ending",
            "the new names lack `.weight` at the end",
            edits=(('{f"{ours}.weight": state', "{ours: state"),),
        ),
    ),
)


def _strongest_reference(i):
    strengths, ids, W = i["strengths"], i["ids"].tolist(), i["W"]
    places = [(-float(strengths[n, t]), n, t) for n in range(len(ids)) for t in range(len(ids[n]))]
    rows = []
    for _, n, t in sorted(places)[: i["n"]]:
        rows.append([ids[n][s] if s >= 0 else -1 for s in range(t - W + 1, t + 1)])
    return {"texts": torch.tensor(rows, dtype=torch.int64)}


def _strongest_hidden(seed):
    d = Draw(seed)

    def drawn(N, T, n, W):
        return {"strengths": d.normal(N, T), "ids": d.integers(0, 256, N, T), "n": n, "W": W}

    ties = drawn(3, 5, 10, 2)
    return [
        Case("one text, one place", drawn(1, 1, 1, 3)),
        Case("a window longer than the texts", drawn(3, 4, 5, 9)),
        Case("many ties", {**ties, "strengths": ties["strengths"].round()}),
        Case("every place", drawn(3, 4, 12, 2)),
        Case("more texts than places", drawn(9, 2, 6, 2)),
    ]


strongest = Answer(
    name="strongest",
    reference=_strongest_reference,
    hidden=_strongest_hidden,
    misconceptions=(
        Misconception(
            "weakest",
            "the weakest places are taken",
            edits=(("descending=True", "descending=False"),),
        ),
        Misconception(
            "place-left-out",
            "the window ends before the place where the unit fires",
            edits=(("ids.new_full((len(ids), W - 1), -1)", "ids.new_full((len(ids), W), -1)"),),
        ),
        Misconception(
            "into-the-text-before",
            "near the left edge the window runs into the end of the text before",
            edits=(
                ("ids.new_full((len(ids), W - 1), -1)", "ids[:, :0]"),
                (
                    "padded[text[:, None], place[:, None] + torch.arange(W)]",
                    "padded.flatten()[order[:, None] - W + 1 + torch.arange(W)]",
                ),
            ),
        ),
        Misconception(
            "texts-and-places-swapped",
            "text and place are read off by the number of texts instead of their length",
            edits=(("text, place = order // T, order % T", "text, place = order % len(ids), order // len(ids)"),),
        ),
        Misconception(
            "filled-with-zeros",
            "zeros fill up on the left, which cannot be told from token 0",
            edits=(("(len(ids), W - 1), -1)", "(len(ids), W - 1), 0)"),),
        ),
        Misconception(
            "window-ahead",
            "the window begins at the place instead of ending there",
            edits=(
                (
                    "torch.cat([ids.new_full((len(ids), W - 1), -1), ids], dim=1)",
                    "torch.cat([ids, ids.new_full((len(ids), W - 1), -1)], dim=1)",
                ),
            ),
        ),
    ),
)


def _lift_reference(i):
    U = i["strengths"].shape[-1]
    pattern = i["holds"].flatten().tolist()
    anywhere = sum(pattern) / len(pattern)
    found = []
    for u in range(U):
        one = i["strengths"][..., u].flatten().tolist()
        best = sorted(range(len(one)), key=lambda place: -one[place])[: i["n"]]
        share = math.fsum(pattern[place] for place in best) / i["n"]
        found.append(share / anywhere if anywhere else 0.0)
    return {"lift": torch.tensor(found, dtype=i["strengths"].dtype)}


def _lift_hidden(seed):
    d = Draw(seed)
    return [
        Case("a single unit", lift_inputs(d, 2, 9, 1, 4, 0.5)),
        Case("a rare pattern", {**lift_inputs(d, 4, 8, 3, 6, 0.0), "holds": torch.arange(32).view(4, 8) == 13}),
        Case("a pattern that always holds", lift_inputs(d, 2, 5, 3, 4, 1.0)),
        Case("only the strongest place", lift_inputs(d, 3, 5, 6, 1, 0.4)),
        Case("every place", lift_inputs(d, 2, 4, 3, 8, 0.5)),
        Case(
            "all strengths negative",
            {
                **lift_inputs(d, 2, 6, 3, 4, 0.4),
                "strengths": -1 - d.chance(0.5, 2, 6, 3) * 1.0 - d.normal(2, 6, 3).abs(),
            },
        ),
    ]


lift = Answer(
    name="lift",
    reference=_lift_reference,
    hidden=_lift_hidden,
    misconceptions=(
        Misconception(
            "share-only",
            "the share at the strongest places is returned, not divided by the share anywhere",
            edits=(("return share / anywhere if", "return share if"),),
        ),
        Misconception(
            "weakest",
            "each unit's weakest places are looked at",
            edits=(("flat.topk(n, dim=0)", "flat.topk(n, dim=0, largest=False)"),),
        ),
        Misconception(
            "other-way-round",
            "the shares are divided the other way round",
            edits=(("share / anywhere if", "anywhere / share if"),),
        ),
        Misconception(
            "nan-where-never",
            "0 / 0 is left as NaN where the pattern never holds",
            edits=(
                ("return share / anywhere if anywhere > 0 else torch.zeros_like(share)", "return share / anywhere"),
            ),
        ),
        Misconception(
            "first-texts-best",
            "the strongest places are looked for in the first text only",
            edits=(("flat.topk(n, dim=0)", "strengths[0].topk(min(n, strengths.shape[1]), dim=0)"),),
        ),
    ),
)
