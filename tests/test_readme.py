"""Every command in the README is run, as it stands there, in the folder where a person would type it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.facts import chapters, repository

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()


def commands(heading: str) -> list[list[str]]:
    """The shell commands of one section, split into words."""
    section = TEXT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line]


def type_in(folder: Path, words: list[str], **environment: str) -> str:
    """Run one command with this environment's programs first on the path; returns what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, "PATH": path, **environment}, capture_output=True, text=True, check=False
    )
    # `course check` ends with 1 while exercises are unsolved: that is its answer, not a failure.
    assert done.returncode == 0 or words[:2] == ["course", "check"], (words, done.stdout + done.stderr)
    return done.stdout + done.stderr


def test_students_commands_work_in_an_empty_folder(tmp_path):
    said = ""
    for words in commands("Students"):
        if words[0] == "pip":
            assert words[2] == f"transformer-systems[student] @ git+{repository()[0]}"
            continue
        if words[:2] == ["course", "submit"]:  # by then a learner has started every lab of the chapter
            for lab in ("1.2", "1.3", "1.4"):
                type_in(tmp_path, ["course", "start", lab])
        said += type_in(tmp_path, words)
    assert list(tmp_path.rglob("lab01_*.ipynb"))
    assert list(tmp_path.rglob("lab01_*.py"))
    assert list(tmp_path.rglob("ch01_attention_ada.zip"))
    assert "not implemented yet" in said


@pytest.fixture
def clone(tmp_path) -> Path:
    """A copy of this checkout as a clone would have it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            target = tmp_path / "clone" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target)
    return tmp_path / "clone"


def assert_scores(chapter: str, clone: Path, here: dict[str, str]) -> None:
    """The whole chapter, every student: what the engine gave is what the exercises alone say."""
    said = "from autograder.grading.sample_class import expected_scores as e; import json; print(json.dumps(e({!r})))"
    expected = json.loads(type_in(clone, [sys.executable, "-c", said.format(chapter)], **here).splitlines()[-1])
    graded = json.loads(type_in(clone, [sys.executable, "-m", "autograder.cli", "grade", chapter, "--json"], **here))
    # A second run has nothing to do; of what was not handed in there is no result to skip.
    assert all(row["skipped"] or row["status"] == "missing" for row in graded["notebooks"])
    got = {student: {} for student in expected}
    for row in graded["notebooks"]:
        got[row["student"]][row["lab"]] = row["points"]
    assert got == expected


@pytest.mark.xdist_group("class")
def test_instructors_commands_grade_a_sample_class(clone):
    here = {"PYTHONPATH": str(clone), "COURSE_CLASSROOM": str(clone / "classroom")}
    for words in commands("Instructors"):
        type_in(clone, [sys.executable, "-m", "autograder.cli", *words[1:]], **here)
    assert_scores("ch01", clone, here)
    assert (clone / "classroom/gradebook.db").exists()
    assert "all-right" in (clone / "grades.csv").read_text()
    assert list((clone / "classroom/feedback").rglob("*.html"))


@pytest.mark.long
@pytest.mark.xdist_group("class")
@pytest.mark.parametrize("chapter", [c.folder.split("_")[0] for c in chapters() if c.labs and c.number != 1])
def test_every_other_chapters_sample_class_gets_what_its_exercises_say(clone, chapter):
    here = {"PYTHONPATH": str(clone), "COURSE_CLASSROOM": str(clone / "classroom")}
    for step in ("release", "sample-class", "grade", "feedback"):
        type_in(clone, [sys.executable, "-m", "autograder.cli", step, chapter], **here)
    assert_scores(chapter, clone, here)


@pytest.mark.xdist_group("class")
def test_authors_commands_scaffold_a_lab_that_passes_every_test(clone):
    here = {"PYTHONPATH": str(clone), "COURSE_CLASSROOM": str(clone / "classroom")}
    for words in commands("Authors"):
        if words[0] == "course":
            type_in(clone, [sys.executable, "-m", "autograder.cli", *words[1:]], **here)
    written = sorted(p.name for p in (clone / "notebooks").rglob("lab01_complexity_analysis.*"))
    assert written == ["lab01_complexity_analysis.ipynb"] * 3 + ["lab01_complexity_analysis.py"]
    proofs = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "tests/autograder/test_exercises.py",
    ]
    said = type_in(clone, [*proofs, "-k", "ch05"], **here)
    assert re.search(r"\d+ passed", said), said
    said = type_in(clone, [sys.executable, "-m", "pytest", "-n", "0", "tests/autograder/test_facts.py"], **here)


def test_a_refused_scaffold_writes_nothing(clone):
    here = {"PYTHONPATH": str(clone)}
    before = sorted(clone.rglob("*"))
    for words, said in (
        (["ch5/1", "Title"], "name the lab like ch02/lab01"),
        (["ch01/lab01", "Title"], "is taken by"),
        (["ch05/lab01", "Title"], "--chapter"),
        (["ch05/lab01", "Title", "--chapter", "linear"], "--part"),
    ):
        done = subprocess.run(
            [sys.executable, "-B", "-m", "autograder.cli", "new", *words],
            cwd=clone, env={**os.environ, **here}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert said in done.stderr
    assert sorted(clone.rglob("*")) == before


def test_every_make_command_of_the_readme_exists():
    targets = re.findall(r"(?:`|^|&& )make ([a-z]+)", TEXT, re.MULTILINE)
    assert {"course", "test", "book", "serve", "bench", "gpu", "clean"} <= set(targets)
    for target in set(targets):
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (target, done.stderr)


def test_pictures_and_links_lead_somewhere():
    for where in re.findall(r"\]\(([^)]+)\)", TEXT):
        if not where.startswith("http"):
            assert (ROOT / where).exists(), where
    url, _ = repository()
    assert {a for a in re.findall(r"https://github\.com/[\w./-]+", TEXT)} == {url}
