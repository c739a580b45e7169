"""An exercise, described once: its cases, how it is driven, what must hold. It runs and judges nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# A result may differ from the expected one by `tolerance * (1 + |expected|)`: by dtype, since each
# rounds differently. float32 holds 24 bits (6e-8); a reduction over a few hundred terms costs two digits.
TOLERANCE = {"float64": 1e-9, "float32": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}

Inputs = dict[str, Any]  # tensors, numbers, strings, lists; a dict of tensors for weights
Outputs = dict[str, Any]  # tensors, arrays, numbers, strings, lists: plain data only


@dataclass(frozen=True)
class Case:
    """One set of inputs. `kind` names what the case tries; a hidden case tells the student only that."""

    kind: str
    inputs: Inputs


@dataclass(frozen=True)
class Property:
    """What must hold of the outputs, whatever their values. `broken` returns None, or says how it is broken."""

    says: str  # "each row of weights sums to one"
    broken: Callable[[Inputs, Outputs], str | None]  # outputs as numpy arrays


@dataclass(frozen=True)
class Exercise:
    """The student's half: everything a notebook needs to run and judge the visible cases."""

    name: str  # the nbgrader grade id of the solution cell; "check_" + name is its check cell's
    title: str
    minutes: int
    difficulty: int  # 1 to 3
    points: int
    act: Callable[[Any, Inputs], Outputs]  # drives what the student wrote
    visible: Callable[[], list[Case]]  # pure: the same cases every time
    hints: tuple[str, ...]  # a nudge, an API pointer, pseudocode
    shapes: dict[str, str] = field(default_factory=dict)  # output name -> "(B, H, T, D)"
    tolerance: dict[str, float] = field(default_factory=dict)  # over TOLERANCE
    properties: tuple[Property, ...] = ()
    forbids: tuple[str, ...] = ()  # calls that hand the answer over (see autograder.forbids)
    may_modify: tuple[str, ...] = ()  # inputs that may change in place
    id: str = ""  # "ch01/lab01/softmax": set where the exercise is found

    def allowed(self, dtype: str) -> float:
        """Tolerance for outputs of a dtype; 0 for integers and booleans."""
        return self.tolerance.get(dtype, TOLERANCE.get(dtype, 0.0))


@dataclass(frozen=True)
class Misconception:
    """A named wrong solution: the instructor's solution with some text changed, or other code altogether.

    edits: (old, new) pairs; each `old` occurs exactly once in the solution cell.
    code: the whole cell's source instead.
    """

    name: str  # "softmax-over-queries"
    says: str  # completes "Your output equals what you get when ..."
    edits: tuple[tuple[str, str], ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Answer:
    """The instructor's half of an exercise: never part of what a student installs.

    reference: expected outputs from a case's inputs, written independently of the notebook's solution;
        None where the exercise's properties say all.
    hidden: a pure function of a seed, which derives from the course secret.
    """

    name: str
    reference: Callable[[Inputs], Outputs] | None
    hidden: Callable[[int], list[Case]]
    misconceptions: tuple[Misconception, ...]
