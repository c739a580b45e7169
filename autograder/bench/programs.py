"""The programs that are compared, run as their users run them, and what each run tells. It compares nothing."""

import sys
from pathlib import Path

from autograder.bench.room import Room
from autograder.bench.watching import Ran, run
from autograder.paths import ROOT


class Failed(RuntimeError):
    """A program that is measured ended with an error; the message is the end of what it said."""


def course_grade(room: Room, jobs: int, *options: str) -> Ran:
    """`course grade`, cold: a new process in a classroom in which nothing was graded. Raises Failed."""
    words = [sys.executable, "-m", "autograder.cli", "grade", room.chapter, "--jobs", str(jobs), *options]
    return _through(words, room.environment, room.path / "course-grade.log")


def nbgrader_autograde(room: Room, threads: str = "1") -> Ran:
    """`nbgrader autograde` of the whole class in one process; it has no option for more. Raises Failed.

    threads: OMP_NUM_THREADS of its kernels, "" for the libraries' own choice.
    """
    words = [str(Path(sys.executable).with_name("nbgrader")), "autograde", room.chapter]
    environment = room.environment | ({"OMP_NUM_THREADS": threads} if threads else {})
    return _through(words, environment, room.path / "nbgrader.log")


def phases(room: Room, ran: Ran, jobs: int) -> dict[str, float]:
    """A run of `course grade` in parts, read from when the ledger's files were written.

    Start-up ends with the first result, so one notebook's grading is in it. The steady rate is that from the first
    `jobs` results to the last one: every worker is at work by then.
    """
    came = room.ledger_times()
    told = {"start_up_seconds": round(came[0] - ran.began, 3), "after_last_seconds": round(_left(ran, came[-1]), 3)}
    rest = came[jobs - 1 :]
    if len(rest) > 1 and rest[-1] > rest[0]:
        told["steady_rate"] = (len(rest) - 1) / (rest[-1] - rest[0])
    return told


def _left(ran: Ran, last: float) -> float:
    return max(0.0, ran.began + ran.seconds - last)


def _through(words: list[str], environment: dict[str, str], log: Path) -> Ran:
    ran = run(words, environment, ROOT, log)
    if ran.exit_code:
        said = log.read_text(encoding="utf-8", errors="replace")
        raise Failed(f"{' '.join(words[1:])} ended with code {ran.exit_code}:\n{said[-3000:]}")
    return ran
