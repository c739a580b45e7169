"""Lab 3.6, the student's half: how the encoder, its names, pooling, the corruption and the classifier are driven."""

import math

import numpy as np
import torch
from torch import nn

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient, loaded
from autograder.exercise import Case, Exercise, Property
from source.models.encoder import Sizes

IGNORED = -100


# --- the encoder -----------------------------------------------------------------------------------------------------


def sizes_for(**changed) -> dict[str, object]:
    """Sizes as a dict: small, all different, with a feed-forward network that is not four times as wide."""
    told = {"vocabulary": 11, "context": 7, "width": 6, "heads": 2, "layers": 2, "hidden": 8, "segments": 3}
    return {**told, "eps": 1e-12, **changed}


def encoder_weights(d: Draw, sizes: dict, dtype: torch.dtype = torch.float32, scale: float = 1.0) -> dict:
    """Random weights under the names of the lab's Encoder. scale: the size of what stands in the embeddings' tables."""
    C, hidden = sizes["width"], sizes["hidden"]
    state = {
        "token.weight": d.normal(sizes["vocabulary"], C, dtype=dtype, scale=scale),
        "position.weight": d.normal(sizes["context"], C, dtype=dtype, scale=scale),
        "segment.weight": d.normal(sizes["segments"], C, dtype=dtype, scale=scale),
        "norm.weight": d.normal(C, dtype=dtype),
        "norm.bias": d.normal(C, dtype=dtype, scale=0.5),
    }
    for layer in range(sizes["layers"]):
        shapes = [(f"attention.W_{n}", C, C) for n in "qkvo"]
        shapes += [("feed_forward.W_in", hidden, C), ("feed_forward.W_out", C, hidden)]
        for name, rows, columns in shapes:
            state[f"blocks.{layer}.{name}.weight"] = d.normal(rows, columns, dtype=dtype, scale=columns**-0.5)
            state[f"blocks.{layer}.{name}.bias"] = d.normal(rows, dtype=dtype, scale=0.5)
        for name in ("norm1", "norm2"):
            state[f"blocks.{layer}.{name}.weight"] = d.normal(C, dtype=dtype)
            state[f"blocks.{layer}.{name}.bias"] = d.normal(C, dtype=dtype, scale=0.5)
    return state


def encoder_inputs(
    d: Draw, B: int, T: int, sizes: dict, dtype: torch.dtype = torch.float32, scale: float = 1.0, **more
) -> dict[str, object]:
    """Inputs of one run of the encoder, forward and backward; without padding and segments unless told."""
    return {
        "ids": d.integers(0, sizes["vocabulary"], B, T),
        "real": None,
        "segments": None,
        "sizes": sizes,
        "state": encoder_weights(d, sizes, dtype, scale),
        "upstream": d.normal(B, T, sizes["width"], dtype=dtype),
        **more,
    }


def depth_name(depth: int) -> str:
    """What the hidden states after so many blocks are called in a verdict."""
    return f"after block {depth}" if depth else "after the embeddings"


def _encoder_cases():
    d = Draw(3601)
    behind = torch.arange(5) < torch.tensor([[5], [3]])
    segments = torch.tensor([[0, 0, 1, 2, 2], [1, 1, 0, 0, 0]])
    # Without an upstream gradient the run is forward only: gradients of two cases say enough, and are large to store.
    return [
        Case("no padding, no segments told", encoder_inputs(d, 2, 4, sizes_for())),
        Case("padded behind, three segments", encoder_inputs(d, 2, 5, sizes_for(), real=behind, segments=segments)),
        Case(
            "padded in front, one block",
            encoder_inputs(d, 2, 5, sizes_for(layers=1, heads=3), real=behind.flip(1), upstream=None),
        ),
        Case("small numbers in the tables", encoder_inputs(d, 1, 3, sizes_for(layers=1), scale=1e-3, upstream=None)),
    ]


