"""Lab 1.3, the student's half: how splitting, merging, the layer, its parts and its repair are driven."""

import torch
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient, loaded
from autograder.exercise import Case, Exercise


def _split_cases():
    d = Draw(301)
    return [
        Case("one sequence to check by hand", {"x": torch.arange(8.0).view(1, 2, 4), "heads": 2}),
        Case("two sequences, three heads", {"x": d.normal(2, 5, 12), "heads": 3}),
        Case("as many positions as heads", {"x": d.normal(2, 4, 8), "heads": 4}),
    ]


def _split_act(f, i):
    # An edge shape on which a wrong answer can look right comes together with an ordinary one.
    extra = {"heads of the edge shape": f(i["edge"], i["edge heads"])} if "edge" in i else {}
    return {"heads": f(i["x"], i["heads"]), **extra}


split_heads = Exercise(
    name="split_heads",
    title="Split into heads",
    minutes=7,
    difficulty=1,
    points=2,
    act=_split_act,
    visible=_split_cases,
    shapes={"heads": "(B, H, T, D)", "heads of the edge shape": "(B, H, T, D)"},
    forbids=("source.attention.multi_head.split",),
    hints=(
        "Look at one position's numbers, written in a row. Which of them belong to head 0? Cut the row before you "
        "move anything.",
        "`x.reshape(B, T, heads, D)` cuts only the last dimension; `transpose(1, 2)` then swaps positions and heads.",
        "D = C // heads; reshape (B, T, C) to (B, T, heads, D); swap dimensions 1 and 2; return.",
    ),
)


def _merge_cases():
    d = Draw(302)
    by_hand = torch.tensor([[[[0.0, 1.0], [4.0, 5.0]], [[2.0, 3.0], [6.0, 7.0]]]])
    return [
        Case("two heads to check by hand", {"z": by_hand}),
        Case("two sequences, three heads", {"z": d.normal(2, 3, 5, 4)}),
        Case("as many positions as heads", {"z": d.normal(2, 4, 4, 2)}),
    ]


def _merge_act(f, i):
    extra = {"edge shape merged": f(i["edge"])} if "edge" in i else {}
    return {"merged": f(i["z"]), **extra}


merge_heads = Exercise(
    name="merge_heads",
    title="Merge the heads",
    minutes=5,
    difficulty=1,
    points=2,
    act=_merge_act,
    visible=_merge_cases,
    shapes={"merged": "(B, T, C)", "edge shape merged": "(B, T, C)"},
    forbids=("source.attention.multi_head.merge",),
    hints=(
        "It is split_heads read backwards: which of its two steps was last, and so has to be undone first?",
        "`transpose` leaves memory as it was, so `view` refuses to join the last two dimensions: `reshape` copies.",
        "swap dimensions 1 and 2, giving (B, T, H, D); reshape to (B, T, H * D); return.",
    ),
)


