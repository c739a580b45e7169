"""Scores of a chapter as CSV, for a learning platform or a spreadsheet. It changes no grade.

Each format is an exporter of nbgrader's own kind too:
`nbgrader export --exporter=autograder.grading.export.Canvas --assignment='["ch01_attention"]' --to canvas.csv`.
"""

import csv
import io
from pathlib import Path

from nbgrader.api import Gradebook, MissingEntry, SubmittedAssignment
from nbgrader.plugins import ExportPlugin

from autograder.grading.released import chapter_folder, course_directory


class NoGrades(RuntimeError):
    """The gradebook has no grades of the chapter; the message says what to do."""


def export(wanted: str, kind: str) -> str:
    """The CSV text of a chapter: kind is "canvas", "moodle" or "plain". Raises NoGrades or NotReleased."""
    chapter = chapter_folder(wanted)
    course = course_directory()
    with Gradebook(course.db_url, course.course_id) as book:
        return _text(_FORMATS[kind](book, chapter))


def canvas(book: Gradebook, chapter: str) -> list[list]:
    """What Canvas imports: it finds students by ID, which is the student id that `course collect` takes from Canvas."""
    submissions = _submissions(book, chapter)
    points = book.find_assignment(chapter).max_score
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", chapter]
    rows = [[_name(s) or s.student.id, s.student.id, "", s.student.id, "", _total(s)] for s in submissions]
    return [head, ["    Points Possible", "", "", "", "", _number(points)], *rows]


def moodle(book: Gradebook, chapter: str) -> list[list]:
    """What Moodle's assignment takes as a grading worksheet: it finds students by "Participant NUMBER"."""
    submissions = _submissions(book, chapter)
    points = _number(book.find_assignment(chapter).max_score)
    head = ["Identifier", "Full name", "Email address", "Grade", "Maximum Grade"]
    rows = []
    for s in submissions:
        number = s.student.id.isdigit()
        identifier = f"Participant {s.student.id}" if number else s.student.id
        rows.append([identifier, _name(s), s.student.email or "", _total(s), points])
    return [head, *rows]


def plain(book: Gradebook, chapter: str) -> list[list]:
    """One row a student: each lab, the late penalty, the total."""
    submissions = _submissions(book, chapter)
    assignment = book.find_assignment(chapter)
    labs = sorted(notebook.name for notebook in assignment.notebooks)
    head = ["student_id", "last_name", "first_name", "handed_in", *labs, "late_penalty", "score", "max_score"]
    rows = []
    for s in submissions:
        points = {notebook.name: notebook.score for notebook in s.notebooks}
        person = [s.student.id, s.student.last_name or "", s.student.first_name or ""]
        when = s.timestamp.isoformat(" ") if s.timestamp else ""
        each = [_number(points.get(lab, 0.0)) for lab in labs]
        sums = [_number(s.late_submission_penalty), _total(s), _number(assignment.max_score)]
        rows.append([*person, when, *each, *sums])
    return [head, *rows]


_FORMATS = {"canvas": canvas, "moodle": moodle, "plain": plain}


class _Exporter(ExportPlugin):
    kind = ""

    def export(self, gradebook: Gradebook) -> None:
        """Write the chosen assignment to the chosen file."""
        if len(self.assignment) != 1:
            raise NoGrades("choose one chapter: --assignment='[\"ch01_...\"]'")
        text = _text(_FORMATS[self.kind](gradebook, str(self.assignment[0])))
        Path(self.to or "grades.csv").write_text(text, encoding="utf-8", newline="")


class Canvas(_Exporter):
    """For Canvas."""

    kind = "canvas"


class Moodle(_Exporter):
    """For Moodle."""

    kind = "moodle"


class Plain(_Exporter):
    """For a spreadsheet."""

    kind = "plain"


def _submissions(book: Gradebook, chapter: str) -> list[SubmittedAssignment]:
    try:
        found = book.find_assignment(chapter).submissions
    except MissingEntry:
        found = []
    if not found:
        raise NoGrades(f"the gradebook has no grades of {chapter}: run `course grade {chapter.split('_')[0]}` first")
    return sorted(found, key=lambda s: s.student.id)


def _name(submission: SubmittedAssignment) -> str:
    student = submission.student
    return ", ".join(part for part in (student.last_name, student.first_name) if part)


def _total(submission: SubmittedAssignment) -> str:
    return _number(max(0.0, submission.score - (submission.late_submission_penalty or 0.0)))


def _number(value: float | None) -> str:
    return f"{round(value or 0.0, 2):g}"


def _text(rows: list[list]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([[_harmless(cell) for cell in row] for row in rows])
    return out.getvalue()


def _harmless(cell: str) -> str:
    # A spreadsheet would run a name that begins like a formula.
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell
