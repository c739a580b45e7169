"""The students' commands, used as a student uses them."""

import json
import os
import signal
import subprocess
import sys
import time
import types
import zipfile

import click
import pytest
from click.testing import CliRunner
from learner import OVERFLOWS, SOFTMAX, write_cells, write_py

from autograder import cli, work
from autograder.cli import main
from autograder.labs import find

COMMANDS = ["list", "start", "check", "progress", "submit", "doctor"]
UNSOLVED = 'raise NotImplementedError("Softmax that does not overflow: write it here")'


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def copy(here):
    made = work.Copy(find("1.1"), here)
    work.start(made)
    return made


def course(*arguments, code=0, **options):
    """Run a command in this process; it must end as it should."""
    done = CliRunner().invoke(main, list(arguments), **options)
    assert done.exit_code == code, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done


def result_of(exercise, earned, of):
    passed = earned == of
    blank = {"stage": "", "misconception": "", "where": None, "printed": "", "lines": [f"lines of {exercise}"]}
    one = {"name": exercise, "title": exercise.title(), "points": earned, "of": of, "passed": passed, **blank}
    whole = {"errors": [], "notes": [], "ended": "", "seconds": 1.0, "lab": "ch01/lab01", "title": ""}
    return {"exercises": [one], "points": earned, "of": of, "passed": passed, **whole}


@pytest.fixture
def quick_check(monkeypatch):
    """Checks come to this at once; what a real one comes to is tested elsewhere."""
    from autograder import checker

    said = {"result": result_of("softmax", 2.0, 2)}
    monkeypatch.setattr(checker, "check", lambda *_: said["result"])
    return said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_commands_help_has_examples(command):
    said = course(command, "--help").output
    assert "Examples:" in said
    assert f"  course {command}" in said


def test_help_shows_three_sections():
    said = course("--help").output
    assert [said.index(f"\n{section}:") for section in ("Student", "Instructor", "Author")] == sorted(
        said.index(f"\n{section}:") for section in ("Student", "Instructor", "Author")
    )
    assert all(f"\n  {command} " in said for command in COMMANDS)


