"""Where one worker's time goes: the engine's functions are wrapped from outside. The engine itself times nothing."""

import contextlib
import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autograder.bench import room as rooms
from autograder.bench.room import Room
from autograder.grading import engine, gradebook, handin, ledger, merging, reports, skipping, versions
from autograder.grading.expectations import opened
from autograder.grading.isolation import probe
from autograder.grading.merging import Merged
from autograder.grading.released import Released, course_directory
from autograder.grading.worker import Worker
from autograder.plain import pack
from autograder.release.assignment import nbgrader_config
from autograder.release.expected import kept
from autograder.release.solutions import grade_id

NAME = "profile"
STUDENTS = 10
STUDENT, GRADER = "student", "grader"

# Each phase and whose time it is. A case's time is the student's own compute and the way there and back; the first
# one in a copy also pays for the memory that the copy no longer shares.
PHASES = {
    "setup cells": STUDENT,
    "given cells": STUDENT,
    "solution cells": STUDENT,
    "other cells": STUDENT,
    "an exercise's first case": STUDENT,
    "its other cases": STUDENT,
    "naming it in the ledger": GRADER,
    "reading the file": GRADER,
    "merging": GRADER,
    "choosing cells": GRADER,
    "forking a child": GRADER,
    "confining it": GRADER,
    "forking copies for exercises": GRADER,
    "trying the watch for forbidden calls": GRADER,
    "reading answers": GRADER,
    "judging": GRADER,
    "ending and cleaning up": GRADER,
    "writing the graded notebook": GRADER,
    "ledger": GRADER,
    "gradebook": GRADER,
    "rest of the engine": GRADER,
}


class Clock:
    """Adds up time by phase. A phase inside another counts for itself alone, so that all add up to the whole."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.kinds: dict[str, str] = {}  # of the notebook at hand: a cell's text -> its phase
        self._inner: list[float] = []

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        self._inner.append(0.0)
        started = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - started
            self.seconds[name] += took - self._inner.pop()
            self.calls[name] += 1
            if self._inner:
                self._inner[-1] += took

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(work)
        def timing(*args: Any, **kwargs: Any) -> Any:
            with self.phase(name):
                return work(*args, **kwargs)

        return timing


def measure(folder: Path, chapter: str, students: int, seed: int, stems: tuple[str, ...] = ()) -> dict[str, Any]:
    """Profile one worker on a class; the content of the result file."""
    room = rooms.fresh(folder / "profile", chapter, stems)
    room.hand_in(students, seed)
    return {"what": "one worker, isolation on: seconds a notebook by phase", **profile(room)}


def profile(room: Room, students: int | None = None, every_cell: bool = False) -> dict[str, Any]:
    """Grade a classroom's hand-ins (of the first `students`) in this process, with one worker, and time the phases."""
    with room.entered():
        labs, course, config = room.labs(), course_directory(), nbgrader_config()
        expected = {lab.id: opened(kept(lab.id)) for lab in labs}
        checks = {lab.id: versions.checks_version(lab) for lab in labs}
        names = sorted(folder.name for folder in (room.path / "submitted").iterdir())[:students]
        worker = Worker(probe(), loads=skipping.loads(labs, every_cell))
        clock, began = Clock(), time.perf_counter()
        try:
            _warm(worker)
            warm = time.perf_counter() - began
            with _wrapped(clock), gradebook.gradebook(course, room.chapter, labs) as book:
                began = time.perf_counter()
                for student in names:
                    theirs = room.path / "submitted" / student / room.chapter
                    keys = [_graded(theirs, lab, checks, expected[lab.id], worker, clock, every_cell) for lab in labs]
                    with clock.phase("ledger"):
                        results = [ledger.read(key) for key in keys]
                    with clock.phase("gradebook"):
                        gradebook.fill(book, course, config, student, labs, results)
                whole = time.perf_counter() - began
        finally:
            worker.close()
    return _told(clock, whole, warm, len(names) * len(labs), worker)


def _warm(worker: Worker) -> None:
    for sock in worker.child(1):
        sock.close()
    worker.end()


def _graded(
    folder: Path,
    lab: Released,
    checks: dict[str, str],
    expected: Any,
    worker: Worker,
    clock: Clock,
    every_cell: bool,
) -> str:
    # What `course grade` does with one notebook; its key in the ledger. The file is read and named twice, as there.
    for _again in range(2):
        with clock.phase("reading the file"):
            file, _ = handin.find(folder, lab)
            data = handin.content(file)
        with clock.phase("naming it in the ledger"):
            key = versions.key(data, checks[lab.id], every_cell)
    # A merged cell has lost its tags: the released notebook knows them by the cell's text.
    tagged = [(cell.source, set(cell.metadata.get("tags", []))) for cell in lab.notebook.cells]
    clock.kinds = {text: f"{kind} cells" for text, tags in tagged for kind in ("setup", "given") if kind in tags}
    with clock.phase("rest of the engine"):
        result = engine.grade_notebook(data, lab, expected, worker, every_cell)
    with clock.phase("ledger"):
        ledger.write(key, result)
    return key


