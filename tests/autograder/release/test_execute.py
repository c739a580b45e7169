"""Instructors' notebooks are executed once for each content, by one process, and a failing cell is named."""

import threading

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from autograder.facts import chapters
from autograder.paths import ROOT
from autograder.release import execute
from autograder.release.reach import data_files, reached

LAB = next(lab.id for chapter in chapters() for lab in chapter.labs)


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """Counts executions, which take a moment and run nothing; the cache is an empty one."""
    counted = []

    def run(nb, name):
        counted.append(name)
        threading.Event().wait(0.3)
        return nb

    monkeypatch.setattr(execute, "EXECUTED", tmp_path / "executed")
    monkeypatch.setattr(execute, "execute", run)
    return counted


def names(files) -> set[str]:
    return {file.relative_to(ROOT).as_posix() for file in files}


def test_a_lab_is_executed_once_while_nothing_changes(runs):
    first = execute.executed(LAB)
    assert [c.source for c in execute.executed(LAB).cells] == [c.source for c in first.cells]
    assert len(runs) == 1


def test_two_that_need_the_same_lab_at_once_execute_it_once(runs):
    threads = [threading.Thread(target=execute.executed, args=(LAB,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 1
    assert [f.suffix for f in execute.EXECUTED.iterdir()] == [".ipynb"]


def test_a_change_in_reached_source_executes_again(runs, monkeypatch):
    execute.executed(LAB)
    before = execute.digest
    monkeypatch.setattr(execute, "digest", lambda f: "changed" if f.name == "plots.py" else before(f))
    execute.executed(LAB)
    assert len(runs) == 2


def test_a_change_in_the_labs_checks_executes_again(runs, monkeypatch):
    execute.executed(LAB)
    before = execute.digest
    monkeypatch.setattr(execute, "digest", lambda f: "changed" if "checks" in f.parts else before(f))
    execute.executed(LAB)
    assert len(runs) == 2


def test_progress_names_each_lab_that_is_executed_and_none_that_is_cached(runs):
    labs, said = [lab for chapter in chapters() for lab in chapter.labs][:1], []
    execute.execute_all(said.append, labs)
    assert labs[0].title in said[0]
    said.clear()
    assert list(execute.execute_all(said.append, labs)) == [labs[0].id]
    assert said == []


def test_imports_are_followed_and_what_is_not_imported_is_not_reached():
    found = names(reached(["from source.plots import heatmap"]))
    assert found == {"source/__init__.py", "source/plots.py"}


def test_a_submodule_that_is_imported_by_name_is_reached():
    assert "source/plots.py" in names(reached(["from source import (\n    plots,\n)"]))


def test_a_module_that_is_started_by_its_name_is_reached():
    assert "source/text.py" in names(reached(['subprocess.run([sys.executable, "-m", "source.text"])']))


def test_a_check_reaches_what_judges_it():
    found = names(reached(["from autograder import check"]))
    assert {"autograder/checking.py", "autograder/judging.py", "autograder/verdict.py"} <= found


def test_only_the_data_folders_that_are_mentioned_count():
    folders = [f for f in (ROOT / "data").glob("*") if f.is_dir() and any(f.rglob("*"))]
    assert data_files(["no folder of that name"]) == []
    for folder in folders:
        assert data_files([f'data_path("{folder.name}/x")'])


def test_a_cell_that_raises_names_notebook_cell_and_traceback():
    nb = new_notebook(cells=[new_code_cell("x = 1"), new_code_cell("x / 0", id="the-bad-one")])
    with pytest.raises(execute.LabFailed) as failed:
        execute.execute(nb, "notebooks/instructor/ch99/lab99.py")
    for part in ("notebooks/instructor/ch99/lab99.py", "cell 2", "the-bad-one", "ZeroDivisionError", "x / 0"):
        assert part in str(failed.value)


def test_the_same_plot_gives_the_same_picture():
    def picture():
        nb = new_notebook(cells=[new_code_cell("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")])
        return execute.execute(nb, "plot").cells[0].outputs[-1].data["image/png"]

    assert picture() == picture()