def test_help_loads_no_heavy_library():
    heavy = ["torch", "numpy", "jupytext", "nbformat", "nbgrader", "IPython", "matplotlib", "rich", "yaml"]
    code = f"""
import sys
from autograder.cli import main
try: main(["--help"])
except SystemExit: pass
print([name for name in {heavy} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_misspelt_command_is_answered_with_the_right_one():
    assert "did you mean `course check`?" in course("chekc", code=2).output


def test_start_makes_both_halves_and_says_what_is_next(here):
    said = course("start", "ch01/lab01").output
    for name in ("lab01_dot_product_attention.ipynb", "lab01_dot_product_attention.py", "course check 1.1"):
        assert name in said
    assert "already: ch01_attention/lab01" in course("start", "1.1", code=2).output
    said = course("start", "1.1", "--again").output
    assert said.count("kept:") == 2
    assert len(list((here / "ch01_attention").iterdir())) == 4


def test_start_into_another_folder_makes_it_and_says_to_go_there(here, copy):
    said = course("start", "1.1", "--into", "deep/er").output
    assert (here / "deep" / "er" / "ch01_attention" / "lab01_dot_product_attention.py").exists()
    assert "cd deep/er; course check 1.1" in said


def test_start_where_nothing_may_be_written_is_a_plain_message(here):
    (here / "file").write_text("")
    assert "Is the folder there" in course("start", "1.1", "--into", "file/folder", code=2).output


def test_check_shows_verdicts_and_total_and_remembers_them(copy, quick_check):
    said = course("check", "1.1", "softmax").output
    assert "✓ Softmax: 2 of 2 points" in said
    assert "lines of softmax" in said
    assert "ch01/lab01: 2 of 2 points" in said
    quick_check["result"] = result_of("scores", 0.66, 2)
    assert "✗ Scores: 0.66 of 2 points" in course("check", "1.1", "scores", code=1).output
    told = json.loads(course("progress", "--json").output)
    lab = next(lab for lab in told["labs"] if lab["id"] == "ch01/lab01")
    assert (lab["points"], lab["state"], lab["stale"], told["next"]) == (2.66, "in progress", False, "ch01/lab01")
    assert "1 of 5 exercises pass" in course("progress").output
    assert "in progress" in course("list").output


def test_progress_marks_what_was_edited_since(copy, quick_check):
    course("check", "1.1")
    write_py(copy, UNSOLVED, "return x")
    assert "1 of 5 exercises pass *" in course("progress").output
    assert "edited since its check" in course("progress").output
    lab = next(lab for lab in json.loads(course("list", "--json").output) if lab["number"] == "1.1")
    assert lab["stale"]


def test_an_edited_half_is_brought_over_before_the_check(copy, quick_check):
    write_py(copy, UNSOLVED, "return x")
    said = course("check", "1.1")
    assert "brought into step with the .py (reload it if it is open)" in said.stderr
    assert "return x" in copy.notebook.read_text()


def test_halves_that_were_both_edited_are_refused_until_one_is_taken(copy, quick_check):
    write_py(copy, UNSOLVED, "return 1")
    write_cells(copy, softmax="def softmax(x):\n    return 2")
    said = course("check", "1.1", code=2).output
    assert "course check 1.1 --take notebook" in said
    course("check", "1.1", "--take", "py")
    assert "return 1" in copy.notebook.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "1.1"], "course start 1.1"),
        (["check", "1.77"], "chapter 1 has"),
        (["check", "1.1", "sofmax"], "did you mean 'softmax'"),
        (["start", "lab01_dot_prodct_attention"], "did you mean ch01/lab01"),
        (["submit", "ch77", "--student", "ada"], "there is no chapter 'ch77'"),
        (["submit", "ch01"], "--student ID"),
        (["submit", "ch01", "--student", "a b"], "a space"),
    ],
)
def test_what_cannot_be_done_ends_with_2_and_says_what_to_do(arguments, says):
    assert says in course(*arguments, code=2).output


def test_submit_stops_at_mistakes_and_goes_on_when_forced(copy, here):
    write_cells(copy, drop=("entropy",))
    said = course("submit", "ch01", "--student", "ada", code=1).output
    assert "✗ lab 1.1: entropy: its solution cell is missing" in said
    assert "! lab 1.1: softmax: not solved yet" in said
    assert "Nothing was packed" in said
    said = course("submit", "ch01", "--force").output
    assert "To hand in: ch01_attention_ada.zip" in said, "the id is remembered"
    with zipfile.ZipFile(here / "ch01_attention_ada.zip") as archive:
        assert archive.namelist() == ["lab01_dot_product_attention.ipynb"]
    first = (here / "ch01_attention_ada.zip").read_bytes()
    told = json.loads(course("submit", "ch01", "--force", "--json", "--out", "sent").output)
    assert (here / "sent" / "ch01_attention_ada.zip").read_bytes() == first
    assert told["file"].endswith("sent/ch01_attention_ada.zip")


def test_errors_stop_even_when_forced(copy):
    copy.notebook.write_text("{")
    assert "not valid JSON" in course("submit", "ch01", "--student", "ada", "--force", code=1).output


def test_doctor_ends_with_1_exactly_if_a_student_lacks_something(monkeypatch):
    from autograder import doctor

    assert "All that a student needs is here" in course("doctor").output
    lacking = doctor.Finding("student", "torch", "missing", "not installed", "pip install torch")
    monkeypatch.setattr(doctor, "examine", lambda: [lacking])
    assert "pip install torch" in course("doctor", code=1).output
    assert json.loads(course("doctor", "--json", code=1).output)["ready"] is False


def test_a_command_whose_library_is_missing_names_the_extra(monkeypatch):
    @click.command("grade")
    def grade():
        import no_such_library  # noqa: F401

    module = types.ModuleType("autograder.cli.instructor")
    module.COMMANDS = [grade]
    monkeypatch.setitem(sys.modules, "autograder.cli.instructor", module)
    cli._commands.cache_clear()
    try:
        said = course("grade", code=2).output
    finally:
        cli._commands.cache_clear()
    assert "needs the instructor extra: pip install 'transformer-systems[instructor]'" in said


def test_without_a_clone_the_other_commands_say_that_they_need_one(monkeypatch, here):
    monkeypatch.setattr(cli, "ROOT", here)
    cli._commands.cache_clear()
    try:
        said = course("grade", "ch01", "--fast", code=2).output
        shown = course("--help").output
    finally:
        cli._commands.cache_clear()
    assert "works in a clone of the course's repository only. There: pip install -e '.[instructor]'" in said
    assert "(in a clone of the course only)" in shown
    assert "Get your own copy of a lab" in shown


def test_students_need_none_of_the_instructors_libraries(copy, here):
    # Blocked in the checking process too: both read this at their start.
    blocker = here / "blocker"
    blocker.mkdir()
    names = ["nbgrader", "nbclient", "jupyter_client", "ipykernel", "pybtex", "pytest", "autograder.answers"]
    (blocker / "sitecustomize.py").write_text(f"import sys\nfor name in {names}: sys.modules[name] = None\n")
    write_cells(copy, look=False, softmax=SOFTMAX)
    environment = {**os.environ, "PYTHONPATH": str(blocker)}

    def run(*arguments):
        command = [sys.executable, "-c", "from autograder.cli import main; main()", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    done = run("check", "1.1", "softmax", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["points"] == 2
    done = run("start", "1.1", "--again")
    assert done.returncode == 0, done.stderr


def test_watching_checks_again_on_every_save_and_ends_with_ctrl_c(copy):
    write_cells(copy, look=False, softmax=OVERFLOWS)
    command = [sys.executable, "-c", "from autograder.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "check", "1.1", "softmax", "--watch", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert json.loads(process.stdout.readline())["points"] == 1.5
        write_py(copy, OVERFLOWS, SOFTMAX)
        found = json.loads(process.stdout.readline())
        assert (found["points"], found["passed"]) == (2, True)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "Stopped watching." in errors
    finally:
        process.kill()
        process.wait()
    assert "1 of 5 exercises pass" in course("progress").output
