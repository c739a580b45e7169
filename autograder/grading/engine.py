"""Runs one merged notebook through a worker's child and judges what comes back. It writes no file and no grade.

The child holds the student's code and, one case at a time, the inputs. Which cells run, what is expected and what
it is worth is decided here. Hidden inputs leave this process only when the last cell's output has arrived.
"""

import socket
import time
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_output

from autograder import registry
from autograder.checking import verdict
from autograder.grading import handin, merging, reports, skipping, wire
from autograder.grading.expectations import Expectation
from autograder.grading.lab import Check, Released
from autograder.grading.ledger import Result
from autograder.grading.limits import Limits
from autograder.grading.worker import Worker
from autograder.judging import Outcome, Report, judge
from autograder.plain import pack
from autograder.verdict import Points, Verdict

# How long an interrupted cell, or a case that the kernel ends, may take to show it.
_GRACE_SECONDS = 3.0
# What a report says that ran out of memory: Python's word, and torch's.
_NO_MEMORY = ("MemoryError", "can't allocate memory", "not enough memory")


class Stopped(Exception):
    """The child cannot go on. `status` is one of the ledger's; the message says why. gone: it ended by itself."""

    def __init__(self, status: str, reason: str, gone: bool = False) -> None:
        super().__init__(reason)
        self.status, self.gone = status, gone


@dataclass
class _Exercise:
    """One exercise in the making: the copy that answers for it, and what it has answered."""

    check: Check
    it: Expectation
    talk: "_Talk"
    got: list[Report] = field(default_factory=list)
    stopped: Stopped | None = None  # the copy's end

    def ask(self, hidden: bool) -> None:
        """Send the visible or the hidden cases, one at a time."""
        for packed, is_hidden in zip(self.it.packed, self.it.hidden, strict=True):
            if is_hidden != hidden or self.stopped:
                continue
            try:
                self.got.append(_read(reports.read_report, self.talk.case(packed)))
            except Stopped as error:
                self.stopped = error

    def ask_watch(self) -> None:
        """Where calls are forbidden: are they still noticed? If not, nothing that was answered counts."""
        if not self.it.exercise.forbids or self.stopped or not any(r["status"] == "ok" for r in self.got):
            return
        try:
            if _read(reports.read_watched, self.talk.ask({"do": "watched"})):
                return
            self.stopped = Stopped("tampered", "the watch for forbidden calls was disabled")
        except Stopped as error:
            self.stopped = error
        self.got = []

    def verdict(self) -> Verdict:
        """What was judged; the cases that nobody answered failed."""
        if len(self.got) == len(self.it.cases):
            return verdict(self.it.exercise, self.it.cases, self.it.hidden, self.got, self.it.expected)
        outcomes = [
            judge(self.it.exercise, case.kind, case.inputs, report, expected)
            for case, report, expected in zip(self.it.cases, self.got, self.it.expected.outputs, strict=False)
        ]
        status, reason = (self.stopped.status, str(self.stopped)) if self.stopped else ("not judged", "")
        rest = [Outcome(case.kind, status, [reason]) for case in self.it.cases[len(self.got) :]]
        e = self.it.exercise
        return Verdict(e.id, e.title, e.points, outcomes + rest, self.it.hidden, hints=e.hints)


