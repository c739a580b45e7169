"""`course grade`: what the ledger lacks is graded, then the gradebook is filled from it. It runs no cell itself."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from autograder.grading import engine, gradebook, handin, ledger, pool, versions
from autograder.grading.isolation import UNSAFE, probe
from autograder.grading.lab import Released
from autograder.grading.ledger import Result
from autograder.grading.limits import Limits
from autograder.grading.released import chapter_folder, course_directory, released
from autograder.grading.worker import CannotStart
from autograder.paths import classroom
from autograder.release.assignment import nbgrader_config
from autograder.release.expected import kept

_LOOK_SECONDS = 1.0  # how often checks are looked at for changes

Say = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much


class CannotGrade(RuntimeError):
    """Grading cannot begin or go on; the message says what to do. Never a student's fault."""


@dataclass
class Row:
    """One notebook of one student. skipped: the ledger had the result already. key: where the ledger has it.

    The result comes without the graded notebook, where the ledger has that: a large class would fill the memory.
    """

    student: str
    lab: str
    result: Result
    skipped: bool = False
    key: str = ""

    def plain(self) -> dict[str, Any]:
        """For --json."""
        r = self.result
        told = {"student": self.student, "lab": self.lab, "status": r.status, "points": r.points}
        told |= {"max_points": r.max_points, "reason": r.reason, "notes": r.notes, "exercises": r.exercises}
        return {**told, "seconds": r.seconds, "isolation": r.isolation, "skipped": self.skipped}


@dataclass
class Graded:
    """What `grade` did: a row for each notebook, and the students whose grades could not be written."""

    chapter: str
    rows: list[Row]
    isolation: str  # what confined the hand-ins that ran
    unwritten: dict[str, str] = field(default_factory=dict)


@dataclass
class _Job:
    lab: Released
    file: Path
    key: str
    places: list[int]  # the rows that it fills: two students may hand in the same bytes


def grade(
    wanted: str,
    students: tuple[str, ...] = (),
    again: bool = False,
    jobs: int | None = None,
    limits: Limits | None = None,
    say: Say = lambda what, done, of: None,
    cluster: str = "",
    unsafe: bool = False,
    every_cell: bool = False,
) -> Graded:
    """Grade a chapter's hand-ins. Raises NotReleased, NotIsolated or CannotGrade, never for what was handed in."""
    limits = limits or Limits()
    # Looked at before anything is read: whoever cannot confine hand-ins hears of it at once. A cluster's workers look
    # for themselves.
    held = "as the cluster's workers say" if cluster else (UNSAFE if unsafe else probe()).level
    config = nbgrader_config()
    course = course_directory(config)
    chapter = chapter_folder(wanted)
    labs = released(chapter, course)
    with _alone(), gradebook.gradebook(course, chapter, labs) as book:
        ledger.sweep()
        folders = _submissions(course, chapter, students)
        rows, work = _sorted_out(folders, labs, again, limits.notebook_seconds, every_cell, say)
        needed = [lab for lab in labs if any(job.lab.id == lab.id for job in work)]
        setting = pool.Setting.of(needed, limits, unsafe, every_cell)
        _grade_all(rows, work, setting, min(jobs or os.cpu_count() or 1, len(work)), cluster, say)
        done = Graded(chapter, rows, held)
        theirs: dict[str, list[Row]] = {}
        for row in rows:
            theirs.setdefault(row.student, []).append(row)
        for i, student in enumerate(sorted(folders)):
            say("filling the gradebook", i, len(folders))
            results = [ledger.read(row.key) or row.result for row in theirs[student]]
            if failed := [r.reason for r in results if r.status == "infrastructure"]:
                done.unwritten[student] = failed[0]
                continue
            try:
                gradebook.fill(book, course, config, student, labs, results)
            except Exception as error:  # one submission that cannot be written never stops the others
                done.unwritten[student] = f"{type(error).__name__}: {error}".splitlines()[0]
        say("filling the gradebook", len(folders), len(folders))
    return done


