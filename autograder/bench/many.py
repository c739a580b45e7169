"""A very large class in one go: is anything lost, and does the grader stay small? It compares with no other program."""

from pathlib import Path
from typing import Any

from autograder.bench import programs, scores
from autograder.bench import room as rooms
from autograder.bench.watching import cores
from autograder.grading.isolation import probe

NAME = "many"
STUDENTS = 2500
_NAMED = 20  # of what is wrong, so many are named


def measure(folder: Path, chapter: str, students: int, seed: int, stems: tuple[str, ...] = ()) -> dict[str, Any]:
    """Grade the class; the content of the result file. "lost" and "wrong" count notebooks without their right score."""
    jobs = cores()
    room = rooms.fresh(folder / "many", chapter, stems)
    drawn = room.hand_in(students, seed)
    ran = programs.course_grade(room, jobs)
    got = room.scores()
    with room.entered():
        want = scores.expected(room.labs(), drawn)
    lost = [f"{student} {lab}" for student, lab in want if (student, lab) not in got]
    other = [pair for pair in want if pair in got and got[pair] != want[pair]]
    wrong = [f"{student} {lab}: {got[student, lab]:g}, not {want[student, lab]:g}" for student, lab in other]
    return {
        "what": "one class, graded cold in one go; each score is compared with the exercises' own",
        "notebooks": len(want),
        "jobs": jobs,
        "isolation": probe().level,
        "memory_is": "proportional set size (PSS), looked at every half second",
        **ran.plain(),
        "rate": len(want) / ran.seconds,
        **programs.phases(room, ran, jobs),
        "ledger_bytes": room.ledger_bytes(),
        "ledger_files": len(room.ledger_times()),
        "gradebook_bytes": (room.path / "gradebook.db").stat().st_size,
        "right_scores": len(want) - len(lost) - len(wrong),
        "lost": len(lost),
        "wrong": len(wrong),
        "differing": (lost + wrong)[:_NAMED],
    }
