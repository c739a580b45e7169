"""Reads the stored expected outputs that let a student's notebook judge without any reference solution."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from autograder.judging import Report
from autograder.plain import unpack
from autograder.registry import HERE, lab_files

FOLDER = HERE / "stored"


@dataclass(frozen=True)
class WrongReports:
    """A misconception as data: what it is called, what it amounts to, and what it returns for each case."""

    name: str
    says: str
    reports: list[Report]


@dataclass(frozen=True)
class Expected:
    """For each case the right outputs (None: properties say all), and each misconception's reports."""

    outputs: list[dict[str, Any] | None]
    misconceptions: list[WrongReports]


def stored_file(lab: str):
    """Where a lab's expected outputs lie: autograder/stored/ch01_attention/lab01_....plain."""
    file = lab_files()[lab]
    return FOLDER / file.parent.name / f"{file.stem}.plain"


@cache
def _lab(lab: str) -> dict[str, Any]:
    file = stored_file(lab)
    if not file.exists():
        raise FileNotFoundError(f"{file.name} is missing: make it with `course release`, or install the course again")
    return unpack(file.read_bytes())


def stored(exercise_id: str) -> Expected:
    """The stored expectations for an exercise's visible cases."""
    entry = _lab(exercise_id.rsplit("/", 1)[0])[exercise_id]
    wrong = [WrongReports(w["name"], w["says"], w["reports"]) for w in entry["misconceptions"]]
    return Expected(entry["outputs"], wrong)
