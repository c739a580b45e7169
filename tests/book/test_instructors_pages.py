"""The instructors' pages say what the grader's code says, and show runs that were recorded."""

import re
import shlex
from pathlib import Path

import pytest

from autograder.cli import main
from autograder.grading import isolation
from autograder.grading.ledger import STATUSES
from autograder.grading.limits import Limits
from autograder.paths import BOOK, ROOT
from book._ext.grading_facts import GradingLimits, GradingStatuses, shown

FOLDER = BOOK / "instructors"
PAGES = {file.stem: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.md")}
RUNS = sorted((FOLDER / "runs").glob("*.txt"))


def test_every_recorded_run_is_shown_and_every_run_that_is_shown_is_recorded():
    shown_runs = {name for text in PAGES.values() for name in re.findall(r"\{literalinclude\} runs/(\S+)", text)}
    assert shown_runs == {file.name for file in RUNS}


@pytest.mark.parametrize("file", RUNS, ids=lambda file: file.stem)
def test_a_recorded_command_has_the_options_that_the_command_line_has(file):
    for line in re.findall(r"^\$ course (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE):
        name, *words = shlex.split(line)
        command = main.get_command(None, name)
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, line


@pytest.mark.parametrize("file", RUNS, ids=lambda file: file.stem)
def test_a_recorded_run_names_no_folder_of_the_machine_that_recorded_it(file):
    assert str(ROOT) not in file.read_text(encoding="utf-8")


def test_what_to_type_where_confining_fails_is_what_the_grader_says():
    code = Path(isolation.__file__).read_text(encoding="utf-8")
    commands = re.findall(r"^sudo .+$", PAGES["safety"], re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        assert command in code, command


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("cell_seconds", 120.0, "120 s"), ("memory", 4 << 30, "4 GiB"), ("scratch", 256 << 20, "256 MiB")],
)
def test_a_limit_is_shown_with_its_unit(name, value, told):
    assert shown(name, value) == told


def test_a_number_without_a_unit_is_a_count():
    assert shown("output_characters", 200_000) == "200,000"


@pytest.mark.parametrize("directive", [GradingStatuses, GradingLimits])
def test_pages_say_a_word_about_all_that_the_code_knows(directive):
    name = {GradingStatuses: "grading-statuses", GradingLimits: "grading-limits"}[directive]
    (block,) = [b for t in PAGES.values() for b in re.findall(rf"```{{{name}}}\n(.*?)```\n", t, re.DOTALL)]
    assert tuple(re.findall(r"^([a-z_][a-z_ ]*):", block, re.MULTILINE)) == directive.known


@pytest.mark.xdist_group("book")
def test_the_built_pages_show_every_status_and_limit(built_book):
    statuses = built_book.page("book/instructors/statuses")
    assert [one.text for one in statuses.select("article dt strong")] == list(STATUSES)
    rows = built_book.page("book/instructors/safety").select("article table tbody tr")
    assert len(rows) == len(Limits().plain())