def _told(clock: Clock, whole: float, warm: float, notebooks: int, worker: Worker) -> dict[str, Any]:
    unknown = set(clock.seconds) - set(PHASES)
    assert not unknown, unknown
    rows = [
        {"phase": name, "whose": whose, "seconds": clock.seconds[name] / notebooks, "calls": clock.calls[name]}
        for name, whose in PHASES.items()
    ]
    by_whom = {whose: sum(row["seconds"] for row in rows if row["whose"] == whose) for whose in (STUDENT, GRADER)}
    untold = whole / notebooks - sum(by_whom.values())
    return {
        "notebooks": notebooks,
        "isolation": worker.isolation.level,
        "starting_a_warm_process_seconds": warm,
        "seconds_a_notebook": whole / notebooks,
        "student_seconds_a_notebook": by_whom[STUDENT],
        "grader_seconds_a_notebook": by_whom[GRADER] + untold,
        "grader_share_percent": 100 * (1 - by_whom[STUDENT] * notebooks / whole),
        "rows": rows,
    }


@contextlib.contextmanager
def _wrapped(clock: Clock) -> Iterator[None]:
    # What is replaced, and where: undone at the end, whatever happens.
    with contextlib.ExitStack() as undo:

        def put(owner: Any, name: str, new: Any) -> None:
            undo.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, new)

        put(handin, "cells", clock.timed("reading the file", handin.cells))
        put(merging, "merge", clock.timed("merging", merging.merge))
        put(skipping, "only_show", clock.timed("choosing cells", skipping.only_show))
        put(engine, "judge", clock.timed("judging", engine.judge))
        put(engine, "verdict", clock.timed("judging", engine.verdict))
        put(engine, "_read", clock.timed("reading answers", engine._read))
        put(engine, "_result", clock.timed("writing the graded notebook", engine._result))
        put(Worker, "child", _until_ready(clock, Worker.child))
        put(Worker, "end", clock.timed("ending and cleaning up", Worker.end))
        talk = engine._Talk
        put(talk, "ask", _by_request(clock, talk.ask))
        put(talk, "case", _first_apart(clock, talk.case))
        put(engine, "_cells", _noting(clock, engine._cells))
        put(talk, "cell", _by_kind(clock, talk.cell))
        yield


def _until_ready(clock: Clock, child: Callable[..., Any]) -> Callable[..., Any]:
    # An empty cell is answered at once, and only when the child is confined: so that time is not the first cell's.
    def starting(self: Worker, exercises: int) -> Any:
        with clock.phase("forking a child"):
            sockets = child(self, exercises)
        with clock.phase("confining it"):
            engine.wire.send(sockets[0], pack({"do": "run", "source": ""}))
            engine.wire.receive(sockets[0], reports.OUTPUT_BYTES)
        return sockets

    return starting


def _by_request(clock: Clock, ask: Callable[..., Any]) -> Callable[..., Any]:
    names = {"take": "forking copies for exercises", "watched": "trying the watch for forbidden calls"}

    def asking(self: Any, tree: dict[str, Any]) -> Any:
        with clock.phase(names[tree["do"]]):
            return ask(self, tree)

    return asking


def _first_apart(clock: Clock, case: Callable[..., Any]) -> Callable[..., Any]:
    def asking(self: Any, packed: bytes) -> Any:
        with clock.phase("its other cases" if hasattr(self, "asked") else "an exercise's first case"):
            self.asked = True
            return case(self, packed)

    return asking


def _noting(clock: Clock, cells: Callable[..., Any]) -> Callable[..., Any]:
    def running(merged: Merged, *rest: Any) -> Any:
        for cell in merged.notebook.cells:
            if grade_id(cell) and cell.metadata.nbgrader.get("solution"):
                clock.kinds[cell.source] = "solution cells"
        return cells(merged, *rest)

    return running


def _by_kind(clock: Clock, cell: Callable[..., Any]) -> Callable[..., Any]:
    def running(self: Any, source: str) -> Any:
        with clock.phase(clock.kinds.get(source, "other cells")):
            return cell(self, source)

    return running