def _encoder_act(f, i):
    model = loaded(f(Sizes(**i["sizes"])), i["state"])
    told = {name: i[name] for name in ("real", "segments") if i[name] is not None}
    states = model(i["ids"], **told)
    if not isinstance(states, list | tuple) or not all(isinstance(x, torch.Tensor) for x in states):
        what = (
            "something that is no tensor in a list"
            if isinstance(states, list | tuple)
            else f"a {type(states).__name__}"
        )
        raise WrongType(f"forward returned {what}; a list of L + 1 tensors is to come back, the output last")
    outputs = {"tensors that came back": len(states)}
    outputs |= {depth_name(n): x for n, x in enumerate(states)}
    if i["upstream"] is not None and states and states[-1].shape == i["upstream"].shape and states[-1].requires_grad:
        states[-1].backward(i["upstream"])
    named = dict(model.named_parameters())
    if i["upstream"] is not None:
        outputs |= {f"gradient of {name}": gradient(named[name]) for name in i["state"]}
    return outputs


encoder = Exercise(
    name="encoder",
    title="The encoder",
    minutes=20,
    difficulty=2,
    points=5,
    act=_encoder_act,
    visible=_encoder_cases,
    shapes={depth_name(n): "(B, T, C)" for n in range(12)},
    # A norm divides by a row's own spread, and a stack of them multiplies what rounding left.
    tolerance={"float32": 2e-4},
    forbids=(
        "source.models.encoder.Encoder.forward",
        "source.models.encoder.Encoder.attention_maps",
        "source.models.encoder.Encoder._run",
    ),
    hints=(
        "Three tables give three vectors to each position, and the norm sees their sum. Which row of the segments' "
        "table belongs to a text for which nobody told segments?",
        "`real[:, None, None, :]` has shape (B, 1, 1, T): the same keys for every head and every query. A block "
        "returns a pair; its first part goes into the next block.",
        "x = token(ids) + position(0 .. T-1) + segment(segments or zeros); states = [norm of x]; for each block: "
        "append the first part of block(the last state, the mask made of real, or None); return states.",
    ),
)


# --- the names -------------------------------------------------------------------------------------------------------

# A block's parameters, ours and BertModel's.
PARTS = {
    "attention.W_q": "attention.self.query",
    "attention.W_k": "attention.self.key",
    "attention.W_v": "attention.self.value",
    "attention.W_o": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "feed_forward.W_in": "intermediate.dense",
    "feed_forward.W_out": "output.dense",
    "norm2": "output.LayerNorm",
}
# What stands in a BERT's file without being a weight of this encoder.
OTHERS = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")


def bert_weights(d: Draw, layers: int, C: int, hidden: int, prefix: str = "", others: bool = False) -> dict:
    """Random weights of a BertModel, in the order of its files. prefix: in front of every name. others: no weights."""
    shapes = {f"embeddings.{name}_embeddings.weight": (rows, C) for name, rows in _ROWS.items()}
    shapes |= {"embeddings.LayerNorm.weight": (C,), "embeddings.LayerNorm.bias": (C,)}
    for layer in range(layers):
        for theirs in PARTS.values():
            rows, columns = {"intermediate.dense": (hidden, C), "output.dense": (C, hidden)}.get(theirs, (C, C))
            norm = theirs.endswith("LayerNorm")
            shapes[f"encoder.layer.{layer}.{theirs}.weight"] = (C,) if norm else (rows, columns)
            shapes[f"encoder.layer.{layer}.{theirs}.bias"] = (rows,)
    state = {prefix + name: d.normal(*shape) for name, shape in shapes.items()}
    if others:
        extra = (torch.arange(4)[None], d.normal(C, C), d.normal(C))
        state |= {prefix + name: value for name, value in zip(OTHERS, extra, strict=True)}
    if prefix:  # the model for masked tokens has a head of its own beside the encoder
        state |= {"cls.predictions.bias": d.normal(6), "cls.predictions.transform.LayerNorm.weight": d.normal(C)}
    return state


_ROWS = {"word": 6, "position": 4, "token_type": 2}


def encoder_names(layers: int) -> list[str]:
    """The names of the lab's Encoder's parameters, in its own order."""
    names = ["token.weight", "position.weight", "segment.weight", "norm.weight", "norm.bias"]
    return names + [f"blocks.{n}.{part}.{kind}" for n in range(layers) for part in PARTS for kind in ("weight", "bias")]


