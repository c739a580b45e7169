"""Computes expected outputs and each misconception's outputs: stored for students, in memory for grading."""

import hashlib
import os
from functools import cache
from typing import Any

from autograder import registry
from autograder.acting import act, copied, describe
from autograder.exercise import Case
from autograder.judging import Report, matches
from autograder.paths import classroom
from autograder.plain import NotPlain, pack, unpack
from autograder.release.secret import course_secret
from autograder.release.solutions import submission, wrong_source
from autograder.store import Expected, WrongReports, stored_file


def hidden_cases(exercise_id: str) -> list[Case]:
    """The hidden cases of this course's secret."""
    digest = hashlib.sha256(f"{course_secret()}/{exercise_id}".encode()).digest()
    return registry.answer(exercise_id).hidden(int.from_bytes(digest[:6], "big"))


def expect(exercise_id: str, cases: list[Case]) -> Expected:
    """Right outputs and every misconception's reports for some cases."""
    exercise, answer = registry.exercise(exercise_id), registry.answer(exercise_id)
    lab, name = exercise_id.rsplit("/", 1)
    right = [describe(answer.reference(copied(case.inputs))) if answer.reference else None for case in cases]
    wrong = []
    for misconception in answer.misconceptions:
        learner = submission(lab, name, wrong_source(lab, name, misconception))
        reports = [_told(act(exercise, learner, case.inputs)) for case in cases]
        wrong.append(WrongReports(misconception.name, misconception.says, reports))
    return Expected(right, wrong)


def _told(report: Report) -> Report:
    # The text of an error differs by version and platform; its kind does not.
    return report if report["status"] == "forbidden" else {**report, "text": ""}


def in_memory(exercise_id: str) -> Expected:
    """Expectations for the visible cases and then the hidden ones, read once a process and course secret."""
    told = _in_memory(exercise_id.rsplit("/", 1)[0], course_secret())[exercise_id]
    return Expected(told["outputs"], [WrongReports(w["name"], w["says"], w["reports"]) for w in told["wrong"]])


@cache
def _in_memory(lab: str, secret: str) -> dict[str, Any]:
    return unpack(kept(lab), KEPT_BYTES)


KEPT_BYTES = 1 << 30


def kept(lab: str) -> bytes:
    """All that grading a lab's exercises needs, packed: from the classroom where it lies there, else worked out.

    Exercise -> {"cases", "visible": how many of them are, "outputs", "wrong"}. It holds hidden inputs and right
    outputs, so it lies beside the course's secret.
    """
    from autograder.grading.versions import expectations_version

    folder, stem = classroom() / "expected", lab.replace("/", "-")
    file = folder / f"{stem}-{expectations_version(lab)[:16]}.plain"
    try:
        data = file.read_bytes()
        unpack(data, KEPT_BYTES)
        return data
    except (OSError, NotPlain):  # not there, or cut off
        pass
    data = pack({exercise_id: _worked_out(exercise_id) for exercise_id in registry.exercises(lab)})
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in folder.glob(f"{stem}-*.plain"):
        old.unlink(missing_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(data)
    partial.replace(file)
    return data


def _worked_out(exercise_id: str) -> dict[str, Any]:
    visible = registry.exercise(exercise_id).visible()
    cases = visible + hidden_cases(exercise_id)
    expected = expect(exercise_id, cases)
    return {
        "cases": [{"kind": case.kind, "inputs": case.inputs} for case in cases],
        "visible": len(visible),
        "outputs": expected.outputs,
        "wrong": [{"name": w.name, "says": w.says, "reports": w.reports} for w in expected.misconceptions],
    }


def fresh(lab: str) -> dict[str, Any]:
    """What the stored file of a lab should hold."""
    tree = {}
    for exercise_id, exercise in registry.exercises(lab).items():
        expected = expect(exercise_id, exercise.visible())
        wrong = [{"name": w.name, "says": w.says, "reports": w.reports} for w in expected.misconceptions]
        tree[exercise_id] = {"outputs": expected.outputs, "misconceptions": wrong}
    return tree


def stale(lab: str, tree: dict[str, Any]) -> bool:
    """Whether the stored file says something else: values are compared within tolerance, as platforms round apart."""
    file = stored_file(lab)
    if not file.exists():
        return True
    old = unpack(file.read_bytes())
    if list(old) != list(tree):
        return True
    for exercise_id, entry in tree.items():
        exercise, before = registry.exercise(exercise_id), old[exercise_id]
        if len(before["outputs"]) != len(entry["outputs"]):
            return True
        pairs = list(zip(map(_as_report, before["outputs"]), map(_as_report, entry["outputs"]), strict=True))
        told = [[(w["name"], w["says"], len(w["reports"])) for w in e["misconceptions"]] for e in (before, entry)]
        if told[0] != told[1]:
            return True
        for was, now in zip(before["misconceptions"], entry["misconceptions"], strict=True):
            pairs += zip(was["reports"], now["reports"], strict=True)
        if not all(matches(exercise, was, now) for was, now in pairs):
            return True
    return False


def _as_report(outputs: dict[str, Any] | None) -> Report:
    return {"status": "ok", "text": "", "error": "", "outputs": outputs or {}, "modified": []}


def store(lab: str) -> bool:
    """Write a lab's stored expectations if they are stale; tell whether they were."""
    tree = fresh(lab)
    if not stale(lab, tree):
        return False
    file = stored_file(lab)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pack(tree))
    return True
