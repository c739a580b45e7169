"""Grading that stops and goes on, hand-ins that come again, checks that change: the gradebook is what it should be."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from rooms import CHAPTER, SHORT

from autograder.grading import grade, ledger, released, versions
from autograder.paths import ROOT


def start(room) -> subprocess.Popen:
    command = [
        sys.executable,
        "-c",
        "from autograder.cli.instructor import grade; grade()",
        SHORT,
        "--json",
        "--jobs=1",
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ)


def test_a_killed_grader_goes_on_where_it_was(room):
    for k in range(4):
        room.hand_in(f"student {k}", room.notebook(right=k))
    first = start(room)
    until = time.monotonic() + 200
    while len(list(ledger.folder().glob("*.json"))) < 2:
        assert first.poll() is None, first.stderr.read().decode()
        assert time.monotonic() < until
        time.sleep(0.02)
    first.kill()
    first.communicate()
    assert room.scores() == {}
    # What cannot be read is made again.
    kept = list(ledger.folder().glob("*.json"))
    kept[0].write_text(kept[0].read_text()[:100])
    (ledger.folder() / "half.123.part").write_text("{")

    second = start(room)
    out, err = second.communicate(timeout=300)
    assert second.returncode == 0, err.decode()
    rows = json.loads(out)["notebooks"]
    assert sum(row["skipped"] for row in rows) == len(kept) - 1
    interrupted = room.scores()
    assert interrupted == {row["student"]: row["points"] for row in rows}
    assert not list(ledger.folder().glob("*.part"))
    # The same as without an interruption.
    rows = room.grade(again=True)
    assert not any(row.skipped for row in rows.values())
    assert room.scores() == interrupted
    assert all(row.skipped for row in room.grade().values())


def test_an_interrupted_grader_leaves_no_process(room):
    nb = room.notebook()
    nb.cells[1].source = "import subprocess; subprocess.run(['sleep', '876543'])"
    room.hand_in("jane", nb)
    running = start(room)

    def sleeping() -> bool:
        return "876543" in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout

    until = time.monotonic() + 200
    while not sleeping():
        assert running.poll() is None, running.stderr.read().decode()
        assert time.monotonic() < until
        time.sleep(0.05)
    with pytest.raises(grade.CannotGrade, match="another"):
        room.grade()
    running.send_signal(signal.SIGKILL)
    running.communicate()
    until = time.monotonic() + 20
    while sleeping():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_the_latest_hand_in_counts_and_nothing_of_the_earlier_one_stays(room):
    room.hand_in("jane", room.notebook())
    room.hand_in("john", room.notebook(right=1))
    room.grade()
    assert room.scores()["jane"] == room.lab.points
    file = room.hand_in("jane", room.notebook(right=0))
    rows = room.grade()
    assert (rows["jane"].skipped, rows["john"].skipped) == (False, True)
    assert room.scores()["jane"] == 0
    file.unlink()
    room.grade("jane")
    assert room.scores()["jane"] == 0
    graded = room.path / "autograded" / "jane" / CHAPTER
    assert not list(graded.glob("*.ipynb"))


def test_a_changed_check_or_secret_changes_what_a_result_is_kept_under(room, monkeypatch):
    data = b"{}"
    before = versions.key(data, room.lab)
    assert versions.key(b"[]", room.lab) != before
    monkeypatch.setenv("COURSE_SECRET", "another")
    assert versions.key(data, room.lab) != before
    monkeypatch.undo()
    monkeypatch.setenv("COURSE_CLASSROOM", str(room.path))
    monkeypatch.setenv("COURSE_SECRET", "a secret for tests")
    assert versions.key(data, room.lab) == before
    changed = released.Released(room.lab.id, CHAPTER, room.lab.stem, room.notebook(), room.lab.checks)
    assert versions.key(data, changed) != before


def test_the_clear_sentences_of_what_can_be_mended(room):
    with pytest.raises(grade.CannotGrade, match="course collect"):
        room.grade()
    room.hand_in("jane", room.notebook(right=1))
    with pytest.raises(grade.CannotGrade, match="there are: jane"):
        room.grade("john")
    with pytest.raises(released.NotReleased, match=CHAPTER):
        grade.grade("ch97")
    (room.path / "gradebook.db").unlink()
    with pytest.raises(released.NotReleased, match="course release"):
        room.grade()


def test_the_engines_version_covers_all_that_runs_beside_a_students_code():
    code = "import sys, autograder.grading.child; print(*(m for m in sys.modules if m.startswith('autograder')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {m.removeprefix("autograder").removeprefix(".").replace(".", "/") for m in done.stdout.split()}
    empty = {"", "grading"}  # packages that hold a docstring, or gather names
    places_and_platforms = {"paths"}
    assert loaded - empty - places_and_platforms <= set(versions.ENGINE)
    assert all((ROOT / "autograder" / f"{name}.py").exists() for name in versions.ENGINE)
