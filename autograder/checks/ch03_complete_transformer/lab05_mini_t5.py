"""Lab 3.5, the student's half: how T5's attention, the decoder block, the shift, the loop and the loss are driven."""

import torch
import torch.nn.functional as F

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.driving import gradient, loaded
from autograder.exercise import Case, Exercise
from source.models.t5 import MiniT5, Sizes


def attention_weights(d: Draw, C: int, dtype: torch.dtype = torch.float32, prefix: str = "") -> dict[str, torch.Tensor]:
    """Random weights of a T5Attention of width C, large enough that a wrong scale shows."""
    return {f"{prefix}W_{n}.weight": d.normal(C, C, dtype=dtype, scale=1.2 * C**-0.5) for n in "qkvo"}


def attention_inputs(
    d: Draw, B: int, T: int, C: int, heads: int, S: int | None = None, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """Inputs of one run of the attention, forward and backward. S: with a context of that length."""
    return {
        "x": d.normal(B, T, C, dtype=dtype),
        "context": None if S is None else d.normal(B, S, C, dtype=dtype),
        "mask": None,
        "bias": None,
        "heads": heads,
        "state": attention_weights(d, C, dtype),
        "upstream": d.normal(B, T, C, dtype=dtype),
        **more,
    }


def _attention_cases():
    d = Draw(3501)
    padded = (torch.arange(4) < torch.tensor([[4], [2]]))[:, None, None, :]
    nothing = (torch.arange(4) < torch.tensor([[3], [0]]))[:, None, None, :]
    return [
        Case("self-attention", attention_inputs(d, 1, 3, 4, 1)),
        Case("to a context of another length", attention_inputs(d, 2, 3, 8, 2, S=5)),
        Case("a bias on the scores", attention_inputs(d, 1, 4, 6, 3, bias=d.normal(3, 4, 4))),
        Case("a padded context", attention_inputs(d, 2, 4, 8, 2, S=4, mask=padded)),
        Case(
            "a bias, and a sentence that is all padding",
            attention_inputs(d, 2, 4, 8, 2, S=4, mask=nothing, bias=d.normal(2, 4, 4)),
        ),
    ]


def _attention_act(f, i):
    layer = loaded(f(i["x"].shape[-1], i["heads"]), i["state"])
    leaves = {n: i[n].detach().requires_grad_() for n in ("x", "context", "bias") if i[n] is not None}
    told = {n: leaves.get(n, i[n]) for n in ("context", "mask", "bias") if i[n] is not None}
    came = layer(leaves["x"], **told)
    if not isinstance(came, tuple) or len(came) != 2:
        raise WrongType(f"forward returned a {type(came).__name__}, not the pair of output and weights")
    out, weights = came
    outputs = {"out": out, "weights": weights}
    if i["upstream"] is not None and isinstance(out, torch.Tensor) and out.shape == i["upstream"].shape:
        out.backward(i["upstream"])
        outputs |= {f"gradient of {n}": gradient(leaf) for n, leaf in leaves.items()}
        named = dict(layer.named_parameters())
        outputs |= {f"gradient of {n}": gradient(named[n]) for n in i["state"]}
    if i.get("then an empty batch"):
        outputs["out of an empty batch"] = layer(i["x"][:0])[0]
    return outputs


t5_attention = Exercise(
    name="t5_attention",
    title="Attention, T5's way",
    minutes=15,
    difficulty=2,
    points=5,
    act=_attention_act,
    visible=_attention_cases,
    shapes={
        "out": "(B, T, C)",
        "weights": "(B, H, T, S)",
        "gradient of x": "(B, T, C)",
        "gradient of bias": "(H, T, S)",
    },
    tolerance={"float32": 2e-5},
    forbids=(
        "scaled_dot_product_attention",
        "multi_head_attention_forward",
        "source.models.t5.T5Attention.forward",
        "source.models.t5.attention_naive",
    ),
    hints=(
        "It is lab 1.3's layer with a line less and a line more. Which line divides there? In which order must the "
        "bias and the mask come?",
        "`split(tensor, heads)` and `merge(tensor)` are lab 1.3's. A bias `(H, T, S)` broadcasts over the batch when "
        'it is added to `(B, H, T, S)`. `scores.masked_fill(~mask, float("-inf"))` hides; `nan_to_num(0.0)` after the '
        "softmax turns a row without keys into zeros.",
        "context = x if there is none; q from x, k and v from the context, each split; scores = q times k transposed; "
        "add the bias, if any; fill with minus infinity where the mask is False, if there is one; softmax over the "
        "last dimension, NaN to 0; return W_o of the merged (weights times v), and the weights.",
    ),
)


def block_weights(d: Draw, C: int, hidden: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random weights under the names of the lab's DecoderBlock; no norm is plain."""
    state = {}
    for n, part in ((1, "self_attention"), (2, "cross_attention"), (3, "")):
        state[f"norm{n}.weight"] = 1 + d.normal(C, dtype=dtype, scale=0.4)
        state |= attention_weights(d, C, dtype, f"{part}.") if part else {}
    state["feed_forward.W_in.weight"] = d.normal(hidden, C, dtype=dtype, scale=C**-0.5)
    state["feed_forward.W_out.weight"] = d.normal(C, hidden, dtype=dtype, scale=hidden**-0.5)
    return state


def block_inputs(
    d: Draw, lengths: list[int], T: int, C: int, heads: int, dtype: torch.dtype = torch.float32, **more
) -> dict[str, object]:
    """Inputs of one run of the block. lengths: of each source; the longest is S."""
    B, S = len(lengths), max(lengths)
    return {
        "x": d.normal(B, T, C, dtype=dtype, scale=1.5),
        "memory": d.normal(B, S, C, dtype=dtype, scale=1.5),
        "real": torch.arange(S) < torch.tensor(lengths)[:, None],
        "bias": d.normal(heads, T, T, dtype=dtype),
        "heads": heads,
        "hidden": C + 3,
        "state": block_weights(d, C, C + 3, dtype),
        "upstream": d.normal(B, T, C, dtype=dtype),
        **more,
    }


def _block_cases():
    d = Draw(3502)
    return [
        Case("as many source words as target words", block_inputs(d, [3], 3, 4, 1, bias=None)),
        Case("with a bias", block_inputs(d, [4, 4], 4, 6, 2)),
        Case("a padded source", block_inputs(d, [4, 2], 4, 8, 2)),
        Case("a longer source", block_inputs(d, [6, 3], 2, 6, 3)),
        Case("a stream of small numbers, where a norm's eps counts", _faint(block_inputs(d, [3], 2, 6, 2))),
    ]


def _faint(inputs: dict[str, object]) -> dict[str, object]:
    return {**inputs, "x": 2e-3 * inputs["x"], "upstream": None}


def _block_act(f, i):
    block = loaded(f(i["x"].shape[-1], i["heads"], i["hidden"]), i["state"])
    x, memory = (i[n].detach().requires_grad_() for n in ("x", "memory"))
    came = block(x, memory, i["real"]) if i["bias"] is None else block(x, memory, i["real"], i["bias"])
    if not isinstance(came, tuple) or len(came) != 2:
        raise WrongType(f"forward returned a {type(came).__name__}, not the pair of the stream and the weights")
    out, weights = came
    outputs = {"out": out, "weights": weights}
    if i["upstream"] is not None and isinstance(out, torch.Tensor) and out.shape == x.shape:
        out.backward(i["upstream"])
        outputs |= {"gradient of x": gradient(x), "gradient of memory": gradient(memory)}
        named = dict(block.named_parameters())
        outputs |= {f"gradient of {n}": gradient(named[n]) for n in i["state"]}
    if i.get("then edges"):
        outputs["out of one position"] = block(x.detach()[:, :1], memory.detach(), i["real"])[0]
        outputs["out of an empty batch"] = block(x.detach()[:0], memory.detach()[:0], i["real"][:0])[0]
    return outputs


t5_decoder_block = Exercise(
    name="t5_decoder_block",
    title="The decoder's block",
    minutes=20,
    difficulty=2,
    points=5,
    act=_block_act,
    visible=_block_cases,
    shapes={
        "out": "(B, T, C)",
        "weights": "(B, H, T, S)",
        "gradient of x": "(B, T, C)",
        "gradient of memory": "(B, S, C)",
        "out of one position": "(B, 1, C)",
        "out of an empty batch": "(0, T, C)",
    },
    # A norm divides by the row's own size, which is small now and then, and its gradient with it.
    tolerance={"float32": 1e-4},
    forbids=("source.models.t5.DecoderBlock.forward",),
    hints=(
        "Three times the same: read a norm of the stream, add to the stream. Which of the three needs the memory, "
        "which the bias, and which mask belongs to which?",
        "`causal_mask(T)` is the self-attention's mask, `real[:, None, None, :]` the cross-attention's. An attention "
        "returns a pair: the first is the update, the second of the cross-attention's is what you return.",
        "x = x + self_attention(norm1 of x, causal mask, bias); update, weights = cross_attention(norm2 of x, memory, "
        "padding mask); x = x + update; return x + feed_forward(norm3 of x), and the weights.",
    ),
)


def _shift_cases():
    d = Draw(3503)
    padded = d.integers(3, 9, 3, 5)
    padded[1, 3:], padded[2, 1:] = -100, -100
    return [
        Case("to read off", {"labels": torch.tensor([[5, 6, 8, 1], [7, 1, -100, -100]]), "start": 2, "pad": 0}),
        Case("no padding", {"labels": d.integers(3, 9, 2, 6), "start": 1, "pad": 0}),
        Case("T5's own: the start token is the padding", {"labels": padded, "start": 0, "pad": 0}),
    ]


def _shift_act(f, i):
    return {"inputs": f(i["labels"], i["start"], i["pad"])}


shift_right = Exercise(
    name="shift_right",
    title="Teacher forcing",
    minutes=8,
    difficulty=1,
    points=2,
    act=_shift_act,
    visible=_shift_cases,
    shapes={"inputs": "(B, T)"},
    forbids=("source.models.t5.shift_right",),
    hints=(
        "Which label is nobody's input, and which input is nobody's label?",
        "`torch.cat([a, b], dim=1)` puts two blocks of columns side by side; `torch.full_like(labels[:, :1], start)` "
        "is a column of start tokens; `masked_fill` works on a copy.",
        "inputs = a column of start, then all columns of labels but the last; where that is -100, pad.",
    ),
)


class Oracle:
    """Says words by a rule with random tables: each depends on the source's real words and on all words so far."""

    def __init__(self, tables: dict[str, torch.Tensor], end: int, silent: list[int]) -> None:
        self.tables, self.end, self.silent = tables, end, silent
        self.encoded = self.decoded = 0

    def encode(self, ids: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """ids, real: (B, S) -> (B, S, C); every row knows the mean of all real words."""
        self.encoded += 1
        rows = self.tables["source"][ids]
        shown = rows * real[..., None]
        return rows + shown.sum(1, keepdim=True) / real.sum(1)[:, None, None]

    def decode(self, inputs: torch.Tensor, memory: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """inputs: (B, T) -> logits (B, T, V)."""
        self.decoded += 1
        context = (memory * real[..., None]).sum(1) / real.sum(1)[:, None]  # (B, C)
        state, logits = context, []
        for t in range(inputs.shape[1]):
            state = torch.tanh(state @ self.tables["step"] + self.tables["target"][inputs[:, t]] + context)
            scores = state @ self.tables["read"]
            scores[:, self.end] += self.tables["hurry"] * t
            scores[:, self.silent] = -1e9
            logits.append(scores)
        return torch.stack(logits, dim=1)


def oracle_inputs(
    d: Draw, lengths: list[int], longest: int, hurry: float, start: int = 0, end: int = 1, pad: int = 0
) -> dict[str, object]:
    """Tables of an oracle of 9 words, and a batch of sources. hurry: how fast the end becomes likely."""
    C, V, B, S = 6, 9, len(lengths), max(lengths)
    return {
        "tables": {
            "source": d.normal(V, C, dtype=torch.float64),
            "target": d.normal(V, C, dtype=torch.float64, scale=1.5),
            "step": d.normal(C, C, dtype=torch.float64),
            "read": d.normal(C, V, dtype=torch.float64),
            "hurry": torch.tensor(hurry, dtype=torch.float64),
        },
        "ids": d.integers(0, V, B, S),
        "real": torch.arange(S) < torch.tensor(lengths)[:, None],
        "longest": longest,
        "start": start,
        "end": end,
        "pad": pad,
    }


def _greedy_cases():
    d = Draw(3504)
    return [
        Case("one sentence", oracle_inputs(d, [4], 12, 0.4, start=2, end=5, pad=3)),
        Case("four sentences, T5's tokens", oracle_inputs(d, [4, 6, 2, 5], 12, 0.35)),
        Case("four sentences, other tokens", oracle_inputs(d, [3, 5, 5, 1], 12, 0.35, start=2, end=5, pad=3)),
        Case("cut off at the longest", oracle_inputs(d, [3, 2, 4], 5, -9.0)),
        Case("some end, some are cut off", oracle_inputs(d, [2, 5, 3, 4, 4], 4, 0.35)),
    ]


def oracle(i) -> Oracle:
    """The oracle of a case. It never says the start token or padding."""
    return Oracle(i["tables"], i["end"], sorted({i["start"], i["pad"]}))


def _greedy_act(f, i):
    model = oracle(i)
    words = f(model, i["ids"], i["real"], i["longest"], start=i["start"], end=i["end"], pad=i["pad"])
    outputs = {"words": words, "runs of the encoder": model.encoded}
    if i.get("then again"):
        one = slice(0, 1)
        alone = f(oracle(i), i["ids"][one], i["real"][one], i["longest"], start=i["start"], end=i["end"], pad=i["pad"])
        outputs["words of the first sentence alone"] = alone
    return outputs


greedy_translation = Exercise(
    name="greedy_translation",
    title="Translate greedily",
    minutes=15,
    difficulty=2,
    points=4,
    act=_greedy_act,
    visible=_greedy_cases,
    shapes={"words": "(B, T)"},
    forbids=("source.models.t5.greedy",),
    hints=(
        "What does the decoder read at the very first step? At which of its T outputs stands the word that comes next? "
        "What must happen to a sentence that is done while its neighbours are not?",
        "`model.decode(words, memory, real)[:, -1]` is (B, V); `argmax(dim=-1)`; `torch.cat([words, word[:, None]], "
        "dim=1)`. A boolean tensor `done` (B,) remembers who has said the end.",
        "memory = encode once; words = a column of start; done = all False. Up to longest times: the likeliest word "
        "after the last one; pad where done; append it; done also where it is the end; stop when all are done. Return "
        "words without its first column.",
    ),
)


SMALL = Sizes(vocabulary=9, width=8, heads=2, hidden=10, layers=1, buckets=8, furthest=16)
WATCHED = (
    "token.weight",
    "encoder.0.attention.W_v.weight",
    "decoder.0.self_attention.W_q.weight",
    "decoder.0.cross_attention.W_k.weight",
    "decoder.0.feed_forward.W_in.weight",
)


def translator_weights(d: Draw, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random weights of a small MiniT5."""
    state = {}
    for name, weight in MiniT5(SMALL).state_dict().items():
        plain = weight.ndim == 1 or name == "token.weight"
        state[name] = d.normal(*weight.shape, dtype=dtype, scale=1.0 if plain else weight.shape[-1] ** -0.5)
    return state


def loss_inputs(
    d: Draw, sources: list[int], targets: list[int], start: int = 0, pad: int = 0, dtype=torch.float32, **more
) -> dict[str, object]:
    """A batch of sentences of these lengths, padded behind, and a translator's weights."""

    def padded(lengths):
        ids = d.integers(1, 9, len(lengths), max(lengths))
        ids = torch.where((ids == start) | (ids == pad), 4, ids)  # words only
        return torch.where(torch.arange(max(lengths)) < torch.tensor(lengths)[:, None], ids, pad)

    state = translator_weights(d, dtype)
    return {"ids": padded(sources), "target": padded(targets), "start": start, "pad": pad, "state": state, **more}


def _loss_cases():
    d = Draw(3505)
    return [
        Case("one sentence", loss_inputs(d, [4], [3])),
        Case("targets of different lengths", loss_inputs(d, [4, 4], [5, 2])),
        Case("sources of different lengths", loss_inputs(d, [5, 2], [3, 3])),
        Case("both, start and padding are different tokens", loss_inputs(d, [2, 5, 3], [4, 1, 6], start=7, pad=2)),
        Case("both, and more padding behind", loss_inputs(d, [3, 5], [4, 2], **{"then more padding": 3})),
    ]


def translator(i) -> MiniT5:
    """The translator of a case, with its weights."""
    model = MiniT5(SMALL).to(i["state"]["token.weight"].dtype)
    model.load_state_dict(i["state"])
    return model


def _loss_act(f, i):
    model = translator(i)
    loss = f(model, i["ids"], i["target"], i["start"], i["pad"])
    if not isinstance(loss, torch.Tensor):
        raise WrongType(f"your function returned a {type(loss).__name__}, not a tensor")
    outputs = {"loss": loss}
    if loss.ndim == 0 and loss.requires_grad:
        loss.backward()
    named = dict(model.named_parameters())
    outputs |= {f"gradient of {name}": gradient(named[name]) for name in WATCHED}
    if i.get("then more padding"):
        wide = (F.pad(i[n], (0, i["then more padding"]), value=i["pad"]) for n in ("ids", "target"))
        outputs["loss with more padding"] = f(model, *wide, i["start"], i["pad"])
    return outputs


repaired_seq2seq_loss = Exercise(
    name="repaired_seq2seq_loss",
    title="Find three wrong lines",
    minutes=20,
    difficulty=3,
    points=5,
    act=_loss_act,
    visible=_loss_cases,
    shapes={"loss": "()"},
    tolerance={"float32": 5e-5},
    forbids=("source.models.t5.loss", "source.models.t5.padded_loss"),
    hints=(
        "Ask three questions. At place t, which word does the decoder read, and which must it say? What does the "
        "encoder leave at a place that held padding? By what is the sum of the losses divided?",
        "`shift_right` of step 3 is what the inputs need, and there are no -100 here. `memory[0]` of a padded "
        "sentence, printed, answers the second question; `real` is there already. Add padding to a batch and watch the "
        "loss.",
        "inputs: a column of start, then all of target but its last column. The decoder gets `real` for the memory. "
        "The loss: sum over words divided by the number of words, not by the number of places.",
    ),
)
