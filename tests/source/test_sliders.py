"""A figure with controls: what a notebook keeps of it, that moving draws anew, and what is left without ipywidgets."""

import base64
import sys

import matplotlib.pyplot as plt
import nbformat
import pytest

from autograder.release.execute import execute
from autograder.running import Shell, run_notebook
from source.sliders import INSTALL, VIEW, move

DRAW = """
import matplotlib.pyplot as plt
from source.sliders import move

drawn = []

def draw(slope=1.0, turns=2, line="-", wide=True, name="a"):
    drawn.append((slope, turns, line, wide, name))
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.plot([0, slope * turns], line, linewidth=3 if wide else 1)
    ax.set_title(name)
    return fig
"""
MOVE = 'move(draw, alt="a line", card="softmax_blend", slope=(-2.0, 2.0, 0.05), turns=[1, 2, 4], line=["-", "--"],'
MOVE += " wide=bool, name=str)"
FIND = """
import gc
from ipywidgets import DOMWidget

widgets = [w for w in gc.get_objects() if isinstance(w, DOMWidget)]
made = {w.description: w for w in widgets if getattr(w, "description", "")}
"""


def ran(*cells):
    """The outputs of each cell, run by nbclient in a kernel of its own: nobody looks on."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return [cell.outputs for cell in execute(notebook, "tiny").cells]


@pytest.fixture(scope="module")
def still():
    """The outputs of the cell, left alone."""
    return ran(DRAW, MOVE)[1]


@pytest.fixture(scope="module")
def notebook():
    """The outputs of five cells: the figure, its controls listed, two of them moved, the figures that are open."""
    listed = FIND + "print({name: type(made[name]).__name__ for name in ('slope', 'turns', 'line', 'wide', 'name')})"
    moved = "made['slope'].value = -1.5; made['line'].value = '--'; print(drawn)"
    return ran(DRAW, MOVE, listed, moved, "print(plt.get_fignums())")


def test_a_notebook_keeps_one_picture_and_a_view_of_the_controls(still):
    picture, controls = still
    assert set(picture.data) == {"image/png", "text/plain"}
    assert picture.data["text/plain"] == "a line"
    assert base64.b64decode(picture.data["image/png"]).startswith(b"\x89PNG")
    assert set(controls.data) == {VIEW, "text/plain"}
    assert controls.data["text/plain"] == INSTALL, "what is seen where widgets are not"
    assert controls.metadata["course"] == {"card": "softmax_blend", "alt": "a line"}


def test_each_parameter_gets_its_control_under_its_name(notebook):
    kinds = {"slope": "FloatSlider", "turns": "SelectionSlider", "line": "Dropdown", "wide": "Checkbox", "name": "Text"}
    assert notebook[2][0].text.strip() == str(kinds)


def test_moving_a_control_puts_a_new_picture_in_the_olds_place(notebook, still):
    assert len(notebook[1]) == 2
    assert notebook[1][0].data["image/png"] != still[0].data["image/png"]
    start, *later = eval(notebook[3][0].text)
    assert start == (1.0, 2, "-", True, "a")
    assert later == [(-1.5, 2, "-", True, "a"), (-1.5, 2, "--", True, "a")]
    assert [output.output_type for output in notebook[3]] == ["stream"], "nothing is added below another cell"


def test_figures_are_closed(notebook):
    assert notebook[4][0].text.strip() == "[]"


def test_whole_numbers_stay_whole_and_readouts_have_the_steps_digits():
    whole = "move(lambda n=3: draw(turns=n), alt='a line', n=(0, 9, 1))"
    shown = ran(DRAW, MOVE, whole, FIND + "print(type(made['n'].value), made['slope'].readout_format)")
    assert shown[3][0].text.strip() == "<class 'int'> .2f"


def test_in_the_graders_shell_the_same_two_outputs_are_left():
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in (DRAW, MOVE)])
    picture, controls = run_notebook(notebook, Shell()).cells[1].outputs
    assert "image/png" in picture.data
    assert VIEW in controls.data


def test_without_ipywidgets_the_picture_stays_and_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)  # importing it fails
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in (DRAW, MOVE)])
    picture, line = run_notebook(notebook, Shell()).cells[1].outputs
    assert "image/png" in picture.data
    assert line.text.strip() == INSTALL


@pytest.mark.parametrize("here", [{"IPython.get_ipython": lambda: None}, {}], ids=["with IPython", "without"])
def test_in_a_plain_script_the_figure_is_shown_as_plots_are(monkeypatch, here):
    shown = []
    for name, value in here.items():
        monkeypatch.setattr(name, value)
    if not here:
        monkeypatch.setitem(sys.modules, "IPython", None)
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    before = plt.get_fignums()
    move(lambda n=1: plt.figure(), alt="nothing", n=(0, 2, 1))
    assert len(shown[0]) == len(before) + 1
    assert plt.get_fignums() == before


@pytest.mark.parametrize(
    ("controls", "says"),
    [
        ({"m": (0, 2, 1)}, "no parameter 'm'"),
        ({"n": (3, 5, 1)}, "n starts at 1, which"),
        ({"n": [0, 2]}, "n starts at 1, which"),
        ({"n": str}, "n starts at 1, which"),
    ],
)
def test_a_control_that_cannot_show_the_start_is_refused(controls, says):
    with pytest.raises(ValueError, match=says):
        move(lambda n=1: plt.figure(), alt="nothing", **controls)
