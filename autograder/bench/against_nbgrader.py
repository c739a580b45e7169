"""One class through plain `nbgrader autograde` and through `course grade`, in one run. It grades nothing itself."""

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from autograder.bench import profile, programs, scores
from autograder.bench import room as rooms
from autograder.bench.room import Room
from autograder.bench.watching import Ran, cores
from autograder.grading.isolation import probe

NAME = "against-nbgrader"
STUDENTS = 50
_OWN = "the libraries' own choice"
_TRIED = 2  # students on whom the two numbers of threads are tried
_PROFILED = 10  # students on whom the students' own compute is measured


def measure(folder: Path, chapter: str, students: int, seed: int, stems: tuple[str, ...] = ()) -> dict[str, Any]:
    """Run all; the content of the result file. It holds "differing": notebooks on whose scores the two disagree."""
    jobs = cores()
    released = rooms.fresh(folder / "released", chapter, stems)
    threads, tried = _threads(released, folder, min(_TRIED, students), seed)
    ours, every, theirs = (rooms.copied(released, folder / name) for name in ("ours", "every", "theirs"))
    for room in (ours, every, theirs):
        drawn = room.hand_in(students, seed)
    runs = {
        "course_grade": programs.course_grade(ours, jobs),
        "course_grade_every_cell": programs.course_grade(every, jobs, "--every-cell"),
        "nbgrader": programs.nbgrader_autograde(theirs, threads),
    }
    notebooks = students * len(released.labs())
    told = {name: {**ran.plain(), "rate": notebooks / ran.seconds} for name, ran in runs.items()}
    told["course_grade"] |= programs.phases(ours, runs["course_grade"], jobs)
    told["course_grade_every_cell"] |= programs.phases(every, runs["course_grade_every_cell"], jobs)
    seconds = {name: ran.seconds for name, ran in runs.items()}
    return {
        "what": "the same hand-ins through both, one after the other, each in a fresh classroom; release not timed",
        "baseline": "nbgrader",
        "notebooks": notebooks,
        "jobs": jobs,
        "nbgrader_processes": 1,
        "nbgrader_threads": threads or _OWN,
        "nbgrader_threads_tried": tried,
        "nbgrader": version("nbgrader"),
        "isolation": probe().level,
        "memory_is": "proportional set size (PSS) of the process tree, looked at every half second",
        "runs": told,
        "ratio": seconds["nbgrader"] / seconds["course_grade"],
        "ratio_every_cell": seconds["nbgrader"] / seconds["course_grade_every_cell"],
        "ratio_of_skipping": seconds["course_grade_every_cell"] / seconds["course_grade"],
        "ratio_of_memory": runs["nbgrader"].peak_tree / max(1, runs["course_grade"].peak_tree),
        **_compared(ours, every, theirs, drawn),
        "overhead": _overhead(ours, folder, runs["course_grade"], jobs, notebooks),
    }


def _threads(released: Room, folder: Path, students: int, seed: int) -> tuple[str, list[dict[str, Any]]]:
    # The baseline is nbgrader at its faster setting, tried on a few students.
    found, tried = {}, []
    for threads in ("1", ""):
        room = rooms.copied(released, folder / f"threads-{threads or 'own'}")
        room.hand_in(students, seed)
        found[threads] = programs.nbgrader_autograde(room, threads).seconds
        tried.append({"threads": threads or _OWN, "students": students, "seconds": found[threads]})
        shutil.rmtree(room.path)
    return min(found, key=found.__getitem__), tried


def _compared(ours: Room, every: Room, theirs: Room, drawn: scores.Class) -> dict[str, Any]:
    # Expectations are worked out only now: what they leave in the classroom would have helped the first run.
    by_whom = {"course_grade": ours.scores(), "course_grade_every_cell": every.scores(), "nbgrader": theirs.scores()}
    with ours.entered():
        by_whom["expected"] = scores.expected(ours.labs(), drawn)
    pairs = sorted(by_whom["expected"])
    differing = [
        {"student": student, "lab": lab, **{who: told.get((student, lab)) for who, told in by_whom.items()}}
        for student, lab in pairs
        if len({told.get((student, lab)) for told in by_whom.values()}) > 1
    ]
    return {"compared": len(pairs), "equal": len(pairs) - len(differing), "differing": differing}


def _overhead(ours: Room, folder: Path, ran: Ran, jobs: int, notebooks: int) -> dict[str, float]:
    # What the students' cells and cases took is measured on some of the same class, by one worker alone.
    shutil.rmtree(ours.path / "ledger")
    student = profile.profile(ours, _PROFILED)["student_seconds_a_notebook"]
    whole = ran.seconds * jobs / notebooks
    return {
        "workers_seconds_a_notebook": whole,
        "student_seconds_a_notebook": student,
        "seconds_a_notebook": whole - student,
    }
