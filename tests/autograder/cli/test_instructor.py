"""The instructors' commands: their help, and what they say when something is not as it should be."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from autograder import registry
from autograder.cli.instructor import COMMANDS

BY_NAME = {command.name: command for command in COMMANDS}
CHAPTER = registry.lab_files()["ch01/lab01"].parent.name


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_each_command_explains_itself_with_examples(name):
    said = CliRunner().invoke(BY_NAME[name], ["--help"])
    assert said.exit_code == 0
    assert "Examples:" in said.output
    assert f"course {name}" in said.output


def test_help_loads_no_heavy_library():
    code = (
        "import sys, autograder.cli.instructor; print([m for m in ('torch', 'nbgrader', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["grade", "ch97"], CHAPTER),
        (["collect", "ch97", "."], CHAPTER),
        (["feedback", CHAPTER], "course grade"),
        (["export", CHAPTER], "course grade"),
        (["sample-class", "ch97"], CHAPTER),
        (["release", "ch97"], CHAPTER),
    ],
)
def test_what_can_be_mended_is_said_in_a_sentence(words, told, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CLASSROOM", str(tmp_path))
    said = CliRunner().invoke(BY_NAME[words[0]], words[1:])
    assert said.exit_code == 1, said.output
    assert said.output.startswith("Error: ")
    assert told in said.output
    assert "Traceback" not in said.output


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_a_wrong_option_is_a_usage_error(name):
    assert CliRunner().invoke(BY_NAME[name], ["--no-such-option"]).exit_code == 2