def _state_cases():
    d = Draw(3602)
    by_hand = {}
    for n, (name, weight) in enumerate(bert_weights(d, 1, 2, 3).items()):  # every entry tells where it came from
        by_hand[name] = 100.0 * n + torch.arange(float(weight.numel())).view(weight.shape)
    return [
        Case("one block of width 2, to read off", {"bert": by_hand, "layers": 1}),
        Case(
            "two blocks, and things that are no weights of ours",
            {"bert": bert_weights(d, 2, 4, 6, "", True), "layers": 2},
        ),
        Case(
            "every name begins with bert., beside another head",
            {"bert": bert_weights(d, 2, 3, 5, "bert.", True), "layers": 2},
        ),
        Case("eleven blocks", {"bert": bert_weights(d, 11, 1, 2), "layers": 11}),
    ]


def _state_act(f, i):
    state = f(dict(i["bert"]))
    if not isinstance(state, dict):
        raise WrongType(f"your function returned a {type(state).__name__}, not a dict")
    names = encoder_names(i["layers"])
    outputs = {
        "names missing": [n for n in names if n not in state],
        "names not expected": sorted(str(n) for n in state if n not in names),
    }
    return outputs | {name: state[name] for name in names if name in state}


encoder_state = Exercise(
    name="encoder_state",
    title="BERT's weights",
    minutes=15,
    difficulty=2,
    points=4,
    act=_state_act,
    visible=_state_cases,
    forbids=("source.models.encoder.from_huggingface",),
    hints=(
        "Two tables will do: one for the five tensors of the embeddings, one for the eight parts of a block. What "
        "tells you how many blocks there are?",
        '`name.removeprefix("bert.")` leaves a name without that beginning as it is. '
        '`name.removeprefix("encoder.layer.").split(".", 1)` parts a block\'s number from the rest.',
        "take bert. off every name; for each name: if it is one of the five, rename it; if it begins with "
        "encoder.layer., cut off number and kind (weight, bias), look the middle up in the table of parts, and put "
        "blocks., number, our part and kind together; leave everything else out.",
    ),
)


# --- pooling ---------------------------------------------------------------------------------------------------------


def mean_inputs(d: Draw, real: torch.Tensor, C: int, dtype: torch.dtype = torch.float32, **more) -> dict[str, object]:
    """Hidden states of a batch, which of them are real, and a gradient to send back."""
    B, T = real.shape
    return {
        "x": d.normal(B, T, C, dtype=dtype),
        "real": real,
        "upstream": d.normal(B, C, dtype=dtype),
        **more,
    }


def _mean_cases():
    d = Draw(3603)
    by_hand = {
        "x": torch.tensor([[[1.0, 2.0], [3.0, 6.0], [50.0, 50.0]], [[5.0, 5.0], [50.0, 50.0], [50.0, 50.0]]]),
        "real": torch.tensor([[True, True, False], [True, False, False]]),
        "upstream": torch.ones(2, 2),
    }
    behind = torch.arange(6) < torch.tensor([[6], [4], [1]])
    spoiled = mean_inputs(d, behind, 4)
    spoiled["x"][~behind] = float("nan")
    empty = torch.arange(5) < torch.tensor([[3], [0]])
    return [
        Case("two sequences, by hand", by_hand),
        Case("padded in front", mean_inputs(d, behind.flip(1), 5)),
        Case("bfloat16", mean_inputs(d, behind, 3, torch.bfloat16)),
        Case("NaN in the padding", spoiled),
        Case("a sequence that is all padding", mean_inputs(d, empty, 3)),
    ]


def _mean_act(f, i):
    x = i["x"].requires_grad_()
    out = f(x, i["real"])
    if not isinstance(out, torch.Tensor):
        raise WrongType(f"your function returned a {type(out).__name__}, not a tensor")
    if out.shape == i["upstream"].shape and out.requires_grad:
        out.backward(i["upstream"].to(out.dtype))
    return {"out": out, "gradient of x": gradient(x)}


masked_mean = Exercise(
    name="masked_mean",
    title="A sentence's vector",
    minutes=10,
    difficulty=1,
    points=3,
    act=_mean_act,
    visible=_mean_cases,
    shapes={"out": "(B, C)", "gradient of x": "(B, T, C)"},
    forbids=("source.models.encoder.masked_mean", "source.models.encoder.masked_mean_naive"),
    hints=(
        "A mean is a sum and a count. Which of the two does padding spoil? Both. And what is 0 times NaN?",
        "`x.masked_fill(~real[..., None], 0.0)` puts zeros where padding is, whatever stood there. "
        "`count.clamp(min=1)` keeps you from dividing by zero.",
        "kept = x with the padded positions filled with 0; total = kept summed over T; count = real summed over T, as "
        "(B, 1), at least 1; return total / count.",
    ),
)


