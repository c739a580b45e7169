"""The one writer of nbgrader's gradebook and its autograded folder: a whole submission, or nothing. It grades nothing.

What counts as a score, a comment and a late penalty is left to nbgrader's own preprocessors and plugins.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import (
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    MissingEntry,
    Notebook,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties, LimitOutput, NbGraderPreprocessor, SaveAutoGrades
from nbgrader.utils import parse_utc
from traitlets.config import Config

from autograder.grading.lab import Released
from autograder.grading.ledger import Result
from autograder.grading.released import NotReleased

# nbgrader reports each late penalty and each changed cell as a warning; the table at the end says the same.
logging.getLogger("traitlets").setLevel(logging.ERROR)


class _Save(SaveAutoGrades):
    # nbgrader opens a connection of its own for each notebook: here all of a submission share one transaction.
    def preprocess(self, nb, resources):
        told = resources["nbgrader"]
        self.notebook_id, self.assignment_id, self.student_id = told["notebook"], told["assignment"], told["student"]
        self.gradebook = told["rows"]
        return NbGraderPreprocessor.preprocess(self, nb, resources)


class _Rows:
    # A submission's rows, read at once: as much of a gradebook as nbgrader's preprocessor uses. Asked cell by cell,
    # each by six joins, they took half the time of filling a gradebook.
    def __init__(self, book: Gradebook, submission: SubmittedAssignment) -> None:
        self.db = self
        self._grades, self._comments = (
            {(notebook, cell): row for row, cell, notebook in self._named(book, submission, kind)}
            for kind in (Grade, Comment)
        )

    @staticmethod
    def _named(book: Gradebook, submission: SubmittedAssignment, kind: type) -> Any:
        return (
            book.db.query(kind, BaseCell.name, Notebook.name)
            .join(BaseCell, BaseCell.id == kind.cell_id)
            .join(SubmittedNotebook, SubmittedNotebook.id == kind.notebook_id)
            .join(Notebook, Notebook.id == SubmittedNotebook.notebook_id)
            .filter(SubmittedNotebook.assignment_id == submission.id)
        )

    def find_grade(self, cell: str, notebook: str, assignment: str, student: str) -> Grade:
        return self._grades[notebook, cell]

    def find_comment(self, cell: str, notebook: str, assignment: str, student: str) -> Comment:
        return self._comments[notebook, cell]

    def commit(self) -> None:
        """Done once, when the whole submission is there."""


@contextmanager
def gradebook(course: CourseDirectory, chapter: str, labs: list[Released]) -> Iterator[Gradebook]:
    """The open gradebook. Raises NotReleased where it does not know the chapter as it is released."""
    with Gradebook(course.db_url, course.course_id) as book:
        try:
            known = {nb.name: {c.name for c in nb.grade_cells} for nb in book.find_assignment(chapter).notebooks}
        except MissingEntry:
            known = {}
        if any(not set(lab.checks) <= known.get(lab.stem, set()) for lab in labs):
            raise NotReleased(
                f"the gradebook does not know {chapter} as it is released: run `course release {chapter.split('_')[0]}`"
            )
        yield book


def timestamp(folder: Path) -> tuple[datetime | None, str]:
    """When a submission was handed in (UTC), by its timestamp.txt, and a note where that file says no date."""
    file = folder / "timestamp.txt"
    if not file.is_file() or file.is_symlink():
        return None, ""
    text = file.read_bytes()[:100].decode("utf-8", "replace").strip()
    try:
        return parse_utc(text), ""
    except (ValueError, OverflowError, TypeError):
        return None, f"timestamp.txt says no date: {text!r}"


def fill(
    book: Gradebook, course: CourseDirectory, config: Config, student: str, labs: list[Released], results: list[Result]
) -> None:
    """Replace what the gradebook and the autograded folder say of one submission by these results.

    Scores and comments that were given by hand stay; nbgrader marks them for another look.
    """
    chapter = labs[0].chapter
    handed_in = Path(course.format_path(course.submitted_directory, student, chapter))
    target = Path(course.format_path(course.autograded_directory, student, chapter))
    fresh = target.with_name(f".{chapter}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        with _one_transaction(book):
            _scores(book, config, student, labs, results, timestamp(handed_in)[0], fresh)
        _swap(fresh, target, handed_in)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def _one_transaction(book: Gradebook) -> Iterator[None]:
    # nbgrader's API commits after every step; meanwhile that only flushes.
    commit = book.db.commit
    book.db.commit = book.db.flush
    try:
        yield
        commit()
    except BaseException:
        book.db.rollback()
        raise
    finally:
        del book.db.commit


def _scores(
    book: Gradebook,
    config: Config,
    student: str,
    labs: list[Released],
    results: list[Result],
    handed_in: datetime | None,
    folder: Path,
) -> None:
    chapter = labs[0].chapter
    with book.db.no_autoflush:
        book.update_or_create_student(student)
        submission = book.update_or_create_submission(chapter, student, timestamp=handed_in)
    for notebook in submission.notebooks:
        notebook.late_submission_penalty = None
        for grade in notebook.grades:
            grade.auto_score, grade.needs_manual_grade = 0, grade.manual_score is not None
        for comment in notebook.comments:
            comment.auto_comment = None
    book.db.flush()
    rows, save, limit = _Rows(book, submission), _Save(config=config), LimitOutput(config=config)
    for lab, result in zip(labs, results, strict=True):
        told = {"notebook": lab.stem, "assignment": chapter, "student": student, "rows": rows}
        if result.status != "missing":
            graded = nbformat.from_dict(result.notebook)
            limit.preprocess(graded, {})
            save.preprocess(graded, {"nbgrader": told})
            nbformat.write(graded, folder / f"{lab.stem}.ipynb")
    book.db.flush()
    book.db.expire_all()
    _late(book, config, chapter, student)


def _late(book: Gradebook, config: Config, chapter: str, student: str) -> None:
    submission = book.find_submission(chapter, student)
    if submission.total_seconds_late <= 0:
        return
    rule = AssignLatePenalties(config=config)
    rule.init_plugin()
    for notebook in submission.notebooks:
        penalty = rule.plugin_inst.late_submission_penalty(student, notebook.score, submission.total_seconds_late)
        if penalty is not None:
            notebook.late_submission_penalty = rule._check_late_penalty(notebook, penalty)


def _swap(fresh: Path, target: Path, handed_in: Path) -> None:
    # nbgrader compares the two timestamps to see whether a submission is newer than its grades.
    if (handed_in / "timestamp.txt").is_file() and not (handed_in / "timestamp.txt").is_symlink():
        shutil.copyfile(handed_in / "timestamp.txt", fresh / "timestamp.txt")
    for file in fresh.iterdir():
        file.chmod(0o444)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    shutil.rmtree(old, ignore_errors=True)
