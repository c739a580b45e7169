"""Lab 3.4, the student's half: how the file's reader, the names, the translation and the comparison are driven."""

import io
import json

import torch

from autograder.acting import WrongType
from autograder.cases import Draw
from autograder.exercise import Case, Exercise

KINDS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}


def safetensors_file(
    tensors: dict[str, torch.Tensor], order: list[str] | None = None, metadata: bool = True, padding: int = 0
) -> torch.Tensor:
    """A file's bytes, as uint8 (n,). order: the data's, if not the header's. padding: spaces after the JSON."""
    places, data = {}, b""
    for name in order or list(tensors):
        raw = tensors[name].contiguous().view(-1).view(torch.uint8).numpy().tobytes()
        places[name] = [len(data), len(data) + len(raw)]
        data += raw
    codes = {dtype: code for code, dtype in KINDS.items()}
    header = {"__metadata__": {"format": "pt"}} if metadata else {}
    for name, tensor in tensors.items():
        header[name] = {"dtype": codes[tensor.dtype], "shape": list(tensor.shape), "data_offsets": places[name]}
    text = json.dumps(header, separators=(",", ":")).encode() + b" " * padding
    return torch.tensor(list(len(text).to_bytes(8, "little") + text + data), dtype=torch.uint8)


def file_inputs(file: torch.Tensor, wanted: list[str] | None = None) -> dict[str, object]:
    """A file and the names that are asked for."""
    return {"file": file, "wanted": wanted}


def _file_cases():
    d = Draw(3401)
    plain = {"first": d.normal(2, 3), "second": d.normal(4)}
    mixed = {"b": d.normal(3, 2, dtype=torch.float16), "a": d.normal(5), "c": d.normal(2, 2, dtype=torch.float16)}
    return [
        Case("two tensors in float32", file_inputs(safetensors_file(plain, metadata=False))),
        Case("metadata, two types, data in another order", file_inputs(safetensors_file(mixed, ["c", "b", "a"]))),
        Case("one tensor of three", file_inputs(safetensors_file(mixed, ["a", "c", "b"]), ["c"])),
    ]


class _File:
    # What an open file can do and no more: read on, jump, tell. It counts what is read of the data.
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)
        self._data_from = 8 + int.from_bytes(data[:8], "little")
        self.data_read = 0

    def read(self, size: int = -1) -> bytes:
        start = self._file.tell()
        data = self._file.read(size)
        self.data_read += max(0, start + len(data) - max(start, self._data_from))
        return data

    def seek(self, place: int, whence: int = 0) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()


def _file_act(f, i):
    file = _File(bytes(i["file"].tolist()))
    weights = f(file) if i["wanted"] is None else f(file, list(i["wanted"]))
    if not isinstance(weights, dict):
        raise WrongType(f"your function returned a {type(weights).__name__}, not a dict")
    outputs = {"names": sorted(map(str, weights))}
    outputs |= {f"tensor {name}": weights[name] for name in sorted(weights)}
    return outputs | {"bytes read of the data": file.data_read}


read_weights = Exercise(
    name="read_weights",
    title="Reading the file",
    minutes=15,
    difficulty=2,
    points=4,
    act=_file_act,
    visible=_file_cases,
    forbids=("source.models.gpt2_files.read_weights",),
    hints=(
        "Three reads: the length, the header, and for each wanted tensor its bytes. Where in the *file* does a tensor "
        "begin whose offset is 0?",
        '`int.from_bytes(file.read(8), "little")`, `json.loads(...)`, `file.seek(place)`. '
        "`torch.frombuffer(bytearray(raw), dtype=...)` makes a flat tensor of bytes; `.reshape(shape)`, `.float()`.",
        "size from the first 8 bytes; header from the next size bytes, without __metadata__; for each wanted name: "
        "seek to 8 + size + first offset, read end - first bytes, turn into a tensor of the header's dtype and "
        "shape, to float32.",
    ),
)


