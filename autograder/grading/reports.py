"""Reads what a child sent: is it a report, are they outputs? Anything else is refused. It trusts no byte of it."""

import json
import re
from typing import Any

import numpy as np
from nbformat import NotebookNode

from autograder.judging import Report
from autograder.plain import NotPlain, unpack

REPORT_BYTES = 64 << 20
OUTPUT_BYTES = 16 << 20
_TEXT = 4000
_STATUSES = ("ok", "not implemented", "raised", "forbidden", "wrong type")
_VALUES = {"bool": bool, "int": int, "float": float, "str": str, "list": list}
# Of what a student's cell displays, pictures and text are kept: markup could carry scripts into a reader's page.
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_MIME = {"text/plain": None, "image/png": _BASE64, "image/jpeg": _BASE64}


class NoReport(ValueError):
    """What came is no report; the message says why."""


def read_report(data: bytes) -> Report:
    """The report of one case. Raises NoReport."""
    tree = _tree(data)
    if set(tree) != {"status", "text", "error", "outputs", "modified"}:
        raise NoReport("it has other entries than a report has")
    if tree["status"] not in _STATUSES:
        raise NoReport("its status is none that there is")
    outputs, modified = tree["outputs"], tree["modified"]
    if not isinstance(outputs, dict) or not isinstance(modified, list) or not all(isinstance(m, str) for m in modified):
        raise NoReport("its outputs or the names of modified inputs are malformed")
    return {
        "status": tree["status"],
        "text": _text(tree["text"]),
        "error": _text(tree["error"])[:200],
        "outputs": {_text(name): _described(out) for name, out in outputs.items()},
        "modified": [m[:200] for m in modified[:50]],
    }


def read_taken(data: bytes) -> Report | None:
    """None where the submission is at hand, else the report that stands for every case. Raises NoReport."""
    tree = _tree(data)
    if tree == {"status": "ok"}:
        return None
    if set(tree) != {"status", "error", "text"} or tree["status"] != "raised":
        raise NoReport("it does not say what became of the check cell")
    error, text = _text(tree["error"])[:200], _text(tree["text"])
    return {"status": "raised", "error": error, "text": text, "outputs": {}, "modified": []}


def read_watched(data: bytes) -> bool:
    """Whether forbidden calls are still noticed. Raises NoReport."""
    tree = _tree(data)
    if set(tree) != {"watched"} or type(tree["watched"]) is not bool:
        raise NoReport("it does not say whether calls are watched")
    return tree["watched"]


def read_outputs(data: bytes) -> list[NotebookNode]:
    """A cell's outputs, of known kinds only. Raises NoReport."""
    tree = _tree(data, OUTPUT_BYTES)
    try:
        told = json.loads(tree["outputs"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise NoReport("its outputs are not JSON") from error
    if not isinstance(told, list):
        raise NoReport("its outputs are no list")
    return [output for one in told if (output := _output(one)) is not None]


def _tree(data: bytes, limit: int = REPORT_BYTES) -> dict[str, Any]:
    try:
        tree = unpack(data, limit)
    except NotPlain as error:
        raise NoReport(str(error)) from error
    if not isinstance(tree, dict):
        raise NoReport("it is no set of named entries")
    return tree


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise NoReport("an entry that should be text is none")
    # Lone surrogates cannot be written to a file.
    return value[:_TEXT].encode("utf-8", "replace").decode()


def _described(out: Any) -> dict[str, Any]:
    kind = out.get("type") if isinstance(out, dict) else None
    if kind in ("tensor", "array"):
        if set(out) != {"type", "dtype", "device", "array"}:
            raise NoReport("an array has other entries than an array has")
        array, dtype = out["array"], _text(out["dtype"])
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufc":
            raise NoReport("an array is none")
        if array.dtype.name != ("float32" if dtype == "bfloat16" else dtype):
            raise NoReport("an array is not of the dtype that it claims")
        return {"type": kind, "dtype": dtype, "device": _text(out["device"])[:20], "array": array}
    if kind in _VALUES:
        if set(out) != {"type", "value"} or type(out["value"]) is not _VALUES[kind]:
            raise NoReport(f"a {kind} is none")
        if kind == "list" and not _plain_list(out["value"]):
            raise NoReport("a list holds other things than numbers and strings")
        return {"type": kind, "value": out["value"]}
    raise NoReport("an output is of no type that there is")


def _plain_list(values: list[Any]) -> bool:
    return all(
        _plain_list(v) if isinstance(v, list) else v is None or type(v) in (bool, int, float, str) for v in values
    )


def _output(told: Any) -> NotebookNode | None:
    if not isinstance(told, dict):
        return None
    kind = told.get("output_type")
    if kind == "stream" and told.get("name") in ("stdout", "stderr"):
        return NotebookNode(output_type="stream", name=told["name"], text=_clean(told.get("text")))
    if kind == "error":
        lines = told.get("traceback")
        lines = [_clean(line) for line in lines[:200]] if isinstance(lines, list) else []
        name, value = _clean(told.get("ename")), _clean(told.get("evalue"))
        return NotebookNode(output_type="error", ename=name, evalue=value, traceback=lines)
    if kind in ("display_data", "execute_result"):
        data = told.get("data")
        kept = {m: _clean(data[m]) for m in _MIME if m in data} if isinstance(data, dict) else {}
        kept = {m: text for m, text in kept.items() if _MIME[m] is None or _MIME[m].fullmatch(text)}
        # Every result becomes a display: a result's number is how nbgrader reads points.
        shown = NotebookNode(output_type="display_data", data=NotebookNode(kept), metadata=NotebookNode())
        return shown if kept else None
    return None


def _clean(text: Any) -> str:
    return (text if isinstance(text, str) else str(text)[:_TEXT]).encode("utf-8", "replace").decode()