def layer_state(d: Draw, width: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random W_q, W_k, W_v and W_o, their biases too: each output has about the size of the input."""
    shapes = [(f"W_{n}.weight", (width, width), width**-0.5) for n in "qkvo"]
    shapes += [(f"W_{n}.bias", (width,), 0.5) for n in "qkvo"]
    return {name: d.normal(*shape, dtype=dtype, scale=scale) for name, shape, scale in shapes}


def layer_inputs(
    d: Draw, B: int, T: int, C: int, heads: int, S: int | None = None, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """Inputs of one run of the layer, forward and backward. S: the length of a context of its own."""
    return {
        "x": d.normal(B, T, C, dtype=dtype),
        "context": None if S is None else d.normal(B, S, C, dtype=dtype),
        "mask": None,
        "heads": heads,
        "state": layer_state(d, C, dtype),
        "upstream": d.normal(B, T, C, dtype=dtype),
        **more,
    }


def _layer_cases():
    d = Draw(303)
    causal = torch.ones(5, 5, dtype=torch.bool).tril()
    padding = (torch.arange(4) < torch.tensor([[4], [0]])).view(2, 1, 1, 4)
    return [
        Case("two heads, no mask", layer_inputs(d, 2, 5, 8, 2)),
        Case("three heads, causal mask", layer_inputs(d, 2, 5, 12, 3, mask=causal)),
        Case("a context of another length", layer_inputs(d, 2, 3, 8, 4, S=6)),
        Case("padded keys, and a sequence that is all padding", layer_inputs(d, 2, 3, 8, 2, S=4, mask=padding)),
    ]


def _layer_act(f, i):
    x = i["x"].detach().requires_grad_()
    told = {}
    if i["context"] is not None:
        told["context"] = i["context"].detach().requires_grad_()
    if i["mask"] is not None:
        told["mask"] = i["mask"]
    layer = loaded(f(x.shape[-1], i["heads"]), i["state"])
    result = layer(x, **told)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise WrongType(f"forward returned a {type(result).__name__}, not the pair (out, weights)")
    outputs = {"out": result[0], "weights": result[1]}
    if i["upstream"] is not None:
        result[0].backward(i["upstream"])
        outputs["gradient of x"] = gradient(x)
        if "context" in told:
            outputs["gradient of context"] = gradient(told["context"])
        named = dict(layer.named_parameters())
        outputs |= {f"gradient of {name}": gradient(named[name]) for name in i["state"]}
    if i.get("then an empty batch"):
        outputs["out of an empty batch"] = layer(x.detach()[:0])[0]
    return outputs


multi_head_attention = Exercise(
    name="multi_head_attention",
    title="Multi-head attention",
    minutes=20,
    difficulty=2,
    points=5,
    act=_layer_act,
    visible=_layer_cases,
    shapes={"out": "(B, T, C)", "weights": "(B, H, T, S)", "gradient of x": "(B, T, C)"},
    forbids=(
        "scaled_dot_product_attention",
        "multi_head_attention_forward",
        "source.attention.multi_head.MultiHeadAttention.forward",
        "source.attention.multi_head.multi_head_attention_naive",
    ),
    hints=(
        "Write down the shape after each of the five steps: project, split, attend, merge, project. Which sequence "
        "do the keys and the values come from when there is a context?",
        "`attention(q, k, v, mask)` treats every dimension in front of the last two alike, so heads need no loop; "
        "`split` and `merge` are the functions of steps 1 and 2.",
        "context = x if there is none; q from x, k and v from the context, each through its own W and split; "
        "z, weights = attention(q, k, v, mask); return W_o of the merged z, and the weights.",
    ),
)


def parts_inputs(d: Draw, B: int, H: int, T: int, D: int, M: int, dtype: torch.dtype = torch.float32, **more):
    """Blends of H heads and an output projection from H * D to M."""
    return {
        "z": d.normal(B, H, T, D, dtype=dtype),
        "weight": d.normal(M, H * D, dtype=dtype, scale=(H * D) ** -0.5),
        "bias": d.normal(M, dtype=dtype),
        **more,
    }


def _parts_cases():
    d = Draw(304)
    by_hand = {"z": torch.ones(1, 2, 1, 1), "weight": torch.tensor([[3.0, 5.0]]), "bias": torch.tensor([7.0])}
    return [
        Case("two heads to check by hand", by_hand),
        Case("two sequences, three heads", parts_inputs(d, 2, 3, 4, 5, 15)),
        Case("an output wider than the heads", parts_inputs(d, 1, 2, 3, 4, 10)),
    ]


def _parts_act(f, i):
    W_o = nn.Linear(*i["weight"].shape[::-1], dtype=i["weight"].dtype)
    W_o.load_state_dict({"weight": i["weight"], "bias": i["bias"]})
    extra = {"contributions, empty batch": f(i["z"][:0], W_o)} if i.get("then an empty batch") else {}
    return {"contributions": f(i["z"], W_o), **extra}


head_contributions = Exercise(
    name="head_contributions",
    title="What each head writes",
    minutes=10,
    difficulty=2,
    points=3,
    act=_parts_act,
    visible=_parts_cases,
    shapes={"contributions": "(B, H, T, M)", "contributions, empty batch": "(B, H, T, M)"},
    forbids=("source.attention.multi_head.head_contributions",),
    hints=(
        "Head 0's numbers are the first D of the merged vector. Which columns of `W_o.weight` do they meet?",
        "Head h meets `W_o.weight[:, h*D:(h+1)*D]`, of shape (M, D). `reshape` makes H such blocks out of "
        "`W_o.weight.T` at once; `torch.stack` works as well.",
        "for each head h: part = z[:, h] @ W_o.weight[:, h*D:(h+1)*D].T, of shape (B, T, M); stack the parts along "
        "dimension 1; add no bias.",
    ),
)


def _influence_cases():
    d = Draw(305)
    swap, zero_sum = torch.eye(2).flip(0), d.normal(4, 6)
    zero_sum = zero_sum - zero_sum.mean(dim=1, keepdim=True)  # each output's entries sum to zero
    return [
        Case("a swap by hand", {"A": 3 * swap, "W": torch.ones(1, 1), "power": 1, "x": torch.zeros(2, 1)}),
        Case("a causal layer", {"A": d.normal(5, 5).tril(), "W": d.normal(3, 4), "power": 2, "x": d.normal(5, 3)}),
        Case("outputs that sum to zero", {"A": d.normal(4, 4), "W": zero_sum, "power": 1, "x": d.normal(4, 4)}),
    ]


def _influence_act(f, i):
    # A layer whose influence can be written down: it mixes positions with A and channels with W.
    return {"influence": f(lambda x: i["A"] @ x.pow(i["power"]) @ i["W"], i["x"])}


influence = Exercise(
    name="influence",
    title="What reaches what",
    minutes=10,
    difficulty=2,
    points=3,
    act=_influence_act,
    visible=_influence_cases,
    shapes={"influence": "(T, S)"},
    forbids=("source.attention.inspection.influence",),
    hints=(
        "You need the derivative of every output entry by every input entry: a tensor of shape (T, M, S, C). Over "
        "which of its dimensions does the norm run?",
        "`torch.autograd.functional.jacobian(layer, x)` gives all of them at once.",
        "J = the Jacobian, (T, M, S, C); square it; sum over dimensions 1 and 3; take the square root.",
    ),
)


def repair_inputs(d: Draw, B: int, T: int, C: int, heads: int, dtype: torch.dtype = torch.float32, **more):
    """Weights large enough that a wrong scale shows, and an input."""
    state = {
        "W_qkv.weight": d.normal(3 * C, C, dtype=dtype, scale=1.5 * C**-0.5),
        "W_qkv.bias": d.normal(3 * C, dtype=dtype, scale=0.5),
        "W_o.weight": d.normal(C, C, dtype=dtype, scale=C**-0.5),
        "W_o.bias": d.normal(C, dtype=dtype, scale=0.5),
    }
    return {"x": d.normal(B, T, C, dtype=dtype), "heads": heads, "state": state, **more}


def _repair_cases():
    d = Draw(306)
    return [
        Case("two heads", repair_inputs(d, 1, 3, 4, 2)),
        Case("two sequences, three heads", repair_inputs(d, 2, 5, 12, 3)),
        Case("as many positions as heads", repair_inputs(d, 2, 4, 8, 4)),
    ]


def _repair_act(f, i):
    layer = loaded(f(i["x"].shape[-1], i["heads"]), i["state"])
    x = i["x"]
    outputs = {"out": layer(x)}
    if i.get("then edges"):
        outputs |= {"out of one position": layer(x[:, :1]), "out of an empty batch": layer(x[:0])}
    return outputs


repaired = Exercise(
    name="repaired",
    title="Find three wrong lines",
    minutes=15,
    difficulty=3,
    points=4,
    act=_repair_act,
    visible=_repair_cases,
    shapes={"out": "(B, T, C)", "out of one position": "(B, T, C)", "out of an empty batch": "(B, T, C)"},
    forbids=(
        "scaled_dot_product_attention",
        "multi_head_attention_forward",
        "source.attention.multi_head.CausalSelfAttention.forward",
    ),
    hints=(
        "Go through forward line by line and say aloud what the numbers in each tensor are, not only its shape. What "
        "does a score sum over? What does a row of weights sum to? Whose numbers lie next to each other at the end?",
        "`show_influence(ax, lambda x: layer(x[None])[0], 8, 32, '')` draws what reaches what: try it after each "
        "repair. `masked_fill(~seen, float('-inf'))` is how lab 1.1 masks.",
        "divide the scores by the square root of the head width; mask the scores before softmax, not the weights "
        "after it; swap heads and positions back before the last reshape.",
    ),
)
