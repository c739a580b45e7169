"""Runs what the guide shows on a class of four and writes what it prints: `python -m book.instructors.record`.

It works on a copy of the course, in .cache/, so that it changes no check, no release and no classroom of yours.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import nbformat

from autograder.paths import BOOK, CACHE, ROOT

HERE = BOOK / "instructors"
RUNS = HERE / "runs"
COPY = CACHE / "guide" / "course"
CHAPTER = "ch01_attention"
PARTS = (
    "autograder",
    "source",
    "data",
    "notebooks",
    "book",
    "nbgrader_config.py",
    "_config.yml",
    "_toc.yml",
    "pyproject.toml",
)
# Who hands in what, of the sample class.
CLASS = {"ada": "all-right", "ben": "misconception-1", "cleo": "truncated-file", "dan": "missing-notebook"}
HOURS = {student: datetime(2026, 3, 1, 15 + 2 * i, tzinfo=UTC) for i, student in enumerate(CLASS)}
ADDRESS = "tcp://127.0.0.1:8786"


def environment() -> dict[str, str]:
    """Commands of the copy, by this Python."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COURSE_")}
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**kept, "PATH": tools, "PYTHONPATH": str(COPY), "COLUMNS": "100"}


def ran(line: str) -> str:
    """What a command line prints, with folders as a reader would name them."""
    words = shlex.split(line)
    module = {"course": "autograder.cli", "nbgrader": "nbgrader"}.get(words[0])
    words = [sys.executable, "-m", module, *words[1:]] if module else [sys.executable, *words[1:]]
    done = subprocess.run(words, cwd=COPY, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{line}\n{done.stdout}\n{done.stderr}")
    # nbgrader says what it does on standard error; of the course's commands that is a bar.
    said = done.stderr if module == "nbgrader" else done.stdout
    return said.replace(f"{COPY}/", "")


def record(name: str, *lines: str, cut: str = "") -> None:
    """Run command lines and write them with what they print. cut: leave out what comes before this."""
    told = []
    for line in lines:
        said = ran(line)
        if cut in said:
            said = said[said.rfind("\n", 0, said.index(cut)) + 1 :]
        told.append(f"$ {line}\n" + "\n".join(part.rstrip() for part in said.rstrip().splitlines()))
        print(told[-1], flush=True)
    RUNS.mkdir(exist_ok=True)
    (RUNS / f"{name}.txt").write_text("\n".join(told).rstrip() + "\n", encoding="utf-8")


def hand_in() -> None:
    """Lay out the class's hand-ins as `course submit`, Canvas and Moodle would."""
    made = COPY / "made"
    ran(f"course sample-class ch01 --into {made}")
    folder, downloads = COPY / "hand-ins", COPY / "downloads"
    folder.mkdir()
    downloads.mkdir()
    for student, kind in CLASS.items():
        with zipfile.ZipFile(folder / f"{CHAPTER}_{student}.zip", "w") as archive:
            for file in sorted((made / kind / CHAPTER).glob("*.ipynb")):
                archive.write(file, file.name)
        os.utime(archive.filename, (HOURS[student].timestamp(),) * 2)
    one = (folder / f"{CHAPTER}_ada.zip").read_bytes()
    with zipfile.ZipFile(downloads / "canvas.zip", "w") as archive:
        archive.writestr(f"lovelaceada_4711_90210_{CHAPTER}_ada.zip", one)
    with zipfile.ZipFile(downloads / "moodle.zip", "w") as archive:
        archive.writestr(f"Ada Lovelace_4711_assignsubmission_file_/{CHAPTER}_ada.zip", one)


def from_platforms() -> None:
    """Collect a platform's download into a classroom that is thrown away."""
    for platform in ("canvas", "moodle"):
        os.rename(COPY / "classroom", COPY / "kept")
        record(platform, f"course collect ch01 downloads/{platform}.zip")
        shutil.rmtree(COPY / "classroom")
        os.rename(COPY / "kept", COPY / "classroom")


def by_hand(score: float) -> None:
    """Give points by hand as formgrader does: it sets a grade's manual score."""
    code = (
        "from autograder.grading.released import course_directory; from nbgrader.api import Gradebook\n"
        "with Gradebook(course_directory().db_url) as book:\n"
        f"    grade = book.find_grade('check_softmax', 'lab01_dot_product_attention', '{CHAPTER}', 'ben')\n"
        f"    grade.manual_score = {score}; grade.needs_manual_grade = False; book.db.commit()"
    )
    ran(f"python -c {shlex.quote(code)}")


def on_a_cluster() -> None:
    """A scheduler and two workers on this machine."""
    dask = [sys.executable, "-m", "dask"]
    options = {"cwd": COPY, "env": {**environment(), "OMP_NUM_THREADS": "1"}, "stderr": subprocess.DEVNULL}
    worker = [*dask, "worker", ADDRESS, "--nthreads", "1", "--no-dashboard"]
    scheduler = [*dask, "scheduler", "--host", "127.0.0.1", "--no-dashboard"]
    programs = [subprocess.Popen(command, **options) for command in (scheduler, worker, worker)]
    try:
        time.sleep(8)
        record("cluster", f"course grade ch01 --cluster {ADDRESS} --again", cut="┃ status")
    finally:
        for program in programs[::-1]:
            program.terminate()
            program.wait()


def copied() -> None:
    """A fresh copy of what the commands need."""
    shutil.rmtree(COPY, ignore_errors=True)
    COPY.mkdir(parents=True)
    leave = shutil.ignore_patterns("__pycache__", "figures", "release", "*.svg", "*.png")
    for part in PARTS:
        if part == "autograder":  # its own release/ is no derived folder
            shutil.copytree(ROOT / part, COPY / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, COPY / part, ignore=leave)
        else:
            shutil.copyfile(ROOT / part, COPY / part)


def with_asserts() -> None:
    """A cell of plain asserts, released with nbgrader's own command into a classroom of its own."""
    (twin,) = (COPY / "notebooks/instructor" / CHAPTER).glob("lab01*.ipynb")
    notebook = nbformat.read(twin, as_version=4)
    told = {"grade": True, "grade_id": "check_by_asserts", "points": 1, "schema_version": 3}
    told |= {"locked": True, "solution": False, "task": False}
    text = "assert softmax(torch.zeros(1, 4)).sum() == 1"
    notebook.cells.append(nbformat.v4.new_code_cell(text, id="by-asserts", metadata={"nbgrader": told}))
    nbformat.write(notebook, twin)
    shutil.rmtree(COPY / "classroom")
    (COPY / "classroom").mkdir()
    ran(f"nbgrader generate_assignment {CHAPTER} --create --force")
    ran("course collect ch01 hand-ins")
    record("asserts", "course grade ch01 --student ada", cut="ada, ch01")


def main() -> None:
    """Everything, in the order of the guide."""
    copied()
    record("release", "course release ch01")
    hand_in()
    from_platforms()
    record("collect", "course collect ch01 hand-ins")
    record("grade", "course grade ch01")
    record("skipped", "course grade ch01", cut="0 graded now")
    record("feedback", "course feedback ch01")
    record("canvas-csv", "course export ch01 --format canvas")
    record("moodle-csv", "course export ch01 --format moodle")
    record("plain-csv", "course export ch01")
    record("appeal", "python book/instructors/appeal.py")
    by_hand(2)
    record(
        "by-hand", "course grade ch01 --student ben --again", "course export ch01 --format canvas", cut="4 graded now"
    )
    record("due", f'nbgrader db assignment add {CHAPTER} --duedate="2026-03-01 16:00 UTC"')
    (COPY / "classroom" / "nbgrader_config.py").write_text((HERE / "late.py").read_text(encoding="utf-8"))
    record("late", "course grade ch01", "course export ch01", cut="0 graded now")
    (COPY / "classroom" / "nbgrader_config.py").unlink()
    with next((COPY / "autograder/checks" / CHAPTER).glob("lab01*.py")).open("a") as checks:
        checks.write("# A check that was put right.\n")
    record("changed", "course release ch01", "course grade ch01", cut="graded now")
    on_a_cluster()
    with_asserts()
    print(f"{len(list(RUNS.glob('*.txt')))} runs written to {RUNS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
