"""Plain bytes for arrays and JSON values: what crosses from the student's side to the judge's. Never executes anything.

A tree of dicts, lists, strings, numbers, booleans, None, numpy arrays and torch tensors becomes one
uncompressed `.npz` whose entry "tree" is JSON text. Tensors keep dtype and strides, so that a
non-contiguous input arrives non-contiguous.
"""

import io
import json
import zipfile
from typing import Any

import numpy as np
import torch

# numpy has no bfloat16: its bits travel as int16.
_BITS = {torch.bfloat16: torch.int16}


class NotPlain(ValueError):
    """The value, or the bytes, cannot be carried as plain data."""


def pack(tree: Any) -> bytes:
    """Bytes of a tree. Raises NotPlain for anything but plain data."""
    arrays: list[np.ndarray] = []

    def encode(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            dtype = value.dtype
            dense = value.contiguous()
            arrays.append(dense.view(_BITS[dtype]).numpy() if dtype in _BITS else dense.numpy())
            return {
                "$tensor": len(arrays) - 1,
                "dtype": str(dtype).removeprefix("torch."),
                "strides": None if value.is_contiguous() else list(value.stride()),
            }
        if isinstance(value, np.ndarray):
            if value.dtype.kind not in "biufc":
                raise NotPlain(f"an array of dtype {value.dtype} is not plain data")
            arrays.append(value)
            return {"$array": len(arrays) - 1}
        if isinstance(value, dict):
            if any(not isinstance(k, str) or k.startswith("$") for k in value):
                raise NotPlain("a dict needs string keys that do not start with $")
            return {k: encode(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [encode(v) for v in value]
        if isinstance(value, np.generic):
            return encode(value.item())
        if value is None or type(value) in (bool, int, float, str):
            return value
        raise NotPlain(f"a {type(value).__name__} is not plain data")

    text = json.dumps(encode(tree))
    out = io.BytesIO()
    entries = {f"a{i}": a for i, a in enumerate(arrays)}
    np.savez(out, allow_pickle=False, tree=np.frombuffer(text.encode(), dtype=np.uint8), **entries)
    return out.getvalue()


def unpack(data: bytes, limit: int = 64 << 20) -> Any:
    """The tree of some bytes. Raises NotPlain for anything damaged, compressed or larger than `limit` bytes."""
    if len(data) > limit:
        raise NotPlain(f"{len(data)} bytes are more than the {limit} allowed")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # A stored entry cannot unpack to more than was sent; a compressed one can (a zip bomb).
            if any(e.compress_type != zipfile.ZIP_STORED for e in archive.infolist()):
                raise NotPlain("compressed entries are not accepted")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            text = arrays["tree"].tobytes()
            if len(text) > limit // 4:  # as Python objects, text is several times its size
                raise NotPlain(f"{len(text)} bytes of text are more than the {limit // 4} allowed")
            tree = json.loads(text)
            left = limit

            def taken(count: int) -> None:
                # One entry may be named many times, and strides may span more than was sent.
                nonlocal left
                left -= count
                if left < 0:
                    raise NotPlain(f"the bytes unpack to more than the {limit} allowed")

            def decode(value: Any) -> Any:
                if isinstance(value, list):
                    return [decode(v) for v in value]
                if not isinstance(value, dict):
                    return value
                if "$array" in value or "$tensor" in value:
                    array = arrays[f"a{int(value.get('$array', value.get('$tensor')))}"]
                    taken(array.nbytes + 4096)
                    if "$array" in value:
                        return array
                    strides = value["strides"]
                    if strides is not None:
                        taken(sum(abs(int(s)) * max(n - 1, 0) for s, n in zip(strides, array.shape, strict=True)) * 8)
                    return _tensor(array, value["dtype"], strides)
                return {k: decode(v) for k, v in value.items()}

            return decode(tree)
    except NotPlain:
        raise
    except Exception as error:  # zipfile, numpy and json raise many kinds on damaged bytes
        raise NotPlain(f"not plain data: {error}") from error


def _tensor(array: np.ndarray, dtype: str, strides: list[int] | None) -> torch.Tensor:
    kind = getattr(torch, dtype)
    dense = torch.from_numpy(array.copy())
    if kind in _BITS:
        dense = dense.view(kind)
    if strides is None:
        return dense
    spread = torch.empty_strided(dense.shape, strides, dtype=kind)
    return spread.copy_(dense)
