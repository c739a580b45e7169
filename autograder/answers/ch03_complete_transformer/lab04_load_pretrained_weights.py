"""Lab 3.4, the instructor's half: references by other means, hidden cases, misconceptions."""

import json
import math
import struct

import torch

from autograder.cases import Draw
from autograder.checks.ch03_complete_transformer.lab04_load_pretrained_weights import (
    file_inputs,
    gpt2_weights,
    gpt_shapes,
    off,
    relics,
    safetensors_file,
    states_inputs,
)
from autograder.exercise import Answer, Case, Misconception


def _file_hidden(seed):
    d = Draw(seed)
    four = {
        "x.weight": d.normal(2, 3, dtype=torch.bfloat16),
        "scalar": d.normal(dtype=torch.float32),
        "cube": d.normal(2, 2, 3, dtype=torch.float64),
        "x.bias": d.normal(3, dtype=torch.float16),
    }
    large = {"large": d.normal(40, 10), "small": d.normal(1, 2)}
    return [
        Case("four types, a scalar, three dimensions", file_inputs(safetensors_file(four))),
        Case("a header filled up with spaces", file_inputs(safetensors_file(four, metadata=False, padding=7))),
        Case(
            "two tensors, wanted backwards", file_inputs(safetensors_file(four, [*four][::-1]), ["x.bias", "x.weight"])
        ),
        Case("the small one of two", file_inputs(safetensors_file(large), ["small"])),
        Case("nothing is wanted", file_inputs(safetensors_file(large), [])),
    ]


def _file_reference(i):
    # Numbers decoded one by one with the struct module.
    data = bytes(i["file"].tolist())
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    numbers = data[8 + size :]
    names = sorted(n for n in header if n != "__metadata__") if i["wanted"] is None else sorted(i["wanted"])
    outputs, count = {"names": names}, 0
    for name in names:
        first, end = header[name]["data_offsets"]
        raw, code = numbers[first:end], header[name]["dtype"]
        count += end - first
        if code == "BF16":  # the upper half of a float32
            raw, code = b"".join(b"\0\0" + raw[n : n + 2] for n in range(0, len(raw), 2)), "F32"
        letter = {"F16": "e", "F32": "f", "F64": "d"}[code]
        values = struct.unpack(f"<{len(raw) // struct.calcsize(letter)}{letter}", raw)
        outputs[f"tensor {name}"] = torch.tensor(values, dtype=torch.float64).reshape(header[name]["shape"]).float()
    return outputs | {"bytes read of the data": count}


_SEEK = "file.seek(8 + size + first)"
_VALUES = 'torch.frombuffer(bytearray(file.read(end - first)), dtype=DTYPES[header[name]["dtype"]])'
_SHAPED = 'data.reshape(header[name]["shape"]).float()'
read_weights = Answer(
    name="read_weights",
    reference=_file_reference,
    hidden=_file_hidden,
    misconceptions=(
        Misconception(
            "offsets-from-the-file's-beginning",
            "the offsets are counted from the beginning of the file instead of the end of the header",
            edits=((_SEEK, "file.seek(first)"),),
        ),
        Misconception(
            "eight-bytes-forgotten",
            "the offsets are counted from the header's length, and the 8 bytes in front of it are forgotten",
            edits=((_SEEK, "file.seek(size + first)"),),
        ),
        Misconception(
            "offsets-ignored",
            "the tensors are read one after the other in the header's order, whatever their offsets say",
            edits=((_SEEK, "pass"),),
        ),
        Misconception(
            "highest-byte-first",
            "the header's length is read with its highest byte first, which makes it astronomically large",
            edits=(('int.from_bytes(file.read(8), "little")', 'int.from_bytes(file.read(8), "big") % 2**62'),),
        ),
        Misconception(
            "metadata-is-a-tensor",
            "__metadata__ is taken for a tensor",
            edits=(('    header.pop("__metadata__", None)\n', ""),),
        ),
        Misconception(
            "always-float32",
            "every number is read as a float32, whatever the header says",
            edits=(('dtype=DTYPES[header[name]["dtype"]]', "dtype=torch.float32"),),
        ),
        Misconception(
            "always-float16",
            "every number is read as a float16, whatever the header says",
            edits=(('dtype=DTYPES[header[name]["dtype"]]', "dtype=torch.float16"),),
        ),
        Misconception(
            "stored-type-kept",
            "the tensors keep the type that they were stored in",
            edits=((_SHAPED, 'data.reshape(header[name]["shape"])'),),
        ),
        Misconception(
            "flat",
            "the tensors are left flat, without their shape",
            edits=((_SHAPED, "data.float()"),),
        ),
        Misconception(
            "wanted-ignored",
            "all tensors are read, whatever is wanted",
            edits=(("for name in header if wanted is None else wanted:", "for name in header:"),),
        ),
        Misconception(
            "whole-file-read",
            "the whole file is read first, and what is wanted is cut out of it",
            edits=(
                ("    weights = {}\n", "    weights = {}\n    everything = file.read()\n"),
                (f"        {_SEEK}\n", ""),
                ("file.read(end - first)", "everything[first:end]"),
            ),
        ),
    ),
)


