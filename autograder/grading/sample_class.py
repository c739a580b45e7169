"""A class of made-up students, derived from the instructor's sources so that it never goes stale. It grades nothing.

`expected_scores` works out what each must get by driving the exercises in this process: no part of the engine,
of nbgrader or of any notebook file is involved.
"""

import contextlib
import copy
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from autograder import checking, registry
from autograder.acting import act, own_traceback
from autograder.checking import verdict
from autograder.grading.lab import Released
from autograder.grading.released import chapter_folder, course_directory, released
from autograder.release.expected import hidden_cases, in_memory
from autograder.release.solutions import checked_expression, grade_id, notebook, solution_cell, wrong_source

HANDED_IN = "2026-03-01 12:00:00 UTC"
_STUB = re.compile(r"raise NotImplementedError\(.*\)")

Sources = Callable[[Released, str, str], str]  # lab, exercise's name, its skeleton -> what the student wrote


def sample_class(wanted: str, into: Path | None = None) -> list[str]:
    """Write the hand-ins of the sample class; returns the students' ids. Their earlier hand-ins are replaced."""
    course = course_directory()
    chapter = chapter_folder(wanted)
    labs = released(chapter, course)
    root = into or Path(course.format_path(course.submitted_directory, "x", chapter)).parent.parent
    for student, sources in students(labs).items():
        folder = root / student / chapter
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "timestamp.txt").write_text(HANDED_IN)
        for place, lab in enumerate(labs):
            text = nbformat.writes(_handed_in(lab, sources, student))
            if student == "truncated-file" and place == 0:
                text = text[: len(text) // 2]
            if student == "missing-notebook" and place == len(labs) - 1:
                continue
            (folder / f"{lab.stem}.ipynb").write_text(text, encoding="utf-8")
    return list(students(labs))


def students(labs: list[Released]) -> dict[str, Sources]:
    """Each student's id, and what they wrote. Every misconception of the chapter is somebody's."""
    most = max(len(registry.answer(c.exercise_id).misconceptions) for lab in labs for c in lab.checks.values())
    wrong = {f"misconception-{k + 1}": _misconception(k) for k in range(most)}
    right = dict.fromkeys(["deleted-check-cell", "missing-notebook", "truncated-file"], _right)
    return {
        "all-right": _right,
        **wrong,
        "partly-done": _first_half,
        "blank": _blank,
        "raises": lambda lab, name, skeleton: _STUB.sub('raise ValueError("this never works")', skeleton),
        "warns-on-stderr": _warns,
        "edited-check-cell": _blank,
        **right,
    }


def expected_scores(wanted: str) -> dict[str, dict[str, float]]:
    """Student -> lab -> points, worked out without the engine."""
    labs = released(chapter_folder(wanted), course_directory())
    scores: dict[str, dict[str, float]] = {}
    known: dict[tuple, float] = {}  # many a student's lab is another's word for word
    for student, sources in students(labs).items():
        scores[student] = {}
        for lab in labs:
            wrote = (lab.id, *(sources(lab, name, text) for name, text in skeletons(lab).items()))
            if wrote not in known:
                known[wrote] = score(lab, sources)
            scores[student][lab.id] = known[wrote]
        if student == "truncated-file":
            scores[student][labs[0].id] = 0.0
        if student == "missing-notebook":
            scores[student][labs[-1].id] = 0.0
    return scores


def _right(lab: Released, name: str, skeleton: str) -> str:
    return solution_cell(lab.id, name).source


def _blank(lab: Released, name: str, skeleton: str) -> str:
    return skeleton


def _first_half(lab: Released, name: str, skeleton: str) -> str:
    names = [check.exercise_id.rsplit("/", 1)[1] for check in lab.checks.values()]
    return _right(lab, name, skeleton) if names.index(name) < (len(names) + 1) // 2 else skeleton


def _misconception(k: int) -> Sources:
    def sources(lab: Released, name: str, skeleton: str) -> str:
        wrong = registry.answer(f"{lab.id}/{name}").misconceptions
        return wrong_source(lab.id, name, wrong[k]) if k < len(wrong) else _right(lab, name, skeleton)

    return sources


def _warns(lab: Released, name: str, skeleton: str) -> str:
    noise = r"\1import sys, warnings; warnings.warn('about nothing'); print('noise', file=sys.stderr)\n\g<0>"
    return re.sub(r"^([ \t]*)### BEGIN SOLUTION", noise, _right(lab, name, skeleton), flags=re.MULTILINE)


def _handed_in(lab: Released, sources: Sources, student: str) -> NotebookNode:
    nb = copy.deepcopy(lab.notebook)
    for cell in nb.cells:
        name = grade_id(cell)
        if name in lab.checks:
            if student == "edited-check-cell":
                cell.source = f"print('all cases pass')\n{lab.checks[name].points:g}"
                # What a notebook that was never run may claim about its results.
                claim = {"text/plain": f"{lab.checks[name].points:g}"}
                cell.outputs = [nbformat.v4.new_output("execute_result", data=claim, execution_count=1)]
        elif name and cell.metadata.nbgrader.get("solution"):
            cell.source = sources(lab, name, cell.source)
    if student == "deleted-check-cell":
        nb.cells.remove(next(c for c in nb.cells if grade_id(c) in lab.checks))
    return nbformat.from_dict(json.loads(nbformat.writes(nb)))


def score(lab: Released, sources: Sources) -> float:
    """The points of one student's lab."""
    # The cells that define something, in order, and at each check cell its exercise: as a reader would go through.
    space: dict = {"__name__": "__main__"}
    texts = skeletons(lab)
    earned, passed_before = 0.0, dict(checking._passed)
    checking._passed.clear()
    for cell in notebook(lab.id).cells:
        name = grade_id(cell)
        if cell.cell_type != "code":
            continue
        if name in lab.checks:
            earned += points_of(lab, name.removeprefix("check_"), space)
        elif cell.metadata.get("nbgrader", {}).get("solution"):
            define(sources(lab, name, texts[name]), space)
        elif {"setup", "given"} & set(cell.metadata.get("tags", [])):
            define(cell.source, space)
    checking._passed.clear()
    checking._passed.update(passed_before)
    return round(earned, 2)


def skeletons(lab: Released) -> dict[str, str]:
    """What a student finds in each exercise's cell, by the exercise's name."""
    cells = [cell for cell in lab.notebook.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    return {grade_id(cell): cell.source for cell in cells}


def define(source: str, space: dict) -> None:
    """Run a cell that defines something, silently; an error stays in space["errors"]: a notebook goes on."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(compile(source, "<sample>", "exec"), space)
        except Exception as error:
            space.setdefault("errors", []).append(own_traceback(error))


def points_of(lab: Released, name: str, space: dict) -> float:
    """What an exercise earns with what `space` defines, over all its cases; whether it passed, `earlier` hears of."""
    exercise = registry.exercise(f"{lab.id}/{name}")
    visible, hidden = exercise.visible(), hidden_cases(exercise.id)
    told = [False] * len(visible) + [True] * len(hidden)
    try:
        learner = eval(compile(checked_expression(lab.id, name), "<check cell>", "eval"), space)
    except Exception:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        reports = [act(exercise, learner, case.inputs) for case in visible + hidden]
    found = verdict(exercise, visible + hidden, told, reports, in_memory(exercise.id))
    checking._passed[exercise.id] = found.passed
    return found.points
