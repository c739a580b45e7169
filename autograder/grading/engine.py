"""Runs one merged notebook through a worker's child and judges what comes back. It writes no file and no grade.

The child holds the student's code and, one case at a time, the inputs. Which cells run, what is expected and what
it is worth is decided here.
"""

import socket
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from autograder import registry
from autograder.checking import verdict
from autograder.exercise import Case, Exercise
from autograder.grading import handin, merging, reports, wire
from autograder.grading.ledger import Result
from autograder.grading.released import Check, Released
from autograder.grading.worker import Worker
from autograder.judging import Outcome, Report, judge
from autograder.plain import pack
from autograder.release.expected import course_secret, hidden_cases, in_memory
from autograder.store import Expected
from autograder.verdict import Points, Verdict

OUTPUT_CHARACTERS = 200_000  # of each stream of a cell
NOTEBOOK_OUTPUT = 8 << 20  # bytes of all outputs that a graded notebook keeps
SECONDS = 300.0  # a notebook's whole budget
CASE_SECONDS = 60.0  # one case of one exercise


class Stopped(Exception):
    """The child cannot go on. `status` is "timed out" or "crashed"; the message says why. gone: it ended by itself."""

    def __init__(self, status: str, reason: str, gone: bool = False) -> None:
        super().__init__(reason)
        self.status, self.gone = status, gone


@dataclass(frozen=True)
class Expectation:
    """An exercise's cases, visible then hidden, ready to send, and what is expected of each."""

    exercise: Exercise
    cases: list[Case]
    packed: list[bytes]
    hidden: list[bool]
    expected: Expected


def expectation(exercise_id: str) -> Expectation:
    """An exercise's expectations, worked out once a process and secret. Not for several threads at a time."""
    return _expectation(exercise_id, course_secret())


@cache
def _expectation(exercise_id: str, secret: str) -> Expectation:
    exercise = registry.exercise(exercise_id)
    visible, hidden = exercise.visible(), hidden_cases(exercise_id)
    cases = visible + hidden
    packed = [pack({"do": "act", "inputs": case.inputs}) for case in cases]
    told = [False] * len(visible) + [True] * len(hidden)
    return Expectation(exercise, cases, packed, told, in_memory(exercise_id))


def grade_notebook(data: bytes, lab: Released, worker: Worker, seconds: float = SECONDS) -> Result:
    """Grade the bytes of one handed-in file. Whatever is in it, a result comes back."""
    started = time.monotonic()
    try:
        found = handin.cells(data, lab)
    except handin.Malformed as error:
        return unread(lab, "malformed", str(error))
    merged = merging.merge(found, lab)
    verdicts, stopped = _run(merged, worker, seconds)
    result = _result(lab, merged, verdicts, stopped)
    result.seconds, result.budget = round(time.monotonic() - started, 3), seconds
    return result


def unread(lab: Released, status: str, reason: str) -> Result:
    """The result of a hand-in that cannot be run: nothing is earned, and the notebook says why."""
    merged = merging.untouched(lab)
    stopped = Stopped(status, reason)
    return _result(lab, merged, {}, stopped)


def _run(merged: merging.Merged, worker: Worker, seconds: float) -> tuple[dict[str, Verdict], Stopped | None]:
    deadline = time.monotonic() + seconds
    verdicts: dict[str, Verdict] = {}
    with tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True) as scratch:
        sock = worker.child()
        died = False
        try:
            talk = _Talk(sock, deadline, seconds)
            talk.tell({"scratch": scratch, "output_limit": OUTPUT_CHARACTERS})
            _cells(merged, talk, verdicts)
            stopped = None
        except Stopped as error:
            stopped = error
            died = error.gone
        finally:
            sock.close()
            how = worker.end(died)
        if stopped and stopped.gone and how:
            stopped = Stopped("crashed", f"the notebook's process ended: {how}")
        elif how:
            merged.notes.append(f"what the notebook did besides: {how}")
    return verdicts, stopped


def _cells(merged: merging.Merged, talk: "_Talk", verdicts: dict[str, Verdict]) -> None:
    kept, count = 0, 0
    for place, cell in enumerate(merged.notebook.cells):
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        check = merged.checks.get(place)
        if check is not None:
            found = _exercise(check, talk, verdicts)
            talk.tell({"do": "passed", "passed": found.passed})
            continue
        answer = talk.ask({"do": "run", "source": cell.source}, reports.OUTPUT_BYTES)
        cell.outputs = _read(reports.read_outputs, answer)
        kept += len(answer)
        if kept > NOTEBOOK_OUTPUT:
            cell.outputs = [new_output("stream", text="[this cell's outputs were cut: the notebook prints too much]\n")]


def _exercise(check: Check, talk: "_Talk", verdicts: dict[str, Verdict]) -> Verdict:
    """Drive one exercise case by case. What was judged when the child stops stays in `verdicts`."""
    it = expectation(check.exercise_id)
    got: list[Report] = []
    try:
        answer = talk.ask({"do": "take", "exercise": check.exercise_id, "expression": check.expression})
        stand_in = _read(reports.read_taken, answer)
        for packed in it.packed:
            got.append(stand_in or _read(reports.read_report, talk.ask_packed(packed, CASE_SECONDS)))
    except Stopped as error:
        if got:
            verdicts[check.grade_id] = _broken_off(it, got, error)
        raise
    verdicts[check.grade_id] = _judged(it, got)
    return verdicts[check.grade_id]