def _name_hidden(seed):
    d = Draw(seed)
    parts = ("ln_1", "ln_2", "attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    drawn = [int(n) for n in d.integers(10, 100, len(parts))]
    deep = [f"h.{n}.{part}.{kind}" for n, part in zip(drawn, parts, strict=True) for kind in ("weight", "bias")]
    n, m = (int(k) for k in d.integers(12, 48, 2))
    return [
        Case("every part of a block, deep", {"names": deep}),
        Case("every part of a block, deep, with the prefix", {"names": [f"transformer.{name}" for name in deep]}),
        Case("outside the blocks", {"names": ["wpe.weight", "ln_f.bias", "transformer.ln_f.weight", "wte.weight"]}),
        Case(
            "relics deep down",
            {"names": [f"h.{n}.attn.bias", f"h.{m}.attn.masked_bias", f"transformer.h.{n}.attn.masked_bias"]},
        ),
        Case(
            "names that are not GPT-2's",
            {
                "names": [
                    f"h.{n}.mlp.c_attn.weight",
                    f"transformer.h.{m}.attn.c_fc.bias",
                    "model.embed_tokens.weight",
                    "score.weight",
                    f"h.{n}.crossattention.c_attn.weight",
                ]
            },
        ),
    ]


def _name_reference(i):
    # All names of a deep model, written out.
    table = {"wte.weight": "token.weight", "wpe.weight": "position.weight", "lm_head.weight": "None"}
    table |= {f"ln_f.{kind}": f"last_norm.{kind}" for kind in ("weight", "bias")}
    pairs = "ln_1=norm1 ln_2=norm2 attn.c_attn=attention.W_qkv attn.c_proj=attention.W_o"
    pairs += " mlp.c_fc=feed_forward.W_in mlp.c_proj=feed_forward.W_out"
    for n in range(100):
        for theirs, ours in (pair.split("=") for pair in pairs.split()):
            table |= {f"h.{n}.{theirs}.{kind}": f"blocks.{n}.{ours}.{kind}" for kind in ("weight", "bias")}
        table |= {f"h.{n}.attn.bias": "None", f"h.{n}.attn.masked_bias": "None"}
    return {f"your name for {n}": table.get(n.removeprefix("transformer."), n) for n in i["names"]}


_RELICS = 'if re.fullmatch(r"lm_head\\.weight|h\\.\\d+\\.attn\\.(masked_)?bias", bare):'
our_name = Answer(
    name="our_name",
    reference=_name_reference,
    hidden=_name_hidden,
    misconceptions=(
        Misconception(
            "relics-by-their-ending",
            "every name that ends in attn.bias is taken for the old mask: attn.c_attn.bias ends so too and is a weight",
            edits=((_RELICS, 'if bare == "lm_head.weight" or bare.endswith(("attn.bias", ".masked_bias")):'),),
        ),
        Misconception(
            "prefix-kept",
            'the prefix "transformer." is not taken off',
            edits=(('theirs.removeprefix("transformer.")', "theirs"),),
        ),
        Misconception(
            "prefix-cut-off-blindly",
            "the first twelve letters are cut off, whether or not they are the prefix",
            edits=(('theirs.removeprefix("transformer.")', 'theirs[len("transformer.") :]'),),
        ),
        Misconception(
            "one-digit-layers",
            "a layer's number is taken for one digit: from layer 10 on, no name is known",
            edits=(("(?:h\\.(\\d+)\\.(ln_1", "(?:h\\.(\\d)\\.(ln_1"),),
        ),
        Misconception(
            "norms-swapped",
            "ln_1 and ln_2 are swapped",
            edits=(('"ln_1": "norm1", "ln_2": "norm2"', '"ln_1": "norm2", "ln_2": "norm1"'),),
        ),
        Misconception(
            "projections-confused",
            "c_proj is W_o everywhere: the feed-forward network has a c_proj of its own",
            edits=(('"mlp.c_proj": "feed_forward.W_out"', '"mlp.c_proj": "attention.W_o"'),),
        ),
        Misconception(
            "in-and-out-swapped",
            "c_fc and the feed-forward network's c_proj are swapped",
            edits=(
                (
                    '{"mlp.c_fc": "feed_forward.W_in", "mlp.c_proj": "feed_forward.W_out"}',
                    '{"mlp.c_fc": "feed_forward.W_out", "mlp.c_proj": "feed_forward.W_in"}',
                ),
            ),
        ),
        Misconception(
            "head-is-the-embedding",
            "lm_head.weight is given the token embedding's name instead of None",
            edits=(
                (
                    _RELICS,
                    'if bare == "lm_head.weight":\n        return "token.weight"\n    '
                    + _RELICS.replace("lm_head\\.weight|", ""),
                ),
            ),
        ),
        Misconception(
            "relics-kept",
            "the old masks are taken for names that GPT-2 does not have",
            edits=((_RELICS, 'if bare == "lm_head.weight":'),),
        ),
        Misconception(
            "masked-bias-kept",
            "attn.masked_bias is taken for a name that GPT-2 does not have",
            edits=((_RELICS, _RELICS.replace("(masked_)?", "")),),
        ),
        Misconception(
            "unknown-is-none",
            "a name that GPT-2 does not have becomes None: it would be dropped without a word",
            edits=(("        return theirs\n", "        return None\n"),),
        ),
        Misconception(
            "unknown-without-prefix",
            "a name that GPT-2 does not have comes back without its prefix",
            edits=(("        return theirs\n", "        return bare\n"),),
        ),
    ),
)


def _state_hidden(seed):
    d = Draw(seed)
    square = gpt2_weights(d, 4, 4, 4, 1, prefix="transformer.")
    double = gpt2_weights(d, 5, 3, 2, 1, dtype=torch.float64)
    brain = gpt2_weights(d, 5, 3, 2, 1, dtype=torch.bfloat16, prefix="transformer.")
    deep = gpt2_weights(d, 5, 3, 2, 12)
    turned = gpt2_weights(d, 6, 3, 4, 1)
    turned["wte.weight"] = turned["wte.weight"].T.contiguous()
    wider = gpt2_weights(d, 6, 3, 2, 1, prefix="transformer.")
    wider["lm_head.weight"] = torch.cat([wider["transformer.wte.weight"], d.normal(2, 2)])
    order = d.rng.permutation(len(deep)).tolist()
    shuffled = {name: deep[name] for name in (list(deep)[n] for n in order)}
    narrow = gpt2_weights(d, 6, 3, 4, 1)
    narrow["h.0.mlp.c_proj.weight"] = narrow["h.0.mlp.c_proj.weight"].T.contiguous()
    narrow["h.0.ln_2.bias"] = d.normal(5)
    return [
        Case("as many ids and positions as the model is wide", {"found": square, "wanted": gpt_shapes(4, 4, 4, 1)}),
        Case("float64", {"found": double, "wanted": gpt_shapes(5, 3, 2, 1)}),
        Case("bfloat16", {"found": brain, "wanted": gpt_shapes(5, 3, 2, 1)}),
        Case("twelve layers in any order", {"found": shuffled, "wanted": gpt_shapes(5, 3, 2, 12)}),
        Case("more layers than the model has", {"found": deep, "wanted": gpt_shapes(5, 3, 2, 10)}),
        Case("fewer layers than the model has", {"found": double, "wanted": gpt_shapes(5, 3, 2, 2)}),
        Case("an embedding lying on its side", {"found": turned, "wanted": gpt_shapes(6, 3, 4, 1)}),
        Case("a head with two ids more", {"found": wider, "wanted": gpt_shapes(6, 3, 2, 1)}),
        Case("a matrix that was turned already", {"found": narrow, "wanted": gpt_shapes(6, 3, 4, 1)}),
        Case("nothing at all", {"found": relics("", 1, 3), "wanted": gpt_shapes(5, 3, 2, 1)}),
    ]


def _state_reference(i):
    # From what the model wants to the file, where the solution goes from the file to the model.
    bare = {name.removeprefix("transformer."): (name, weight) for name, weight in i["found"].items()}
    middle = {"norm1": "ln_1", "norm2": "ln_2", "attention.W_qkv": "attn.c_attn", "attention.W_o": "attn.c_proj"}
    middle |= {"feed_forward.W_in": "mlp.c_fc", "feed_forward.W_out": "mlp.c_proj"}
    state, problems, used = {}, [], set()
    for ours, shape in i["wanted"].items():
        part, kind = ours.rsplit(".", 1)
        if part.startswith("blocks."):
            _, layer, rest = part.split(".", 2)
            theirs = f"h.{layer}.{middle[rest]}.{kind}"
        else:
            theirs = {"token": "wte", "position": "wpe", "last_norm": "ln_f"}[part] + f".{kind}"
        if theirs not in bare:
            problems.append(["missing", ours])
            continue
        name, weight = bare[theirs]
        used.add(theirs)
        if "W_" in ours and kind == "weight":
            weight = torch.einsum("io->oi", weight)
        if list(weight.shape) == list(shape):
            state[ours] = weight.double().float()
        else:
            problems.append(["shape", name])
    for theirs, (name, weight) in bare.items():
        if theirs == "lm_head.weight":
            token = bare.get("wte.weight", ("", None))[1]
            if token is None or token.shape != weight.shape or bool((token != weight).any()):
                problems.append(["untied", name])
        elif theirs not in used and not theirs.endswith((".attn.bias", ".attn.masked_bias")):
            problems.append(["unexpected", name])
    outputs = {"problems": sorted(problems), "names of the state": sorted(state)}
    return outputs | {f"state[{name}]": state[name] for name in sorted(state)}


_TURN = 'if ".c_" in theirs and theirs.endswith("weight"):'
_HEAD = 'if theirs.endswith("lm_head.weight") and (token is None or not torch.equal(weight, token)):'
translated = Answer(
    name="translated",
    reference=_state_reference,
    hidden=_state_hidden,
    misconceptions=(
        Misconception(
            "shape-decides",
            "a matrix is turned if its shape does not fit: the square one stays on its side, and one that really has "
            "the wrong shape may be let in",
            edits=((_TURN, "if weight.ndim == 2 and tuple(weight.shape) != tuple(wanted[ours]):"),),
        ),
        Misconception(
            "square-not-turned",
            "attn.c_proj.weight is not turned: it is square, so that it fits both ways round and nothing complains",
            edits=(
                (_TURN, 'if ".c_" in theirs and theirs.endswith("weight") and weight.shape[0] != weight.shape[1]:'),
            ),
        ),
        Misconception(
            "nothing-turned",
            "no matrix is turned",
            edits=((_TURN, "if False:"),),
        ),
        Misconception(
            "embeddings-turned",
            "every matrix is turned, the embeddings too",
            edits=((_TURN, "if weight.ndim == 2:"),),
        ),
        Misconception(
            "reshaped",
            "the matrices are reshaped to the wanted shape instead of turned, which leaves the numbers in "
            "the wrong order",
            edits=(
                (
                    "weight = weight.T  #",
                    "weight = weight.reshape(wanted[ours]) if weight.shape[::-1] == wanted[ours] else weight.T  #",
                ),
            ),
        ),
        Misconception(
            "type-kept",
            "the weights keep the type of the file",
            edits=(("state[ours] = weight.float()", "state[ours] = weight"),),
        ),
        Misconception(
            "untied-unnoticed",
            "a head of its own is dropped without a word",
            edits=((_HEAD, "if False:"),),
        ),
        Misconception(
            "head-always-untied",
            "the head is called untied even where it equals the token embedding",
            edits=((_HEAD, 'if theirs.endswith("lm_head.weight"):'),),
        ),
        Misconception(
            "missing-unnoticed",
            "what the file lacks is not reported",
            edits=((' + [("missing", name) for name in wanted if name not in here]', ""),),
        ),
        Misconception(
            "unexpected-unnoticed",
            "what the model has no place for is dropped without a word",
            edits=(('problems.append(("unexpected", theirs))', "pass"),),
        ),
        Misconception(
            "wrong-shapes-in-the-state",
            "weights of the wrong shape are reported and put into the state all the same",
            edits=(
                (
                    '                problems.append(("shape", theirs))',
                    '                state[ours] = weight.float()\n                problems.append(("shape", theirs))',
                ),
            ),
        ),
        Misconception(
            "wrong-shape-is-missing-too",
            "a weight of the wrong shape is reported as missing as well",
            edits=(("if name not in here]", "if name not in state]"),),
        ),
        Misconception(
            "our-name-for-theirs",
            "a wrong shape is reported under the model's name instead of the file's",
            edits=(('problems.append(("shape", theirs))', 'problems.append(("shape", ours))'),),
        ),
        Misconception(
            "not-sorted",
            "the problems are not sorted",
            edits=(("sorted(problems + [", "(problems + ["),),
        ),
    ),
)


def _difference_hidden(seed):
    d = Draw(seed)
    three = [1.0, 1.0, 1.0]
    last = off(states_inputs(d, [0.02, 1.0, 8.0]), "block 1", (0, 3, 5), 1e-2)
    first = off(states_inputs(d, [0.02, 1.0, 8.0]), "embedding", (1, 0, 0), -3e-6)
    strict = states_inputs(d, three, tolerance=1e-9)
    lax = off(states_inputs(d, three, tolerance=0.1), "block 0", (0, 0, 0), 0.05)
    half = states_inputs(d, [1.0, 1.0])
    for side in ("ours", "theirs"):
        half[side] = {name: (state * 600).half() for name, state in half["theirs"].items()}
    half["ours"]["block 0"] = half["ours"]["block 0"] * 1.01
    logits = states_inputs(d, three, C=int(d.integers(3, 9)))
    logits["ours"]["logits"] = d.normal(2, 4, 11)
    logits["theirs"]["logits"] = logits["ours"]["logits"] + 1e-3
    real = torch.tensor([[False, True, True, True], [False, False, False, True]])
    broken = states_inputs(d, three, real=real)
    broken["ours"]["block 0"][0, 0], broken["theirs"]["block 1"][1, 1] = float("nan"), float("nan")
    return [
        Case("the last layer is off", last),
        Case("the first layer is off by very little, and small", first),
        Case("a tolerance below rounding", strict),
        Case("a tolerance of a tenth", lax),
        Case("float16", half),
        Case("logits of another width, and off", logits),
        Case("NaN in padding only", broken),
        Case("one position", states_inputs(d, three, B=1, T=1)),
        Case("an empty batch", states_inputs(d, three, B=0)),
    ]


def _difference_reference(i):
    tolerance = 1e-5 if i["tolerance"] is None else i["tolerance"]
    for name, b in i["theirs"].items():
        a = i["ours"][name]
        if tuple(a.shape) != tuple(b.shape):
            return {"first layer that differs": name}
        B, T = b.shape[:2]
        pairs = [
            (x, y)
            for n in range(B)
            for t in range(T)
            if i["real"] is None or i["real"][n, t]
            for x, y in zip(a[n, t].flatten().tolist(), b[n, t].flatten().tolist(), strict=True)
        ]
        rms = math.sqrt(math.fsum(y * y for _, y in pairs) / len(pairs)) if pairs else 0.0
        if any(math.isnan(x - y) or abs(x - y) > tolerance * (abs(y) + rms) for x, y in pairs):
            return {"first layer that differs": name}
    return {"first layer that differs": ""}


_ALLOWED = "tolerance * (b.abs() + b.square().mean().sqrt())"
_TEST = "if not ((a - b).abs() <= allowed).all():"
first_difference = Answer(
    name="first_difference",
    reference=_difference_reference,
    hidden=_difference_hidden,
    misconceptions=(
        Misconception(
            "nan-passes",
            "the question is whether a difference is too large: of a NaN that is never true, so it passes",
            edits=((_TEST, "if ((a - b).abs() > allowed).any():"),),
        ),
        Misconception(
            "absolute",
            "the tolerance is taken as it is, whatever the size of the states",
            edits=((_ALLOWED, "tolerance"),),
        ),
        Misconception(
            "allclose",
            "torch.allclose's own rule is used: its absolute part does not know how large the states are",
            edits=((_ALLOWED, "tolerance * (b.abs() + 1)"),),
        ),
        Misconception(
            "relative-alone",
            "the tolerance is relative to each element alone, so that one that is nearly zero is never right",
            edits=((_ALLOWED, "tolerance * b.abs()"),),
        ),
        Misconception(
            "rms-alone",
            "the tolerance is relative to the root mean square alone, so that a very large element is never right",
            edits=((_ALLOWED, "tolerance * b.square().mean().sqrt()"),),
        ),
        Misconception(
            "mean-difference",
            "the mean of the differences is tested instead of each, so that one wrong element drowns",
            edits=((_TEST, "if not (a - b).abs().mean() <= allowed.mean():"),),
        ),
        Misconception(
            "largest-for-rms",
            "the layer's largest element takes the place of its root mean square, so that beside an outlier anything "
            "passes",
            edits=((_ALLOWED, "tolerance * (b.abs() + (b.abs().max() if b.numel() else 0))"),),
        ),
        Misconception(
            "norms-compared",
            "the norm of the whole difference is compared with the state's, so that one wrong element drowns",
            edits=((_TEST, "if not (a - b).norm() <= tolerance * b.norm():"),),
        ),
        Misconception(
            "sign-forgotten",
            "the differences are compared with their sign, so that an element that is too small is always right",
            edits=((_TEST, "if not ((a - b) <= allowed).all():"),),
        ),
        Misconception(
            "padding-compared",
            "padded positions are compared too",
            edits=(("if real is not None:", "if False:"),),
        ),
        Misconception(
            "padding-in-the-rms",
            "padded positions are left out of the comparison but not of the root mean square",
            edits=(
                (
                    "        if real is not None:\n",
                    "        rms = b.square().mean().sqrt()\n        if real is not None:\n",
                ),
                (_ALLOWED, "tolerance * (b.abs() + rms)"),
            ),
        ),
        Misconception(
            "shapes-broadcast",
            "shapes are not compared: what broadcasts is subtracted all the same",
            edits=(("if a.shape != b.shape:", "if False:"),),
        ),
        Misconception(
            "last-named",
            "the last layer that differs is named instead of the first",
            edits=(("for name, b in theirs.items():", "for name, b in reversed(theirs.items()):"),),
        ),
        Misconception(
            "end-only",
            "only the last layer is compared",
            edits=(("for name, b in theirs.items():", "for name, b in list(theirs.items())[-1:]:"),),
        ),
        Misconception(
            "half-precision",
            "the comparison is made in the precision of the states: squares of float16 overflow",
            edits=(("        a, b = a.double(), b.double()\n", ""),),
        ),
        Misconception(
            "tolerance-ignored",
            "the tolerance is always 1e-5, whatever is given",
            edits=((_ALLOWED, "1e-5 * (b.abs() + b.square().mean().sqrt())"),),
        ),
    ),
)
