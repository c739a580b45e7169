"""GPT-2's weights out of a safetensors file, step by step: read, rename, turn. It fetches nothing and builds no model.

`gpt.GPT.from_folder` does all of it through the library; this file shows what that takes. Letters: B batch, T
positions, C model width, V vocabulary.

- The format: https://huggingface.co/docs/safetensors, "Format".
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO

import torch
from torch import Tensor

DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}

# The middle of a name, between the layer's number and .weight or .bias: GPT-2's on the left.
IN_A_BLOCK = {
    "ln_1": "norm1",
    "attn.c_attn": "attention.W_qkv",
    "attn.c_proj": "attention.W_o",
    "ln_2": "norm2",
    "mlp.c_fc": "feed_forward.W_in",
    "mlp.c_proj": "feed_forward.W_out",
}
OUTSIDE = {"wte.weight": "token.weight", "wpe.weight": "position.weight"}
OUTSIDE |= {f"ln_f.{kind}": f"last_norm.{kind}" for kind in ("weight", "bias")}
NO_WEIGHT = re.compile(r"lm_head\.weight|h\.\d+\.attn\.(bias|masked_bias)")


def read_weights(file: BinaryIO, wanted: Iterable[str] | None = None) -> dict[str, Tensor]:
    """Tensors of a safetensors file in float32, by name. Of the data, only what is wanted is read.

    file: at its beginning, and able to seek. wanted: names, None = all.
    Raises KeyError for a name that the file lacks or a dtype other than F16, BF16, F32, F64.
    """
    size = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    weights = {}
    for name in header if wanted is None else wanted:
        about = header[name]
        first, end = about["data_offsets"]
        file.seek(8 + size + first)  # offsets count from the end of the header
        data = torch.frombuffer(bytearray(file.read(end - first)), dtype=DTYPES[about["dtype"]])
        weights[name] = data.view(about["shape"]).float()
    return weights


def our_name(theirs: str) -> str | None:
    """GPT's name for a tensor of GPT-2's file, with "transformer." in front or without. None for what is no weight.

    No weights are the old causal triangles (h.N.attn.bias, h.N.attn.masked_bias) and the head, which is the token
    embedding again. A name that GPT-2 does not have comes back as it is.
    """
    bare = theirs.removeprefix("transformer.")
    if NO_WEIGHT.fullmatch(bare):
        return None
    if bare in OUTSIDE:
        return OUTSIDE[bare]
    parts = re.fullmatch(r"h\.(\d+)\.(.+)\.(weight|bias)", bare)
    if parts and parts[2] in IN_A_BLOCK:
        return f"blocks.{parts[1]}.{IN_A_BLOCK[parts[2]]}.{parts[3]}"
    return theirs


def translated(
    found: Mapping[str, Tensor], wanted: Mapping[str, Sequence[int]]
) -> tuple[dict[str, Tensor], list[tuple[str, str]]]:
    """A file's tensors as a state dict for GPT, and everything that is wrong with them.

    found: tensors under GPT-2's names. wanted: the name and shape of every weight of the model.
    Returns the state, in float32, matrices of Conv1D turned to nn.Linear's layout, and the problems, sorted:
    ("missing", our name), ("unexpected", their name), ("shape", their name), ("untied", their name of the head).
    """
    state, problems, here = {}, [], set()
    token = next((w for n, w in found.items() if our_name(n) == "token.weight"), None)
    for theirs, weight in found.items():
        ours = our_name(theirs)
        if ours is None:
            # A head of its own would be dropped here, and the model would compute something else without a word.
            if theirs.endswith("lm_head.weight") and (token is None or not torch.equal(weight, token)):
                problems.append(("untied", theirs))
            continue
        if ours not in wanted:
            problems.append(("unexpected", theirs))
            continue
        here.add(ours)
        # Whether to turn is a question of the name. The shape cannot tell for a square matrix.
        weight = weight.T if ".c_" in theirs and theirs.endswith("weight") else weight
        if tuple(weight.shape) != tuple(wanted[ours]):
            problems.append(("shape", theirs))
        else:
            state[ours] = weight.float().contiguous()
    problems += [("missing", name) for name in wanted if name not in here]
    return state, sorted(problems)
