"""The ledger: one file per graded notebook content, written whole or not at all. It grades nothing."""

import contextlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from autograder.paths import classroom

# What each status means, in the order in which a class's table shows them. Only the last is the course's own fault.
STATUSES = {
    "right": "every exercise is right",
    "wrong": "it ran to its end; something is not right",
    "timed out": "a cell, a case or the whole notebook took too long",
    "out of memory": "it wanted more memory than it may have",
    "crashed": "the process that ran it ended",
    "malformed": "the file cannot be read as this lab's notebook",
    "tampered": "it meddled with grading; what is not right earned nothing all the same",
    "missing": "nothing was handed in for this lab",
    "infrastructure": "the grader failed, not the student: no grade was written",
}


@dataclass
class Result:
    """How one notebook fared. status: a key of STATUSES."""

    lab: str
    status: str
    reason: str  # in words; "" for ok
    points: float
    max_points: float
    exercises: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    budget: float = 0.0  # the seconds it was given
    isolation: str = ""  # what confined it; "" where nothing ran
    notebook: dict[str, Any] | None = None  # as graded, with its outputs


def folder() -> Path:
    """Where the ledger lies."""
    return classroom() / "ledger"


def read(key: str) -> Result | None:
    """The result under a key, or None where there is none that can be read."""
    try:
        return Result(**json.loads((folder() / f"{key}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(key: str, result: Result) -> None:
    """Store a result: after a power cut the file is there whole, or not there."""
    folder().mkdir(parents=True, exist_ok=True)
    partial = folder() / f"{key}.{os.getpid()}.part"
    with partial.open("w", encoding="utf-8") as file:
        json.dump(asdict(result), file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder() / f"{key}.json")


def sweep() -> None:
    """Remove what a killed grader left half-written. Only whoever holds the course's lock may call it."""
    for partial in [*folder().glob("*.part"), *(classroom() / "expected").glob("*.part")]:
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