def _name_cases():
    with_prefix = ["transformer.wte.weight", "transformer.wpe.weight", "transformer.ln_f.bias"]
    with_prefix += [f"transformer.h.0.{n}" for n in ("ln_1.weight", "attn.c_attn.weight", "mlp.c_proj.bias")]
    bare = ["wte.weight", "ln_f.weight"]
    bare += [f"h.7.{n}" for n in ("ln_2.bias", "attn.c_proj.weight", "mlp.c_fc.weight", "attn.c_attn.bias")]
    relics = ["h.0.attn.bias", "transformer.h.3.attn.masked_bias", "lm_head.weight", "transformer.h.0.attn.bias"]
    others = ["h.0.ln_3.weight", "transformer.h.2.attn.c_attn.scale", "classifier.weight"]
    return [
        Case("with the prefix", {"names": with_prefix}),
        Case("without the prefix", {"names": bare}),
        Case("what is no weight", {"names": relics}),
        Case("layer 11, and names that are not GPT-2's", {"names": ["h.11.attn.c_proj.bias", *others]}),
    ]


def _name_act(f, i):
    outputs = {}
    for name in i["names"]:
        ours = f(name)
        if ours is not None and not isinstance(ours, str):
            raise WrongType(f"your name for {name!r} is a {type(ours).__name__}, neither a string nor None")
        outputs[f"your name for {name}"] = "None" if ours is None else ours
    return outputs


our_name = Exercise(
    name="our_name",
    title="Names",
    minutes=12,
    difficulty=2,
    points=3,
    act=_name_act,
    visible=_name_cases,
    forbids=("source.models.gpt2_files.our_name",),
    hints=(
        "Take the prefix off first, if it is there. Then there are three kinds of names: outside the blocks, inside a "
        "block, and neither. When is a name inside a block?",
        '`name.removeprefix("transformer.")`; `name.split(".")` or `re.fullmatch(r"h\\.(\\d+)\\.(.+)\\.(weight|bias)", '
        "name)` cuts it; a dict maps the part in the middle. `fullmatch` sees the whole name; `endswith` does not.",
        "bare = without prefix; if it is lm_head.weight or h.N.attn.bias or h.N.attn.masked_bias: None; if outside a "
        "block and known: the dict's name; if h.N.part.kind with a known part: blocks.N.ours.kind; otherwise theirs.",
    ),
)


IN_A_BLOCK = {
    "ln_1": 0,
    "attn.c_attn": (1, 3),
    "attn.c_proj": (1, 1),
    "ln_2": 0,
    "mlp.c_fc": (1, 4),
    "mlp.c_proj": (4, 1),
}


def gpt2_weights(d: Draw, V: int, context: int, C: int, L: int, dtype: torch.dtype = torch.float32, prefix: str = ""):
    """Random weights of a GPT-2 under its names and in its layout."""
    found = {"wte.weight": d.normal(V, C, dtype=dtype), "wpe.weight": d.normal(context, C, dtype=dtype)}
    for layer in range(L):
        for name, times in IN_A_BLOCK.items():
            shape = (times[0] * C, times[1] * C) if times else (C,)
            found[f"h.{layer}.{name}.weight"] = d.normal(*shape, dtype=dtype)
            found[f"h.{layer}.{name}.bias"] = d.normal(shape[-1], dtype=dtype)
    found |= {"ln_f.weight": d.normal(C, dtype=dtype), "ln_f.bias": d.normal(C, dtype=dtype)}
    return {prefix + name: weight for name, weight in found.items()}


def gpt_shapes(V: int, context: int, C: int, L: int) -> dict[str, list[int]]:
    """The name and shape of every weight of GPT."""
    wanted = {"token.weight": [V, C], "position.weight": [context, C]}
    for layer in range(L):
        for part in ("norm1", "norm2"):
            wanted |= {f"blocks.{layer}.{part}.{kind}": [C] for kind in ("weight", "bias")}
        for part, rows, columns in (("attention.W_qkv", 3, 1), ("attention.W_o", 1, 1), ("feed_forward.W_in", 4, 1)):
            wanted[f"blocks.{layer}.{part}.weight"] = [rows * C, columns * C]
            wanted[f"blocks.{layer}.{part}.bias"] = [rows * C]
        wanted[f"blocks.{layer}.feed_forward.W_out.weight"] = [C, 4 * C]
        wanted[f"blocks.{layer}.feed_forward.W_out.bias"] = [C]
    return wanted | {"last_norm.weight": [C], "last_norm.bias": [C]}


