"""A notebook survives its way through the plain half: nothing of nbgrader's is lost, nothing of the learner's."""

import nbformat
import pytest

from autograder.halves import Damaged, as_notebook, as_py, lines_of_cells, read_notebook
from autograder.labs import find, labs


@pytest.mark.parametrize("lab", [lab.id for lab in labs()])
def test_every_lab_comes_back_from_its_plain_half_unchanged(lab):
    lab = find(lab)
    notebook = read_notebook(lab.file)
    for i, cell in enumerate(c for c in notebook.cells if c.cell_type == "code"):
        cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", text=f"{i}\n")], i + 1
    text = as_py(notebook)
    assert as_notebook(text, notebook, lab) == notebook
    assert as_py(as_notebook(text, notebook, lab)) == text
    assert len(lines_of_cells(text, len(notebook.cells))) == len(notebook.cells)


@pytest.fixture
def lab():
    return find("1.1")


@pytest.fixture
def notebook(lab):
    return read_notebook(lab.file)


def _named(nb, name):
    return next(c for c in nb.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def test_the_plain_half_names_graded_cells_shortly_and_holds_no_other_metadata(notebook):
    text = as_py(notebook)
    assert '# %% nbgrader={"grade_id": "softmax", "solution": true}' in text
    assert '# %% nbgrader={"grade_id": "check_softmax", "grade": true}' in text
    assert "checksum" not in text
    assert "deletable" not in text


def test_an_edited_cell_keeps_its_metadata_and_drops_its_outdated_output(lab, notebook):
    for name in ("softmax", "check_softmax"):
        _named(notebook, name).outputs = [nbformat.v4.new_output("stream", text="old\n")]
    text = as_py(notebook).replace('raise NotImplementedError("Softmax', 'return x  # ("Softmax')
    back = as_notebook(text, notebook, lab)
    assert "return x" in _named(back, "softmax").source
    assert _named(back, "softmax").metadata == _named(notebook, "softmax").metadata
    assert _named(back, "softmax").id == "softmax"
    assert _named(back, "softmax").outputs == []
    assert _named(back, "check_softmax").outputs == _named(notebook, "check_softmax").outputs


def test_cells_that_were_added_moved_or_removed_leave_the_others_as_they_were(lab, notebook):
    text = as_py(notebook)
    added = text.replace("# %% nbgrader", "# %%\nmine = 1\n\n# %% nbgrader", 1)
    assert _named(as_notebook(added, notebook, lab), "scores") == _named(notebook, "scores")
    assert len(as_notebook(added, notebook, lab).cells) == len(notebook.cells) + 1
    reordered = notebook.copy()
    reordered.cells = notebook.cells[::-1]
    back = as_notebook(as_py(reordered), notebook, lab)
    assert _named(back, "scores").metadata == _named(notebook, "scores").metadata
    ids = [c.id for c in back.cells]
    assert len(set(ids)) == len(ids)


def test_a_solution_whose_marker_was_cut_off_is_recognised_by_what_it_defines(lab, notebook):
    text = as_py(notebook).replace('# %% nbgrader={"grade_id": "softmax", "solution": true}', "# %%")
    assert _named(as_notebook(text, notebook, lab), "softmax").metadata == _named(notebook, "softmax").metadata


def test_shell_commands_and_magics_survive(lab, notebook):
    notebook.cells.append(nbformat.v4.new_code_cell("%time x = 1\n!ls"))
    back = as_notebook(as_py(notebook), notebook, lab)
    assert back.cells[-1].source == "%time x = 1\n!ls"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"cells": [', "not valid JSON: .*line 1"),
        ("<<<<<<< HEAD\n", "not valid JSON"),
        ("[]", "not a notebook"),
        (
            '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
            "not a valid notebook",
        ),
    ],
)
def test_a_damaged_notebook_is_said_to_be_damaged_and_where(tmp_path, text, says):
    file = tmp_path / "lab.ipynb"
    file.write_text(text)
    with pytest.raises(Damaged, match=says):
        read_notebook(file)
