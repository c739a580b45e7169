"""Runs a working copy's cells and its checks, in a process of its own, and tells what happened line by line as JSON.

Usage: python -m autograder.headless PLAN EVENTS. It decides nothing: autograder.checker plans, and reads the events.
"""

import ast
import json
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import matplotlib.pyplot  # noqa: F401  loaded before any cell's time is taken: the first import is slow

from autograder import checking, registry
from autograder.acting import own_traceback
from autograder.running import Shell
from autograder.verdict import Verdict

PRINTED = 4000  # characters of a cell's own prints that are passed on


class OutOfTime(BaseException):
    """Raised inside a cell at its time limit. No Exception: a learner's `except Exception` must not swallow it."""


class _Shell(Shell):
    # Remembers the error itself: a cell's outputs hold only its picture.
    error: BaseException | None = None

    def _showtraceback(self, etype, evalue, stb) -> None:
        self.error = evalue
        super()._showtraceback(etype, evalue, stb)

    def ask_exit(self) -> None:
        raise SystemExit


def main(plan_file: str, events_file: str) -> None:
    plan = json.loads(Path(plan_file).read_text(encoding="utf-8"))
    with open(events_file, "a", encoding="utf-8") as events:

        def tell(event: str, **facts: Any) -> None:
            # Flushed at once: what was told before a crash still counts.
            events.write(json.dumps({"event": event, **facts}) + "\n")
            events.flush()

        tell("titles", titles={e.name: e.title for e in registry.exercises(plan["lab"]).values()})
        shell = _Shell()
        warnings.filterwarnings("ignore", message="To exit: use")  # there is no prompt to exit from
        for number, step in enumerate(plan["steps"]):
            tell("begin", step=number)
            shell.error = None
            checking.last.clear()
            outputs = _timed(shell, step["source"], plan["limit"])
            for verdict in checking.last.values():
                tell("verdict", step=number, **_plain(verdict))
            printed = "".join(o.text for o in outputs if o.output_type == "stream")[:PRINTED]
            tell("end", step=number, error=_told(shell.error, step["source"]) if shell.error else None, printed=printed)
        tell("done")


def _timed(shell: _Shell, source: str, limit: float) -> list:
    # Windows has no alarm: there the parent ends the whole process at the limit.
    if not hasattr(signal, "setitimer"):
        return shell.run(source)

    def alarm(*_: Any) -> None:
        raise OutOfTime

    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        return shell.run(source)
    except OutOfTime as error:  # between the cell's end and the timer's
        shell.error = error
        return shell.outputs
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _plain(verdict: Verdict) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "title": verdict.title,
        "points": verdict.points,
        "of": verdict.max_points,
        "passed": verdict.passed,
        "lines": verdict.lines,
        "stage": next((o.stage for o in verdict.outcomes if not o.passed), ""),
        "misconception": verdict.misconception,
    }


def _told(error: BaseException, source: str) -> dict[str, Any]:
    """An error as data: its kind, the learner's own lines of its traceback, and the line of the cell it came from."""
    if isinstance(error, SyntaxError) and error.text is not None:
        if "incomplete input" in str(error.msg):
            # IPython waits for more of the cell, as a prompt does; Python itself says what is open.
            try:
                ast.parse(source)
            except SyntaxError as clearer:
                error = clearer
        lines = [f"line {error.lineno}: {(error.text or '').strip()}", f"{type(error).__name__}: {error.msg}"]
        return {"kind": type(error).__name__, "lines": lines, "line": error.lineno}
    lines = own_traceback(error).splitlines()
    inside = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("<ipython-input")]
    return {"kind": type(error).__name__, "lines": lines, "line": inside[0].lineno if inside else None}


if __name__ == "__main__":
    main(*sys.argv[1:])
