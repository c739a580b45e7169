"""Lab 3.6, the instructor's half: references in float64 from the formulas, hidden cases, misconceptions."""

import math

import torch

from autograder.cases import Draw, transposed
from autograder.checks.ch03_complete_transformer.lab06_encoder_only import (
    PARTS,
    bert_weights,
    classifier_inputs,
    depth_name,
    encoder_inputs,
    encoder_names,
    mean_inputs,
    sizes_for,
    text_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _normed(x, gain, shift, eps):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * gain + shift


# --- the encoder -----------------------------------------------------------------------------------------------------


def _encoder_hidden(seed):
    d = Draw(seed)
    real = torch.arange(6) < d.integers(1, 6, 3, 1)
    loose = encoder_inputs(d, 3, 4, sizes_for())
    gaps = d.chance(0.6, 2, 5)
    gaps[:, 2] = True
    return [
        Case(
            "padded behind, segments told",
            encoder_inputs(d, 3, 6, sizes_for(heads=3), real=real, segments=d.integers(0, 3, 3, 6)),
        ),
        Case("padded in front", encoder_inputs(d, 3, 6, sizes_for(), real=real.flip(1))),
        Case("gaps in the text, one head", encoder_inputs(d, 2, 5, sizes_for(heads=1, layers=1), real=gaps)),
        Case("one token", encoder_inputs(d, 2, 1, sizes_for())),
        Case("the longest text that fits", encoder_inputs(d, 1, 7, sizes_for())),
        Case("no block at all", encoder_inputs(d, 2, 3, sizes_for(layers=0))),
        Case("three blocks, wide inside", encoder_inputs(d, 1, 4, sizes_for(layers=3, hidden=24))),
        Case("another eps", encoder_inputs(d, 2, 3, sizes_for(eps=0.5, layers=1))),
        Case("ids that are not contiguous", {**loose, "ids": loose["ids"].T.contiguous().T}),
        Case("float64", encoder_inputs(d, 2, 3, sizes_for(), dtype=torch.float64)),
        Case("an empty batch", encoder_inputs(d, 0, 3, sizes_for())),
    ]


def _encoder_formula(state, i):
    """The hidden states in einsums, one head at a time; softmax and GELU written out."""
    s = i["sizes"]
    C, H, eps = s["width"], s["heads"], s["eps"]
    D = C // H
    ids = i["ids"]
    B, T = ids.shape
    segments = torch.zeros(B, T, dtype=torch.long) if i["segments"] is None else i["segments"]
    seen = torch.ones(B, T, dtype=torch.bool) if i["real"] is None else i["real"]
    one_hot = torch.nn.functional.one_hot
    x = torch.einsum("btv,vc->btc", one_hot(ids, s["vocabulary"]).double(), state["token.weight"])
    x = x + torch.einsum("btv,vc->btc", one_hot(segments, s["segments"]).double(), state["segment.weight"])
    x = x + torch.eye(T, s["context"], dtype=torch.float64) @ state["position.weight"]
    x = _normed(x, state["norm.weight"], state["norm.bias"], eps)
    states = [x]
    for layer in range(s["layers"]):
        w = {
            name.removeprefix(f"blocks.{layer}."): value
            for name, value in state.items()
            if name.startswith(f"blocks.{layer}.")
        }

        def linear(name, a, w=w):
            return torch.einsum("btc,dc->btd", a, w[f"{name}.weight"]) + w[f"{name}.bias"]

        q, k, v = (linear(f"attention.W_{n}", x) for n in "qkv")
        update = w["attention.W_o.bias"].expand(B, T, C)
        for h in range(H):
            mine = slice(h * D, (h + 1) * D)
            e = torch.einsum("btd,bsd->bts", q[..., mine], k[..., mine]).mul(D**-0.5).exp() * seen[:, None, :]
            weights = e / e.sum(-1, keepdim=True)
            update = update + torch.einsum("bts,bsd,cd->btc", weights, v[..., mine], w["attention.W_o.weight"][:, mine])
        x = _normed(x + update, w["norm1.weight"], w["norm1.bias"], eps)
        a = linear("feed_forward.W_in", x)
        fired = a * (1 + torch.erf(a / math.sqrt(2))) / 2
        x = _normed(x + linear("feed_forward.W_out", fired), w["norm2.weight"], w["norm2.bias"], eps)
        states.append(x)
    return states


def _encoder_reference(i):
    dtype = next(iter(i["state"].values())).dtype
    leaves = {name: value.double().clone().requires_grad_() for name, value in i["state"].items()}
    states = _encoder_formula(leaves, i)
    outputs = {depth_name(n): x for n, x in enumerate(states)}
    if i["upstream"] is not None:
        grads = torch.autograd.grad(states[-1], list(leaves.values()), i["upstream"].double(), allow_unused=True)
        for (name, leaf), grad in zip(leaves.items(), grads, strict=True):
            outputs[f"gradient of {name}"] = torch.zeros_like(leaf) if grad is None else grad
    return {
        "tensors that came back": len(states),
        **{name: value.detach().to(dtype) for name, value in outputs.items()},
    }


_SUM = "self.token(ids) + self.position(torch.arange(T, device=ids.device)) + self.segment(segments)"
_MASK = "None if real is None else real[:, None, None, :]"
_NORMED = "states = [self.norm(x)]"
_STEP = "states.append(block(states[-1], mask)[0])"
_PLACES = "self.position(torch.arange(T, device=ids.device))"
encoder = Answer(
    name="encoder",
    reference=_encoder_reference,
    hidden=_encoder_hidden,
    misconceptions=(
        Misconception(
            "mask-dropped",
            "padding is looked at: `real` does not reach the attention",
            edits=((_MASK, "None"),),
        ),
        Misconception(
            "mask-inverted",
            "what is real is hidden and the padding is seen",
            edits=((_MASK, "None if real is None else ~real[:, None, None, :]"),),
        ),
        Misconception(
            "queries-hidden",
            "padded positions are kept from looking, and all others look at them: the mask hides queries, not keys",
            edits=((_MASK, "None if real is None else real[:, None, :, None]"),),
        ),
        Misconception(
            "queries-and-keys-hidden",
            "padded positions are kept from looking as well; they may look, since nobody looks at them",
            edits=((_MASK, "None if real is None else real[:, None, None, :] & real[:, None, :, None]"),),
        ),
        Misconception(
            "causal",
            "a causal mask is laid over it, as in a decoder: no position sees what comes behind it",
            edits=(
                (
                    _MASK,
                    "torch.ones(T, T, dtype=torch.bool).tril() & (True if real is None else real[:, None, None, :])",
                ),
            ),
        ),
        Misconception(
            "no-segments-unless-told",
            "no segment's vector is added where no segments are told; such a text belongs to segment 0, which has one",
            edits=(
                (_SUM, f"self.token(ids) + {_PLACES}\n        x = x if untold else x + self.segment(segments)"),
                ("        T = ids.shape[1]\n", "        T = ids.shape[1]\n        untold = segments is None\n"),
            ),
        ),
        Misconception(
            "segments-left-out",
            "the segments' vectors are never added",
            edits=((_SUM, f"self.token(ids) + {_PLACES}"),),
        ),
        Misconception(
            "segments-ignored",
            "every text is taken for segment 0, whatever segments are told",
            edits=(("torch.zeros_like(ids) if segments is None else segments", "torch.zeros_like(ids)"),),
        ),
        Misconception(
            "positions-left-out",
            "the positions' vectors are not added: the order of the tokens is lost",
            edits=((_SUM, "self.token(ids) + self.segment(segments)"),),
        ),
        Misconception(
            "positions-from-the-first-real",
            "positions are counted from the first real token; BERT counts from the row's beginning, padding included",
            edits=(
                (
                    _PLACES,
                    "self.position(torch.arange(T) if real is None else (real.cumsum(1) - 1).clamp(min=0))",
                ),
            ),
        ),
        Misconception(
            "norm-left-out",
            "the sum of the three vectors is not normalised",
            edits=((_NORMED, "states = [x]"),),
        ),
        Misconception(
            "norm-of-the-token-only",
            "the token's vector is normalised by itself, before positions and segments are added",
            edits=(
                (_SUM, f"self.norm(self.token(ids)) + {_PLACES} + self.segment(segments)"),
                (_NORMED, "states = [x]"),
            ),
        ),
        Misconception(
            "eps-of-the-library",
            "the embeddings' norm has nn.LayerNorm's own eps, 1e-5, in place of sizes.eps",
            edits=(("nn.LayerNorm(C, eps=sizes.eps)", "nn.LayerNorm(C)"),),
        ),
        Misconception(
            "scaled-by-the-root-of-the-width",
            "the token's vector is multiplied by √C, as in the first transformer; BERT does not do that",
            edits=(
                (_SUM, f"self.token(ids) * C**0.5 + {_PLACES} + self.segment(segments)"),
                ("        T = ids.shape[1]\n", "        T, C = ids.shape[1], self.token.weight.shape[1]\n"),
            ),
        ),
        Misconception(
            "every-block-reads-the-embeddings",
            "every block reads the embeddings instead of what the block before it left",
            edits=((_STEP, "states.append(block(states[0], mask)[0])"),),
        ),
        Misconception(
            "a-last-norm",
            "the output is normalised once more behind the last block, as in GPT-2; post-norm blocks end with a norm",
            edits=(("        return states\n", "        states[-1] = self.norm(states[-1])\n        return states\n"),),
        ),
        Misconception(
            "padding-zeroed",
            "padded positions are set to zero behind every block; they may hold anything, as nobody looks at them",
            edits=(
                (
                    _STEP,
                    "x = block(states[-1], mask)[0]\n"
                    "            states.append(x if real is None else x * real[..., None])",
                ),
            ),
        ),
        Misconception(
            "mask-in-the-first-block-only",
            "only the first block is told what is padding",
            edits=((_STEP, "states.append(block(states[-1], mask if len(states) == 1 else None)[0])"),),
        ),
        Misconception(
            "real-as-segments",
            "`real` is taken for the segments: real tokens get segment 1 and padding segment 0",
            edits=(
                (
                    "torch.zeros_like(ids) if segments is None else segments",
                    "torch.zeros_like(ids) if real is None else real.long()",
                ),
            ),
        ),
        Misconception(
            "embeddings-twice",
            "what the blocks make is added to their input once more; a post-norm block adds it inside",
            edits=((_STEP, "states.append(states[-1] + block(states[-1], mask)[0])"),),
        ),
    ),
)


# --- the names -------------------------------------------------------------------------------------------------------


def _state_hidden(seed):
    d = Draw(seed)
    shuffled = bert_weights(d, 3, 4, 7, "", True)
    order = d.rng.permutation(len(shuffled)).tolist()
    names = list(shuffled)
    return [
        Case("twelve blocks, with a head", {"bert": bert_weights(d, 12, 2, 3, "bert.", True), "layers": 12}),
        Case(
            "the tensors in any order",
            {"bert": {names[n]: shuffled[names[n]] for n in order}, "layers": 3},
        ),
        Case("as wide inside as outside", {"bert": bert_weights(d, 2, 4, 4), "layers": 2}),
        Case("no block", {"bert": bert_weights(d, 0, 3, 4, "", True), "layers": 0}),
        Case("width 5", {"bert": bert_weights(d, 2, 5, 9), "layers": 2}),
    ]


def _state_reference(i):
    bert = i["bert"]
    prefix = "bert." if any(name.startswith("bert.") for name in bert) else ""
    outputs = {"names missing": [], "names not expected": []}
    tables = {"token": "word_embeddings", "position": "position_embeddings", "segment": "token_type_embeddings"}
    for name in encoder_names(i["layers"]):
        *middle, kind = name.split(".")
        if name.startswith("blocks."):
            theirs = f"encoder.layer.{middle[1]}.{PARTS['.'.join(middle[2:])]}"
        else:
            theirs = "embeddings." + tables.get(middle[0], "LayerNorm")
        outputs[name] = bert[f"{prefix}{theirs}.{kind}"]
    return outputs


_RENAME = 'state[f"blocks.{number}.{parts[middle]}.{kind}"] = weight'
encoder_state = Answer(
    name="encoder_state",
    reference=_state_reference,
    hidden=_state_hidden,
    misconceptions=(
        Misconception(
            "transposed",
            "matrices are transposed, as GPT-2's have to be; BERT's layers are nn.Linear, and so are yours",
            edits=(
                (
                    _RENAME,
                    'state[f"blocks.{number}.{parts[middle]}.{kind}"] = weight.T if weight.ndim == 2 else weight',
                ),
            ),
        ),
        Misconception(
            "squares-transposed",
            "the square matrices are transposed: their shape does not tell, and the numbers are wrong",
            edits=(
                (
                    _RENAME,
                    "square = weight.ndim == 2 and weight.shape[0] == weight.shape[1]\n            "
                    'state[f"blocks.{number}.{parts[middle]}.{kind}"] = weight.T if square else weight',
                ),
            ),
        ),
        Misconception(
            "norms-swapped",
            "a block's two norms are swapped; attention.output.LayerNorm is the one behind the attention",
            edits=(
                ('"attention.output.LayerNorm": "norm1"', '"attention.output.LayerNorm": "norm2"'),
                ('"output.LayerNorm": "norm2"', '"output.LayerNorm": "norm1"'),
            ),
        ),
        Misconception(
            "keys-and-queries-swapped",
            "queries and keys are swapped",
            edits=(
                ('"attention.self.query": "attention.W_q"', '"attention.self.query": "attention.W_k"'),
                ('"attention.self.key": "attention.W_k"', '"attention.self.key": "attention.W_q"'),
            ),
        ),
        Misconception(
            "values-and-keys-swapped",
            "keys and values are swapped",
            edits=(
                ('"attention.self.key": "attention.W_k"', '"attention.self.key": "attention.W_v"'),
                ('"attention.self.value": "attention.W_v"', '"attention.self.value": "attention.W_k"'),
            ),
        ),
        Misconception(
            "values-and-output-swapped",
            "the values' matrix and the attention's output matrix are swapped",
            edits=(
                ('"attention.self.value": "attention.W_v"', '"attention.self.value": "attention.W_o"'),
                ('"attention.output.dense": "attention.W_o"', '"attention.output.dense": "attention.W_v"'),
            ),
        ),
        Misconception(
            "number-of-one-digit",
            "a block's number is read as one digit, so that blocks 1 and 10 get mixed up",
            edits=(
                (
                    'number, rest = name.removeprefix("encoder.layer.").split(".", 1)',
                    'number, rest = name.removeprefix("encoder.layer.")[0], name.split(".", 3)[3]',
                ),
            ),
        ),
        Misconception(
            "prefix-kept",
            "names that begin with bert. are not recognised",
            edits=(('name = name.removeprefix("bert.")', "name = str(name)"),),
        ),
        Misconception(
            "everything-kept",
            "what is no weight of the encoder (pooler, position_ids, other heads) is kept under its own name",
            edits=(
                (
                    _RENAME,
                    _RENAME + "\n        else:\n            state[name] = weight",
                ),
            ),
        ),
        Misconception(
            "blocks-counted-from-one",
            "blocks are counted from 1",
            edits=((_RENAME, 'state[f"blocks.{int(number) + 1}.{parts[middle]}.{kind}"] = weight'),),
        ),
        Misconception(
            "embeddings-norm-forgotten",
            "the embeddings' norm is left out",
            edits=(
                ('        "embeddings.LayerNorm.weight": "norm.weight",\n', ""),
                ('        "embeddings.LayerNorm.bias": "norm.bias",\n', ""),
            ),
        ),
    ),
)


# --- pooling ---------------------------------------------------------------------------------------------------------


def _mean_hidden(seed):
    d = Draw(seed)
    real = torch.arange(7) < d.integers(1, 7, 4, 1)
    gaps = d.chance(0.5, 3, 6)
    gaps[:, 0], gaps[:, 1] = False, True
    loose = mean_inputs(d, real, 5)
    infinite = mean_inputs(d, gaps, 3)
    infinite["x"][~gaps] = float("inf")
    return [
        Case("padded behind", mean_inputs(d, real, 5)),
        Case("gaps in the text", mean_inputs(d, gaps, 4)),
        Case("infinities in the padding", infinite),
        Case("no padding", mean_inputs(d, torch.ones(2, 5, dtype=torch.bool), 4)),
        Case("one position, real or not", mean_inputs(d, torch.tensor([[True], [False]]), 3)),
        Case("not contiguous", {**loose, "x": transposed(loose["x"])}),
        Case("float64", mean_inputs(d, real, 3, torch.float64)),
        Case("bfloat16, padded in front", mean_inputs(d, real.flip(1), 3, torch.bfloat16)),
        Case("an empty batch", mean_inputs(d, torch.ones(0, 4, dtype=torch.bool), 3)),
    ]


def _mean_reference(i):
    x, real, upstream = i["x"].detach(), i["real"], i["upstream"].double()
    B, _, C = x.shape
    out, grad = torch.zeros(B, C, dtype=torch.float64), torch.zeros(x.shape, dtype=torch.float64)
    for b in range(B):
        places = real[b].nonzero()[:, 0].tolist()
        for t in places:
            out[b] += x[b, t].double() / len(places)
            grad[b, t] = upstream[b] / len(places)
    return {"out": out.to(x.dtype), "gradient of x": grad.to(x.dtype)}


_KEPT = "x.masked_fill(~real[..., None], 0.0)"
_COUNT = "real.sum(dim=1, keepdim=True).clamp(min=1)"
masked_mean = Answer(
    name="masked_mean",
    reference=_mean_reference,
    hidden=_mean_hidden,
    misconceptions=(
        Misconception(
            "padding-counted",
            "the mean is taken over all positions, padding included",
            code="def masked_mean(x, real):\n    return x.mean(dim=1)\n",
        ),
        Misconception(
            "divided-by-the-length",
            "the sum leaves the padding out, but is divided by all T positions",
            edits=((_COUNT, "x.shape[1]"),),
        ),
        Misconception(
            "padding-in-the-sum",
            "the sum holds the padding, and only the count leaves it out",
            edits=((_KEPT, "x"),),
        ),
        Misconception(
            "divided-by-nothing",
            "a sequence without a real position is divided by zero",
            edits=((_COUNT, "real.sum(dim=1, keepdim=True)"),),
        ),
        Misconception(
            "multiplied-by-the-mask",
            "the padding is multiplied by 0, and 0 times NaN is NaN",
            edits=((_KEPT, "x * real[..., None]"),),
        ),
        Misconception(
            "nan-to-zero",
            "NaN is replaced by zeros at the end, which hides it and leaves the sum wrong",
            edits=(("return kept.sum(dim=1)", "return x.sum(dim=1).nan_to_num()"),),
        ),
        Misconception(
            "mean-of-the-batch",
            "all sequences are divided by the whole batch's count of real positions",
            edits=((_COUNT, "real.sum().clamp(min=1)"),),
        ),
        Misconception(
            "sum",
            "the vectors are added up and not divided",
            edits=((f" / {_COUNT}", ""),),
        ),
        Misconception(
            "first-position",
            "the vector of the first position is returned",
            code="def masked_mean(x, real):\n    return x[:, 0]\n",
        ),
        Misconception(
            "in-float32",
            "the mask is made float32 and takes x's dtype along, so that bfloat16 comes back as float32",
            edits=((_COUNT, "real.float().sum(dim=1, keepdim=True).clamp(min=1)"),),
        ),
        Misconception(
            "largest",
            "the largest value of each channel is taken instead of the mean",
            code="def masked_mean(x, real):\n    return x.masked_fill(~real[..., None], -torch.inf).amax(dim=1)\n",
        ),
        Misconception(
            "mask-inverted",
            "the mean is taken over the padding",
            edits=(
                (_KEPT, "x.masked_fill(real[..., None], 0.0)"),
                (_COUNT, "(~real).sum(dim=1, keepdim=True).clamp(min=1)"),
            ),
        ),
        Misconception(
            "detached",
            "the mean is right, but no gradient comes back through it",
            edits=((_KEPT, "x.detach().masked_fill(~real[..., None], 0.0)"),),
        ),
    ),
)


# --- the corruption --------------------------------------------------------------------------------------------------


def _corrupt_hidden(seed):
    d = Draw(seed)
    few = torch.ones(8, 600, dtype=torch.bool)
    few[:, 50:550] = False
    return [
        Case("8 rows of 500 real tokens between special ones", text_inputs(d, 8, 600, 30522, 103, few)),
        Case("a vocabulary of 6", text_inputs(d, 10, 400, 6, 5)),
        Case("one long row", text_inputs(d, 1, 5000, 1000, 999)),
        Case("one token", text_inputs(d, 1, 1, 1000, 4, torch.zeros(1, 1, dtype=torch.bool))),
        Case("an empty batch", text_inputs(d, 0, 5, 1000, 4)),
        Case("a few tokens", text_inputs(d, 2, 9, 1000, 4)),
    ]


_GUESSED = "(torch.rand(ids.shape, generator=generator) < 0.15) & ~special"
_FATE = "fate = torch.rand(ids.shape, generator=generator)"
_MASKED = "torch.where(guessed & (fate < 0.8), mask_id, ids)"
_RANDOM = "torch.where(guessed & (fate >= 0.9), anything, inputs)"
_TARGETS = "torch.where(guessed, ids, IGNORED)"
_ANY = "torch.randint(vocabulary, ids.shape, generator=generator)"
corrupt = Answer(
    name="corrupt",
    reference=None,
    hidden=_corrupt_hidden,
    misconceptions=(
        Misconception(
            "always-the-mask",
            "every guessed token becomes the mask; that happens too if the 80% are tested on the number that was found "
            "to be below 0.15 before",
            edits=((_MASKED, "torch.where(guessed, mask_id, ids)"), (_RANDOM, "inputs")),
        ),
        Misconception(
            "special-guessed",
            "special tokens are guessed like any other",
            edits=((_GUESSED, "torch.rand(ids.shape, generator=generator) < 0.15"),),
        ),
        Misconception(
            "special-only",
            "only special tokens are guessed: the mask says True where a token must not be",
            edits=((_GUESSED, "(torch.rand(ids.shape, generator=generator) < 0.15) & special"),),
        ),
        Misconception(
            "rate-inverted",
            "85% of the tokens are guessed and 15% are left alone",
            edits=((_GUESSED, "(torch.rand(ids.shape, generator=generator) > 0.15) & ~special"),),
        ),
        Misconception(
            "targets-everywhere",
            "every token has a target, guessed or not",
            edits=((_TARGETS, "ids.clone()"),),
        ),
        Misconception(
            "targets-where-masked-only",
            "only masked tokens have a target; the random and the untouched ones are to be guessed as well",
            edits=((_TARGETS, "torch.where(guessed & (fate < 0.8), ids, IGNORED)"),),
        ),
        Misconception(
            "targets-from-the-inputs",
            "the targets are taken from the corrupted text, so that the mask itself is to be guessed",
            edits=((_TARGETS, "torch.where(guessed, inputs, IGNORED)"),),
        ),
        Misconception(
            "a-tenth-of-the-rest",
            "a random token is drawn for a tenth of the fifth that is not masked, which is 2% instead of 10%",
            edits=(
                (_RANDOM, "torch.where(guessed & (fate >= 0.8) & (again < 0.1), anything, inputs)"),
                (_FATE, f"{_FATE}\n    again = torch.rand(ids.shape, generator=generator)"),
            ),
        ),
        Misconception(
            "none-stays",
            "all that is not masked becomes random, so that no guessed token stays as it was",
            edits=((_RANDOM, "torch.where(guessed & (fate >= 0.8), anything, inputs)"),),
        ),
        Misconception(
            "of-all-tokens",
            "80% of all tokens are masked, not 80% of those to be guessed",
            edits=(
                (_MASKED, "torch.where(~special & (fate < 0.8), mask_id, ids)"),
                (_RANDOM, "torch.where(~special & (fate >= 0.9), anything, inputs)"),
            ),
        ),
        Misconception(
            "one-draw-for-all-rows",
            "one row of random numbers serves the whole batch: every sequence is guessed at the same places",
            edits=((_GUESSED, "(torch.rand(ids.shape[1], generator=generator) < 0.15) & ~special"),),
        ),
        Misconception(
            "one-fate-for-a-row",
            "one number decides for all guessed tokens of a row what becomes of them",
            edits=((_FATE, "fate = torch.rand(ids.shape[0], 1, generator=generator)"),),
        ),
        Misconception(
            "one-random-token",
            "one random token is drawn and stands in for all",
            edits=((_ANY, "torch.randint(vocabulary, (1,), generator=generator)"),),
        ),
        Misconception(
            "random-from-the-text",
            "random tokens are taken from the text itself instead of the whole vocabulary",
            edits=((_ANY, "ids.flatten()[torch.randint(max(ids.numel(), 1), ids.shape, generator=generator)]"),),
        ),
        Misconception(
            "own-random-numbers",
            "the generator is not used: the text is another at every run, and nothing can be repeated",
            edits=(
                (_GUESSED, "(torch.rand(ids.shape) < 0.15) & ~special"),
                (_FATE, "fate = torch.rand(ids.shape)"),
                (_ANY, "torch.randint(vocabulary, ids.shape)"),
            ),
        ),
        Misconception(
            "in-place",
            "the mask is written into ids itself: the text is spoiled for the next epoch, and the targets with it",
            edits=((f"inputs = {_MASKED}", "inputs = ids.masked_fill_(guessed & (fate < 0.8), mask_id)"),),
        ),
    ),
)


# --- the classifier --------------------------------------------------------------------------------------------------


def _classifier_hidden(seed):
    d = Draw(seed)
    real = torch.arange(6) < d.integers(1, 6, 4, 1)
    gaps = d.chance(0.6, 2, 5)
    gaps[:, 3] = True
    return [
        Case("trained too, padded in front", classifier_inputs(d, real.flip(1), 5, 4, False)),
        Case("frozen, gaps in the text", classifier_inputs(d, gaps, 4, 2, True)),
        Case("one class, one sequence", classifier_inputs(d, torch.ones(1, 3, dtype=torch.bool), 3, 1, False)),
        Case("frozen, one token", classifier_inputs(d, torch.ones(2, 1, dtype=torch.bool), 3, 7, True)),
        Case("float64", classifier_inputs(d, real, 4, 3, True, torch.float64)),
        Case("an empty batch", classifier_inputs(d, torch.ones(0, 3, dtype=torch.bool), 4, 3, False)),
    ]


def _classifier_reference(i):
    leaves = {name: value.double().clone().requires_grad_() for name, value in i["state"].items()}
    table, mix, weight, bias = leaves.values()
    real, ids = i["real"].double(), i["ids"]
    count = real.sum(1).clamp(min=1)

    def logits(share):
        x = torch.nn.functional.one_hot(ids, 9).double() @ table
        context = torch.einsum("bt,btc->bc", real, x)[:, None] / 4
        x = torch.tanh(torch.einsum("btc,dc->btd", x + context, mix)) * share
        pooled = torch.einsum("bt,btc->bc", real / count[:, None], x)
        return torch.einsum("bc,kc->bk", pooled.detach() if i["frozen"] else pooled, weight) + bias

    training = logits(1.0 if i["frozen"] else 0.5)
    grads = torch.autograd.grad(training, list(leaves.values()), i["upstream"].double(), allow_unused=True)
    outputs = {"logits in training": training, "logits in evaluation": logits(1.0)}
    for (name, leaf), grad in zip(leaves.items(), grads, strict=True):
        outputs[f"gradient of {name}"] = torch.zeros_like(leaf) if grad is None else grad
    dtype = i["state"]["head.bias"].dtype
    return {name: value.detach().to(dtype) for name, value in outputs.items()}


_FREEZE = "encoder.requires_grad_(not frozen)"
_EVAL = "        if self.frozen:\n            self.encoder.eval()  # train() on the whole classifier reached it too\n"
_LAST = "self.encoder(ids, real)[-1]"
_HEAD = "return self.head(pool(x, real))"
classifier = Answer(
    name="classifier",
    reference=_classifier_reference,
    hidden=_classifier_hidden,
    misconceptions=(
        Misconception(
            "never-frozen",
            "`frozen` is ignored: gradients reach the encoder, and it is in training mode",
            edits=((_FREEZE, "encoder.requires_grad_(True)"), (_EVAL, "")),
        ),
        Misconception(
            "always-frozen",
            "the encoder is frozen whatever is asked",
            edits=((_FREEZE, "encoder.requires_grad_(False)"), ("if self.frozen:", "if True:")),
        ),
        Misconception(
            "frozen-without-gradient-only",
            "no gradient reaches the frozen encoder, but train() puts it into training mode, so that its dropout is on",
            edits=((_EVAL, ""),),
        ),
        Misconception(
            "frozen-mode-only",
            "the frozen encoder is in evaluation mode, but gradients still reach it: evaluation mode freezes nothing",
            edits=((_FREEZE, "encoder.requires_grad_(True)"),),
        ),
        Misconception(
            "head-frozen-too",
            "the head is frozen with the encoder, so that nothing is left to learn",
            edits=((_FREEZE, "self.requires_grad_(not frozen)"),),
        ),
        Misconception(
            "padding-not-told",
            "the encoder is not told what is padding",
            edits=((_LAST, "self.encoder(ids)[-1]"),),
        ),
        Misconception(
            "padding-pooled",
            "the mean is taken over all positions, padding included",
            edits=((_HEAD, "return self.head(x.mean(dim=1))"),),
        ),
        Misconception(
            "first-token",
            "the first position's vector is classified instead of the mean over the real ones",
            edits=((_HEAD, "return self.head(x[:, 0])"),),
        ),
        Misconception(
            "embeddings-read",
            "the first hidden states are pooled, which are the embeddings, instead of the last",
            edits=((_LAST, "self.encoder(ids, real)[0]"),),
        ),
        Misconception(
            "probabilities",
            "a softmax is applied: logits are wanted, since cross_entropy applies it itself",
            edits=((_HEAD, "return self.head(pool(x, real)).softmax(dim=-1)"),),
        ),
        Misconception(
            "pooler",
            "a tanh stands before the head, as in BERT's own pooler",
            edits=((_HEAD, "return self.head(pool(x, real).tanh())"),),
        ),
        Misconception(
            "head-before-the-mean",
            "scores are made for each position and added up over the real ones, not averaged",
            edits=((_HEAD, "return (self.head(x) * real[..., None]).sum(dim=1)"),),
        ),
    ),
)
