"""Finds exercises and answers by their place in the tree: adding a file adds its exercises. It runs nothing."""

import importlib
import os
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from autograder.exercise import Answer, Exercise

HERE = Path(__file__).parent


class Unknown(KeyError):
    """No such exercise; the message says which there are."""

    def __str__(self) -> str:
        return str(self.args[0])


def lab_id(chapter: str, stem: str) -> str:
    """ "ch01/lab01" from a chapter folder and a lab's file stem ("ch01_attention", "lab01_dot_product_attention")."""
    return f"{chapter.split('_')[0]}/{stem.split('_')[0]}"


@cache
def lab_files() -> dict[str, Path]:
    """Each lab id and the file of its checks."""
    files = sorted((HERE / "checks").glob("ch*/lab*.py"))
    return {lab_id(f.parent.name, f.stem): f for f in files}


def _module(lab: str, half: str) -> ModuleType:
    file = lab_files().get(lab)
    if file is None:
        raise Unknown(f"no lab {lab!r}; there are: {', '.join(lab_files())}")
    return importlib.import_module(f"autograder.{half}.{file.parent.name}.{file.stem}")


@cache
def exercises(lab: str) -> dict[str, Exercise]:
    """A lab's exercises in the order in which its file defines them, by full id."""
    found = [value for value in vars(_module(lab, "checks")).values() if isinstance(value, Exercise)]
    return {f"{lab}/{e.name}": replace(e, id=f"{lab}/{e.name}") for e in found}


def exercise(full_id: str) -> Exercise:
    """The exercise "ch01/lab01/softmax". Raises Unknown, naming what there is."""
    match = re.fullmatch(r"(ch\d\d/lab\d\d)/([a-z0-9_]+)", full_id)
    if not match:
        raise Unknown(f"an exercise is named like 'ch01/lab01/softmax', not {full_id!r}")
    of_lab = exercises(match[1])
    if full_id not in of_lab:
        raise Unknown(f"no exercise {full_id!r}; {match[1]} has: {', '.join(of_lab)}")
    return of_lab[full_id]


def answer(full_id: str) -> Answer | None:
    """The instructor's half, or None where the answers are not installed (a student's machine)."""
    if not (HERE / "answers").is_dir():
        return None
    lab, name = full_id.rsplit("/", 1)
    answers = {a.name: a for a in vars(_module(lab, "answers")).values() if isinstance(a, Answer)}
    return answers[name]


def grading() -> bool:
    """Whether plain nbgrader is grading in this process (it sets this variable itself)."""
    return os.environ.get("NBGRADER_EXECUTION") == "autograde"
