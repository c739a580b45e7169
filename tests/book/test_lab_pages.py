"""A lab's page is the student notebook with the executed twin's outputs, and without its solutions."""

import nbformat
import pytest

from autograder.paths import ROOT
from autograder.release.execute import executed
from book._ext.lab_pages import labs_by_page, merged
from source.sliders import VIEW

PAGES = labs_by_page()
pytestmark = pytest.mark.xdist_group("book")  # labs are executed by one process, for all these tests


def cell(kind, source, name, **more):
    made = nbformat.v4.new_code_cell(source, id=name) if kind == "code" else nbformat.v4.new_markdown_cell(source)
    made.id = name
    made.update(more)
    return made


@pytest.fixture
def pair():
    """A student notebook and its executed twin."""
    solution = {"nbgrader": {"grade_id": "double", "solution": True}}
    student = nbformat.v4.new_notebook(
        cells=[
            cell("code", "install()", "a"),
            cell("code", "raise NotImplementedError", "double", metadata=solution),
            cell("code", "check('x', double)", "check_double"),
        ]
    )
    shown = [
        nbformat.v4.new_output("display_data", data={"text/html": "<b>passed</b>", "text/plain": "passed"}),
        nbformat.v4.new_output("execute_result", data={"text/html": "", "text/plain": "2"}, execution_count=3),
    ]
    twin = nbformat.v4.new_notebook(
        cells=[
            cell("code", "setup()", "a", outputs=[nbformat.v4.new_output("stream", name="stdout", text="ready")]),
            cell("code", "return 2 * x", "double", metadata=solution),
            cell("code", "check('x', double)", "check_double", outputs=shown, execution_count=3),
        ],
        metadata={"widgets": {"state": 1}},
    )
    return student, twin


def test_outputs_come_from_the_cell_of_the_same_id(pair):
    page = merged(*pair)
    assert page.cells[0].outputs[0].text == "ready"
    assert page.cells[2].outputs[0].data["text/plain"] == "passed"
    assert page.cells[2].execution_count == 3


def test_an_output_that_shows_nothing_is_left_out(pair):
    assert len(merged(*pair).cells[2].outputs) == 1


def test_students_see_the_skeleton_and_no_solution(pair):
    assert [c.source for c in merged(*pair).cells] == ["install()", "raise NotImplementedError", "check('x', double)"]


def test_instructors_see_the_solution_folded_under_the_skeleton(pair):
    page = merged(*pair, solutions=True)
    assert page.cells[2].source == "return 2 * x"
    assert "hide-input" in page.cells[2].metadata["tags"]


def test_the_set_up_cell_is_folded(pair):
    assert "hide-input" in merged(*pair).cells[0].metadata["tags"]


def moved(pair, **told):
    """The pair, with a figure to move and its controls under the second cell."""
    view = {VIEW: {"model_id": "1"}, "text/plain": "install"}
    pair[1].cells[1].outputs = [
        nbformat.v4.new_output("display_data", data={"image/png": "iVBORw0KGgo=", "text/plain": "a line"}),
        nbformat.v4.new_output("display_data", data=view, metadata={"course": told}),
    ]
    return pair


def test_of_what_moves_the_picture_stays_and_a_line_says_where_to_move_it(pair):
    page = merged(*moved(pair, card="softmax_blend", alt="a line"))
    shown, line = page.cells[1:3]
    assert [list(output.data) for output in shown.outputs] == [["image/png", "text/plain"]]
    assert shown.metadata["mystnb"]["image"] == {"alt": "a line"}
    link = "[Softmax Turns Scores into a Blend](../../../book/concepts/softmax_blend.md)"
    assert line.source == f"*Move it in the notebook, or here:* {link}"
    assert "widget" not in nbformat.writes(page)
    assert not nbformat.validate(page)


def test_without_a_card_one_is_sent_to_the_notebook(pair):
    assert merged(*moved(pair)).cells[2].source == "*You can move it in the notebook.*"


@pytest.mark.parametrize("page", PAGES)
def test_no_labs_page_asks_for_widgets(page):
    shown = merged(nbformat.read(ROOT / f"{page}.ipynb", as_version=4), executed(PAGES[page].id))
    assert "widgets" not in shown.metadata
    assert not any(VIEW in output.get("data", {}) for cell in shown.cells for output in cell.get("outputs", []))


def test_the_notebooks_themselves_stay_as_they_are(pair):
    merged(*pair, solutions=True)
    assert [len(nb.cells) for nb in pair] == [3, 3]
    assert "tags" not in pair[0].cells[0].metadata


@pytest.mark.parametrize("page", PAGES)
def test_every_check_cell_of_a_labs_page_shows_its_verdict(page):
    shown = merged(nbformat.read(ROOT / f"{page}.ipynb", as_version=4), executed(PAGES[page].id))
    checks = [c for c in shown.cells if c.metadata.get("nbgrader", {}).get("grade")]
    assert checks
    for check in checks:
        assert any("✓" in str(output.get("data", "")) for output in check.outputs), check.id


@pytest.mark.parametrize("page", PAGES)
def test_no_solution_is_on_a_labs_page(page):
    twin = executed(PAGES[page].id)
    shown = merged(nbformat.read(ROOT / f"{page}.ipynb", as_version=4), twin)
    solutions = [c for c in twin.cells if c.metadata.get("nbgrader", {}).get("solution")]
    text = "\n".join(c.source for c in shown.cells)
    assert solutions
    assert "BEGIN SOLUTION" not in text
    for cell in solutions:
        region = cell.source.split("### BEGIN SOLUTION")[1].split("### END SOLUTION")[0].strip()
        assert region not in text, cell.id
