"""Lab 2.4, the student's half: how the residual, the block, its weights, its gradients and its rules are driven."""

import torch
import torch.nn.functional as F
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient, loaded
from autograder.exercise import Case, Exercise
from source.blocks.assembled import Block
from source.blocks.gpt2_block import causal_mask


def residual_inputs(d: Draw, B: int, T: int, C: int, norm_first: bool, dtype: torch.dtype = torch.float32, **more):
    """x, a linear sublayer, a layer norm, and a gradient to send back."""
    return {
        "x": d.normal(B, T, C, dtype=dtype, scale=2.0),
        "sublayer": d.normal(C, C, dtype=dtype, scale=C**-0.5),
        "gain": d.normal(C, dtype=dtype),
        "shift": d.normal(C, dtype=dtype),
        "norm_first": norm_first,
        "upstream": d.normal(B, T, C, dtype=dtype),
        **more,
    }


def _residual_cases():
    d = Draw(2401)
    return [
        Case("pre-norm", residual_inputs(d, 1, 3, 4, True)),
        Case("post-norm", residual_inputs(d, 1, 3, 4, False)),
        Case("pre-norm, two sequences", residual_inputs(d, 2, 5, 6, True)),
    ]


def _residual_act(f, i):
    calls = []

    def sublayer(a):
        calls.append(1)
        return a @ i["sublayer"]

    def norm(a):
        return F.layer_norm(a, a.shape[-1:], i["gain"], i["shift"])

    x = i["x"].requires_grad_()
    out = f(x, sublayer, norm, i["norm_first"])
    if not isinstance(out, torch.Tensor):
        raise WrongType(f"your function returned a {type(out).__name__}, not a tensor")
    outputs = {"out": out, "calls of the sublayer": len(calls)}
    if out.shape == x.shape and out.requires_grad:
        out.backward(i["upstream"])
    outputs["gradient of x"] = torch.zeros_like(x) if x.grad is None else x.grad
    if i.get("then without gradients"):
        with torch.no_grad():
            again = i["x"].detach().clone()
            outputs["out without gradients"] = f(again, sublayer, norm, i["norm_first"])
            outputs["x after that"] = again
    return outputs


residual = Exercise(
    name="residual",
    title="One residual connection",
    minutes=5,
    difficulty=1,
    points=2,
    act=_residual_act,
    visible=_residual_cases,
    shapes={"out": "(B, T, C)", "gradient of x": "(B, T, C)"},
    forbids=("source.blocks.assembled.residual",),
    hints=(
        "Two lines, one for each order. In which of them does the norm see the sum?",
        "`sublayer` and `norm` are functions: call them. `x + ...` makes a new tensor; `x += ...` would change the "
        "caller's.",
        "if norm_first: return x plus the sublayer of the norm of x; otherwise return the norm of (x plus the sublayer "
        "of x).",
    ),
)


