"""Progress is what the checks came to, and says when they are older than the work."""

import pytest
from learner import write_py

from autograder import progress, work
from autograder.labs import find


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = work.Copy(find("1.1"), tmp_path)
    work.start(made)
    return made


def result(copy, passed):
    exercises = []
    for task in copy.lab.tasks:
        good = task.name in passed
        earned = task.points if good else 0.5
        exercises.append({"name": task.name, "title": "", "points": earned, "of": task.points, "passed": good})
    return {"exercises": exercises}


def test_a_lab_goes_from_not_started_to_done(copy, tmp_path):
    assert progress.standing(work.Copy(copy.lab, tmp_path / "elsewhere")).state == "not started"
    assert progress.standing(copy).state == "in progress"
    progress.record(copy, result(copy, {"softmax"}))
    now = progress.standing(copy)
    assert (now.state, now.points, now.stale) == ("in progress", 4.0, False)
    progress.record(copy, result(copy, {t.name for t in copy.lab.tasks}))
    assert (progress.standing(copy).state, progress.standing(copy).points) == ("done", copy.lab.points)


def test_an_edit_makes_results_stale_and_undoing_it_does_not(copy):
    progress.record(copy, result(copy, set()))
    write_py(copy, "import math", "import math  # !")
    assert progress.standing(copy).stale
    write_py(copy, "import math  # !", "import math")
    assert not progress.standing(copy).stale


def test_checking_one_exercise_leaves_the_others_results(copy):
    progress.record(copy, result(copy, {"softmax", "scores"}))
    only = {"exercises": [e for e in result(copy, set())["exercises"] if e["name"] == "scores"]}
    progress.record(copy, only)
    exercises = progress.standing(copy).exercises
    assert exercises["softmax"]["passed"]
    assert not exercises["scores"]["passed"]


def test_an_exercise_that_a_crash_left_unreached_keeps_its_result(copy):
    progress.record(copy, result(copy, {"softmax"}))
    crashed = result(copy, set())
    crashed["exercises"][0]["stage"] = "not reached"
    progress.record(copy, crashed)
    assert progress.standing(copy).exercises["softmax"]["passed"]


def test_starting_again_puts_results_aside_without_losing_them(copy):
    progress.record(copy, result(copy, {"softmax"}))
    progress.put_aside(copy)
    assert progress.standing(copy).points == 0
    assert "ch01/lab01 until 20" in (copy.root / ".course" / "progress.json").read_text()


def test_damaged_records_count_as_none(copy):
    (copy.root / ".course" / "progress.json").write_text("{")
    assert progress.standing(copy).state == "in progress"


def test_next_is_what_was_begun_before_what_was_not(copy):
    assert progress.next_one(progress.standings()).lab.id == "ch01/lab01"
    progress.record(copy, result(copy, {t.name for t in copy.lab.tasks}))
    after = progress.next_one(progress.standings())
    assert after is None or after.state == "not started"