@contextmanager
def _alone() -> Iterator[None]:
    # Two graders at once would fill one gradebook with each other's halves.
    classroom().mkdir(parents=True, exist_ok=True)
    with (classroom() / "grading.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotGrade(f"another `course grade` works on {classroom()}: wait until it is done") from error
        yield


def _submissions(course: Any, chapter: str, wanted: tuple[str, ...]) -> dict[str, Path]:
    # Student ids are the folders' names, whatever characters they hold: nothing is matched by pattern.
    root = Path(course.format_path(course.submitted_directory, "x", chapter)).parent.parent
    found = {}
    if root.is_dir():
        for folder in sorted(root.iterdir()):
            inner = folder / chapter
            linked = inner.is_symlink() or folder.is_symlink()
            if inner.is_dir() and not linked and not folder.name.startswith("."):
                found[folder.name] = inner
    if not found:
        raise CannotGrade(
            f"nothing is handed in for {chapter} in {root}: run `course collect {chapter.split('_')[0]} PATH`, "
            f"or `course sample-class {chapter.split('_')[0]}` to try it out"
        )
    for student in wanted:
        if student not in found:
            raise CannotGrade(f"no hand-in of {student!r} for {chapter}; there are: {', '.join(found)}")
    return {s: f for s, f in found.items() if not wanted or s in wanted}


def _sorted_out(
    folders: dict[str, Path], labs: list[Released], again: bool, seconds: float, every_cell: bool, say: Say
) -> tuple[list[Row], list[_Job]]:
    rows: list[Row] = []
    work: dict[str, _Job] = {}
    checks = {lab.id: versions.checks_version(lab) for lab in labs}
    for i, (student, folder) in enumerate(folders.items()):
        say("reading hand-ins", i, len(folders))
        for lab in labs:
            row = Row(student, lab.id, Result(lab.id, "", "", 0, lab.points))
            rows.append(row)
            found = _read(folder, lab)
            if isinstance(found, Result):
                row.result = found
                continue
            file, data, note = found
            row.key = versions.key(data, checks[lab.id], every_cell)
            kept = None if again else ledger.read(row.key)
            if kept and not (kept.status == "timed out" and seconds > kept.budget):
                row.result, row.skipped = replace(kept, notebook=None), True
            else:
                work.setdefault(row.key, _Job(lab, file, row.key, [])).places.append(len(rows) - 1)
            if note:
                row.result = replace(row.result, notes=[*row.result.notes, note])
    return rows, list(work.values())


def _read(folder: Path, lab: Released) -> Result | tuple[Path, bytes, str]:
    try:
        file, note = handin.find(folder, lab)
        if file is None:
            return engine.unread(lab, "missing", f"no notebook was handed in for this lab ({lab.stem}.ipynb)")
        return file, handin.content(file), note
    except handin.Malformed as error:
        return engine.unread(lab, "malformed", str(error))


def _expected(labs: list[Released], say: Say) -> dict[str, bytes]:
    found = {}
    for i, lab in enumerate(labs):
        say("working out what is expected", i, len(labs))
        try:
            found[lab.id] = kept(lab.id)
        except OSError as error:
            raise CannotGrade(
                f"what is expected of {lab.id} cannot be kept in {classroom()} ({error.strerror}): make room, "
                "then run this again"
            ) from error
    return found


def _grade_all(rows: list[Row], work: list[_Job], setting: pool.Setting, jobs: int, cluster: str, say: Say) -> None:
    by_key = {job.key: job for job in work}
    checks = {lab.id: versions.checks_version(lab) for lab in setting.labs.values()}
    looked, done = time.monotonic(), 0
    try:
        tasks = _tasks(work, checks, setting.every_cell)
        expected = cache(lambda: _expected(list(setting.labs.values()), say))
        for key, result in pool.run(tasks, setting, expected, jobs, cluster):
            say("grading notebooks", done, len(work))
            job = by_key[key]
            if time.monotonic() - looked > _LOOK_SECONDS:
                _unchanged(checks, setting)
                looked = time.monotonic()
            if result.status != "infrastructure":
                ledger.write(key, result)
            told = replace(result, notebook=None)
            for place in job.places:
                rows[place].result = replace(told, notes=[*rows[place].result.notes, *told.notes])
            done += 1
        _unchanged(checks, setting)
    except CannotStart as error:
        raise CannotGrade(str(error)) from error
    except pool.NoCluster as error:
        raise CannotGrade(str(error)) from error
    except OSError as error:
        raise CannotGrade(
            f"a result cannot be written to {ledger.folder()} ({error.strerror}): make room, then run this again; "
            "what is graded so far is kept"
        ) from error
    if work:
        say("grading notebooks", len(work), len(work))


def _tasks(work: list[_Job], checks: dict[str, str], every_cell: bool) -> Iterator[pool.Task]:
    # Read again when their turn comes: a class's hand-ins do not fit into every memory.
    for job in work:
        try:
            data = handin.content(job.file)
        except handin.Malformed as error:
            raise CannotGrade(f"{job.file} cannot be read any more: {error}") from error
        if versions.key(data, checks[job.lab.id], every_cell) != job.key:
            raise CannotGrade(f"{job.file} changed while grading was at work: run it again")
        yield pool.Task(job.key, job.lab.id, data)


def _unchanged(checks: dict[str, str], setting: pool.Setting) -> None:
    for lab in setting.labs.values():
        if versions.checks_version(lab) != checks[lab.id]:
            raise CannotGrade(f"the checks of {lab.id} changed while they were at work: run it again")
