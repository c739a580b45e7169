"""Checks a working copy: plans what to run, runs it in a process of its own, reads the verdicts. It prints nothing.

What the learner's code does to that process (crash, exit, endless loop) is a result like any other.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autograder.halves import Damaged, grade_id, lines_of_cells, read_notebook, read_text
from autograder.labs import Lab, Task
from autograder.work import Copy

LIMIT = 120.0  # seconds for one cell
GRACE = 5.0  # after its limit a cell is interrupted; this long after that, Python is ended
NEEDED = ("torch", "numpy", "matplotlib", "IPython")

Result = dict[str, Any]  # plain data: what `course check --json` prints


class CannotCheck(RuntimeError):
    """The check itself cannot run here; the message says what to do."""


def plan(cells: list, lab: Lab, only: str | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """The steps that check a notebook, and notes on what is not as the course gave it.

    A check cell that was edited is run as the course has it; one that was deleted is run after its solution.
    only: stop after this exercise's check.
    """
    tasks = {task.name: task for task in lab.tasks}
    there = [grade_id(cell) for cell in cells if cell.cell_type == "code"]
    steps: list[dict[str, Any]] = []
    notes: list[str] = []
    for i, cell in enumerate(cells):
        if cell.cell_type != "code":
            continue
        name = grade_id(cell)
        task = tasks.get(name.removeprefix("check_"))
        if name in tasks:
            steps.append(_step(i, "solution", name, cell.source))
            if f"check_{name}" not in there:
                notes.append(f"the check cell of {name} is missing; the course's own was run")
                steps.append(_step(None, "check", name, tasks[name].check))
        elif task and name == f"check_{task.name}":
            if cell.source.strip() != task.check.strip():
                notes.append(f"the check cell of {task.name} was edited; the course's own was run")
            steps.append(_step(i, "check", task.name, task.check))
        else:
            steps.append(_step(i, "", "", cell.source))
    for task in lab.tasks:
        if there.count(task.name) > 1:
            notes.append(f"the solution cell of {task.name} is there {there.count(task.name)} times; keep one")
        if task.name not in there:
            notes.append(f"the solution cell of {task.name} is missing; what defines it elsewhere was checked")
            if f"check_{task.name}" not in there:
                steps.append(_step(None, "check", task.name, task.check))
    if only:
        last = max(i for i, step in enumerate(steps) if step["kind"] == "check" and step["name"] == only)
        steps, notes = steps[: last + 1], [n for n in notes if f" of {only} " in n]
    return steps, notes


def _step(cell: int | None, kind: str, name: str, source: str) -> dict[str, Any]:
    return {"cell": cell, "kind": kind, "name": name, "source": source}


def check(
    copy: Copy,
    only: str | None = None,
    limit: float = LIMIT,
    stop: Callable[[], bool] = lambda: False,
    watcher: Callable[[str, float], None] = lambda what, seconds: None,
) -> Result | None:
    """Run a working copy, whose halves are in step, and return verdicts and errors; None if `stop` said so.

    watcher: told now and then what is running and for how long. Raises CannotCheck.
    """
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise CannotCheck(
            f"checking needs {', '.join(missing)}: pip install 'transformer-systems[student]' (more: course doctor)"
        )
    try:
        cells = read_notebook(copy.notebook).cells
    except Damaged as error:
        raise CannotCheck(str(error)) from error
    steps, notes = plan(cells, copy.lab, only)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="course_") as scratch:
        ended = _run(Path(scratch), copy, steps, limit, stop, watcher)
        if ended is None:
            return None
        events = _events(Path(scratch) / "events.jsonl")
    found = _Found(copy, cells, steps, events, ended, limit)
    exercises = [found.exercise(task) for task in copy.lab.tasks if only in (None, task.name)]
    return {
        "lab": copy.lab.id,
        "title": copy.lab.title,
        "exercises": exercises,
        "points": round(sum(e["points"] for e in exercises), 2),
        "of": sum(e["of"] for e in exercises),
        "passed": all(e["passed"] for e in exercises),
        "errors": found.other_errors(),
        "notes": notes,
        "ended": ended,
        "seconds": round(time.monotonic() - began, 1),
    }


def _run(
    scratch: Path,
    copy: Copy,
    steps: list[dict[str, Any]],
    limit: float,
    stop: Callable[[], bool],
    watcher: Callable[[str, float], None],
) -> str | None:
    """Run the steps in a new process. Returns "" when it came to its end, else how it ended; None when stopped."""
    told, events = scratch / "plan.json", scratch / "events.jsonl"
    told.write_text(json.dumps({"lab": copy.lab.id, "steps": steps, "limit": limit}), encoding="utf-8")
    events.touch()
    with open(scratch / "stderr", "wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "autograder.headless", str(told), str(events)],
            cwd=copy.notebook.parent,
            env=_environment(scratch),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        begun, since = -1, time.monotonic()
        size = 0
        try:
            while True:
                try:
                    process.wait(0.1)
                    break
                except subprocess.TimeoutExpired:
                    pass
                if stop():
                    return None
                if (now := events.stat().st_size) != size:
                    size = now
                    started = [e["step"] for e in _events(events) if e["event"] == "begin"]
                    if started and started[-1] != begun:
                        begun, since = started[-1], time.monotonic()
                seconds = time.monotonic() - since
                watcher(_said(steps[begun]) if begun >= 0 else "starting", seconds)
                # The first imports may be slow on a cold disk: they count towards no cell.
                if seconds > (limit + GRACE if begun >= 0 else max(limit, 120)):
                    return f"it did not stop within {limit:g} s"
        finally:
            _end(process)
    if any(e["event"] == "done" for e in _events(events)):
        return ""
    return _how_it_ended(process.returncode, (scratch / "stderr").read_bytes()[-4000:].decode(errors="replace"))


def _environment(scratch: Path) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NBGRADER")}
    # No windows, no personal IPython start-up, and a trace if Python itself crashes.
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    environment["IPYTHONDIR"] = str(scratch / "ipython")
    environment["PYTHONFAULTHANDLER"] = "1"
    environment["PYTHONIOENCODING"] = "utf-8"
    # From a clone without an installation the package is found beside this file.
    here = str(Path(__file__).resolve().parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [here, environment.get("PYTHONPATH")]))
    return environment


def _end(process: subprocess.Popen) -> None:
    # The whole group: a learner's code may have started processes too.
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):  # it is gone already
        pass
    process.wait()


def _how_it_ended(code: int, errors: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name
        why = {"SIGKILL": ", probably for want of memory", "SIGSEGV": ", a crash in compiled code"}.get(name, "")
        return f"Python was ended by {name}{why}"
    last = errors.strip().splitlines()[-1:] or [""]
    return f"Python ended with exit code {code}" + (f": {last[0]}" if code and last[0] else "")


def _events(file: Path) -> list[dict[str, Any]]:
    events = []
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:  # cut off in the middle by a crash
            break
    return events


def _said(step: dict[str, Any]) -> str:
    if step["name"]:
        return f"{step['kind']} of {step['name']}"
    return f"cell {step['cell'] + 1}"


class _Found:
    # The events of one run, and where in the learner's files they belong.
    def __init__(self, copy: Copy, cells: list, steps: list, events: list, ended: str, limit: float) -> None:
        self.steps, self.ended, self.limit = steps, ended, limit
        self.py = f"{copy.lab.chapter}/{copy.py.name}"
        self.ends = {e["step"]: e for e in events if e["event"] == "end"}
        self.begun = max((e["step"] for e in events if e["event"] == "begin"), default=-1)
        self.verdicts = {e["id"].rsplit("/", 1)[-1]: e for e in events if e["event"] == "verdict"}
        self.titles = next((e["titles"] for e in events if e["event"] == "titles"), {})
        try:
            self.starts = lines_of_cells(read_text(copy.py), len(cells))
        except (Damaged, OSError):
            self.starts = None

    def where(self, cell: int | None, line: int | None = 1) -> dict[str, Any] | None:
        if cell is None:
            return None
        place = {"cell": cell + 1, "file": self.py, "line": None}
        if self.starts:
            place["line"] = self.starts[cell] + (line or 1) - 1
        return place

    def _of(self, name: str, kind: str) -> list[int]:
        return [i for i, s in enumerate(self.steps) if s["name"] == name and s["kind"] == kind]

    def exercise(self, task: Task) -> dict[str, Any]:
        """What an exercise came to: its verdict, or why there is none."""
        solutions, checks = self._of(task.name, "solution"), self._of(task.name, "check")
        verdict = self.verdicts.get(task.name)
        title = self.titles.get(task.name, task.name)
        found: dict[str, Any] = {"name": task.name, "title": title, "points": 0.0, "of": task.points, "passed": False}
        found |= {"stage": "", "misconception": "", "lines": []}
        if verdict:
            found |= {k: verdict[k] for k in ("points", "of", "passed", "stage", "misconception", "lines")}
        else:
            found["stage"], found["lines"] = self._no_verdict(task, solutions, checks)
        if solutions:
            error = self.ends.get(solutions[0], {}).get("error")
            line = error["line"] if error and not verdict else 1
            found["where"] = self.where(self.steps[solutions[0]]["cell"], line)
        else:
            found["where"] = None
        found["printed"] = "".join(self.ends[i]["printed"] for i in solutions + checks if i in self.ends)
        return found

    def _no_verdict(self, task: Task, solutions: list[int], checks: list[int]) -> tuple[str, list[str]]:
        for i in solutions + checks:
            if i == self.begun and i not in self.ends:
                return "ended", [f"here {self.ended}" if self.ended else "this did not come to its end"]
        if checks and checks[0] not in self.ends:
            return "not reached", [f"not reached: {self.ended} before"]
        failed = [(i, self.ends[i]["error"]) for i in solutions + checks if i in self.ends and self.ends[i]["error"]]
        if not failed:
            return "no verdict", ["its check cell gave no verdict"]
        i, error = failed[0]
        # The check cell's own line is no news.
        indented = [f"  {line}" for line in error["lines"] if not line.startswith("line 1, in <module>: check(")]
        if error["kind"] == "OutOfTime":
            where = indented[:-1][-3:]
            limit = f"your code did not finish within {self.limit:g} s"
            return "out of time", [f"{limit}; it was at:" if where else limit, *where]
        if error["kind"] == "SystemExit":
            return "exit", ["your code ended Python (exit): return a value, or raise an error", *indented[:-1]]
        if i in solutions:
            return "cell fails", ["the cell with your solution fails:", *indented]
        if not solutions:
            return "missing", ["its solution cell is missing, and nothing else defines it:", *indented]
        if error["kind"] == "NameError":
            return "not defined", ["your solution cell does not define what the check asks for:", *indented]
        return "check fails", ["the check could not run:", *indented]

    def other_errors(self) -> list[dict[str, Any]]:
        """Errors of cells that no exercise's verdict tells of."""
        errors = []
        for i, step in enumerate(self.steps):
            error = self.ends.get(i, {}).get("error")
            told = step["kind"] == "check" or (step["kind"] == "solution" and step["name"] not in self.verdicts)
            if i == self.begun and i not in self.ends and not step["kind"]:
                errors.append({"where": self.where(step["cell"]), "kind": "ended", "lines": [f"here {self.ended}"]})
            elif error and not told:
                lines = error["lines"]
                if error["kind"] == "OutOfTime":
                    lines = [f"did not finish within {self.limit:g} s"]
                errors.append({"where": self.where(step["cell"], error["line"]), "kind": error["kind"], "lines": lines})
        return errors
