"""Runs what the student wrote on one case and reports what came back as plain data. It does not judge."""

import linecache
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from autograder.exercise import Exercise, Inputs, Outputs
from autograder.forbids import Watch

_HERE = str(Path(__file__).parent)
_LIBRARIES = ("site-packages", "dist-packages", "frozen importlib")


def act(exercise: Exercise, submission: Any, inputs: Inputs) -> dict[str, Any]:
    """Drive a submission on one case's inputs; whatever happens becomes a report.

    Returns {"status": "ok" | "not implemented" | "raised" | "forbidden" | "wrong type", "text": str,
    "outputs": described outputs, "modified": names of inputs changed in place}. Plain data only.
    """
    before = {name: copied(value) for name, value in inputs.items()}
    given = {name: copied(value) for name, value in inputs.items()}
    report: dict[str, Any] = {"status": "ok", "text": "", "error": "", "outputs": {}, "modified": []}
    watch = Watch(exercise.forbids)
    try:
        with watch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a warning is not a wrong answer
            outputs = exercise.act(submission, given)
        report["outputs"] = describe(outputs)
    except NotImplementedError as error:
        if _raised_by_hand(error):
            report.update(status="not implemented", text=str(error))
        else:
            report.update(status="raised", error="NotImplementedError", text=own_traceback(error))
    except WrongType as error:
        report.update(status="wrong type", text=str(error))
    except Exception as error:
        report.update(status="raised", error=type(error).__name__, text=own_traceback(error))
    if watch.fired:
        report.update(status="forbidden", text=watch.fired[0], outputs={})
    report["modified"] = [
        name for name in inputs if name not in exercise.may_modify and not _same(before[name], given[name])
    ]
    return report


class WrongType(TypeError):
    """What the student's code returned is no array, number, string or list of them."""


def describe(outputs: Outputs) -> dict[str, dict[str, Any]]:
    """Each output as plain data with its type, dtype and device. Raises WrongType."""
    return {name: _described(name, value) for name, value in outputs.items()}


def _described(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, torch.Tensor):
        plain = value.detach().cpu()
        # bfloat16 fits float32 without loss, and numpy has no name for it.
        array = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy().copy()
        dtype = str(value.dtype).removeprefix("torch.")
        return {"type": "tensor", "dtype": dtype, "device": value.device.type, "array": array}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return {"type": "array", "dtype": str(value.dtype), "device": "cpu", "array": value.copy()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool | int | float | str):
        return {"type": type(value).__name__, "value": value}
    if isinstance(value, list | tuple):
        return {"type": "list", "value": _listed(name, value)}
    if value is None:
        raise WrongType(f"{name} is None: does every path through your code return a value?")
    raise WrongType(f"{name} is a {type(value).__name__}, not a tensor, number, string or list")


def _listed(name: str, values: Any) -> list[Any]:
    plain = []
    for value in values:
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, list | tuple):
            plain.append(_listed(name, value))
        elif value is None or isinstance(value, bool | int | float | str):
            plain.append(value)
        else:
            raise WrongType(f"{name} holds a {type(value).__name__}, not numbers or strings")
    return plain


def own_traceback(error: BaseException) -> str:
    """The student's own lines of a traceback, then the error: ours and the libraries' frames are cut."""
    lines = []
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith(_HERE) or any(part in frame.filename for part in _LIBRARIES):
            continue
        lines.append(f"line {frame.lineno}, in {frame.name}: {(frame.line or '').strip()}")
    said = str(error).strip().split("\n\n")[0][:600]
    return "\n".join([*lines, f"{type(error).__name__}: {said}" if said else type(error).__name__])


def _raised_by_hand(error: NotImplementedError) -> bool:
    # torch raises NotImplementedError too, for operators a dtype lacks: that is the student's bug to see.
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return True
    line = linecache.getline(frames[-1].filename, frames[-1].lineno or 0) or frames[-1].line or ""
    return not line or "NotImplementedError" in line


def copied(value: Any) -> Any:
    """Inputs of one's own: whatever is done to them, the case stays as it was."""
    if isinstance(value, torch.Tensor):
        # clone() keeps the strides of a non-contiguous input; an expanded one becomes dense.
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, list):
        return [copied(v) for v in value]
    return value


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and bool(torch.all((a == b) | ((a != a) & (b != b))))
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
