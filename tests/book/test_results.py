"""Values of result files on pages: they come from the file, and where it is missing the page says so."""

import json
import re
import shutil

import pytest
from bs4 import BeautifulSoup

from autograder.paths import BOOK
from book._ext import course_figures, results
from book._ext.results import NOT_MEASURED, BadResult, shown

PAGE = BOOK / "instructors" / "speed.md"
TOLD = {"ratio": 7.25, "runs": {"it": {"bytes": 3_000_000, "seconds": 90.0}}, "rows": [{"rate": 1.5}], "who": "EPYC"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    (tmp_path / "x.json").write_text(json.dumps(TOLD))
    return tmp_path


@pytest.mark.parametrize(
    ("path", "form", "text"),
    [
        ("ratio", ".1f", "7.2"),
        ("runs.it.bytes", ".0f MB", "3\u00a0MB"),
        ("runs.it.seconds", ".1f minutes", "1.5\u00a0minutes"),
        ("rows.0.rate", "", "1.5"),
        ("who", "", "EPYC"),
    ],
)
def test_a_value_is_shown_as_the_page_asks(folder, path, form, text):
    assert shown("x", path, form) == text


@pytest.mark.parametrize(("path", "form"), [("none", ""), ("rows.1.rate", ""), ("who", ".1f"), ("ratio", ".1f miles")])
def test_what_the_file_does_not_hold_is_named(folder, path, form):
    with pytest.raises(BadResult, match=r"x\.json"):
        shown("x", path, form)


def test_what_was_not_measured_says_so(folder):
    assert shown("y", "ratio") == NOT_MEASURED


def _built(tmp_path, text):
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(text)
    warnings = (tmp_path / "warnings").open("w+")
    options = {"extensions": ["myst_parser", "book._ext.results"]}
    with docutils_namespace():
        app = Sphinx(source, None, tmp_path / "html", tmp_path / "trees", "html", options, None, warnings)
        app.build()
    warnings.seek(0)
    return BeautifulSoup((tmp_path / "html" / "index.html").read_text(), "html.parser"), warnings.read()


def test_role_and_table_show_the_files_values(folder, tmp_path):
    text = "# T\n\nA {result}`x:ratio:.2f` b.\n\n```{result-table} x\n`a` | rows.0.rate | .3f\nWho | who\n```\n"
    page, warnings = _built(tmp_path, text)
    assert "A 7.25 b." in page.text
    assert [cell.text for cell in page.select("td")] == ["a", "1.500", "Who", "EPYC"]
    assert not warnings


def test_a_page_without_results_says_so_and_does_not_warn(folder, tmp_path):
    page, warnings = _built(tmp_path, "# T\n\nA {result}`y:ratio` b.\n\n```{result-table} y\nIt | ratio\n```\n")
    assert f"A {NOT_MEASURED} b." in page.text
    assert "y.json is missing. Run make bench-grading." in page.text
    assert not warnings


def test_a_wrong_path_is_a_warning_that_names_it(folder, tmp_path):
    _, warnings = _built(tmp_path, "# T\n\nA {result}`x:no.such` b.\n\n```{result-table} x\nIt | none\n```\n")
    assert "no.such" in warnings
    assert "'none'" in warnings


def test_the_page_on_speed_types_no_number_and_asks_only_for_what_is_there():
    text = PAGE.read_text(encoding="utf-8").split("---", 2)[2]
    for name, body in re.findall(r"```\{result-table\} (\S+)\n(.*?)```", text, re.DOTALL):
        for line in body.strip().splitlines():
            _, path, *form = (part.strip() for part in line.split("|"))
            assert shown(name, path, *form)
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert not re.search(r"\d", prose)


def test_a_figure_is_drawn_again_when_a_result_changes(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(course_figures, "RESULTS", folder)
    monkeypatch.setattr(course_figures, "BOOK", tmp_path)
    monkeypatch.setattr(course_figures, "ROOT", tmp_path)
    (tmp_path / "instructors").mkdir()
    shutil.copy(PAGE.with_name("figures.py"), tmp_path / "instructors")
    course_figures._module.cache_clear()
    file = course_figures.drawn("instructors", "throughput_by_workers", "light")
    before = file.read_text(encoding="utf-8")
    row = {"workers": 1, "rate": 1.0, "steady_rate": 2.0}
    found = {"rows": [row, row | {"workers": 2, "rate": 2.5}], "processors": 2}
    (folder / "grading-scaling.json").write_text(json.dumps(found))
    assert course_figures.drawn("instructors", "throughput_by_workers", "light").read_text(encoding="utf-8") != before
    course_figures._module.cache_clear()
