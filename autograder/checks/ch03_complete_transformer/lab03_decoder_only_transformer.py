"""Lab 3.3, the student's half: how the count, the model, its first weights, its text and a loss's wishes are driven."""

import torch
import torch.nn.functional as F
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient, loaded
from autograder.exercise import Case, Exercise
from source.blocks.gpt2_block import Block
from source.models.gpt import Sizes

PARTS = ("token", "position", "attention", "feed-forward", "norms")


def _parts_cases():
    return [
        Case("one layer of width 2", {"vocabulary": 5, "context": 3, "width": 2, "layers": 1}),
        Case("three layers", {"vocabulary": 7, "context": 4, "width": 6, "layers": 3}),
        Case("GPT-2's smallest", {"vocabulary": 50257, "context": 1024, "width": 768, "layers": 12}),
    ]


def _parts_act(f, i):
    parts = f(**i)
    if not isinstance(parts, dict):
        raise WrongType(f"your function returned a {type(parts).__name__}, not a dict")
    if set(parts) != set(PARTS):
        raise WrongType(f"the kinds are {', '.join(PARTS)}; yours: {', '.join(map(str, parts)) or 'none'}")
    return {f"parameters of kind {name}": parts[name] for name in PARTS}


parameter_parts = Exercise(
    name="parameter_parts",
    title="Counting parameters",
    minutes=8,
    difficulty=1,
    points=2,
    act=_parts_act,
    visible=_parts_cases,
    forbids=("source.models.decoder_steps.parameter_parts",),
    hints=(
        "Write each linear layer as inputs × outputs + outputs, and count what occurs in every block L times.",
        "Attention: C to 3C and C to C. Feed-forward: C to 4C and 4C to C. A norm holds 2C numbers; how many norms are "
        "there altogether?",
        "token V·C; position context·C; attention L·(3C·C + 3C + C·C + C); feed-forward L·(4C·C + 4C + 4C·C + C); "
        "norms (2L + 1)·2C.",
    ),
)


def gpt_weights(d: Draw, sizes: dict[str, int], dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random weights under GPT's names, each of which matters: no bias is zero, no gain is one."""
    C = sizes["width"]
    state = {
        "token.weight": d.normal(sizes["vocabulary"], C, dtype=dtype),
        "position.weight": d.normal(sizes["context"], C, dtype=dtype),
    }
    for layer in range(sizes["layers"]):
        for name, shape in _block_shapes(C).items():
            scale = 0.5 if len(shape) == 1 else shape[1] ** -0.5
            weight = d.normal(*shape, dtype=dtype, scale=scale)
            state[f"blocks.{layer}.{name}"] = weight + 1 if "norm" in name and name.endswith("weight") else weight
    state["last_norm.weight"] = 1 + d.normal(C, dtype=dtype, scale=0.5)
    state["last_norm.bias"] = d.normal(C, dtype=dtype, scale=0.5)
    return state


def _block_shapes(C: int) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(weight.shape) for name, weight in Block(C, 1).state_dict().items()}


def gpt_inputs(
    d: Draw, B: int, T: int, V: int, C: int, heads: int, layers: int, context: int = 0, dtype=torch.float32, **more
) -> dict[str, object]:
    """Inputs of one run of the model, forward and backward. context: T unless told."""
    sizes = {"vocabulary": V, "context": context or T, "width": C, "heads": heads, "layers": layers}
    return {
        "sizes": sizes,
        "state": gpt_weights(d, sizes, dtype),
        "ids": d.integers(0, V, B, T),
        "targets": None,
        "mask": None,
        "positions": None,
        "upstream": d.normal(B, T, V, dtype=dtype) / max(B * T, 1),
        **more,
    }


def _gpt_cases():
    d = Draw(3301)
    targets = d.integers(0, 7, 2, 4)
    targets[1, 2:] = -100
    real = torch.arange(5) >= torch.tensor([[0], [2]])
    positions = (real.long().cumsum(1) - 1).clamp(min=0)
    return [
        Case("one layer, logits alone", gpt_inputs(d, 2, 3, 5, 4, 1, 1)),
        Case("two layers, with targets", gpt_inputs(d, 2, 4, 7, 8, 2, 2, context=6, targets=targets)),
        Case(
            "padded in front: a mask and positions",
            gpt_inputs(d, 2, 5, 6, 8, 2, 2, mask=real[:, None, None, :], positions=positions),
        ),
    ]


