"""The sample class, graded: each student gets what the exercises alone say, and plain nbgrader says the same."""

import shutil

import pytest
from click.testing import CliRunner
from rooms import CHAPTER, LAB, SHORT

from autograder import registry
from autograder.cli.instructor import export, feedback
from autograder.grading import gradebook, released
from autograder.grading.sample_class import expected_scores, sample_class, students
from autograder.release.assignment import nbgrader_api, nbgrader_config
from autograder.release.expected import hidden_cases, in_memory

HONEST = ("all-right", "misconception-1", "partly-done", "blank", "raises")


def test_every_misconception_is_in_exactly_one_student(room):
    for check in room.lab.checks.values():
        name = check.exercise_id.rsplit("/", 1)[1]
        written = [source(room.lab, name, "skeleton") for s, source in students([room.lab]).items() if "concept" in s]
        right = students([room.lab])["all-right"](room.lab, name, "skeleton")
        wrong = [text for text in written if text != right]
        assert len(wrong) == len(set(wrong)) == len(registry.answer(check.exercise_id).misconceptions)


def test_the_class_gets_what_the_exercises_say_and_plain_nbgrader_agrees(room, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # nbgrader's kernels would get in each other's way
    sample_class(SHORT)
    want = {student: labs[LAB] for student, labs in expected_scores(SHORT).items()}
    rows = room.grade()
    assert {student: row.result.points for student, row in rows.items()} == want
    assert room.scores() == want
    assert want["all-right"] == want["warns-on-stderr"] == want["deleted-check-cell"] == room.lab.points
    assert want["blank"] == want["raises"] == want["edited-check-cell"] == 0
    status = {student: row.result.status for student, row in rows.items()}
    assert status["all-right"] == "right"
    assert status["blank"] == "wrong"
    assert status["truncated-file"] == "malformed"
    assert status["missing-notebook"] == "missing"
    assert "cut off" in rows["truncated-file"].result.reason
    assert "put back" in " ".join(rows["deleted-check-cell"].result.notes)
    assert "graded as released" in " ".join(rows["edited-check-cell"].result.notes)
    _feedback_says_the_verdict(room)
    _exports(room, want)
    _nbgrader_agrees(room, want)


def _feedback_says_the_verdict(room):
    done = CliRunner().invoke(feedback, [SHORT, "--student", "misconception-1"])
    assert done.exit_code == 0, done.output
    page = (room.path / "feedback" / "misconception-1" / CHAPTER / f"{room.lab.stem}.html").read_text()
    check = next(iter(room.lab.checks.values()))
    wrong = registry.answer(check.exercise_id).misconceptions[0]
    assert wrong.says.split("√")[0] in page
    assert "cases pass" in page
    # Of hidden cases the page names the kinds that fail; no expected number of theirs is on it.
    assert any(case.kind in page for case in hidden_cases(check.exercise_id))
    for each in room.lab.checks.values():
        visible = len(registry.exercise(each.exercise_id).visible())
        for case, right in zip(
            hidden_cases(each.exercise_id), in_memory(each.exercise_id).outputs[visible:], strict=True
        ):
            assert f"in the case: {case.kind}" not in page
            arrays = [out["array"].ravel() for out in (right or {}).values() if "array" in out]
            numbers = {f"{x:.6g}" for array in arrays if array.dtype.kind == "f" for x in array[:20]}
            assert not any(number in page for number in numbers if len(number) >= 7)


def _exports(room, want):
    got = {}
    for kind in ("plain", "canvas", "moodle"):
        done = CliRunner().invoke(export, [SHORT, "--format", kind])
        assert done.exit_code == 0, done.output
        got[kind] = done.stdout.splitlines()
    assert len(got["plain"]) == len(got["moodle"]) == len(want) + 1
    assert got["plain"][0].startswith("student_id,")
    assert got["canvas"][0] == f"Student,ID,SIS User ID,SIS Login ID,Section,{CHAPTER}"
    assert got["canvas"][1].endswith(f",{room.lab.points:g}")
    assert f"all-right,all-right,,all-right,,{room.lab.points:g}" in got["canvas"]
    assert got["moodle"][0] == "Identifier,Full name,Email address,Grade,Maximum Grade"


def _nbgrader_agrees(room, want):
    """Grades the honest ones again, with plain nbgrader and a kernel each."""
    for student in HONEST:
        shutil.rmtree(room.path / "autograded" / student)
        nbgrader_says = nbgrader_api(nbgrader_config()).autograde(CHAPTER, student, force=True)
        assert nbgrader_says["success"], nbgrader_says["log"]
    assert room.scores() == want


def test_formgraders_scores_and_comments_stay(room):
    room.hand_in("jane", room.notebook(right=1))
    room.grade()
    name = list(room.lab.checks)[1]
    course = released.course_directory()
    with gradebook.gradebook(course, CHAPTER, [room.lab]) as book:
        grade = book.find_grade(name, room.lab.stem, CHAPTER, "jane")
        grade.manual_score, grade.extra_credit = 1.5, 0.25
        book.find_comment(name.removeprefix("check_"), room.lab.stem, CHAPTER, "jane").manual_comment = "Nearly."
        book.db.commit()
    before = room.scores()["jane"]
    room.grade(again=True)
    assert room.scores()["jane"] == before
    with gradebook.gradebook(course, CHAPTER, [room.lab]) as book:
        grade = book.find_grade(name, room.lab.stem, CHAPTER, "jane")
        assert (grade.manual_score, grade.extra_credit, grade.needs_manual_grade) == (1.5, 0.25, True)
        comment = book.find_comment(name.removeprefix("check_"), room.lab.stem, CHAPTER, "jane")
        assert (comment.manual_comment, comment.auto_comment) == ("Nearly.", "No response.")


@pytest.mark.parametrize("late", [False, True])
def test_a_late_hand_in_is_treated_as_nbgrader_is_told_to(room, late):
    with (room.path / "nbgrader_config.py").open("a") as config:
        config.write("c.LateSubmissionPlugin.penalty_method = 'zero'\n")
    room.hand_in("jane", room.notebook(right=1))
    room.hand_in("jane", "2026-03-02 00:00:01 UTC" if late else "2026-03-01 23:59:59 UTC", "timestamp.txt")
    course = released.course_directory()
    with gradebook.gradebook(course, CHAPTER, [room.lab]) as book:
        book.update_or_create_assignment(CHAPTER, duedate="2026-03-02 00:00:00 UTC")
    room.grade()
    with gradebook.gradebook(course, CHAPTER, [room.lab]) as book:
        submission = book.find_submission(CHAPTER, "jane")
        assert submission.total_seconds_late == (1 if late else 0)
        assert submission.score > 0
        assert (submission.late_submission_penalty or 0) == (submission.score if late else 0)
