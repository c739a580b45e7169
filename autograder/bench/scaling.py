"""Throughput of `course grade` against the number of workers, on one class. It judges nothing and grades nothing."""

import shutil
from pathlib import Path
from typing import Any

from autograder.bench import programs
from autograder.bench import room as rooms
from autograder.bench.watching import cores
from autograder.grading.isolation import probe

NAME = "scaling"
STUDENTS = 20
WORKERS = (1, 2, 3, 4)


def measure(
    folder: Path,
    chapter: str,
    students: int,
    seed: int,
    stems: tuple[str, ...] = (),
    workers: tuple[int, ...] = WORKERS,
) -> dict[str, Any]:
    """Grade the same class with each number of workers, each time cold; the content of the result file."""
    released = rooms.fresh(folder / "released", chapter, stems)
    released.hand_in(students, seed)
    notebooks = students * len(released.labs())
    rows: list[dict[str, Any]] = []
    for jobs in workers:
        room = rooms.copied(released, folder / f"workers-{jobs}")
        ran = programs.course_grade(room, jobs)
        row = {"workers": jobs, "rate": notebooks / ran.seconds, **programs.phases(room, ran, jobs), **ran.plain()}
        first = rows[0] if rows else row
        row["ratio"] = row["rate"] / first["rate"]
        if "steady_rate" in row and "steady_rate" in first:
            row["steady_ratio"] = row["steady_rate"] / first["steady_rate"]
        rows.append(row)
        shutil.rmtree(room.path)
    return {
        "what": "the same class with a growing number of workers, each time cold",
        "baseline": f"{workers[0]} worker" + "s" * (workers[0] > 1),
        "notebooks": notebooks,
        "processors": cores(),
        "isolation": probe().level,
        "memory_is": "proportional set size (PSS) of the process tree, looked at every half second",
        "rows": rows,
    }