def _gpt_act(f, i):
    model = loaded(f(Sizes(**i["sizes"])), i["state"])
    told = {name: i[name] for name in ("mask", "positions") if i[name] is not None}
    found = model(i["ids"], i["targets"], **told) if i["targets"] is not None else model(i["ids"], **told)
    if i["targets"] is None:
        if not isinstance(found, torch.Tensor):
            raise WrongType(f"forward without targets returned a {type(found).__name__}, not the logits alone")
        logits, outputs = found, {"logits": found}
    else:
        if not isinstance(found, tuple) or len(found) != 2:
            raise WrongType("forward with targets has to return two things: the logits and the loss")
        logits, loss = found
        outputs = {"logits": logits, "loss": loss}
    stream = model.stream(i["ids"], **told)
    if not isinstance(stream, list):
        raise WrongType(f"stream returned a {type(stream).__name__}, not a list of tensors")
    outputs["length of the stream"] = len(stream)
    outputs |= {f"the stream after {depth} blocks": x for depth, x in enumerate(stream)}
    if i["upstream"] is not None and isinstance(logits, torch.Tensor) and logits.shape == i["upstream"].shape:
        (logits * i["upstream"]).sum().backward() if i["targets"] is None else loss.backward()
        named = dict(model.named_parameters(remove_duplicate=False))
        outputs |= {f"gradient of {name}": gradient(named[name]) for name in i["state"]}
    if i.get("then less"):
        outputs["logits of the first two tokens alone"] = model(i["ids"][:, :2])
        outputs["logits of an empty batch"] = model(i["ids"][:0])
    return outputs


gpt = Exercise(
    name="gpt",
    title="The model",
    minutes=20,
    difficulty=2,
    points=6,
    act=_gpt_act,
    visible=_gpt_cases,
    # A norm divides by the row's own spread, which is small now and then, and its gradient with it.
    tolerance={"float32": 1e-4},
    shapes={"logits": "(B, T, V)", "loss": "()", "gradient of token.weight": "(V, C)"}
    | {"gradient of position.weight": "(context, C)", "logits of the first two tokens alone": "(B, 2, V)"}
    | {f"the stream after {depth} blocks": "(B, T, C)" for depth in range(9)},
    forbids=(
        "source.models.gpt.GPT.forward",
        "source.models.gpt.GPT.stream",
        "source.models.gpt.GPT.read",
    ),
    hints=(
        "Go through the letters: (B, T) ids, (B, T, C) after the embeddings and after each block, (B, T, V) at the "
        "end. What belongs to the stream, and what to reading it?",
        "`nn.ModuleList(Block(...) for _ in range(L))` makes L different blocks. `causal_mask(T) & mask` broadcasts. "
        "`F.cross_entropy` wants (n, V) and (n,): flatten(0, 1) and flatten().",
        "stream: x = [token(ids) + position(where)]; for each block append block(last, seen). forward: logits = "
        "last_norm(last of the stream) @ token.weight.T; without targets return them, otherwise return them and the "
        "cross-entropy with the targets as they are.",
    ),
)


def start_inputs(V: int, context: int, width: int, layers: int, seed: int) -> dict[str, object]:
    """A model to be initialised, and torch's seed."""
    return {
        "sizes": {"vocabulary": V, "context": context, "width": width, "heads": 4, "layers": layers},
        "seed": seed,
    }


def _start_cases():
    return [
        Case("two layers", start_inputs(200, 128, 128, 2, 1)),
        Case("eight layers", start_inputs(200, 128, 128, 8, 2)),
        Case("one layer", start_inputs(300, 150, 128, 1, 3)),
    ]


class _Bare(nn.Module):
    # A GPT's parameters and nothing else: no sizes, with which the course's own could be built and copied.
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.token = nn.Embedding(sizes.vocabulary, sizes.width)
        self.position = nn.Embedding(sizes.context, sizes.width)
        self.blocks = nn.ModuleList(Block(sizes.width, sizes.heads) for _ in range(sizes.layers))
        self.last_norm = nn.LayerNorm(sizes.width)
        for weight in self.parameters():
            nn.init.constant_(weight, 7.0)


def _start_act(f, i):
    torch.manual_seed(i["seed"])
    model = _Bare(Sizes(**i["sizes"]))
    f(model)
    outputs = {}
    for name, weight in model.named_parameters():
        w = weight.detach()
        if w.ndim == 2:
            outputs[f"standard deviation of {name}, over 0.02"] = w.std() / 0.02
            outputs[f"mean of {name}, over its standard deviation"] = (w.mean() / (w.std() + 1e-12)).round(decimals=1)
            share = ((w - w.mean()).abs() < w.std()).float().mean()
            outputs[f"share of {name} within one standard deviation"] = share
        else:
            outputs[f"least and largest of {name}"] = torch.stack([w.min(), w.max()])
    first = model.blocks[0].attention.W_qkv.weight.detach().clone()
    others = [b.attention.W_qkv.weight for b in model.blocks[1:]]
    outputs["blocks with the same weights as the first"] = sum(bool(torch.equal(first, w)) for w in others)
    f(model)
    outputs["the same numbers when called again"] = bool(torch.equal(first, model.blocks[0].attention.W_qkv.weight))
    outputs["parameters still require gradients"] = all(p.requires_grad for p in model.parameters())
    return outputs


