"""The parts of the benchmark on two students and one lab: what they write, and what they notice. No time is judged."""

import json
from pathlib import Path

import pytest

from autograder import registry
from autograder.bench import against_nbgrader, grading, many, profile, programs, scaling
from autograder.bench.room import Room
from autograder.bench.watching import Ran, run
from autograder.cli.author import _PARTS
from autograder.grading.isolation import NotIsolated, probe
from autograder.release.measure import RESULTS

LAB = "ch01/lab01"
FILE = registry.lab_files()[LAB]
CHAPTER = FILE.parent.name
ALWAYS = {"device", "threads", "python", "torch", "date", "part", "chapter", "students", "seed", "cores", "what"}
KEYS = {
    "profile": {"notebooks", "isolation", "seconds_a_notebook", "student_seconds_a_notebook", "rows"},
    "scaling": {"notebooks", "isolation", "baseline", "processors", "rows"},
    "many": {"notebooks", "isolation", "seconds", "rate", "peak_memory_bytes", "ledger_bytes", "lost", "wrong"},
    "against-nbgrader": {
        *("notebooks", "isolation", "nbgrader", "baseline", "runs", "ratio", "ratio_every_cell", "ratio_of_skipping"),
        *("compared", "equal", "differing", "overhead", "memory_is", "nbgrader_threads_tried"),
    },
}


@pytest.fixture
def confined():
    try:
        probe()
    except NotIsolated as error:
        pytest.skip(str(error))


def _wall(room, jobs, *options) -> Ran:
    (room.path / "ledger").mkdir()
    for name in ("a", "b"):
        (room.path / "ledger" / f"{name}.json").write_text("{}")
    return Ran(0, 0.0, 2.0, 1.0, 10**6, 10**5, 0)


def test_the_command_line_names_every_part():
    assert set(_PARTS) == set(grading.PARTS) == set(KEYS)


@pytest.mark.parametrize("name", sorted(KEYS))
def test_a_recorded_result_has_all_that_it_must_state(name):
    file = RESULTS / f"grading-{name}.json"
    assert file.exists(), "measure it: make bench-grading"
    told = json.loads(file.read_text())
    assert ALWAYS | KEYS[name] <= set(told)
    assert not told.get("differing")


@pytest.mark.usefixtures("confined", "at_hand")
def test_a_class_graded_for_real_gets_what_the_exercises_say(tmp_path):
    told = many.measure(tmp_path, CHAPTER, 2, seed=1)
    assert told.keys() >= KEYS["many"]
    assert (told["notebooks"], told["right_scores"], told["lost"], told["wrong"]) == (2, 2, 0, 0)
    assert told["ledger_files"] == 2
    assert told["peak_memory_bytes"] > told["peak_memory_of_its_first_process_bytes"] > 0


@pytest.mark.usefixtures("confined", "at_hand")
def test_the_phases_of_a_profile_add_up(tmp_path):
    told = profile.measure(tmp_path, CHAPTER, 1, seed=1)
    assert told.keys() >= KEYS["profile"]
    seconds = {row["phase"]: row["seconds"] for row in told["rows"]}
    assert set(seconds) == set(profile.PHASES)
    assert sum(seconds.values()) <= told["seconds_a_notebook"]
    both = told["student_seconds_a_notebook"] + told["grader_seconds_a_notebook"]
    assert both == pytest.approx(told["seconds_a_notebook"])
    assert all(seconds[phase] > 0 for phase in ("setup cells", "solution cells", "its other cases", "confining it"))


def test_the_engine_is_as_it_was_after_a_profile():
    from autograder.grading import engine

    before = dict(vars(engine)), dict(vars(engine._Talk)), dict(vars(engine.Worker))
    with pytest.raises(KeyError), profile._wrapped(profile.Clock()):
        raise KeyError
    assert before == (dict(vars(engine)), dict(vars(engine._Talk)), dict(vars(engine.Worker)))


@pytest.mark.usefixtures("at_hand")
def test_scaling_has_a_row_for_each_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "course_grade", _wall)
    told = scaling.measure(tmp_path, CHAPTER, 2, seed=1, workers=(1, 2))
    assert told.keys() >= KEYS["scaling"] - {"isolation"}
    assert [row["workers"] for row in told["rows"]] == [1, 2]
    assert [row["ratio"] for row in told["rows"]] == [1, 1]


@pytest.fixture
def in_no_time(at_hand, monkeypatch):
    """Both programs as if they had run; returns the scores that nbgrader's gradebook is to show wrong."""
    wrong: dict[tuple[str, str], float] = {}
    monkeypatch.setattr(programs, "course_grade", _wall)
    monkeypatch.setattr(programs, "nbgrader_autograde", _wall)
    monkeypatch.setattr(profile, "profile", lambda *_: {"student_seconds_a_notebook": 0.1})
    right = {(f"student-0000{k}", LAB): float(k) for k in (1, 2)}
    monkeypatch.setattr(against_nbgrader.scores, "expected", lambda *_: right)
    monkeypatch.setattr(Room, "scores", lambda room: right | (wrong if room.path.name == "theirs" else {}))
    return wrong


def test_equal_scores_are_counted(in_no_time, tmp_path):
    told = against_nbgrader.measure(tmp_path, CHAPTER, 2, seed=1)
    assert told.keys() >= KEYS["against-nbgrader"]
    assert (told["compared"], told["equal"], told["differing"]) == (2, 2, [])
    assert told["ratio"] == told["ratio_of_skipping"] == 1
    assert told["overhead"]["seconds_a_notebook"] == pytest.approx(2.0 * told["jobs"] / 2 - 0.1)


def test_a_differing_score_is_named_and_ends_with_code_1(in_no_time, tmp_path, capsys):
    in_no_time["student-00002", LAB] = 0.0
    code = grading.measure(("against-nbgrader",), 2, tmp_path)
    told = json.loads((tmp_path / "grading-against-nbgrader.json").read_text())
    assert code == 1
    assert ALWAYS | KEYS["against-nbgrader"] <= set(told)
    assert (told["compared"], told["equal"], len(told["differing"])) == (2, 1, 1)
    assert told["differing"][0]["student"] == "student-00002"
    assert "student-00002" in capsys.readouterr().out


def test_memory_and_time_of_all_that_a_program_starts_are_seen(tmp_path):
    import os
    import sys

    inner = "import time; x = b'x' * (60 << 20); time.sleep(2)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}]); print('done')"
    ran = run([sys.executable, "-c", outer], dict(os.environ), Path(tmp_path), tmp_path / "log")
    assert (ran.exit_code, (tmp_path / "log").read_text()) == (0, "done\n")
    assert ran.peak_tree > 60 << 20 > ran.peak_self > 0
    assert ran.cpu_seconds > 0


def test_a_program_that_fails_is_quoted(tmp_path):
    import os

    with pytest.raises(programs.Failed, match="No such file"):
        programs._through(["ls", "no-such-file"], dict(os.environ), tmp_path / "log")