def block_weights(d: Draw, C: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random weights under the names of the lab's Block: no bias is zero, no norm is plain."""
    state = {}
    for name in ("norm1", "norm2"):
        state |= {f"{name}.weight": d.normal(C, dtype=dtype), f"{name}.bias": d.normal(C, dtype=dtype, scale=0.5)}
    shapes = [(f"attention.W_{n}", C, C) for n in "qkvo"]
    shapes += [("feed_forward.W_in", 4 * C, C), ("feed_forward.W_out", C, 4 * C)]
    for name, rows, columns in shapes:
        state[f"{name}.weight"] = d.normal(rows, columns, dtype=dtype, scale=columns**-0.5)
        state[f"{name}.bias"] = d.normal(rows, dtype=dtype, scale=0.5)
    return state


def block_inputs(
    d: Draw, B: int, T: int, C: int, heads: int, norm_first: bool = True, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """Inputs of one run of the block, forward and backward."""
    return {
        "x": d.normal(B, T, C, dtype=dtype),
        "mask": None,
        "heads": heads,
        "norm_first": norm_first,
        "state": block_weights(d, C, dtype),
        "upstream": d.normal(B, T, C, dtype=dtype),
        **more,
    }


def _block_cases():
    d = Draw(2402)
    real = torch.arange(5) >= torch.tensor([[0], [2]])
    return [
        Case("pre-norm, no mask", block_inputs(d, 2, 3, 8, 2)),
        Case("post-norm, no mask", block_inputs(d, 2, 3, 8, 2, norm_first=False)),
        Case("pre-norm, causal mask", block_inputs(d, 2, 5, 6, 3, mask=causal_mask(5))),
        Case("causal, and padded in front", block_inputs(d, 2, 5, 8, 2, mask=causal_mask(5, real))),
    ]


def _block_act(f, i):
    x = i["x"].detach().requires_grad_()
    told = {} if i["norm_first"] is None else {"norm_first": i["norm_first"]}
    block = loaded(f(x.shape[-1], i["heads"], **told), i["state"])
    out = block(x) if i["mask"] is None else block(x, i["mask"])
    if not isinstance(out, torch.Tensor):
        raise WrongType(f"forward returned a {type(out).__name__}, not one tensor (B, T, C)")
    outputs = {"out": out}
    if i["upstream"] is not None and out.shape == x.shape:
        out.backward(i["upstream"])
        named = dict(block.named_parameters())
        outputs["gradient of x"] = gradient(x)
        outputs |= {f"gradient of {name}": gradient(named[name]) for name in i["state"]}
    if i.get("then edges"):
        outputs |= {"out of one position": block(x.detach()[:, :1]), "out of an empty batch": block(x.detach()[:0])}
    if i.get("then another block"):
        other = loaded(f(x.shape[-1], i["heads"], norm_first=not i["norm_first"]), i["state"])
        outputs["out of the other order"] = other(x.detach(), mask=i["mask"])
        outputs["out of the first block again"] = block(x.detach(), mask=i["mask"])
    return outputs


block = Exercise(
    name="block",
    title="The block",
    minutes=20,
    difficulty=2,
    points=5,
    act=_block_act,
    visible=_block_cases,
    shapes={"out": "(B, T, C)", "gradient of x": "(B, T, C)"},
    # A norm divides by the row's own spread, which is small now and then, and its gradient with it.
    tolerance={"float32": 1e-4, "bfloat16": 0.1},
    forbids=(
        "source.blocks.assembled.Block.forward",
        "source.blocks.gpt2_block.Block.forward",
        "source.blocks.gpt2_block.block_naive",
        "source.blocks.assembled.updates",
    ),
    hints=(
        "Two sublayers, two norms, two additions. What goes into the second addition: the block's input, or what the "
        "first one made?",
        "`wire(x, sublayer, self.norm1, self.norm_first)` does one of them. Attention takes a mask and returns a pair: "
        "`lambda h: self.attention(h, mask=mask)[0]` is a sublayer of one argument.",
        "in __init__: keep norm_first; norm1, attention, norm2, feed_forward. in forward: a = wire of x around the "
        "attention with norm1; return wire of a around the feed-forward network with norm2.",
    ),
)


GPT2 = {"ln_1": 1, "attn.c_attn": 3, "attn.c_proj": 1, "ln_2": 1, "mlp.c_fc": 4, "mlp.c_proj": 1}
NAMES = tuple(
    f"{part}.{kind}"
    for part in (
        "norm1",
        *(f"attention.W_{n}" for n in "qkvo"),
        "norm2",
        "feed_forward.W_in",
        "feed_forward.W_out",
    )
    for kind in ("weight", "bias")
)


def gpt2_weights(d: Draw, C: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random weights of a GPT2Block of width C, in its layout."""
    state = {}
    for name, times in GPT2.items():
        inputs = 4 * C if name == "mlp.c_proj" else C
        shape = (C,) if name.startswith("ln") else (inputs, times * C)
        state[f"{name}.weight"] = d.normal(*shape, dtype=dtype)
        state[f"{name}.bias"] = d.normal(times * C, dtype=dtype)
    return state


def _state_cases():
    d = Draw(2403)
    by_hand = {}
    for n, (name, weight) in enumerate(gpt2_weights(d, 2).items()):  # every entry tells where it came from
        by_hand[name] = 100.0 * n + torch.arange(float(weight.numel())).view(weight.shape)
    old = gpt2_weights(d, 3) | {"attn.bias": torch.ones(1, 1, 4, 4).tril(), "attn.masked_bias": torch.tensor(-1e4)}
    return [
        Case("width 2, to read off", {"gpt2": by_hand}),
        Case("width 6", {"gpt2": gpt2_weights(d, 6)}),
        Case("an old file, with things that are no weights", {"gpt2": old}),
    ]


def _state_act(f, i):
    state = f(dict(i["gpt2"]))
    if not isinstance(state, dict):
        raise WrongType(f"your function returned a {type(state).__name__}, not a dict")
    if set(state) != set(NAMES):
        missing = ", ".join(n for n in NAMES if n not in state) or "none"
        extra = ", ".join(str(n) for n in state if n not in NAMES) or "none"
        raise WrongType(f"the names are not those of Block's parameters. Missing: {missing}. Not expected: {extra}")
    return {name: state[name] for name in NAMES}


block_state = Exercise(
    name="block_state",
    title="GPT-2's weights",
    minutes=15,
    difficulty=2,
    points=4,
    act=_state_act,
    visible=_state_cases,
    shapes={name: "(C,)" if name.startswith("norm") else "" for name in NAMES}
    | {f"attention.W_{n}.weight": "(C, C)" for n in "qkvo"}
    | {"feed_forward.W_in.weight": "(4C, C)", "feed_forward.W_out.weight": "(C, 4C)"},
    forbids=(
        "source.blocks.assembled.block_state",
        "source.blocks.gpt2_block.from_gpt2",
    ),
    hints=(
        "Go through your 16 names one at a time: which tensor of GPT-2's holds it, which part of that, and which way "
        "round?",
        "`weight.T` turns (inputs, outputs) into (outputs, inputs); a norm's weight is a vector and needs nothing. "
        "`c_attn.chunk(3, dim=-1)` cuts weights and biases alike into the queries', keys' and values' part.",
        "norms: copy. attn.c_proj, mlp.c_fc, mlp.c_proj: weight transposed, bias copied. attn.c_attn: cut the last "
        "dimension into three equal parts; each part's weight transposed, each part's bias copied.",
    ),
)


def stack_inputs(
    d: Draw, orders: list[bool], B: int, T: int, C: int, heads: int, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """A stack of blocks, one for each entry of orders (True: pre-norm), and what goes in at both ends."""
    return {
        "x": d.normal(B, T, C, dtype=dtype),
        "upstream": d.normal(B, T, C, dtype=dtype),
        "mask": None,
        "orders": orders,
        "heads": heads,
        "states": [block_weights(d, C, dtype) for _ in orders],
        **more,
    }


def _norms_cases():
    d = Draw(2404)
    return [
        Case("two pre-norm blocks", stack_inputs(d, [True, True], 2, 3, 4, 2)),
        Case("three post-norm blocks, causal", stack_inputs(d, [False] * 3, 2, 4, 6, 3, mask=causal_mask(4))),
        Case("one block of each order, float64", stack_inputs(d, [True, False], 1, 3, 4, 1, dtype=torch.float64)),
    ]


def _norms_act(f, i):
    blocks = []
    for norm_first, state in zip(i["orders"], i["states"], strict=True):
        blocks.append(Block(i["x"].shape[-1], i["heads"], norm_first).to(i["x"].dtype))
        blocks[-1].load_state_dict(state)
    outputs = {"norms": f(blocks, i["x"], i["mask"], i["upstream"])}
    if i.get("then again"):  # whatever the first call left behind must not count a second time
        outputs["norms, asked a second time"] = f(blocks, i["x"], i["mask"], i["upstream"])
    if i.get("then none"):
        outputs["norms without a block"] = f([], i["x"], i["mask"], i["upstream"])
    return outputs


gradient_norms = Exercise(
    name="gradient_norms",
    title="Gradients through depth",
    minutes=12,
    difficulty=2,
    points=3,
    act=_norms_act,
    visible=_norms_cases,
    tolerance={"float32": 1e-4},
    shapes={"norms": "(L + 1,)", "norms, asked a second time": "(L + 1,)", "norms without a block": "(1,)"},
    forbids=("source.blocks.assembled.gradient_norms",),
    hints=(
        "Keep the stream at every depth, from the input to the last block's output. How do you ask autograd for the "
        "gradient of a tensor in the middle?",
        "`torch.autograd.grad(outputs, inputs, grad_outputs)` takes a list of inputs, anywhere in the graph, and "
        "returns one gradient for each. The first tensor must require gradients before the first block runs.",
        "stream = [x, detached, requiring gradients]; for each block append block(last, mask); gradients = "
        "autograd.grad(last of the stream, the stream, upstream); stack the norm of each.",
    ),
)


RULES = ("batch", "future", "padding")


def rule_inputs(d: Draw, real: torch.Tensor, C: int, faults: list[str]) -> dict[str, object]:
    """A batch, its padding, and the faults of the blocks to be tested on it: one block for each."""
    B, T = real.shape
    return {
        "x": d.normal(B, T, C, dtype=torch.float64),
        "real": real,
        "faults": faults,
        "state": block_weights(d, C, torch.float64),
    }


def faulty(fault: str, block: nn.Module):
    """A function block(x, mask) with one fault, or none."""

    def run(x, mask):
        T = x.shape[1]
        if fault == "no mask":
            return block(x)
        if fault == "padding mask alone":
            return block(x, mask[:, :, -1:] if T else mask)  # the last row: all that is real
        if fault == "causal mask alone":
            return block(x, causal_mask(T))
        if fault == "padding seen":
            return block(x, mask | ~mask[:, :, -1:])
        if fault == "one position ahead":
            return block(x, mask | torch.eye(T, dtype=torch.bool).roll(1, dims=1).triu())
        if fault in ("second position seen by the first", "last position seen by the first"):
            ahead = torch.zeros(T, T, dtype=torch.bool)
            ahead[0, 1 if fault.startswith("second") else -1] = True
            return block(x, mask | ahead)
        if fault == "first sequence's mask for all":
            return block(x, mask[:1])
        if fault == "norm over the batch":
            return block((x - x.mean(dim=(0, 1))) / (x.var(dim=(0, 1), unbiased=False) + 1e-5).sqrt(), mask)
        if fault == "norm over the sequences":
            return block(x - x.mean(dim=0), mask)
        if fault == "norm over the positions":
            return block(x - x.mean(dim=1, keepdim=True), mask)
        if fault == "a faint leak":
            return block(x, mask) + 1e-3 * x.roll(-1, dims=1)
        if fault == "a leak that sums to zero":
            ahead = x.roll(-1, dims=1)
            return block(x, mask) + ahead - ahead.mean(dim=-1, keepdim=True)
        if fault == "noise as small as rounding":
            return block(x, mask) + 1e-11 * x.sum()
        if fault == "second addition uses x":
            out = block(x, mask)
            return out - block.attention(block.norm1(x), mask=mask)[0]
        return block(x, mask)

    return run


def rules_block(i) -> nn.Module:
    """The right block of a case."""
    block = Block(i["x"].shape[-1], 2).double()
    block.load_state_dict(i["state"])
    return block.requires_grad_(False)


def _rules_cases():
    d = Draw(2405)
    in_front = torch.arange(5) >= torch.tensor([[2], [0]])
    behind = torch.arange(5) < torch.tensor([[5], [3]])
    whole = torch.ones(2, 4, dtype=torch.bool)
    blank = rule_inputs(d, behind, 4, ["none", "causal mask alone", "padding seen", "no mask"])
    blank["x"][~behind] = 0.0
    large = rule_inputs(d, in_front, 4, ["one position ahead", "causal mask alone", "none"])
    large["x"] *= 30
    return [
        Case(
            "no padding",
            rule_inputs(
                d, whole, 4, ["none", "no mask", "second position seen by the first", "last position seen by the first"]
            ),
        ),
        Case("padded in front", rule_inputs(d, in_front, 4, ["none", "causal mask alone", "padding mask alone"])),
        Case("padded behind, and padding is all zeros", blank),
        Case(
            "norms over the wrong axes",
            rule_inputs(d, behind, 6, ["norm over the sequences", "norm over the positions", "second addition uses x"]),
        ),
        Case("large inputs", large),
        Case(
            "faint leaks, and rounding",
            rule_inputs(d, whole, 6, ["a faint leak", "a leak that sums to zero", "noise as small as rounding"]),
        ),
    ]


def _rules_act(f, i):
    outputs = {}
    for fault in i["faults"]:
        found = f(faulty(fault, rules_block(i)), i["x"], i["real"])
        if not isinstance(found, list) or any(name not in RULES for name in found):
            raise WrongType(f'expected a list with some of "batch", "future", "padding"; yours: {found!r}'[:300])
        outputs[f"rules broken by the block with fault '{fault}'"] = found
    return outputs


broken_rules = Exercise(
    name="broken_rules",
    title="Rules for a block",
    minutes=18,
    difficulty=3,
    points=5,
    act=_rules_act,
    visible=_rules_cases,
    forbids=("source.blocks.assembled.broken_rules",),
    hints=(
        "One input at a time: position s of sequence b. After the replacement, which of the real outputs (B, T) have "
        "moved? Which of those moves are forbidden, if s is real, and if it is padding?",
        "`(after - before).abs().amax(dim=-1) > 1e-6` is (B, T); `& real` forgets what padding puts out. "
        "`changed[b, s] = torch.randn(C)` replaces one input of a clone.",
        "mask = causal_mask(T, real); before = block(x, mask). For every b and s: change a clone; moved as above. If s "
        "is real and one of moved[b, :s]: future. If s is padding and one of moved[b]: padding. If one of moved in "
        "another sequence: batch. Return the sorted names, each once.",
    ),
)