initialise = Exercise(
    name="initialise",
    title="The first weights",
    minutes=12,
    difficulty=2,
    points=4,
    act=_start_act,
    visible=_start_cases,
    # Measured on 16,384 random numbers and more: a standard deviation is then right to about half a percent.
    tolerance={"float32": 0.03},
    forbids=("source.models.decoder_steps.initialise",),
    hints=(
        "Go through `model.named_parameters()`. What tells a matrix from a bias, and a writer from the other matrices? "
        "And a gain from a bias?",
        "`nn.init.normal_(weight, std=...)`, `nn.init.zeros_`, `nn.init.ones_` work in place. "
        '`name.endswith(("W_o.weight", "W_out.weight"))`; embeddings and matrices have `weight.ndim == 2`.',
        "for name, weight: if a writer, normal with 0.02 / sqrt(2 · number of blocks); else if it has two dimensions, "
        "normal with 0.02; else if a bias, zeros; else ones.",
    ),
)


def text_inputs(d: Draw, B: int, T: int, new: int, V: int, context: int, temperature: float, **more):
    """A model, a prompt, and the uniform numbers that decide what is drawn."""
    return {
        "token": d.normal(V, 8),
        "position": d.normal(context, 8),
        "ids": d.integers(0, V, B, T),
        "new": new,
        "temperature": temperature,
        "uniform": torch.from_numpy(d.rng.random((new, B))),
        **more,
    }


def _text_cases():
    d = Draw(3304)
    return [
        Case("greedy, within the context", text_inputs(d, 1, 2, 4, 9, 8, 0.0)),
        Case("greedy, beyond the context", text_inputs(d, 2, 3, 6, 9, 4, 0.0)),
        Case("temperature 1", text_inputs(d, 2, 3, 4, 9, 8, 1.0)),
        Case("temperature 0.5, beyond the context", text_inputs(d, 2, 5, 4, 9, 3, 0.5)),
    ]


class _Watched:
    # A model that counts how it is called. It takes no more tokens than its context has places.
    def __init__(self, i: dict) -> None:
        self.token, self.position = i["token"].requires_grad_(), i["position"]
        self.sizes = Sizes(vocabulary=len(self.token), context=len(self.position), width=8, heads=1, layers=1)
        self.calls: list[int] = []
        self.with_gradients = 0

    def __call__(self, ids: torch.Tensor) -> torch.Tensor:
        if ids.ndim != 2:
            raise ValueError(f"the model takes ids of shape (B, T), not {tuple(ids.shape)}")
        T = ids.shape[1]
        if not 0 < T <= self.sizes.context:
            raise ValueError(f"the model was given {T} tokens; it takes 1 to {self.sizes.context}")
        self.calls.append(T)
        self.with_gradients += torch.is_grad_enabled()
        return toy_logits(ids, self.token, self.position)