def relics(prefix: str, layers: int, context: int) -> dict[str, torch.Tensor]:
    """The causal triangles of old files."""
    found = {}
    for layer in range(layers):
        found[f"{prefix}h.{layer}.attn.bias"] = torch.ones(1, 1, context, context).tril()
        found[f"{prefix}h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return found


def _state_cases():
    d = Draw(3403)
    fits = gpt2_weights(d, 7, 5, 3, 1, prefix="transformer.")
    old = gpt2_weights(d, 6, 4, 2, 2, dtype=torch.float16)
    old = relics("", 2, 4) | old | {"lm_head.weight": old["wte.weight"].clone()}
    lacking = gpt2_weights(d, 7, 5, 2, 1, prefix="transformer.")
    for name in ("transformer.h.0.attn.c_attn.bias", "transformer.ln_f.weight"):
        del lacking[name]
    lacking["transformer.h.0.ln_3.weight"] = d.normal(2)
    bent = gpt2_weights(d, 7, 5, 2, 1)
    bent["wpe.weight"] = d.normal(8, 2)
    bent["h.0.mlp.c_fc.weight"] = bent["h.0.mlp.c_fc.weight"].T.contiguous()
    bent["lm_head.weight"] = bent["wte.weight"] + 0.5
    return [
        Case("a file that fits", {"found": fits, "wanted": gpt_shapes(7, 5, 3, 1)}),
        Case(
            "an old file in float16, with triangles and its tied head", {"found": old, "wanted": gpt_shapes(6, 4, 2, 2)}
        ),
        Case("two weights missing, one too many", {"found": lacking, "wanted": gpt_shapes(7, 5, 2, 1)}),
        Case("two wrong shapes, and a head of its own", {"found": bent, "wanted": gpt_shapes(7, 5, 2, 1)}),
    ]


def _state_act(f, i):
    found = f(dict(i["found"]), {name: tuple(shape) for name, shape in i["wanted"].items()})
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[0], dict):
        raise WrongType("your function has to return two things: the state, a dict, and the list of problems")
    state, problems = found
    if not isinstance(problems, list) or any(not isinstance(p, tuple | list) or len(p) != 2 for p in problems):
        raise WrongType(f"problems is a list of pairs (kind, name); yours: {problems!r}"[:300])
    outputs = {"problems": [list(p) for p in problems], "names of the state": sorted(map(str, state))}
    return outputs | {f"state[{name}]": state[name] for name in sorted(state, key=str)}


translated = Exercise(
    name="translated",
    title="Every weight in its place",
    minutes=18,
    difficulty=3,
    points=5,
    act=_state_act,
    visible=_state_cases,
    forbids=(
        "source.models.gpt2_files.translated",
        "source.models.gpt.from_huggingface",
        "source.blocks.gpt2_block.from_gpt2",
        "source.blocks.assembled.block_state",
    ),
    hints=(
        "Go once through the file: no weight, no place, wrong shape, or fits. Then once through what the model wants: "
        "which of its names did not occur?",
        '`".c_" in theirs` and `theirs.endswith("weight")` tell the four matrices that are turned: `weight.T`. '
        "`torch.equal(a, b)` is False for different shapes too. `tuple(weight.shape)`.",
        "for theirs, weight: ours = rename(theirs). None: if it is the head and unequal to the token embedding, "
        "'untied'. Not wanted: 'unexpected'. Else remember ours; turn if its name says so; right shape: state, in "
        "float32; else 'shape'. Afterwards 'missing' for every wanted name that was not remembered. Sort.",
    ),
)


def states_inputs(
    d: Draw, sizes: list[float], B: int = 2, T: int = 4, C: int = 6, dtype=torch.float64, **more
) -> dict[str, object]:
    """Two runs that agree but for float32's rounding: one state (B, T, C) for each size."""
    names = ["embedding", *(f"block {n}" for n in range(len(sizes) - 1))]
    theirs = {name: d.normal(B, T, C, dtype=dtype, scale=size) for name, size in zip(names, sizes, strict=True)}
    ours = {name: state * (1 + 1e-7 * d.normal(B, T, C, dtype=dtype)) for name, state in theirs.items()}
    return {"ours": ours, "theirs": theirs, "tolerance": None, "real": None, **more}


def off(inputs: dict, layer: str, at: tuple[int, int, int], by: float) -> dict:
    """The same inputs, with one element of ours changed by `by`."""
    inputs["ours"][layer][at] += by
    return inputs


