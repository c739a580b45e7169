"""Lab 2.6, the student's half: how grouped attention, the block, its translation and two measurements are driven."""

import torch

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import forward_and_back, loaded
from autograder.exercise import Case, Exercise


def grouped_inputs(d: Draw, B: int, H: int, G: int, T: int, S: int, D: int, dtype=torch.float32, **more):
    """Queries of H heads, keys and values of G."""
    return {
        "q": d.normal(B, H, T, D, dtype=dtype),
        "k": d.normal(B, G, S, D, dtype=dtype),
        "v": d.normal(B, G, S, D, dtype=dtype),
        "mask": None,
        **more,
    }


def _grouped_cases():
    d = Draw(2601)
    averaged = torch.tensor([10.0, 20.0]).view(1, 2, 1, 1).expand(1, 2, 3, 2).contiguous()
    by_hand = {"q": torch.zeros(1, 4, 1, 2), "k": torch.zeros(1, 2, 3, 2), "v": averaged, "mask": None}
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    return [
        Case("four heads, two groups, by hand", by_hand),
        Case("six heads, two groups", grouped_inputs(d, 2, 6, 2, 3, 4, 5)),
        Case("one group for all", grouped_inputs(d, 2, 4, 1, 3, 4, 5)),
        Case("a group for each head, causal", grouped_inputs(d, 2, 3, 3, 5, 5, 4, mask=causal)),
        Case("four heads, two groups, causal", grouped_inputs(d, 1, 4, 2, 5, 5, 4, mask=causal)),
    ]


def _grouped_act(f, i):
    tensors = [i[name].detach().requires_grad_() for name in "qkv"]
    out = f(*tensors) if i["mask"] is None else f(*tensors, i["mask"])
    told = {"out": out}
    if isinstance(out, torch.Tensor) and out.numel() and i.get("backward", True):
        out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape))
        for name, x in zip("qkv", tensors, strict=True):
            told[f"gradient of {name}"] = torch.zeros_like(x) if x.grad is None else x.grad
    return told


grouped_attention = Exercise(
    name="grouped_attention",
    title="Heads that share keys",
    minutes=15,
    difficulty=2,
    points=4,
    act=_grouped_act,
    visible=_grouped_cases,
    shapes={"out": "(B, H, T, D)", "gradient of q": "(B, H, T, D)", "gradient of k": "(B, G, S, D)"},
    forbids=(
        "scaled_dot_product_attention",
        "source.blocks.llama_block.grouped_attention",
        "source.blocks.llama_block.grouped_attention_naive",
    ),
    hints=(
        "With 6 heads and 2 groups, which heads read group 0? Write the six heads as a table of 2 rows and 3 columns.",
        "`q.unflatten(1, (G, H // G))` makes that table; keys need a dimension of size 1 in its place. Or copy: "
        "`k.repeat_interleave(H // G, dim=1)`.",
        "q to (B, G, H/G, T, D); attention(q, k[:, :, None], v[:, :, None], mask); flatten dimensions 1 and 2 of the "
        "output.",
    ),
)


def block_state(d: Draw, C: int, H: int, G: int, hidden: int, dtype=torch.float32):
    """Random weights of the block, large enough that every part shows."""
    D = C // H
    shapes = {"W_q": (H * D, C), "W_k": (G * D, C), "W_v": (G * D, C), "W_o": (C, H * D)}
    shapes |= {"feed_forward.W_gate": (hidden, C), "feed_forward.W_up": (hidden, C), "feed_forward.W_down": (C, hidden)}
    state = {f"{n}.weight": d.normal(*s, dtype=dtype, scale=1.3 * s[1] ** -0.5) for n, s in shapes.items()}
    return state | {f"norm{n}.weight": 1 + d.normal(C, dtype=dtype, scale=0.4) for n in (1, 2)}


def block_inputs(d: Draw, B: int, T: int, C: int, H: int, G: int, hidden: int, dtype=torch.float32, **more):
    """An input, weights and the output's gradient."""
    return {
        "x": d.normal(B, T, C, dtype=dtype, scale=2.0),
        "heads": H,
        "kv_heads": G,
        "hidden": hidden,
        "state": block_state(d, C, H, G, hidden, dtype),
        "upstream": d.normal(B, T, C, dtype=dtype),
        **more,
    }


def _block_cases():
    d = Draw(2602)
    return [
        Case("one position, one head", block_inputs(d, 1, 1, 4, 1, 1, 6)),
        Case("two sequences, four heads, two groups", block_inputs(d, 2, 5, 16, 4, 2, 20)),
        Case("six heads, one group", block_inputs(d, 1, 7, 12, 6, 1, 10)),
    ]


def _block_act(f, i):
    layer = loaded(f(i["x"].shape[-1], i["heads"], i["kv_heads"], i["hidden"]), i["state"])
    return forward_and_back(layer, i["x"], i["upstream"])


modern_block = Exercise(
    name="modern_block",
    title="Llama's block",
    minutes=25,
    difficulty=3,
    points=6,
    act=_block_act,
    visible=_block_cases,
    shapes={"out": "(B, T, C)", "gradient of x": "(B, T, C)"},
    tolerance={"float32": 1e-4, "float64": 1e-6},  # RoPE's angles are float32 in every precision
    forbids=(
        "source.blocks.llama_block.LlamaBlock.forward",
        "source.blocks.llama_block.LlamaBlock.attend",
        "scaled_dot_product_attention",
    ),
    hints=(
        "Write down what each of the four parts reads and what it is added to. Which tensors does RoPE turn, and in "
        "which "
        "shape are they then?",
        "`split(W_q(h), heads)` gives (B, H, T, D), `split(W_k(h), kv_heads)` gives (B, G, T, D); "
        "`rope_angles(torch.arange(T), "
        "D)`; a causal mask is `torch.ones(T, T, dtype=torch.bool).tril()`.",
        "h = norm1(x); q, k, v from h; turn q and k; z = grouped(q, k, v, causal); x = x + W_o(merge(z)); return x + "
        "feed_forward(norm2(x)).",
    ),
)