def toy_logits(ids: torch.Tensor, token: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
    """(B, T) -> (B, T, V): what came before added up, each token in its place. Not a transformer, but causal."""
    T = ids.shape[1]
    x = token[ids] * (1.5 + position[:T].sin())  # (B, T, C)
    x = torch.tanh(x.cumsum(1) / torch.arange(1, T + 1)[:, None] ** 0.5)
    return 1.5 * x @ token.T


def inverse(probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Draw by the distribution's inverse: (B, V) and (B,) -> (B,)."""
    below = probabilities.double().cumsum(-1) < uniform[:, None] * probabilities.double().sum(-1, keepdim=True)
    return below.sum(-1).clamp(max=probabilities.shape[-1] - 1)


def _text_act(f, i):
    model, given = _Watched(i), []

    def draw(probabilities):
        if not isinstance(probabilities, torch.Tensor) or probabilities.ndim != 2:
            raise WrongType(f"draw takes probabilities of shape (B, V), not {getattr(probabilities, 'shape', '?')}")
        if len(given) >= i["new"]:
            raise WrongType(f"draw was called more than {i['new']} times")
        given.append(probabilities)
        return inverse(probabilities.detach(), i["uniform"][len(given) - 1])

    out = f(model, i["ids"], i["new"], i["temperature"], draw)
    outputs = {"out": out, "calls of draw": len(given)}
    if given:
        outputs["probabilities given to draw"] = torch.stack(given)
    outputs["how many tokens the model was given, call by call"] = model.calls
    outputs["calls of the model that recorded gradients"] = model.with_gradients
    outputs["gradients are on again afterwards"] = torch.is_grad_enabled()
    return outputs


generate = Exercise(
    name="generate",
    title="Writing text",
    minutes=12,
    difficulty=2,
    points=4,
    act=_text_act,
    visible=_text_cases,
    tolerance={"float32": 1e-4},
    shapes={"out": "(B, T + new)", "probabilities given to draw": "(new, B, V)"},
    forbids=("source.models.decoder_steps.generate",),
    hints=(
        "One turn of the loop: which ids does the model see, which of its logits matter, and what is appended?",
        "`ids[:, -context:]` keeps the last ones, all if there are fewer. `logits[:, -1]` is (B, V). "
        "`torch.cat([ids, following[:, None]], dim=1)` makes a new tensor. `with torch.no_grad():` around it all.",
        "repeat `new` times: logits = model(the last `context` ids), at the last position; if temperature is 0: "
        "argmax; otherwise draw(softmax(logits / temperature)); append.",
    ),
)


def loss_called(name: str):
    """A loss of a given name: what it asks for is in the name."""

    def run(model, rows):
        logits = model(rows if name in ("copy", "next, no target for the last") else rows[:, :-1])
        flat, after = logits.flatten(0, 1), rows[:, 1:]
        if name == "next":
            return F.cross_entropy(flat, after.flatten())
        if name == "next, padding left out":
            return F.cross_entropy(flat, after.flatten(), ignore_index=0)
        if name == "next, summed":
            return 3 * F.cross_entropy(flat, after.flatten(), reduction="sum")
        if name == "next, every row counts the same":
            each = F.cross_entropy(logits.transpose(1, 2), after, ignore_index=0, reduction="none")
            return (each.sum(1) / (after != 0).sum(1).clamp(min=1)).mean()
        if name == "copy":
            return F.cross_entropy(flat, rows.flatten())
        if name == "previous":
            return F.cross_entropy(logits[:, 1:].flatten(0, 1), rows[:, :-2].flatten())
        if name == "two ahead":
            return F.cross_entropy(logits[:, :-1].flatten(0, 1), rows[:, 2:].flatten())
        if name == "another row's":
            return F.cross_entropy(flat, after.flip(0).flatten())
        if name == "next, no target for the last":
            return F.cross_entropy(logits[:, :-1].flatten(0, 1), after.flatten())
        if name == "the last only":
            return F.cross_entropy(logits[:, -1], rows[:, -1])
        if name == "next, with a little of everything":
            return F.cross_entropy(flat, after.flatten(), label_smoothing=0.1)
        if name == "next, by hand":
            chosen = flat.log_softmax(-1).gather(1, after.reshape(-1, 1))
            return -chosen.mean()
        raise ValueError(name)

    return run


def asked_inputs(d: Draw, B: int, T: int, V: int, losses: list[str], padded: int = 0) -> dict[str, object]:
    """Rows (B, T + 1) of ids from 1 up, the last `padded` of the last row zeros, and the losses to be tried."""
    rows = d.integers(1, V, B, T + 1)
    if padded:
        rows[-1, -padded:] = 0
    return {"rows": rows, "vocabulary": V, "losses": losses}


def _asked_cases():
    d = Draw(3305)
    return [
        Case("the next token", asked_inputs(d, 2, 4, 9, ["next", "next, summed"])),
        Case("padding", asked_inputs(d, 2, 5, 9, ["next, padding left out", "next"], padded=2)),
        Case("wrong ones", asked_inputs(d, 2, 4, 9, ["copy", "two ahead", "another row's"])),
    ]


def _asked_act(f, i):
    return {
        f"asked for by the loss '{name}'": f(loss_called(name), i["rows"].clone(), i["vocabulary"])
        for name in i["losses"]
    }


asked_for = Exercise(
    name="asked_for",
    title="What a loss asks for",
    minutes=15,
    difficulty=3,
    points=4,
    act=_asked_act,
    visible=_asked_cases,
    shapes={
        f"asked for by the loss '{name}'": "(B, T)"
        for name in ("next", "next, summed", "next, padding left out", "copy", "two ahead", "another row's")
    },
    forbids=("source.models.decoder_steps.asked_for",),
    hints=(
        "The fake model decides on the logits. After the loss is computed, where do you find the gradient with respect "
        "to them? You need the very tensor that the loss was given.",
        "Inside your function define `model(ids)`: it makes `torch.zeros(*ids.shape, vocabulary, requires_grad=True)`, "
        "keeps it in a list, and returns it. `torch.autograd.grad(loss, tensors)` returns one gradient for each "
        "tensor; `gradient.min(dim=-1)` gives the least value and its place.",
        "given = []; model appends zeros that require gradients and returns them; gradient of loss_of(model, rows) "
        "with respect to given[0]; the place of the least entry where that is negative, else -1: torch.where.",
    ),
)
