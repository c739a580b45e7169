"""Grading that stops and goes on, hand-ins that come again, checks that change: the gradebook is what it should be."""

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
import pytest
from rooms import CHAPTER, SHORT, Room

from autograder import registry
from autograder.grading import grade, gradebook, ledger, released, versions
from autograder.grading.limits import Limits
from autograder.paths import ROOT
from autograder.release.assignment import generate
from autograder.release.solutions import grade_id, solution_cell, source_file
from autograder.release.sync import as_twin


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


def test_a_hand_in_that_comes_again_while_the_grader_is_dead_counts_alone(room):
    room.hand_in("jane", room.notebook())
    room.hand_in("john", room.notebook(right=1))
    running = start(room)
    until = time.monotonic() + 200
    while not list(ledger.folder().glob("*.json")):
        assert running.poll() is None, running.stderr.read().decode()
        assert time.monotonic() < until
        time.sleep(0.02)
    running.kill()
    running.communicate()
    room.hand_in("jane", room.notebook(right=0))
    room.hand_in("john", room.notebook(right=2))
    rows = room.grade()
    assert not any(row.skipped for row in rows.values())
    assert room.scores() == {student: row.result.points for student, row in rows.items()}
    assert rows["jane"].result.points == 0 < rows["john"].result.points
    # The file of before, once more: what is kept of it is right, and replaces all that the other one left.
    room.hand_in("john", room.notebook(right=0))
    rows = room.grade()
    assert all(row.skipped for row in rows.values())
    assert room.scores() == {"jane": 0, "john": 0}
    assert room.graded("john").cells == room.graded("jane").cells


@pytest.fixture(scope="module")
def two_labs(tmp_path_factory):
    """The first two labs of the chapter, released by nbgrader itself."""
    root = tmp_path_factory.mktemp("two-labs")
    for lab in [lab for lab, file in registry.lab_files().items() if file.parent.name == CHAPTER][:2]:
        file = source_file(lab)
        twin = root / "instructor" / CHAPTER / f"{file.stem}.ipynb"
        twin.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(as_twin(jupytext.read(file), file), twin)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CLASSROOM", str(root))
        patch.setenv("COURSE_SECRET", "a secret for tests")
        configure(root, root)
        generate(CHAPTER)
    return root


def configure(room: Path, root: Path) -> None:
    (room / "nbgrader_config.py").write_text(
        "c = get_config()\n"
        f"c.CourseDirectory.source_directory = {str(root / 'instructor')!r}\n"
        f"c.CourseDirectory.release_directory = {str(root / 'release')!r}\n"
    )


def solved(lab: released.Released) -> nbformat.NotebookNode:
    nb = copy.deepcopy(lab.notebook)
    nb.cells = [cell for cell in nb.cells if "look" not in cell.metadata.get("tags", [])]
    for cell in nb.cells:
        if f"check_{grade_id(cell)}" in lab.checks:
            cell.source = solution_cell(lab.id, grade_id(cell)).source
    return nb


def test_what_a_change_touches_is_graded_anew_and_nothing_else(two_labs, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CLASSROOM", str(tmp_path))
    monkeypatch.setenv("COURSE_SECRET", "a secret for tests")
    shutil.copytree(two_labs / "release", tmp_path / "release")
    shutil.copy(two_labs / "gradebook.db", tmp_path)
    configure(tmp_path, tmp_path)
    room = Room(tmp_path)
    first, second = labs = released.released(CHAPTER, released.course_directory())
    for student in ("jane", "john"):
        for lab in labs:
            room.hand_in(student, solved(lab) if student == "jane" else lab.notebook, f"{lab.stem}.ipynb")

    def anew() -> set[str]:
        rows = grade.grade(SHORT, jobs=1, limits=Limits(notebook_seconds=240)).rows
        return judged((row.student, row.lab, row.skipped, row.result.points) for row in rows)

    def judged(rows) -> set[str]:
        points = {}
        labs_of_now = set()
        for student, lab, skipped, earned in rows:
            points[student] = points.get(student, 0) + earned
            labs_of_now |= set() if skipped else {lab}
        assert points == {"jane": first.points + second.points, "john": 0}
        with gradebook.gradebook(released.course_directory(), CHAPTER, [first, second]) as book:
            assert {s.student.id: s.score for s in book.find_assignment(CHAPTER).submissions} == points
        return labs_of_now

    assert anew() == {first.id, second.id}
    # A released notebook says something else.
    file = tmp_path / "release" / CHAPTER / f"{second.stem}.ipynb"
    before = file.read_text()
    nb = nbformat.reads(before, as_version=4)
    nb.cells.append(nbformat.v4.new_markdown_cell("One more word."))
    nbformat.write(nb, file)
    assert anew() == {second.id}
    # And is put back: what is kept of it holds again.
    file.write_text(before)
    assert anew() == set()
    # The file of a lab's checks is another: in a course of its own, for nobody changes this one in mid-test. Not in
    # the temporary folder, which hand-ins have to themselves.
    (ROOT / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / ".cache") as folder:
        for part in ("autograder", "source", "notebooks", "data"):
            leave = shutil.ignore_patterns("__pycache__", "*.ipynb")
            shutil.copytree(ROOT / part, Path(folder) / part, ignore=leave)
        shutil.copy(ROOT / "nbgrader_config.py", folder)
        changed = Path(folder) / "autograder" / "checks" / CHAPTER / f"{first.stem}.py"
        changed.write_text(changed.read_text() + "\n# Checks otherwise.\n")
        code = "from autograder.cli.instructor import grade; grade()"
        done = subprocess.run(
            [sys.executable, "-c", code, SHORT, "--json", "--jobs=1"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["notebooks"]
    assert judged((r["student"], r["lab"], r["skipped"], r["points"]) for r in rows) == {first.id}
    # The secret is another, and with it every hidden case.
    monkeypatch.setenv("COURSE_SECRET", "another")
    assert anew() == {first.id, second.id}


def test_a_changed_check_or_secret_changes_what_a_result_is_kept_under(room, monkeypatch):
    def key(data: bytes, lab=room.lab) -> str:
        return versions.key(data, versions.checks_version(lab))

    before = key(b"{}")
    assert key(b"[]") != before
    assert versions.key(b"{}", versions.checks_version(room.lab), every_cell=True) != before
    monkeypatch.setenv("COURSE_SECRET", "another")
    assert key(b"{}") != before
    monkeypatch.undo()
    monkeypatch.setenv("COURSE_CLASSROOM", str(room.path))
    monkeypatch.setenv("COURSE_SECRET", "a secret for tests")
    assert key(b"{}") == before
    changed = released.Released(room.lab.id, CHAPTER, room.lab.stem, room.notebook(), room.lab.checks)
    assert key(b"{}", changed) != before


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
