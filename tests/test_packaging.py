"""The wheel a student installs: what is in it, what is not, and that every lab works with the student extra alone."""

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STUDENT = sorted((ROOT / "notebooks/student").rglob("lab*.ipynb"))

# One worker builds the wheel and its environment once.
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(c) for c in command],
        cwd=cwd,
        env={**{k: v for k, v in os.environ.items() if k != "PYTHONPATH"}, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from this checkout."""
    out = tmp_path_factory.mktemp("dist")
    done = run(sys.executable, "-m", "build", "--wheel", "--outdir", out, ROOT, cwd=out)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def student(wheel) -> Iterator[Path]:
    """The Python of an environment with the wheel's student extra and nothing else. Kept, but for the course itself."""
    if os.environ.get("COURSE_NEWEST"):
        yield Path(sys.executable)
        return
    pins = ROOT / "constraints.txt"
    key = hashlib.sha256(pins.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()[:12]
    home = ROOT / ".cache" / f"student-{sys.version_info[0]}.{sys.version_info[1]}-{key}"
    python = home / "bin" / "python"
    home.mkdir(parents=True, exist_ok=True)
    lock = (ROOT / ".cache" / "student.lock").open("w")  # another run of the tests may be making it, too
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not (home / "complete").exists():
        venv.create(home, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--constraint", pins]
        for wanted in (["torch"], [f"{wheel}[student]"]):
            done = run(*pip, *wanted, cwd=home)
            assert done.returncode == 0, done.stderr
        (home / "complete").touch()
    done = run(python, "-m", "pip", "install", "--quiet", "--force-reinstall", "--no-deps", wheel, cwd=home)
    assert done.returncode == 0, done.stderr
    yield python
    lock.close()


def test_the_wheel_has_what_a_student_needs_and_no_answer(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for notebook in STUDENT:
        assert f"autograder/_notebooks/{notebook.parent.name}/{notebook.name}" in names
        stem = f"{notebook.parent.name}/{notebook.stem}"
        assert f"autograder/checks/{stem}.py" in names
        assert f"autograder/stored/{stem}.plain" in names
    for name in names:
        assert "answers" not in name
        assert "instructor/" not in name
        assert "classroom" not in name
    data = [p for p in (ROOT / "data").rglob("*") if p.is_file()]
    assert data
    for file in data:
        assert f"source/_data/{file.relative_to(ROOT / 'data')}" in names


def test_no_text_in_the_wheel_holds_a_solution(wheel):
    archive = zipfile.ZipFile(wheel)
    for name in archive.namelist():
        if name.startswith("autograder/checks/") or name.endswith(".ipynb"):
            text = archive.read(name).decode()
            assert "BEGIN SOLUTION" not in text, name
            assert "Misconception" not in text, name
            assert "autograder.answers" not in text, name


def test_the_student_environment_has_nothing_of_the_instructors(student):
    listed = json.loads(run(student, "-m", "pip", "list", "--format", "json", cwd=ROOT / "tests").stdout)
    names = {p["name"].lower().replace("_", "-") for p in listed}
    assert {"torch", "numpy", "matplotlib", "ipywidgets", "transformer-systems"} <= names
    assert not names & {"nbgrader", "jupyter-book", "nbclient", "ipykernel", "pytest", "tiktoken", "sphinx"}


def test_check_imports_and_answers_do_not(student, tmp_path):
    assert run(student, "-c", "from autograder import check, earlier, setup", cwd=tmp_path).returncode == 0
    assert run(student, "-c", "import autograder.answers", cwd=tmp_path).returncode != 0


LAST = {notebook.parent.name: notebook for notebook in sorted(STUDENT)}  # of each chapter


@pytest.mark.parametrize(
    "notebook",
    [pytest.param(n, marks=[] if n in LAST.values() else pytest.mark.long, id=n.stem) for n in sorted(STUDENT)],
)
def test_a_newest_or_pinned_environment_runs_every_lab_outside_the_repository(student, tmp_path, notebook):
    course = student.parent / "course"
    lab = f"{notebook.parent.name[:4]}/{notebook.stem[:5]}"
    started = run(course, "start", lab, cwd=tmp_path)
    assert started.returncode == 0, started.stdout + started.stderr

    # Unsolved: every plot is drawn (with the course's own parts), every check says "not implemented yet".
    blank = json.loads(run(course, "check", lab, "--json", cwd=tmp_path).stdout)
    assert blank["points"] == 0
    assert blank["errors"] == []
    assert {e["stage"] for e in blank["exercises"]} == {"not implemented yet"}

    # Solved, as the instructor solves it: full marks. What only shows something has run above.
    source = (ROOT / "notebooks/instructor" / notebook.parent.name / f"{notebook.stem}.py").read_text()
    work = next(tmp_path.rglob(notebook.name))
    filled = json.loads(work.read_text())
    filled["cells"] = [c for c in filled["cells"] if not {"look", "milestone"} & set(c["metadata"].get("tags", []))]
    for cell in filled["cells"]:
        told = cell["metadata"].get("nbgrader", {})
        if told.get("solution"):
            cell["source"] = solution(source, told["grade_id"])
    work.write_text(json.dumps(filled))
    os.utime(work, (4e9, 4e9))
    solved = json.loads(run(course, "check", lab, "--json", cwd=tmp_path).stdout)
    assert solved["errors"] == []
    assert solved["points"] == solved["of"], solved


def setup_cell(notebook: Path) -> str:
    cells = json.loads(notebook.read_text())["cells"]
    return "".join(next(c for c in cells if c["cell_type"] == "code")["source"])


def test_the_set_up_cell_installs_the_course_and_replaces_nothing(wheel, student, tmp_path):
    if os.environ.get("COURSE_NEWEST"):
        pytest.skip("needs an environment of its own, which the pinned run makes")
    freeze = [student, "-m", "pip", "list", "--format", "freeze"]
    before = run(*freeze, cwd=tmp_path).stdout
    assert run(student, "-m", "pip", "uninstall", "-q", "-y", "transformer-systems", cwd=tmp_path).returncode == 0
    # The wheel stands in for the repository's address, which only a machine with internet reaches.
    local = re.sub(r'"git\+https://[^"]+"', f'"{wheel}"', setup_cell(STUDENT[0]))
    done = run(student, "-c", local, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.strip().splitlines()
    assert len(lines) == 1, "one line that says what was found"
    assert re.search(r"course \d+\.\d+.* · Python 3\.\d+.* · torch \d", lines[0])
    assert run(*freeze, cwd=tmp_path).stdout == before


def test_the_set_up_cell_says_what_to_do_when_it_cannot_install(tmp_path):
    venv.create(tmp_path / "bare", with_pip=False)
    done = run(tmp_path / "bare/bin/python", "-c", setup_cell(STUDENT[0]), cwd=tmp_path)
    assert done.returncode != 0
    assert "Not installed. Is the internet on? By hand: pip install git+https://" in done.stdout


def solution(source: str, name: str) -> str:
    """The text of a solution cell in a paired source."""
    match = re.search(rf'# %% nbgrader=\{{"grade_id": "{name}", "solution": true\}}\n(.*?)\n# %%', source, re.DOTALL)
    assert match, name
    return match[1]