def _judged(it: Expectation, got: list[Report]) -> Verdict:
    return verdict(it.exercise, it.cases, it.hidden, got, it.expected)


def _broken_off(it: Expectation, got: list[Report], error: Stopped) -> Verdict:
    outcomes = [
        judge(it.exercise, case.kind, case.inputs, report, expected)
        for case, report, expected in zip(it.cases, got, it.expected.outputs, strict=False)
    ]
    rest = [Outcome(case.kind, error.status, [str(error)]) for case in it.cases[len(got) :]]
    return _verdict(it, outcomes + rest)


def _verdict(it: Expectation, outcomes: list[Outcome]) -> Verdict:
    e = it.exercise
    return Verdict(e.id, e.title, e.points, outcomes, it.hidden, hints=e.hints)


def _result(lab: Released, merged: merging.Merged, verdicts: dict[str, Verdict], stopped: Stopped | None) -> Result:
    told = []
    for place, check in sorted(merged.checks.items()):
        found = verdicts.get(check.grade_id)
        if found is None:
            title = registry.exercise(check.exercise_id).title
            note = f"not judged: {stopped}" if stopped else "not judged"
            found = Verdict(check.exercise_id, title, check.points, [], [], note=note)
        merged.notebook.cells[place].outputs = _shown(found, merged.notebook.cells[place].execution_count)
        told.append(_summary(check, found))
    points = round(sum(one["points"] for one in told), 2)
    status = stopped.status if stopped else ("ok" if all(one["passed"] for one in told) else "partly")
    wrong = [f"{one['exercise'].rsplit('/', 1)[1]}: {one['why']}" for one in told if not one["passed"]]
    reason = str(stopped) if stopped else "; ".join(wrong)
    _head(merged.notebook, [*([reason[:1].upper() + reason[1:]] if stopped else []), *merged.notes])
    return Result(lab.id, status, reason, points, lab.points, told, merged.notes, notebook=merged.notebook)


def _summary(check: Check, found: Verdict) -> dict[str, Any]:
    stages = [o.stage for o in found.outcomes if not o.passed]
    why = found.misconception or (stages[0] if stages else "" if found.passed else found.lines[0])
    return {
        "exercise": check.exercise_id,
        "grade_id": check.grade_id,
        "points": found.points,
        "max_points": check.points,
        "passed": found.passed,
        "why": why,
    }


def _shown(found: Verdict, count: int | None) -> list[NotebookNode]:
    # The result is what nbgrader reads as the cell's points; its empty HTML keeps the bare number off the page.
    points = {"text/plain": repr(Points(found.points)), "text/html": ""}
    return [
        new_output("display_data", data={"text/plain": found.text(), "text/html": found._repr_html_()}),
        new_output("execute_result", data=points, execution_count=count),
    ]


def _head(notebook: NotebookNode, notes: list[str]) -> None:
    if notes:
        lines = "\n".join(f"- {note}" for note in notes)
        cell = new_markdown_cell(f"**Notes from grading**\n\n{lines}")
        cell.id = "grading-notes"
        notebook.cells.insert(0, cell)


def _read(reader: Any, data: bytes) -> Any:
    try:
        return reader(data)
    except reports.NoReport as error:
        raise Stopped("crashed", f"the notebook's process sent what is no report: {error}") from error


class _Talk:
    # Requests to one child and its answers, within one budget.
    def __init__(self, sock: socket.socket, deadline: float, seconds: float) -> None:
        self.sock, self.deadline, self.seconds = sock, deadline, seconds

    def tell(self, tree: dict[str, Any]) -> None:
        self._through(lambda: wire.send(self.sock, pack(tree), self.deadline), None)

    def ask(self, tree: dict[str, Any], limit: int = reports.REPORT_BYTES) -> bytes:
        return self.ask_packed(pack(tree), None, limit)

    def ask_packed(self, data: bytes, seconds: float | None, limit: int = reports.REPORT_BYTES) -> bytes:
        until = self.deadline if seconds is None else min(self.deadline, time.monotonic() + seconds)

        def both() -> bytes:
            wire.send(self.sock, data, until)
            return wire.receive(self.sock, limit, until)

        return self._through(both, seconds)

    def _through(self, work: Any, seconds: float | None) -> Any:
        try:
            return work()
        except wire.TimeUp:
            if time.monotonic() >= self.deadline or seconds is None:
                raise Stopped("timed out", f"timed out: the notebook ran longer than {self.seconds:g} s") from None
            raise Stopped("timed out", f"timed out: one case ran longer than {seconds:g} s") from None
        except wire.TooLarge as error:
            raise Stopped("crashed", f"the notebook's process sent too much: {error}") from None
        except wire.Gone:
            raise Stopped("crashed", "the notebook's process ended in mid-work", gone=True) from None
