"""A classroom of a test's own, hand-ins to put into it, and what each of a class must get. Nothing here names a lab."""

import copy
import json
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell

from autograder import registry
from autograder.grading import grade, gradebook, isolation, ledger, released
from autograder.grading.limits import Limits
from autograder.release.expected import hidden_cases, in_memory
from autograder.release.solutions import grade_id, solution_cell

LAB = "ch01/lab01"
CHAPTER = registry.lab_files()[LAB].parent.name
SHORT = CHAPTER.split("_")[0]
POINTS = {full_id.rsplit("/", 1)[1]: exercise.points for full_id, exercise in registry.exercises(LAB).items()}
FULL = float(sum(POINTS.values()))
FIRST = next(iter(POINTS))

# Numbers by which a hidden case is known: as Python prints them, cut where a shorter form could round.
_DIGITS = 12
_LONG = re.compile(r"\d+\.\d{10,}")

Change = Callable[["Room", nbformat.NotebookNode], None]


class Room:
    """A classroom of its own for one test."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lab = released.released(CHAPTER, released.course_directory())[0]

    def hand_in(self, student: str, notebook, name: str = "") -> Path:
        """Put a notebook, text or bytes where `course collect` would."""
        file = self.path / "submitted" / student / CHAPTER / (name or f"{self.lab.stem}.ipynb")
        file.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(notebook, bytes | str):
            notebook = nbformat.writes(notebook)
        file.write_bytes(notebook.encode() if isinstance(notebook, str) else notebook)
        return file

    def notebook(self, right: bool | int = True, without: str = "look"):
        """The release with the first `right` solutions in it (True: all), without what only shows something."""
        nb = copy.deepcopy(self.lab.notebook)
        nb.cells = [c for c in nb.cells if without not in c.metadata.get("tags", [])]
        names = [check.removeprefix("check_") for check in self.lab.checks]
        for cell in nb.cells:
            name = grade_id(cell)
            if name in names and (right is True or names.index(name) < right):
                cell.source = solution_cell(LAB, name).source
        return nb

    def place(self, nb, name: str) -> int:
        return next(i for i, cell in enumerate(nb.cells) if grade_id(cell) == name)

    def grade(self, *students: str, seconds: float = 240.0, **options) -> dict[str, grade.Row]:
        """Grade; each student's row. options: of Limits, and of grade.grade."""
        bounds = {name: options.pop(name) for name in list(options) if name in Limits.__dataclass_fields__}
        done = grade.grade(SHORT, students, limits=Limits(notebook_seconds=seconds, **bounds), **options)
        assert not done.unwritten
        return {row.student: row for row in done.rows}

    def scores(self) -> dict[str, float]:
        """What nbgrader's gradebook says."""
        course = released.course_directory()
        with gradebook.gradebook(course, CHAPTER, [self.lab]) as book:
            return {s.student.id: round(s.score, 2) for s in book.find_assignment(CHAPTER).submissions}

    def graded(self, student: str):
        """The graded notebook."""
        file = self.path / "autograded" / student / CHAPTER / f"{self.lab.stem}.ipynb"
        return nbformat.read(file, as_version=4)


def text_of(cell) -> str:
    """All that a cell's outputs say."""
    return json.dumps(cell.outputs, ensure_ascii=False)


@dataclass(frozen=True)
class HandIn:
    """One student of a class: what is different in the notebook, and what it must get.

    name: also the student's id. right: how many solutions are in it before the change. says: what the reason, a note
    or an exercise's `why` must say. shows: what the graded notebook must show, and hides: what it must not.
    """

    name: str
    change: Change
    due: float = FULL
    status: str = "right"
    says: str = ""
    right: bool | int = True
    shows: str = ""
    hides: tuple[str, ...] = ()
    at_most: bool = False  # what it spends may be more of its own than this exercise

    def __str__(self) -> str:
        return self.name


