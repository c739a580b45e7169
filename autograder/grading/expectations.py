"""What is expected of each exercise, as the judge needs it. It works nothing out: autograder.release.expected does."""

from dataclasses import dataclass
from typing import Any

from autograder import registry
from autograder.exercise import Case, Exercise
from autograder.plain import pack, unpack
from autograder.release.expected import KEPT_BYTES
from autograder.store import Expected, WrongReports


@dataclass(frozen=True)
class Expectation:
    """An exercise's cases, visible then hidden, ready to send, and what is expected of each."""

    exercise: Exercise
    cases: list[Case]
    packed: list[bytes]
    hidden: list[bool]
    expected: Expected


def opened(kept: bytes) -> dict[str, Expectation]:
    """The expectations in the bytes of autograder.release.expected.kept, by exercise."""
    return {name: _expectation(name, told) for name, told in unpack(kept, KEPT_BYTES).items()}


def _expectation(exercise_id: str, told: dict[str, Any]) -> Expectation:
    cases = [Case(case["kind"], case["inputs"]) for case in told["cases"]]
    wrong = [WrongReports(w["name"], w["says"], w["reports"]) for w in told["wrong"]]
    return Expectation(
        registry.exercise(exercise_id),
        cases,
        [pack({"do": "act", "inputs": case.inputs}) for case in cases],
        [i >= told["visible"] for i in range(len(cases))],
        Expected(told["outputs"], wrong),
    )
