"""Plain bytes for arrays and JSON values: what crosses from the student's side to the judge's. Never executes anything.

A tree of dicts, lists, strings, numbers, booleans, None, numpy arrays and torch tensors becomes JSON text, with the
arrays' bytes behind it: magic, the text's length (8 bytes), text, arrays. Tensors keep dtype and strides, so that a
non-contiguous input arrives non-contiguous. (numpy's own `.npz` says the same; a zip of fifty small arrays takes ten
times as long to read.)
"""

import json
import math
import struct
from typing import Any

import numpy as np
import torch

_MAGIC = b"PLAIN1\n\0"
_HEAD = struct.Struct("<8sQ")
# numpy has no bfloat16: its bits travel as int16.
_BITS = {torch.bfloat16: torch.int16}
_DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "complex64", "complex128"),
    )
}
_TENSORS = {*_DTYPES, "bfloat16"}


class NotPlain(ValueError):
    """The value, or the bytes, cannot be carried as plain data."""


def pack(tree: Any, limit: int = 1 << 40) -> bytes:
    """Bytes of a tree. Raises NotPlain for anything but plain data, and for more than `limit` bytes of arrays or text.

    The limit is looked at before anything is copied.
    """
    parts: list[bytes] = []
    size = 0

    def more(count: int) -> None:
        nonlocal size
        size += count
        if size > limit:
            raise NotPlain(f"too large: {size >> 20} MB; at most {limit >> 20} MB are allowed")

    def carried(array: np.ndarray) -> dict[str, Any]:
        if array.dtype.name not in _DTYPES:
            raise NotPlain(f"an array of dtype {array.dtype} is not plain data")
        more(array.nbytes)
        parts.append(np.ascontiguousarray(array, _DTYPES[array.dtype.name]).tobytes())
        return {"$array": array.dtype.name, "shape": list(array.shape)}

    def encode(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            dtype = value.dtype
            more(0 if value.is_contiguous() else value.numel() * value.element_size())
            dense = value.contiguous()
            told = carried(dense.view(_BITS[dtype]).numpy() if dtype in _BITS else dense.numpy())
            strides = None if value.is_contiguous() else list(value.stride())
            return {**told, "tensor": str(dtype).removeprefix("torch."), "strides": strides}
        if isinstance(value, np.ndarray):
            return carried(value)
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

    text = json.dumps(encode(tree)).encode()
    more(4 * len(text))  # what unpack allows of text
    return b"".join([_HEAD.pack(_MAGIC, len(text)), text, *parts])


def unpack(data: bytes, limit: int = 64 << 20) -> Any:
    """The tree of some bytes. Raises NotPlain for anything damaged or larger than `limit` bytes."""
    if len(data) > limit:
        raise NotPlain(f"{len(data)} bytes are more than the {limit} allowed")
    try:
        magic, length = _HEAD.unpack_from(data)
        if magic != _MAGIC or _HEAD.size + length > len(data):
            raise NotPlain("not plain data: it does not begin as it should")
        if length > limit // 4:  # as Python objects, text is several times its size
            raise NotPlain(f"{length} bytes of text are more than the {limit // 4} allowed")
        tree = json.loads(data[_HEAD.size : _HEAD.size + length])
        at, left = _HEAD.size + length, limit

        def carried(told: dict[str, Any]) -> Any:
            # Arrays lie in the order in which the text names them, so no byte is taken twice.
            nonlocal at, left
            shape = [_count(n) for n in told["shape"]]
            dtype = _DTYPES[told["$array"]]
            size = math.prod(shape) * dtype.itemsize
            if at + size > len(data):
                raise NotPlain("not plain data: an array ends beyond the bytes")
            array = np.frombuffer(data, dtype, math.prod(shape), at).reshape(shape).copy()
            at += size
            if "tensor" not in told:
                return array
            strides = told["strides"]
            if strides is not None:
                # Strides may span more than was sent.
                span = 1 + sum(_count(s) * max(n - 1, 0) for s, n in zip(strides, shape, strict=True))
                left -= span * dtype.itemsize
                if left < 0:
                    raise NotPlain(f"the bytes unpack to more than the {limit} allowed")
            return _tensor(array, told["tensor"], strides)

        def decode(value: Any) -> Any:
            if isinstance(value, list):
                return [decode(v) for v in value]
            if not isinstance(value, dict):
                return value
            return carried(value) if "$array" in value else {k: decode(v) for k, v in value.items()}

        return decode(tree)
    except NotPlain:
        raise
    except Exception as error:  # json, numpy and torch raise many kinds on damaged bytes
        raise NotPlain(f"not plain data: {error}") from error


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise NotPlain("not plain data: a size is no number")
    return value


def _tensor(array: np.ndarray, dtype: str, strides: list[int] | None) -> torch.Tensor:
    if dtype not in _TENSORS:
        raise NotPlain(f"not plain data: no tensor is of dtype {dtype!r}")
    kind = getattr(torch, dtype)
    dense = torch.from_numpy(array)
    if kind in _BITS:
        dense = dense.view(kind)
    if dense.dtype != kind:
        raise NotPlain("not plain data: a tensor is not of the dtype that it claims")
    if strides is None:
        return dense
    spread = torch.empty_strided(dense.shape, strides, dtype=kind)
    return spread.copy_(dense)