class Class:
    """A class that was graded, with an honest student at each end of it."""

    HONEST = ("!first of all", "~last of all")

    def __init__(self, room: Room, hand_ins: Sequence[HandIn], honest: bool = True, around=None, **options) -> None:
        self.room = room
        if around is not None:
            around(room)
        if honest:
            for student in self.HONEST:
                nb = room.notebook()
                nb.cells.append(new_code_cell(f"print('this is {student}')"))  # the same bytes would be graded once
                room.hand_in(student, nb)
        for one in hand_ins:
            nb = room.notebook(one.right)
            one.change(room, nb)
            room.hand_in(one.name, nb)
        # One worker serves all, in the order of their ids: what one leaves behind would meet the next.
        self.rows = room.grade(**{"jobs": 1, **options})
        self.scores = room.scores()
        # Where nothing was handed in there is no page.
        self.pages = {s: _shown(room.graded(s)) for s, row in self.rows.items() if row.result.status != "missing"}
        self.ledger = {file.name: file.read_text() for file in ledger.folder().glob("*.json")}
        self.secrets = _hidden_numbers()
        assert len(self.secrets) > 100

    def told(self, student: str) -> str:
        result = self.rows[student].result
        return " ".join([result.reason, *result.notes, *(str(e["why"]) for e in result.exercises)])

    def holds(self, one: HandIn) -> None:
        """It got its due, in the gradebook too, and the reason is told."""
        result, told, page = self.rows[one.name].result, self.told(one.name), self.pages[one.name]
        said = f"{one} got {result.points:g}, {result.status}: {told}\n{page[:6000]}"
        # Not by `assert`: pytest would compare megabytes of output line by line.
        due = min(result.points, one.due) if one.at_most else one.due
        if (result.points, result.status, self.scores[one.name]) != (due, one.status, due):
            pytest.fail(f"not {one.due:g}, {one.status}: {said}")
        if one.says not in told or one.shows not in page:
            pytest.fail(f"does not say {one.says!r} or show {one.shows!r}: {said}")
        if found := [words for words in one.hides if words in page + told]:
            pytest.fail(f"shows {found}: {said}")
        self.hides_hidden_cases(one.name)

    def hides_hidden_cases(self, student: str) -> None:
        text = self.pages.get(student, "") + self.told(student)
        if found := self.secrets & {number[:_DIGITS] for number in _LONG.findall(text)}:
            pytest.fail(f"{student} shows numbers of hidden cases: {sorted(found)[:3]}")

    def honest_got_full_points(self) -> None:
        for student in self.HONEST:
            assert (self.rows[student].result.points, self.rows[student].result.status) == (FULL, "right"), student
            assert self.scores[student] == FULL, student
        assert all(row.result.status != "infrastructure" for row in self.rows.values())
        assert set(self.scores) == set(self.rows)


def _shown(nb) -> str:
    # What grading added: the outputs, and the notes at the top.
    code = [text_of(cell) for cell in nb.cells if cell.cell_type == "code"]
    return "\n".join([*(c.source for c in nb.cells if c.id == "grading-notes"), *code])


def _hidden_numbers() -> set[str]:
    # Of inputs and right outputs of hidden cases.
    arrays = []
    for full_id in registry.exercises(LAB):
        arrays += [v for case in hidden_cases(full_id) for v in case.inputs.values() if hasattr(v, "flatten")]
        visible = len(registry.exercise(full_id).visible())
        arrays += [
            v["array"] for out in in_memory(full_id).outputs[visible:] for v in (out or {}).values() if "array" in v
        ]
    numbers = [abs(x) for a in arrays for x in a.flatten().tolist() if isinstance(x, float) and math.isfinite(x)]
    return {number[:_DIGITS] for x in numbers for number in _LONG.findall(repr(x))}


def visible_share(name: str, right: int | None = None) -> float:
    """What an exercise earns when only its visible cases, or so many, pass."""
    visible = len(registry.exercise(f"{LAB}/{name}").visible())
    hidden = len(registry.answer(f"{LAB}/{name}").hidden(0))
    return math.floor(POINTS[name] * (visible if right is None else right) / (visible + hidden) * 100 + 1e-9) / 100


def without(*names: str) -> float:
    """All points but these exercises'."""
    return FULL - sum(POINTS[name] for name in names)


def behind(*sources: str, name: str = f"check_{FIRST}") -> Change:
    """New cells behind the first check."""

    def change(room: Room, nb) -> None:
        at = room.place(nb, name) + 1
        nb.cells[at:at] = [new_code_cell(source) for source in sources]

    return change


def ahead(*sources: str) -> Change:
    """New cells at the end of the set-up, ahead of the first exercise."""

    def change(room: Room, nb) -> None:
        at = room.place(nb, FIRST)
        nb.cells[at:at] = [new_code_cell(source) for source in sources]

    return change


def at_the_end(*sources: str) -> Change:
    return lambda room, nb: nb.cells.extend(new_code_cell(source) for source in sources)


def begins(name: str, *lines: str) -> Change:
    """An exercise's solution begins with these lines."""

    def change(room: Room, nb) -> None:
        cell = nb.cells[room.place(nb, name)]
        cell.source = cell.source.replace("### BEGIN SOLUTION", "\n    ".join(lines), 1)

    return change


def writes(name: str, source: str) -> Change:
    """This is all of an exercise's solution cell."""

    def change(room: Room, nb) -> None:
        nb.cells[room.place(nb, name)].source = source

    return change


def both(*changes: Change) -> Change:
    def change(room: Room, nb) -> None:
        for one in changes:
            one(room, nb)

    return change


def nothing(room: Room, nb) -> None:
    """As it was released, with its solutions."""


def need_isolation() -> isolation.Isolation:
    """What confines hand-ins here; else skip with the reason (in CI: fail)."""
    try:
        return isolation.probe()
    except isolation.NotIsolated as error:
        if os.environ.get("COURSE_SKIP_NOTHING") == "1":
            pytest.fail(str(error))
        pytest.skip(str(error))
