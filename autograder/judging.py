"""Compares a report with what was expected and says what differs first. No student code runs here."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autograder.exercise import Exercise, Inputs

Report = dict[str, Any]  # what autograder.acting.act returns


@dataclass
class Outcome:
    """How one case went. `stage` is the first thing that was wrong, "" for a pass."""

    kind: str
    stage: str = ""
    lines: list[str] = field(default_factory=list)
    error: float = 0.0  # the largest difference of a pass
    tolerance: float = 0.0

    @property
    def passed(self) -> bool:
        return not self.stage


def judge(exercise: Exercise, kind: str, inputs: Inputs, report: Report, expected: dict[str, Any] | None) -> Outcome:
    """The outcome of one case, stopping at the first thing that is wrong.

    expected: described outputs (autograder.acting.describe), or None where properties say all.
    """
    outcome = Outcome(kind)

    def wrong(stage: str, *lines: str) -> Outcome:
        outcome.stage, outcome.lines = stage, [line for line in lines if line]
        return outcome

    status, text = report["status"], report["text"]
    if status == "not implemented":
        return wrong("not implemented yet", text)
    if status == "forbidden":
        return wrong("a call that this exercise forbids", f"`{text}` hands the answer over: write it yourself here.")
    if status == "wrong type":
        return wrong("wrong type", text)
    if status == "raised":
        return wrong("your code raised an error", *text.splitlines())
    got = report["outputs"]
    if expected is not None:
        missing = [name for name in expected if name not in got]
        if missing:
            return wrong("wrong type", f"no {missing[0]} came back")
        for stage in (_type, _shape, _dtype):
            for name, want in expected.items():
                if lines := stage(exercise, name, got[name], want):
                    return wrong(*lines)
    if report["modified"]:
        return wrong("input modified in place", f"{report['modified'][0]} changed while your code ran: work on a copy.")
    if expected is not None:
        for name, want in expected.items():
            if lines := _finite(name, got[name], want):
                return wrong(*lines)
        for name, want in expected.items():
            if lines := _values(exercise, name, got[name], want, outcome):
                return wrong(*lines)
    plain = {name: out.get("array", out.get("value")) for name, out in got.items()}
    for rule in exercise.properties:
        try:
            said = rule.broken(inputs, plain)
        except Exception as error:  # outputs that the rule was not written for
            said = f"it could not be tested on what came back: {type(error).__name__}"
        if said:
            return wrong("a property does not hold", f"{rule.says}: {said}")
    return outcome


def matches(exercise: Exercise, report: Report, other: Report) -> bool:
    """Whether two reports are the same answer: equal outputs within tolerance, or the same kind of failure."""
    if report["status"] != other["status"] or report["modified"] != other["modified"]:
        return False
    if report["status"] != "ok":
        return report["error"] == other["error"] and (
            report["status"] != "forbidden" or report["text"] == other["text"]
        )
    mine, theirs = report["outputs"], other["outputs"]
    return mine.keys() == theirs.keys() and all(_equal(exercise, mine[n], theirs[n]) for n in mine)


def _equal(exercise: Exercise, a: dict[str, Any], b: dict[str, Any]) -> bool:
    if a["type"] != b["type"]:
        return False
    if "array" not in a:
        return _close(exercise.allowed("float64"), a["value"], b["value"])
    if a["dtype"] != b["dtype"] or a["array"].shape != b["array"].shape:
        return False
    return not np.any(_off(a["array"], b["array"], exercise.allowed(b["dtype"])))


def _type(exercise: Exercise, name: str, got: dict[str, Any], want: dict[str, Any]) -> list[str]:
    numbers = {"int", "float"}
    if got["type"] == want["type"] or {got["type"], want["type"]} <= numbers:
        return []
    return ["wrong type", f"{name} is of type {got['type']}, expected {want['type']}"]


def _shape(exercise: Exercise, name: str, got: dict[str, Any], want: dict[str, Any]) -> list[str]:
    if "array" not in want or got["array"].shape == want["array"].shape:
        return []
    letters = exercise.shapes.get(name, "")
    return [
        "shape",
        f"{name}: yours     {got['array'].shape}",
        f"{name}: expected  {want['array'].shape}" + (f" = {letters}" if letters else ""),
    ]


def _dtype(exercise: Exercise, name: str, got: dict[str, Any], want: dict[str, Any]) -> list[str]:
    if "array" not in want:
        return []
    if got["dtype"] != want["dtype"]:
        return ["dtype", f"{name}: yours {got['dtype']}, expected {want['dtype']}"]
    if got["device"] != want["device"]:
        return ["device", f"{name}: yours is on {got['device']}, expected on {want['device']}"]
    return []


def _finite(name: str, got: dict[str, Any], want: dict[str, Any]) -> list[str]:
    if "array" not in want or got["array"].dtype.kind != "f":
        return []
    # An infinity or NaN is wrong only where the expected result has none.
    bad = ~np.isfinite(got["array"]) & np.isfinite(want["array"])
    if not bad.any():
        return []
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    return [
        "NaN or Inf",
        f"{name}{list(first)} is {got['array'][first]}, expected {want['array'][first]:.6g}",
        f"{int(bad.sum())} of {bad.size} elements are not finite",
    ]


def _values(exercise: Exercise, name: str, got: dict[str, Any], want: dict[str, Any], outcome: Outcome) -> list[str]:
    if "array" not in want:
        if _close(exercise.allowed("float64"), got["value"], want["value"]):
            return []
        return [
            "the values differ",
            f"{name}: yours     {_short(got['value'])}",
            f"{name}: expected  {_short(want['value'])}",
        ]
    a, b, tolerance = got["array"], want["array"], exercise.allowed(want["dtype"])
    off = _off(a, b, tolerance)
    if a.dtype.kind == "f":
        both = np.isfinite(a) & np.isfinite(b)
        error = float(np.max(np.abs(a[both].astype(np.float64) - b[both]), initial=0.0))
        if error >= outcome.error:
            outcome.error, outcome.tolerance = error, tolerance
    else:
        error = 0.0
    if not off.any():
        return []
    places = [tuple(int(i) for i in at) for at in np.argwhere(off)[:4]]
    lines = [f"{name}: shape {a.shape} and dtype {want['dtype']} are right; first differences:"]
    for at in places:
        index = list(at) if at else ""
        lines.append(f"  {name}{index}  yours {_number(a[at])}  expected {_number(b[at])}")
    share = 100 * (1 - off.sum() / off.size)
    worst = f"; the largest error is {error:.3g}, allowed is {tolerance:g}" if a.dtype.kind == "f" else ""
    lines.append(f"{share:.0f}% of {off.size} elements are right{worst}")
    return ["the values differ", *lines]


def _off(a: np.ndarray, b: np.ndarray, tolerance: float) -> np.ndarray:
    """Where two arrays of one shape differ by more than tolerance * (1 + |b|)."""
    if a.dtype.kind != "f" and b.dtype.kind != "f":
        return a != b
    a, b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(invalid="ignore"):
        # An infinity is right only where that infinity is expected: any difference from it is within its own scale.
        near = np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= tolerance * (1 + np.abs(b)))
        return ~(near | (a == b) | (np.isnan(a) & np.isnan(b)))


def _close(tolerance: float, a: Any, b: Any) -> bool:
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(_close(tolerance, x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) or isinstance(b, float):
        if not (isinstance(a, int | float) and isinstance(b, int | float)):
            return False
        return not _off(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64), max(tolerance, 1e-6))
    return type(a) is type(b) and a == b


def _number(x: Any) -> str:
    return f"{x:.6g}" if isinstance(x, np.floating) else str(x)


def _short(value: Any, limit: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[:limit] + " ..."
