"""`course grade`: what the ledger lacks is graded, then the gradebook is filled from it. It runs no cell itself."""

import fcntl
import os
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from autograder.grading import engine, gradebook, handin, ledger, versions
from autograder.grading.ledger import Result
from autograder.grading.released import Released, chapter_folder, course_directory, released
from autograder.grading.worker import CannotStart, Worker
from autograder.paths import classroom
from autograder.release.assignment import nbgrader_config

Say = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much


class CannotGrade(RuntimeError):
    """Grading cannot begin or go on; the message says what to do. Never a student's fault."""


@dataclass
class Row:
    """One notebook of one student. skipped: the ledger had the result already."""

    student: str
    lab: str
    result: Result
    skipped: bool = False

    def plain(self) -> dict[str, Any]:
        """For --json."""
        r = self.result
        told = {"student": self.student, "lab": self.lab, "status": r.status, "points": r.points}
        told |= {"max_points": r.max_points, "reason": r.reason, "notes": r.notes, "exercises": r.exercises}
        return {**told, "seconds": r.seconds, "skipped": self.skipped}


@dataclass
class Graded:
    """What `grade` did: a row for each notebook, and the students whose grades could not be written."""

    chapter: str
    rows: list[Row]
    unwritten: dict[str, str] = field(default_factory=dict)


@dataclass
class _Job:
    lab: Released
    data: bytes
    key: str
    places: list[int]  # the rows that it fills: two students may hand in the same bytes


def grade(
    wanted: str,
    students: tuple[str, ...] = (),
    again: bool = False,
    jobs: int | None = None,
    seconds: float = engine.SECONDS,
    say: Say = lambda what, done, of: None,
) -> Graded:
    """Grade a chapter's hand-ins. Raises NotReleased or CannotGrade, never for what a student handed in."""
    config = nbgrader_config()
    course = course_directory(config)
    chapter = chapter_folder(wanted)
    labs = released(chapter, course)
    with _alone(), gradebook.gradebook(course, chapter, labs) as book:
        ledger.sweep()
        folders = _submissions(course, chapter, students)
        rows, work = _sorted_out(folders, labs, again, seconds, say)
        _grade_all(rows, work, jobs or os.cpu_count() or 1, seconds, say)
        done = Graded(chapter, rows)
        for i, student in enumerate(sorted(folders)):
            say("filling the gradebook", i, len(folders))
            theirs = [row.result for row in rows if row.student == student]
            if failed := [r.reason for r in theirs if r.status == "not graded"]:
                done.unwritten[student] = failed[0]
                continue
            try:
                gradebook.fill(book, course, config, student, labs, theirs)
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
    folders: dict[str, Path], labs: list[Released], again: bool, seconds: float, say: Say
) -> tuple[list[Row], list[_Job]]:
    rows: list[Row] = []
    work: dict[str, _Job] = {}
    for i, (student, folder) in enumerate(folders.items()):
        say("reading hand-ins", i, len(folders))
        for lab in labs:
            row = Row(student, lab.id, Result(lab.id, "", "", 0, lab.points))
            rows.append(row)
            found = _read(folder, lab)
            if isinstance(found, Result):
                row.result = found
                continue
            data, note = found
            key = versions.key(data, lab)
            kept = None if again else ledger.read(key)
            if kept and not (kept.status == "timed out" and seconds > kept.budget):
                row.result, row.skipped = kept, True
            else:
                work.setdefault(key, _Job(lab, data, key, [])).places.append(len(rows) - 1)
            if note:
                row.result = replace(row.result, notes=[*row.result.notes, note])
    return rows, list(work.values())


def _read(folder: Path, lab: Released) -> Result | tuple[bytes, str]:
    try:
        file, note = handin.find(folder, lab)
        if file is None:
            return engine.unread(lab, "missing", f"no notebook was handed in for this lab ({lab.stem}.ipynb)")
        return handin.content(file), note
    except handin.Malformed as error:
        return engine.unread(lab, "malformed", str(error))


def _grade_all(rows: list[Row], work: list[_Job], workers: int, seconds: float, say: Say) -> None:
    labs = {job.lab.id: job.lab for job in work}
    needed = [check.exercise_id for lab in labs.values() for check in lab.checks.values()]
    for i, exercise_id in enumerate(needed):
        say("working out what is expected", i, len(needed))
        engine.expectation(exercise_id)
    waiting: queue.SimpleQueue[_Job] = queue.SimpleQueue()
    finished: queue.SimpleQueue[tuple[_Job, Result] | CannotGrade] = queue.SimpleQueue()
    for job in work:
        waiting.put(job)
    stop = threading.Event()
    hands = [Worker() for _ in range(min(workers, len(work)))]
    crew = [threading.Thread(target=_serve, args=(hand, waiting, finished, seconds, stop)) for hand in hands]
    for thread in crew:
        thread.start()
    try:
        for done in range(len(work)):
            say("grading notebooks", done, len(work))
            got = finished.get()
            if isinstance(got, CannotGrade):
                raise got
            job, result = got
            if versions.key(job.data, job.lab) != job.key:
                raise CannotGrade(f"the checks of {job.lab.id} changed while they were at work: run it again")
            if result.status != "not graded":
                ledger.write(job.key, result)
            for place in job.places:
                rows[place].result = replace(result, notes=[*rows[place].result.notes, *result.notes])
        if work:
            say("grading notebooks", len(work), len(work))
    finally:
        stop.set()
        for hand in hands:
            hand.stop()  # where grading was interrupted, what still runs is worth nothing
        for thread in crew:
            thread.join()


def _serve(
    worker: Worker, waiting: queue.SimpleQueue, finished: queue.SimpleQueue, seconds: float, stop: threading.Event
) -> None:
    try:
        while not stop.is_set():
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                result = engine.grade_notebook(job.data, job.lab, worker, seconds)
            except CannotStart as error:
                finished.put(CannotGrade(f"{error}. Is the course installed with its instructor extra?"))
                return
            except Exception as error:  # the grader's own fault: no grade is made of it
                reason = f"the grader failed on it: {type(error).__name__}: {error}"
                result = Result(job.lab.id, "not graded", reason, 0, job.lab.points)
            finished.put((job, result))
    finally:
        worker.close()