def _difference_cases():
    d = Draw(3404)
    four = [1.0, 1.0, 1.0, 1.0]
    later = off(states_inputs(d, four), "block 0", (1, 2, 3), -1e-3)
    later["ours"]["block 1"] = later["ours"]["block 1"] + 5.0
    broken = states_inputs(d, four)
    broken["ours"]["block 1"][0, 1, 2] = float("nan")
    real = torch.tensor([[True] * 4, [True, True, False, False]])
    padded = states_inputs(d, four, real=real)
    for name in ("embedding", "block 2"):
        padded["ours"][name][1, 2:] = 7.0
    hidden = states_inputs(d, four, real=real)
    hidden["ours"]["block 1"][1, 3], hidden["theirs"]["block 1"][1, 3] = 1e4, 1e4
    large = off(states_inputs(d, [1.0, 50.0, 50.0]), "block 0", (0, 0, 1), 3e-4)
    near_zero = states_inputs(d, [1.0, 1.0])
    near_zero["theirs"]["embedding"][0, 0, 0], near_zero["ours"]["embedding"][0, 0, 0] = 1e-9, 3e-7
    outlier = states_inputs(d, [1.0, 1.0], B=3, T=8, C=16)
    outlier["theirs"]["block 0"][1, 1, 1], outlier["ours"]["block 0"][1, 1, 1] = 1000.0, 1000.004
    beside = states_inputs(d, [1.0, 1.0], B=3, T=8, C=16)
    beside["theirs"]["block 0"][1, 1, 1], beside["ours"]["block 0"][1, 1, 1] = 1000.0, 1000.0
    alike = states_inputs(d, [1.0, 1.0], B=1)
    alike["theirs"] = {name: state.repeat(3, 1, 1) for name, state in alike["theirs"].items()}
    lax = off(states_inputs(d, [1.0, 1.0], tolerance=1e-2), "embedding", (0, 0, 0), 5e-3)
    return [
        Case("rounding only", states_inputs(d, four)),
        Case("the second layer is off by a little, the third by much", later),
        Case("a NaN in the third layer", broken),
        Case("only padding differs", padded),
        Case("a real element is off, and padding is huge", off(hidden, "block 1", (0, 1, 1), 1e-3)),
        Case("large states, rounded", large),
        Case("small states, and one is off", off(states_inputs(d, [1.0, 1e-2, 1.0]), "block 0", (1, 1, 1), 4e-6)),
        Case("an element that is nearly zero", near_zero),
        Case("an element that is very large", outlier),
        Case("an ordinary element is off beside a very large one", off(beside, "block 0", (2, 2, 2), 5e-3)),
        Case("shapes that broadcast", alike),
        Case("one of many elements is off", off(states_inputs(d, [1.0, 1.0], 2, 12, 80), "block 0", (1, 7, 33), 1e-4)),
        Case("a larger tolerance", off(lax, "block 0", (1, 1, 1), 0.5)),
    ]


def _difference_act(f, i):
    told = {name: i[name] for name in ("tolerance", "real") if i[name] is not None}
    name = f(i["ours"], i["theirs"], **told)
    if not isinstance(name, str):
        raise WrongType(f"your function returned a {type(name).__name__}, not the name of a layer or an empty string")
    return {"first layer that differs": name}


first_difference = Exercise(
    name="first_difference",
    title="The first difference",
    minutes=15,
    difficulty=2,
    points=4,
    act=_difference_act,
    visible=_difference_cases,
    forbids=(
        "source.models.first_difference.first_difference",
        "source.models.first_difference.distance",
    ),
    hints=(
        "Layer by layer in the order of theirs. What has to be checked before two tensors may be subtracted? And what "
        "has to be true of *every* element for a layer to pass?",
        "`a[real]` keeps the real positions: (B, T, C) and (B, T) give (n, C). `b.square().mean().sqrt()` is the root "
        "mean square. `not (... <= allowed).all()` is True for a NaN; `(... > allowed).any()` is not.",
        "for name, b: a = ours[name]; other shape: return name; both to float64; if real is given keep real positions; "
        "allowed = tolerance · (|b| + rms of b); unless all |a - b| <= allowed return name. At the end return ''.",
    ),
)
