"""A classroom of a test's own, and hand-ins to put into it. Nothing here names a lab, and nothing here grades."""

import copy
import json
from pathlib import Path

import nbformat

from autograder import registry
from autograder.grading import grade, gradebook, released
from autograder.grading.limits import Limits
from autograder.release.solutions import grade_id, solution_cell

LAB = next(iter(registry.lab_files()))
CHAPTER = registry.lab_files()[LAB].parent.name
SHORT = CHAPTER.split("_")[0]


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
