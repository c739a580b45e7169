"""Made-up students, drawn from the bank of misconceptions by a seed, and their hand-ins. It grades nothing.

Everybody is honest: an exercise is right, wrong in a way that the bank knows, or still a stub.
"""

import json
import random
from pathlib import Path

import nbformat

from autograder import registry
from autograder.grading.released import Released, chapter_folder, course_directory, released
from autograder.grading.sample_class import HANDED_IN, skeletons
from autograder.release.solutions import grade_id, solution_cell, wrong_source

RIGHT, BLANK = "right", "blank"
RIGHT_SHARE, WRONG_SHARE = 0.55, 0.30  # the rest is blank
_WHO = "@@WHO@@"

Wrote = dict[str, str]  # exercise -> RIGHT, BLANK, or the name of a misconception
Class = dict[str, dict[str, Wrote]]  # student -> lab -> what they wrote


def draw(labs: list[Released], students: int, seed: int) -> Class:
    """What each student wrote. A student's draw depends on the seed and their number alone, not on the class's size."""
    names = (f"student-{number:05d}" for number in range(1, students + 1))
    return {
        student: {lab.id: {name: _drawn(lab, name, f"{seed}/{student}") for name in skeletons(lab)} for lab in labs}
        for student in names
    }


def synthetic(chapter: str, students: int, seed: int, into: Path) -> Class:
    """Write the hand-ins of a class under a folder of submissions; returns what each student wrote.

    No two files are equal: each names its student, as the ledger grades equal files once.
    """
    folder = chapter_folder(chapter)
    labs = released(folder, course_directory())
    drawn = draw(labs, students, seed)
    writers = [(lab, _Writer(lab)) for lab in labs]
    for student, wrote in drawn.items():
        target = into / student / folder
        target.mkdir(parents=True)
        (target / "timestamp.txt").write_text(HANDED_IN)
        for lab, writer in writers:
            (target / f"{lab.stem}.ipynb").write_text(writer.text(student, wrote[lab.id]), encoding="utf-8")
    return drawn


def source(lab: Released, name: str, variant: str) -> str:
    """The text of an exercise's cell in one variant. Raises LookupError for one that the bank does not know."""
    if variant == BLANK:
        return skeletons(lab)[name]
    if variant == RIGHT:
        return solution_cell(lab.id, name).source
    for wrong in registry.answer(f"{lab.id}/{name}").misconceptions:
        if wrong.name == variant:
            return wrong_source(lab.id, name, wrong)
    raise LookupError(f"{lab.id}/{name} has no misconception {variant!r}")


def _drawn(lab: Released, name: str, student: str) -> str:
    dice = random.Random(f"{student}/{lab.id}/{name}")
    exercise = f"{lab.id}/{name}"
    wrong = registry.answer(exercise).misconceptions if exercise in registry.exercises(lab.id) else ()
    share = dice.random()
    if share < RIGHT_SHARE or (share < RIGHT_SHARE + WRONG_SHARE and not wrong):
        return RIGHT
    return dice.choice(wrong).name if share < RIGHT_SHARE + WRONG_SHARE else BLANK


class _Writer:
    # A notebook is made into JSON once and each variant of a cell once; a hand-in is these texts, joined.
    def __init__(self, lab: Released) -> None:
        self.lab = lab
        tree = json.loads(nbformat.writes(lab.notebook))
        self.cells = tree.pop("cells")
        self.end = json.dumps(tree)[1:]
        self.parts = [json.dumps(cell) for cell in self.cells]
        self.places = {
            grade_id(cell): place
            for place, cell in enumerate(lab.notebook.cells)
            if cell.metadata.get("nbgrader", {}).get("solution")
        }
        self.first = next(iter(self.places))
        self.variants: dict[tuple[str, str], str] = {}

    def text(self, student: str, wrote: Wrote) -> str:
        parts = list(self.parts)
        for name, variant in wrote.items():
            parts[self.places[name]] = self._variant(name, variant)
        first = self.places[self.first]
        parts[first] = parts[first].replace(_WHO, student)
        return '{"cells": [' + ", ".join(parts) + "], " + self.end

    def _variant(self, name: str, variant: str) -> str:
        if (name, variant) not in self.variants:
            text = source(self.lab, name, variant) + (f"\n# {_WHO}" if name == self.first else "")
            cell = {**self.cells[self.places[name]], "source": text}
            self.variants[name, variant] = json.dumps(cell)
        return self.variants[name, variant]