# --- the corruption --------------------------------------------------------------------------------------------------


def text_inputs(
    d: Draw, B: int, T: int, V: int, mask_id: int, special: torch.Tensor | None = None, **more
) -> dict[str, object]:
    """Ids of the lower half of the vocabulary, none of them the mask's: what comes from the upper half was drawn."""
    low = 5 if V > 100 else 0
    ids = d.integers(low, max(V // 2, low + 1), B, T)
    ids[ids == mask_id] += 1
    return {
        "ids": ids,
        "special": d.chance(0.1, B, T) if special is None else special,
        "mask_id": mask_id,
        "vocabulary": V,
        "seed": int(d.integers(0, 10**6, 1)),
        **more,
    }


def _corrupt_cases():
    d = Draw(3604)
    in_front = torch.arange(12) < torch.tensor([[0], [7], [12]])
    return [
        Case("16 rows of 256 tokens", text_inputs(d, 16, 256, 1000, 4)),
        Case("three short rows, padded in front", text_inputs(d, 3, 12, 1000, 103, in_front)),
        Case("nothing but special tokens", text_inputs(d, 2, 40, 300, 4, torch.ones(2, 40, dtype=torch.bool))),
    ]


def _corrupt_act(f, i):
    def run(generator):
        result = f(i["ids"], i["special"], i["mask_id"], i["vocabulary"], generator)
        if not (isinstance(result, tuple | list) and len(result) == 2):
            raise WrongType(f"a {type(result).__name__} came back; a pair is wanted: inputs and targets")
        for name, one in zip(("inputs", "targets"), result, strict=True):
            if not isinstance(one, torch.Tensor) or one.dtype != torch.int64 or one.shape != i["ids"].shape:
                told = f"{tuple(one.shape)} of {one.dtype}" if isinstance(one, torch.Tensor) else type(one).__name__
                raise WrongType(f"{name} is {told}; it has to be a tensor like ids, {tuple(i['ids'].shape)} of int64")
        return result

    torch.manual_seed(i["seed"] + 1)  # numbers drawn elsewhere are the same each time, too
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(i["seed"])
    inputs, targets = run(generator)
    again = run(torch.Generator().manual_seed(i["seed"]))
    onward = run(generator)
    small = torch.int16  # ids of a vocabulary below 32,768
    return {
        "inputs": inputs.to(small),
        "targets": targets.to(small),
        "same seed, same result": bool(torch.equal(again[0], inputs) and torch.equal(again[1], targets)),
        "drawn on, another result": not torch.equal(onward[1], targets),
        "other random numbers were left alone": bool(torch.equal(torch.get_rng_state(), state)),
    }


def _within(share: float, wanted: float, n: int) -> str | None:
    # 4.5 standard deviations: a right answer fails less than once in a hundred thousand draws.
    allowed = 4.5 * math.sqrt(wanted * (1 - wanted) / n)
    return None if abs(share - wanted) <= allowed else f"{share:.1%} of {n:,}, expected {wanted:.1%} ± {allowed:.1%}"


def _parts(i, outputs):
    ids, special = i["ids"].numpy(), i["special"].numpy()
    return ids, special, outputs["inputs"].astype(np.int64), outputs["targets"].astype(np.int64)


def _special_stay(i, outputs):
    ids, special, inputs, targets = _parts(i, outputs)
    if (wrong := special & (targets != IGNORED)).any():
        return f"{int(wrong.sum())} of {int(special.sum())} special tokens have a target"
    if (wrong := special & (inputs != ids)).any():
        return f"{int(wrong.sum())} of {int(special.sum())} special tokens were changed"
    return None


def _targets_hold(i, outputs):
    ids, _, inputs, targets = _parts(i, outputs)
    wrong = (targets != IGNORED) & (targets != ids)
    if wrong.any():
        b, t = (int(n) for n in np.argwhere(wrong)[0])
        said = f"at [{b}, {t}] the text has {ids[b, t]}, the input {inputs[b, t]} and the target {targets[b, t]}"
        return f"{said}: the target is what has to be found out"
    wrong = (targets == IGNORED) & (inputs != ids)
    if wrong.any():
        b, t = (int(n) for n in np.argwhere(wrong)[0])
        return f"at [{b}, {t}] the text has {ids[b, t]} and the input {inputs[b, t]}, but the target says {IGNORED}"
    return None


def _rate_holds(i, outputs):
    _, special, _, targets = _parts(i, outputs)
    n = int((~special).sum())
    return _within(float((targets != IGNORED)[~special].mean()), 0.15, n) if n >= 200 else None


def _fates_hold(i, outputs):
    ids, _, inputs, targets = _parts(i, outputs)
    guessed = targets != IGNORED
    n, V = int(guessed.sum()), i["vocabulary"]
    if n < 100:
        return None
    masked, same = inputs[guessed] == i["mask_id"], inputs[guessed] == ids[guessed]
    # A random token is now and then the mask, or the very token that stood there.
    for share, wanted, what in (
        (masked.mean(), 0.8 + 0.1 / V, "became the mask"),
        (same.mean(), 0.1 + 0.1 / V, "stayed as they were"),
        ((~masked & ~same).mean(), 0.1 - 0.2 / V, "became a random token"),
    ):
        if said := _within(float(share), wanted, n):
            return f"of the guessed tokens these {what}: {said}"
    return None


def _random_is_random(i, outputs):
    ids, _, inputs, targets = _parts(i, outputs)
    drawn = inputs[(targets != IGNORED) & (inputs != ids) & (inputs != i["mask_id"])]
    V = i["vocabulary"]
    if len(drawn) < 30:
        return None
    if drawn.min() < 0 or drawn.max() >= V:
        return f"id {int(drawn.max())} is not below {V}"
    upper = float((drawn >= V // 2).mean())
    if said := _within(upper, 0.5, len(drawn)):  # the texts hold ids of the lower half only
        return f"of the random tokens these lie in the vocabulary's upper half: {said}"
    if len(np.unique(drawn)) < min(V - 2, len(drawn) // 2):
        return f"{len(drawn)} random tokens are only {len(np.unique(drawn))} different ones"
    return None


def _rows_differ(i, outputs):
    _, special, inputs, targets = _parts(i, outputs)
    guessed = targets != IGNORED
    B, T = guessed.shape
    for b in range(1, B if T >= 100 else 0):
        both = ~special[0] & ~special[b]
        if both.sum() >= 100 and (guessed[0] == guessed[b])[both].all():
            return f"rows 0 and {b} are guessed at the very same places"
    pairs = guessed[:, :-1] & ~special[:, 1:]  # a guessed token with an ordinary one behind it
    if (n := int(pairs.sum())) >= 100 and (said := _within(float(guessed[:, 1:][pairs].mean()), 0.15, n)):
        return f"of the tokens behind a guessed one these are guessed too: {said}"
    masked = [row[chosen] == i["mask_id"] for row, chosen in zip(inputs, guessed, strict=True)]
    turns = np.concatenate([one[1:] != one[:-1] for one in masked]) if masked else np.zeros(0)
    if len(turns) >= 300 and turns.mean() < 0.16:  # 2 · 0.8 · 0.2 = 0.32 is expected
        return "guessed tokens of one row share their fate: all become the mask, or none"
    return None


def _from_the_generator(i, outputs):
    if not outputs["other random numbers were left alone"]:
        return "torch's global random numbers were used up: hand `generator` to every call that draws"
    if not outputs["same seed, same result"]:
        return "a second generator with the same seed gave another result"
    if int((~i["special"]).sum()) >= 200 and not outputs["drawn on, another result"]:
        return "the same generator, asked again, guesses the same places: do not seed it yourself"
    return None


corrupt = Exercise(
    name="corrupt",
    title="Tokens to guess",
    minutes=15,
    difficulty=2,
    points=4,
    act=_corrupt_act,
    visible=_corrupt_cases,
    properties=(
        Property("special tokens are neither guessed nor changed", _special_stay),
        Property("a target is the text's token, and only what is guessed changes", _targets_hold),
        Property("every random number comes from the generator", _from_the_generator),
        Property("15% of what is not special is guessed", _rate_holds),
        Property("each token is chosen by itself", _rows_differ),
        Property("of the guessed tokens 80% become the mask, 10% a random token, and 10% stay", _fates_hold),
        Property("a random token is any of the vocabulary", _random_is_random),
    ),
    forbids=("source.masked_tokens.corrupt", "source.masked_tokens.corrupt_naive"),
    hints=(
        "Three things are drawn for every token: whether it is guessed, what then becomes of it, and which token a "
        "random one is. How many random numbers are that for each token?",
        "`torch.rand(ids.shape, generator=generator) < 0.15` is True with a chance of 0.15. "
        "`torch.randint(vocabulary, ids.shape, generator=generator)`, `torch.where(condition, a, b)`.",
        "guessed = (a draw below 0.15) and not special; fate = a second draw; inputs = mask_id where guessed and fate "
        "below 0.8, a random id where guessed and fate from 0.9 on, ids elsewhere; targets = ids where guessed, "
        "IGNORED elsewhere.",
    ),
)


# --- the classifier --------------------------------------------------------------------------------------------------


class TinyEncoder(nn.Module):
    """Stands in for an encoder: looks at `real`, and in training mode gives half, as a dropout without chance would."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.mix = nn.Linear(width, width, bias=False)

    def forward(self, ids, real=None, segments=None):
        x = self.table(ids)
        weights = torch.ones(ids.shape, dtype=x.dtype) if real is None else real.to(x.dtype)
        context = (weights[..., None] * x).sum(dim=1, keepdim=True) / 4  # (B, 1, C)
        share = 0.5 if self.training else 1.0
        return [x * share, torch.tanh(self.mix(x + context)) * share]


def classifier_inputs(
    d: Draw, real: torch.Tensor, C: int, classes: int, frozen: bool, dtype: torch.dtype = torch.float32
) -> dict[str, object]:
    """A batch, the weights of a tiny encoder and a head, and a gradient to send back."""
    B, T = real.shape
    return {
        "ids": d.integers(0, 9, B, T),
        "real": real,
        "width": C,
        "classes": classes,
        "frozen": frozen,
        "state": {
            "encoder.table.weight": d.normal(9, C, dtype=dtype),
            "encoder.mix.weight": d.normal(C, C, dtype=dtype, scale=C**-0.5),
            "head.weight": d.normal(classes, C, dtype=dtype),
            "head.bias": d.normal(classes, dtype=dtype),
        },
        "upstream": d.normal(B, classes, dtype=dtype),
    }


def _classifier_cases():
    d = Draw(3605)
    behind = torch.arange(5) < torch.tensor([[5], [2], [3]])
    return [
        Case("the encoder is trained too", classifier_inputs(d, behind, 4, 3, False)),
        Case("the encoder is frozen", classifier_inputs(d, behind, 4, 3, True)),
        Case("frozen, padded in front, two classes", classifier_inputs(d, behind.flip(1), 6, 2, True)),
    ]


def _classifier_act(f, i):
    model = loaded(f(TinyEncoder(9, i["width"]), i["width"], i["classes"], i["frozen"]), i["state"])
    model.train()
    logits = model(i["ids"], i["real"])
    if not isinstance(logits, torch.Tensor):
        raise WrongType(f"forward returned a {type(logits).__name__}, not a tensor (B, classes)")
    outputs = {"logits in training": logits}
    if logits.shape == i["upstream"].shape and logits.requires_grad:
        logits.backward(i["upstream"])
    named = dict(model.named_parameters())
    outputs |= {f"gradient of {name}": gradient(named[name]) for name in i["state"]}
    model.eval()
    outputs["logits in evaluation"] = model(i["ids"], i["real"])
    return outputs


classifier = Exercise(
    name="classifier",
    title="A head on top",
    minutes=12,
    difficulty=2,
    points=4,
    act=_classifier_act,
    visible=_classifier_cases,
    shapes={"logits in training": "(B, classes)", "logits in evaluation": "(B, classes)"},
    forbids=("source.models.encoder.Classifier.forward",),
    hints=(
        "Three steps: hidden states, one vector a sequence, scores. For a frozen encoder, ask two questions: who gets "
        "a gradient, and which mode is the encoder in when somebody calls train() on the whole classifier?",
        "`encoder.requires_grad_(False)` takes all its weights out of training. `encoder.eval()` inside forward puts "
        "it into evaluation mode again, whatever mode the classifier is in. `pool(x, real)` is your masked mean.",
        "in __init__: keep encoder and frozen, head = Linear(width, classes), the encoder's weights require gradients "
        "unless frozen. in forward: if frozen, encoder.eval(); x = the last of encoder(ids, real); return the head of "
        "the masked mean of x.",
    ),
)