@dataclass
class _Run:
    """What became of a notebook's cells: verdicts by grade id, and what stopped it before its end, if anything did."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    stopped: Stopped | None = None
    exercises: list[_Exercise] = field(default_factory=list)
    asserted: dict[str, bool] = field(default_factory=dict)  # cells of plain asserts: whether they held


def grade_notebook(
    data: bytes, lab: Released, expected: dict[str, Expectation], worker: Worker, every_cell: bool = False
) -> Result:
    """Grade the bytes of one handed-in file. Whatever is in it, a result comes back. Raises CannotStart or Lost.

    expected: by exercise. every_cell: also run what only shows something and came back as it was released.
    """
    started = time.monotonic()
    try:
        found = handin.cells(data, lab)
    except handin.Malformed as error:
        return unread(lab, "malformed", str(error))
    merged = merging.merge(found, lab)
    skipped = set() if every_cell else skipping.only_show(merged, lab)
    run = _run(merged, lab, skipped, expected, worker)
    result = _result(lab, merged, run)
    result.seconds, result.budget = round(time.monotonic() - started, 3), worker.limits.notebook_seconds
    result.isolation = worker.isolation.level
    return result


def unread(lab: Released, status: str, reason: str) -> Result:
    """The result of a hand-in that cannot be run: nothing is earned, and the notebook says why."""
    return _result(lab, merging.untouched(lab), _Run(stopped=Stopped(status, reason)))


def _run(
    merged: merging.Merged, lab: Released, skipped: set[int], expected: dict[str, Expectation], worker: Worker
) -> _Run:
    limits, run = worker.limits, _Run()
    sockets = worker.child(len(merged.checks))
    started = time.monotonic()  # starting a warm process is not the student's time
    died = False
    try:
        main = _Talk(sockets[0], worker, started + limits.cells_seconds)
        talks = [_Talk(sock, worker, main.deadline) for sock in sockets[1:]]
        try:
            _cells(merged, skipped, expected, main, talks, run)
        except Stopped as error:
            run.stopped = error
            died = error.gone
        # No cell will run any more: what an exercise learns from here on it can show to nobody.
        for exercise in run.exercises:
            exercise.talk.deadline = started + limits.notebook_seconds
            exercise.ask(hidden=True)
            exercise.ask_watch()
    finally:
        for sock in sockets:
            sock.close()
        cause, how = worker.end(died)
    merged.notes.extend(main.notes)
    _explain(run, merged, limits, cause, how)
    run.verdicts |= {exercise.check.grade_id: exercise.verdict() for exercise in run.exercises}
    return run


def _cells(
    merged: merging.Merged,
    skipped: set[int],
    expected: dict[str, Expectation],
    main: "_Talk",
    talks: list["_Talk"],
    run: _Run,
) -> None:
    kept = count = 0
    limit = main.worker.limits.notebook_output
    for place, cell in enumerate(merged.notebook.cells):
        if cell.cell_type != "code":
            continue
        count += 1
        cell.execution_count = count
        check = merged.checks.get(place)
        if place in skipped:
            skipping.mark(cell)
        elif check is not None and check.expression:
            passed = _take(check, expected[check.exercise_id], len(run.exercises), main, talks, run)
            main.tell({"do": "passed", "exercise": check.exercise_id, "passed": passed})
        else:
            answer = main.cell(cell.source)
            cell.outputs = _read(reports.read_outputs, answer)
            if check is not None:
                run.asserted[check.grade_id] = not any(o.output_type == "error" for o in cell.outputs)
            kept += len(answer)
            if kept > limit:
                text = "[this cell's outputs were cut: the notebook prints too much]\n"
                cell.outputs = [new_output("stream", text=text)]


def _take(check: Check, it: Expectation, place: int, main: "_Talk", talks: list["_Talk"], run: _Run) -> bool:
    # From here on a copy of the notebook's process answers for this exercise. Returns whether visible cases passed.
    request = {"do": "take", "exercise": check.exercise_id, "expression": check.expression, "place": place}
    # What is forbidden is said from here: the exercise over there may have been changed.
    request["forbids"] = list(it.exercise.forbids)
    problem = _read(reports.read_taken, main.ask(request))
    exercise = _Exercise(check, it, talks[place])
    run.exercises.append(exercise)
    if problem:
        exercise.got = [problem] * len(it.cases)
        exercise.stopped = Stopped("wrong", "there is nothing to ask")
        return False
    exercise.ask(hidden=False)
    if exercise.stopped:
        return False
    judged = zip(it.cases, exercise.got, it.expected.outputs, strict=False)
    return all(judge(it.exercise, c.kind, c.inputs, report, right).passed for c, report, right in judged)


def _explain(run: _Run, merged: merging.Merged, limits: Limits, cause: str, how: str) -> None:
    """Say in words what ended what, as the warm process saw it."""
    stops = [run.stopped, *(exercise.stopped for exercise in run.exercises)]
    if cause:
        status = "out of memory" if cause == "out of memory" else "crashed"
        memory = f"it used more than {limits.memory >> 20} MB of memory"
        reason = memory if status == "out of memory" else f"it started more than {limits.processes} processes"
        for stop in stops:
            if stop is not None and stop.gone:
                stop.status, stop.args = status, (reason,)
    elif run.stopped and run.stopped.gone and how:
        run.stopped.args = (f"the notebook's process ended: {how}",)
    elif how:
        merged.notes.append(f"what the notebook did besides: {how}")


def _result(lab: Released, merged: merging.Merged, run: _Run) -> Result:
    told = []
    for place, check in sorted(merged.checks.items()):
        cell = merged.notebook.cells[place]
        if not check.expression:
            told.append(_asserted(check, run, cell))
            continue
        found = run.verdicts.get(check.grade_id)
        if found is None:
            title = registry.exercise(check.exercise_id).title
            note = f"not judged: {run.stopped}" if run.stopped else "not judged"
            found = Verdict(check.exercise_id, title, check.points, [], [], note=note)
        cell.outputs = _shown(found, cell.execution_count)
        told.append(_summary(check, found))
    points = round(sum(one["points"] for one in told), 2)
    status = _status(run, told)
    wrong = [f"{one['exercise'].rsplit('/', 1)[1]}: {one['why']}" for one in told if not one["passed"]]
    ended = [
        f"{e.check.exercise_id.rsplit('/', 1)[1]}: {e.stopped}"
        for e in run.exercises
        if e.stopped and e.stopped.status not in ("wrong", "not judged")
    ]
    reason = str(run.stopped) if run.stopped else "; ".join([*ended, *wrong])
    _head(merged.notebook, [*([reason[:1].upper() + reason[1:]] if run.stopped else []), *merged.notes])
    return Result(lab.id, status, reason, points, lab.points, told, merged.notes, notebook=merged.notebook)


def _status(run: _Run, told: list[dict[str, Any]]) -> str:
    ends = [e.stopped.status for e in run.exercises if e.stopped and e.stopped.status != "wrong"]
    if run.stopped:
        ends.insert(0, run.stopped.status)
    for report in (report for exercise in run.exercises for report in exercise.got):
        if report["status"] == "raised" and any(words in report["error"] + report["text"] for words in _NO_MEMORY):
            ends.append("out of memory")
    if "tampered" in ends:
        return "tampered"
    return ends[0] if ends else "right" if all(one["passed"] for one in told) else "wrong"


def _asserted(check: Check, run: _Run, cell: NotebookNode) -> dict[str, Any]:
    # Plain asserts are run by the student's own process, and it is believed. The report says so.
    held = run.asserted.get(check.grade_id, False)
    points = check.points if held else 0.0
    for output in cell.outputs:
        if output.output_type == "stream":
            output.name = "stdout"  # nbgrader gives no points to a cell that warned
    said = f"{points:g} of {check.points:g} points by the notebook's own asserts: less trusted than an exercise's cases"
    cell.outputs = [
        *cell.outputs,
        new_output("stream", text=said + "\n"),
        new_output("execute_result", data={"text/plain": repr(Points(points))}, execution_count=cell.execution_count),
    ]
    why = "" if held else "an assert failed" if check.grade_id in run.asserted else "not judged"
    told = {"exercise": check.exercise_id, "grade_id": check.grade_id, "points": points, "max_points": check.points}
    return {**told, "passed": held, "why": why, "trust": "less: plain asserts"}


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
        # What a student's file says of itself may be quoted in a note: it is text, no markup.
        lines = "\n".join(f"- {note}" for note in notes).replace("<", "&lt;")
        cell = new_markdown_cell(f"**Notes from grading**\n\n{lines}")
        cell.id = "grading-notes"
        notebook.cells.insert(0, cell)


def _read(reader: Any, data: bytes) -> Any:
    try:
        return reader(data)
    except reports.NoReport as error:
        raise Stopped("tampered", f"the notebook's process sent what is no report: {error}") from error


class _Talk:
    # Requests over one socket of a child, and its answers, within one budget.
    def __init__(self, sock: socket.socket, worker: Worker, deadline: float) -> None:
        self.sock, self.worker, self.deadline = sock, worker, deadline
        self.limits = worker.limits
        self.notes: list[str] = []

    def tell(self, tree: dict[str, Any]) -> None:
        self._through(lambda: wire.send(self.sock, pack(tree), self.deadline))

    def ask(self, tree: dict[str, Any]) -> bytes:
        return self._ask(pack(tree), self.deadline, reports.REPORT_BYTES)

    def cell(self, source: str) -> bytes:
        """Run a cell. One that takes too long is interrupted, as a learner would do it; the next one still runs."""
        until = min(self.deadline, time.monotonic() + self.limits.cell_seconds)
        request = pack({"do": "run", "source": source})
        try:
            return self._ask(request, until, reports.OUTPUT_BYTES)
        except Stopped as error:
            if error.status != "timed out" or until == self.deadline:
                raise
        self.worker.interrupt()
        until = min(self.deadline, time.monotonic() + _GRACE_SECONDS)
        seconds = self.limits.cell_seconds
        try:
            answer = self._through(lambda: wire.receive(self.sock, reports.OUTPUT_BYTES, until))
            self.notes.append(f"a cell ran longer than {seconds:g} s: it was interrupted, and the next ones ran")
            return answer
        except Stopped as error:
            if error.status != "timed out":
                raise
        raise Stopped("timed out", f"a cell ran longer than {seconds:g} s and could not be interrupted")

    def case(self, packed: bytes) -> bytes:
        """One case of an exercise. The kernel ends a copy that takes too long."""
        began, seconds = time.monotonic(), self.limits.case_seconds
        until = min(self.deadline, began + seconds + _GRACE_SECONDS)
        try:
            return self._ask(packed, until, reports.REPORT_BYTES)
        except Stopped as error:
            if error.status == "timed out" or (error.gone and time.monotonic() - began >= seconds):
                if time.monotonic() >= self.deadline:
                    raise
                raise Stopped("timed out", f"timed out: one case ran longer than {seconds:g} s") from None
            if error.gone:
                raise Stopped("crashed", "the process that ran this exercise ended in mid-work", gone=True) from None
            raise

    def _ask(self, data: bytes, until: float, limit: int) -> bytes:
        def both() -> bytes:
            wire.send(self.sock, data, until)
            return wire.receive(self.sock, limit, until)

        return self._through(both)

    def _through(self, work: Any) -> Any:
        try:
            return work()
        except wire.TimeUp:
            said = f"timed out: the notebook ran longer than {self.limits.notebook_seconds:g} s"
            raise Stopped("timed out", said) from None
        except wire.TooLarge as error:
            raise Stopped("tampered", f"the notebook's process sent too much: {error}") from None
        except wire.Gone:
            raise Stopped("crashed", "the notebook's process ended in mid-work", gone=True) from None
