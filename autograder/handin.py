"""Looks a chapter's working copies over for the usual mistakes and packs them into one archive. It grades nothing."""

import io
import os
import re
import shutil
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from autograder.halves import Damaged, grade_id, read_notebook
from autograder.work import REMEMBERED, Copy, OutOfStep, read_json, sync, write_json

LARGEST = 10_000_000  # bytes of one notebook
# The zip format's first day: the same notebooks give the same archive.
DATE = (1980, 1, 1, 0, 0, 0)


class BadStudentId(ValueError):
    """No such student id can be part of a file's name; the message says why."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not right, and what to do. "error" stops, "blocking" unless forced, "warning" never."""

    weight: str
    lab: str
    says: str
    remedy: str = ""


@dataclass
class HandIn:
    """What was found, and what would be packed: file names and their bytes."""

    findings: list[Finding] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

    def of(self, weight: str) -> list[Finding]:
        return [f for f in self.findings if f.weight == weight]


def student_id(text: str) -> str:
    """The id, if it can be part of a file's name. Raises BadStudentId."""
    told = text.strip()
    if not told:
        raise BadStudentId("the student id is empty")
    bad = sorted(set(re.findall(r"[^A-Za-z0-9._@-]", told)))
    if bad:
        shown = ", ".join("a space" if c.isspace() else repr(c) for c in bad)
        raise BadStudentId(f"the student id {told!r} contains {shown}: use only letters A-Z, digits and . _ - @")
    if not told[0].isalnum():
        raise BadStudentId(f"the student id {told!r} begins with {told[0]!r}: begin it with a letter or digit")
    if len(told) > 100:
        raise BadStudentId(f"the student id has {len(told)} characters; at most 100 may be used")
    return told


def remembered_student(root: Path) -> str:
    """The student id used last in this folder, "" if none."""
    return str(read_json(root / REMEMBERED / "student.json").get("id", ""))


def remember_student(root: Path, student: str) -> None:
    write_json(root / REMEMBERED / "student.json", {"id": student})


def look_over(copies: list[Copy], strip: bool = False) -> HandIn:
    """Bring each copy's halves into step and look for mistakes; collect what would be packed."""
    found = HandIn()
    if not any(copy.started for copy in copies):
        number = copies[0].lab.number
        says = f"no lab of {copies[0].lab.chapter} is started in {copies[0].root}"
        found.findings.append(
            Finding("error", "", says, f"course start {number}, or change to the folder where you work")
        )
        return found
    for copy in copies:
        _look(copy, found, strip)
    return found


def _look(copy: Copy, found: HandIn, strip: bool) -> None:
    lab = copy.lab

    def note(weight: str, says: str, remedy: str = "") -> None:
        found.findings.append(Finding(weight, lab.number, says, remedy))

    if not copy.started:
        remedy = f"course start {lab.number}, or hand in without it: --force"
        note("blocking", "not started: it would earn no points", remedy)
        return
    try:
        sync(copy)
        notebook = read_notebook(copy.notebook)
    except (OutOfStep, Damaged) as error:
        note("error", str(error))
        return
    if wrong := _another(copy, notebook):
        note("error", *wrong)
        return
    names = [grade_id(cell) for cell in notebook.cells]
    text = {grade_id(cell): cell.source.strip() for cell in notebook.cells}
    for task in lab.tasks:
        check = f"check_{task.name}"
        for name, what in ((task.name, "solution"), (check, "check")):
            if (times := names.count(name)) > 1:
                note("error", f"{task.name}: its {what} cell is there {times} times", "keep one, delete the others")
        if task.name not in text:
            remedy = f"take it from course start {lab.number} --again, or hand in as it is: --force"
            note("blocking", f"{task.name}: its solution cell is missing, it would earn no points", remedy)
        elif "raise NotImplementedError" in text[task.name] or text[task.name] == task.skeleton.strip():
            note("warning", f"{task.name}: not solved yet ({task.points:g} points)")
        if check not in text:
            note("warning", f"{task.name}: its check cell is missing; grading uses the course's own")
        elif text[check] != task.check.strip():
            note("warning", f"{task.name}: its check cell was edited; grading uses the course's own")
    data = _stripped(notebook) if strip else copy.notebook.read_bytes()
    if len(data) > LARGEST:
        says = f"{copy.notebook.name} has {len(data) / 1e6:.1f} MB, more than {LARGEST / 1e6:g}"
        remedy = "leave the outputs out: --strip (your own copy keeps them); send it as it is: --force"
        note("blocking", says, remedy)
    found.files[copy.notebook.name] = data


def _another(copy: Copy, notebook: NotebookNode) -> tuple[str, str] | None:
    """What to say of a notebook that is not this lab's."""
    told = notebook.metadata.get("course")
    other = told.get("id") if isinstance(told, dict) else None
    if other and other != copy.lab.id:
        return f"{copy.notebook.name} holds lab {other}, not {copy.lab.id}", "put the right notebook in its place"
    named = {grade_id(cell) for cell in notebook.cells} - {""}
    if named & {task.name for task in copy.lab.tasks}:
        return None
    if named:
        return f"{copy.notebook.name} holds another lab's exercises", "put the right notebook in its place"
    lost = f"{copy.notebook.name} has none of the lab's graded cells left (they lost their nbgrader metadata)"
    return lost, f"course start {copy.lab.number} --again, then copy your code over"


def _stripped(notebook: NotebookNode) -> bytes:
    import nbformat

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebook.metadata.pop("widgets", None)
    return (nbformat.writes(notebook) + "\n").encode()


def packed(files: dict[str, bytes]) -> bytes:
    """A zip of the files, flat; the same files give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # else it differs between Windows and the others
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return out.getvalue()


def write_archive(target: Path, data: bytes, root: Path) -> None:
    """Put the archive in its place; an earlier one that differs is kept in `.course/backup/`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists() and target.read_bytes() != data:
        backup = root / REMEMBERED / "backup"
        backup.mkdir(parents=True, exist_ok=True)
        saved = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(target.stat().st_mtime))
        shutil.copy2(target, backup / f"{target.stem}.{saved}.zip")
    part = target.with_name(f".{target.name}.part")
    part.write_bytes(data)
    os.replace(part, target)