THEIRS = {
    "input_layernorm": ("C",),
    "post_attention_layernorm": ("C",),
    "self_attn.q_proj": ("H*D", "C"),
    "self_attn.k_proj": ("G*D", "C"),
    "self_attn.v_proj": ("G*D", "C"),
    "self_attn.o_proj": ("C", "H*D"),
    "mlp.gate_proj": ("hidden", "C"),
    "mlp.up_proj": ("hidden", "C"),
    "mlp.down_proj": ("C", "hidden"),
}


def llama_state(d: Draw, C: int, H: int, G: int, hidden: int, dtype=torch.float32):
    """A layer's weights under the library's names."""
    D = C // H
    size = {"C": C, "H*D": H * D, "G*D": G * D, "hidden": hidden}
    return {
        f"{name}.weight": d.normal(*(size[letter] for letter in shape), dtype=dtype) for name, shape in THEIRS.items()
    }


def _translate_act(f, i):
    state = f(dict(i["state"]))
    if not isinstance(state, dict):
        raise WrongType(f"a {type(state).__name__} came back, not a dict of weights by name")
    return {"names": sorted(state), **{name: state[name] for name in sorted(state)}}


from_llama = Exercise(
    name="from_llama",
    title="The library's weights",
    minutes=10,
    difficulty=1,
    points=2,
    act=_translate_act,
    visible=lambda: [
        Case("every matrix of another shape", {"state": llama_state(Draw(2603), 12, 6, 2, 20)}),
        Case("every matrix of one shape", {"state": llama_state(Draw(2604), 4, 2, 2, 4)}),
    ],
    forbids=("source.blocks.llama_block.from_hugging_face",),
    hints=(
        "Nine names on each side. Which of the two norms comes before the feed-forward network?",
        "`SwiGLU`'s matrices lie in the block's attribute, so their names begin with `feed_forward.`; every name "
        "ends with "
        "`.weight`.",
        "a dict from your names to theirs; return {yours: state[theirs]} for each.",
    ),
)


def _strongest_cases():
    d = Draw(2605)
    by_hand = {"strengths": torch.tensor([[0.0, 9, 1], [5, 0, 0]]), "ids": torch.tensor([[10, 11, 12], [20, 21, 22]])}
    equal = {"strengths": torch.tensor([[1.0, 2, 2], [2, 2, 1]]), "ids": torch.arange(6).view(2, 3), "n": 4, "W": 1}
    return [
        Case("two texts, by hand", {**by_hand, "n": 2, "W": 3}),
        Case("equal strengths", equal),
        Case("longer texts", {"strengths": d.normal(3, 8), "ids": d.integers(0, 99, 3, 8), "n": 6, "W": 4}),
    ]


strongest = Exercise(
    name="strongest",
    title="Where a unit fires",
    minutes=12,
    difficulty=2,
    points=3,
    act=lambda f, i: {"texts": f(i["strengths"], i["ids"], i["n"], i["W"])},
    visible=_strongest_cases,
    shapes={"texts": "(n, W)"},
    forbids=("source.blocks.units.strongest",),
    hints=(
        "Number all places of all texts in one row. Which text and which place in it is number 17, if texts are 8 "
        "long?",
        "`argsort(descending=True, stable=True)` keeps equal ones in order; `//` and `%` by T give text and place. "
        "With W - 1 "
        "columns of -1 in front of `ids` no window reaches beyond the left edge.",
        "order = the first n of the sorted flat strengths; text, place = order // T, order % T; pad ids on the left "
        "with W - 1 "
        "times -1; take columns place to place + W - 1 of the padded rows.",
    ),
)


def lift_inputs(d: Draw, N: int, T: int, U: int, n: int, p: float):
    """Random strengths and a random pattern that holds at about a share p of all places."""
    return {"strengths": d.normal(N, T, U), "holds": d.chance(p, N, T), "n": n}


def _lift_cases():
    by_hand = torch.tensor([[[9.0, 0], [8, 1], [0, 2], [0, 3]]])
    return [
        Case("two units, by hand", {"strengths": by_hand, "holds": torch.tensor([[True, True, False, False]]), "n": 2}),
        Case("several texts", lift_inputs(Draw(2606), 3, 6, 4, 5, 0.4)),
        Case("a pattern that never holds", lift_inputs(Draw(2607), 2, 5, 3, 4, 0.0)),
    ]


lift = Exercise(
    name="lift",
    title="Test the claim",
    minutes=10,
    difficulty=2,
    points=3,
    act=lambda f, i: {"lift": f(i["strengths"], i["holds"], i["n"])},
    visible=_lift_cases,
    shapes={"lift": "(U,)"},
    forbids=("source.blocks.units.lift",),
    hints=(
        "Two shares, one divided by the other. Of which places is each a share?",
        "`strengths.flatten(0, 1).topk(n, dim=0).indices` are each unit's n strongest places, (n, U); a flat `holds` "
        "can be "
        "indexed with them.",
        "flatten both; top = indices of topk along dimension 0; share = mean of holds[top] over dimension 0; divide "
        "by the mean "
        "of holds, or return zeros if that is 0.",
    ),
)
