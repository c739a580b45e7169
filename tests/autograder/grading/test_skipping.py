"""What only shows something is not run for a grade, unless it was changed or something that runs builds upon it."""

import nbformat
import pytest

from autograder.grading.lab import Released
from autograder.grading.merging import untouched
from autograder.grading.skipping import only_show


def skipped(*cells, changed=None):
    """Which of the cells, (tag, source), are not run; `changed`: what a student wrote into the cell at a place."""
    made = [nbformat.v4.new_code_cell(source, metadata={"tags": [tag] if tag else []}) for tag, source in cells]
    lab = Released("ch97/lab01", "ch97_x", "lab01_x", nbformat.v4.new_notebook(cells=made), {})
    merged = untouched(lab)
    sources = {cell.source: place for place, cell in enumerate(merged.notebook.cells)}
    for place, source in (changed or {}).items():
        merged.notebook.cells[sources[cells[place][1]]].source = source
    found = only_show(merged, lab)
    return {i for i, (_, source) in enumerate(cells) if sources[source] in found}


@pytest.mark.parametrize("tag", ["look", "milestone"])
def test_a_cell_that_only_shows_is_not_run_unless_it_was_changed(tag):
    cells = (("given", "x = 1"), (tag, "print(x)"))
    assert skipped(*cells) == {1}
    assert skipped(*cells, changed={1: "print(x + 1)"}) == set()


def test_a_milestone_does_not_keep_the_training_before_it():
    cells = (("given", "model = make()"), ("look", "trained = train(model)"), ("milestone", "print(score(trained))"))
    assert skipped(*cells) == {1, 2}
    assert skipped(*cells, changed={2: "print(score(trained), 'mine')"}) == set()


def test_what_a_cell_that_runs_builds_upon_is_run():
    assert skipped(("look", "table = build()"), ("given", "x = table[0]"), ("look", "print(x)")) == {2}
