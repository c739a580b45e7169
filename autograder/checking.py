"""`check`, the one line under every exercise: runs the visible cases and judges them by stored expected outputs."""

from typing import Any

from autograder import registry
from autograder.acting import act
from autograder.exercise import Case, Exercise
from autograder.judging import Report, judge, matches
from autograder.store import Expected, stored
from autograder.verdict import Points, Verdict

_passed: dict[str, bool] = {}
last: dict[str, Verdict] = {}  # the newest verdict of each exercise, for the command line


def check(exercise_id: str, submission: Any) -> Points:
    """Run an exercise's cases on what you wrote, show the verdict, and return the points.

    exercise_id: "ch01/lab01/softmax". submission: the function or class you wrote.
    When nbgrader grades, the hidden cases run too.
    """
    exercise = registry.exercise(exercise_id)
    cases = exercise.visible()
    expected = stored(exercise_id)
    hidden = [False] * len(cases)
    if registry.grading() and registry.answer(exercise_id) is not None:
        from autograder.release.expected import hidden_cases, in_memory

        secret = hidden_cases(exercise_id)
        cases, hidden = cases + secret, hidden + [True] * len(secret)
        expected = in_memory(exercise_id)
    reports = [act(exercise, submission, case.inputs) for case in cases]
    result = verdict(exercise, cases, hidden, reports, expected)
    _passed[exercise_id] = result.passed
    last[exercise_id] = result
    _show(result)
    return Points(result.points)


def verdict(
    exercise: Exercise, cases: list[Case], hidden: list[bool], reports: list[Report], expected: Expected
) -> Verdict:
    """Judge all cases' reports and name the misconception they match, if any."""
    outcomes = [
        judge(exercise, case.kind, case.inputs, report, right)
        for case, report, right in zip(cases, reports, expected.outputs, strict=True)
    ]
    name = says = ""
    failed = [i for i, o in enumerate(outcomes) if not o.passed]
    if failed and outcomes[failed[0]].stage != "not implemented yet":
        for wrong in expected.misconceptions:
            if all(matches(exercise, r, w) for r, w in zip(reports, wrong.reports, strict=True)):
                equal = "Your output equals what you get" if reports[failed[0]]["outputs"] else "This is what happens"
                name, says = wrong.name, f"{equal} when {wrong.says}."
                break
    return Verdict(exercise.id, exercise.title, exercise.points, outcomes, hidden, says, name, exercise.hints)


def earlier(exercise_id: str, yours: Any, course: Any) -> Any:
    """What a later exercise builds on: yours if its check passed in this notebook, else the course's own."""
    if _passed.get(exercise_id):
        return yours
    print(f"{exercise_id} has not passed its check here yet: using the course's own.")
    return course


def _show(result: Verdict) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        print(result.text())
        return
    if get_ipython() is None:
        print(result.text())
    else:
        display(result)
