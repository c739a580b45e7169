"""Working copies: started once, kept in step, never lost."""

import os

import pytest
from learner import cell_of, raw, write_cells, write_py

from autograder import work
from autograder.labs import find
from autograder.paths import NOTEBOOKS

UNSOLVED = 'raise NotImplementedError("Softmax that does not overflow: write it here")'


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = work.Copy(find("1.1"), tmp_path)
    work.start(made)
    return made


def test_a_start_gives_the_published_notebook_and_its_plain_half(copy):
    assert copy.notebook.read_bytes() == copy.lab.file.read_bytes()
    assert UNSOLVED in copy.py.read_text()
    assert copy.py.parent.name == "ch01_attention"
    assert work.sync(copy) == ""


def test_a_second_start_refuses_and_says_where_the_work_is(copy):
    write_py(copy, UNSOLVED, "return 1")
    with pytest.raises(work.AlreadyStarted, match=r"ch01_attention/lab01.*\n.*--again"):
        work.start(copy)
    assert "return 1" in copy.py.read_text()


def test_starting_again_keeps_the_old_copy_under_a_dated_name(copy):
    write_py(copy, UNSOLVED, "return 1")
    kept = work.start(copy, again=True)
    assert UNSOLVED in copy.py.read_text()
    assert [file.suffix for file in kept] == [".ipynb", ".py"]
    assert "return 1" in kept[1].read_text()
    more = work.start(copy, again=True)
    assert not set(more) & set(kept), "twice in a second"


def test_the_edited_half_wins(copy):
    write_py(copy, UNSOLVED, "return 1")
    assert "lab01_dot_product_attention.ipynb" in work.sync(copy)
    assert "return 1" in copy.notebook.read_text()
    write_cells(copy, scores="def scores(Q, K):\n    return 2")
    assert "lab01_dot_product_attention.py" in work.sync(copy)
    assert "return 2" in copy.py.read_text()
    assert "return 1" in copy.py.read_text()
    assert work.sync(copy) == ""


def test_the_edited_half_wins_even_if_the_other_was_touched_later(copy):
    write_py(copy, UNSOLVED, "return 1")
    later = copy.py.stat().st_mtime + 100
    os.utime(copy.notebook, (later, later))
    work.sync(copy)
    assert "return 1" in copy.notebook.read_text()


def test_running_the_notebook_is_no_edit_and_its_outputs_stay(copy):
    import nbformat

    notebook = nbformat.read(copy.notebook, as_version=4)
    cell_of(notebook, "check_scores").outputs = [nbformat.v4.new_output("stream", text="a verdict")]
    nbformat.write(notebook, copy.notebook)
    assert work.sync(copy) == ""
    write_py(copy, UNSOLVED, "return 1")
    work.sync(copy)
    assert "a verdict" in copy.notebook.read_text()


def test_both_halves_edited_is_refused_naming_both_and_the_cells_that_differ(copy):
    write_py(copy, UNSOLVED, "return 1")
    write_cells(copy, softmax="def softmax(x):\n    return 2")
    before = copy.py.read_bytes(), copy.notebook.read_bytes()
    with pytest.raises(work.OutOfStep) as refused:
        work.sync(copy)
    said = str(refused.value)
    for part in (".ipynb", ".py", "edited 20", "differ in: softmax\n", "--take notebook", "--take py", "backup"):
        assert part in said
    assert before == (copy.py.read_bytes(), copy.notebook.read_bytes())


@pytest.mark.parametrize(
    ("take", "stays", "goes"), [("notebook", "return 2", "return 1"), ("py", "return 1", "return 2")]
)
def test_taking_one_half_keeps_the_other_as_a_backup(copy, take, stays, goes):
    write_py(copy, UNSOLVED, "return 1")
    write_cells(copy, softmax="def softmax(x):\n    return 2")
    said = work.sync(copy, take)
    assert ".course/backup" in said
    assert all(stays in half.read_text() for half in (copy.notebook, copy.py))
    kept = list((copy.root / ".course" / "backup").iterdir())
    assert len(kept) == 1
    assert goes in kept[0].read_text()
    assert work.sync(copy) == ""


def test_the_same_edit_in_both_halves_is_no_conflict(copy):
    write_py(copy, UNSOLVED, "return 1")
    skeleton = copy.lab.task("softmax").skeleton
    write_cells(copy, softmax=skeleton.replace(UNSOLVED, "return 1"))
    assert work.sync(copy) == ""


def test_a_missing_half_is_made_from_the_other(copy):
    write_py(copy, UNSOLVED, "return 1")
    work.sync(copy)
    copy.notebook.unlink()
    work.sync(copy)
    assert cell_of(work_notebook(copy), "check_softmax").metadata.nbgrader.points == 2
    assert raw(copy.notebook)["metadata"]["course"]["id"] == "ch01/lab01"
    copy.py.unlink()
    work.sync(copy)
    assert "return 1" in copy.py.read_text()


def work_notebook(copy):
    from autograder.halves import read_notebook

    return read_notebook(copy.notebook)


def test_a_copy_that_was_downloaded_by_hand_is_taken_up(tmp_path, monkeypatch):
    copy = work.Copy(find("1.1"), tmp_path)
    copy.notebook.parent.mkdir()
    copy.notebook.write_bytes(copy.lab.file.read_bytes())
    monkeypatch.chdir(copy.notebook.parent)
    assert work.root() == tmp_path
    work.sync(copy)
    assert copy.py.exists()


def test_without_a_memory_the_half_that_is_as_published_gives_way(copy):
    write_py(copy, UNSOLVED, "return 1")
    copy.memory.unlink()
    work.sync(copy)
    assert "return 1" in copy.notebook.read_text()
    copy.memory.unlink()
    assert work.sync(copy) == "", "both are the same"
    copy.memory.unlink()
    write_py(copy, "return 1", "return 3")
    with pytest.raises(work.OutOfStep):
        work.sync(copy)


def test_a_damaged_notebook_is_refused_and_can_be_made_again_from_the_plain_half(copy):
    write_py(copy, UNSOLVED, "return 1")
    work.sync(copy)
    copy.notebook.write_text(copy.notebook.read_text()[:5000])
    with pytest.raises(work.OutOfStep, match=r"not valid JSON[\s\S]*--take py"):
        work.sync(copy)
    work.sync(copy, "py")
    assert "return 1" in copy.notebook.read_text()
    assert len(list((copy.root / ".course" / "backup").iterdir())) == 1


def test_an_emptied_plain_half_does_not_empty_the_notebook(copy):
    copy.py.write_text("")
    with pytest.raises(work.OutOfStep, match=r"is empty[\s\S]*--take notebook"):
        work.sync(copy)
    work.sync(copy, "notebook")
    assert UNSOLVED in copy.py.read_text()


def test_both_halves_damaged_offers_a_fresh_start(copy):
    copy.py.write_text("")
    copy.notebook.write_text("{")
    with pytest.raises(work.OutOfStep, match="--again"):
        work.sync(copy)


def test_graded_cells_lost_from_the_plain_half_leave_a_backup_of_the_notebook(copy):
    text = copy.py.read_text()
    start = text.index('# %% nbgrader={"grade_id": "scores"')
    copy.py.write_text(text[:start])
    assert "kept: .course/backup" in work.sync(copy)


def test_what_is_not_started_says_how_to_start(tmp_path):
    with pytest.raises(work.NotStarted, match=r"course start 1\.1"):
        work.sync(work.Copy(find("1.1"), tmp_path))


def test_the_root_is_the_nearest_folder_with_a_memory(copy, monkeypatch):
    deep = copy.root / "ch01_attention" / "notes"
    deep.mkdir()
    monkeypatch.chdir(deep)
    assert work.root() == copy.root


@pytest.mark.parametrize("folder", ["student", "student/ch01_attention", "instructor"])
def test_nobody_works_in_the_courses_own_folders(folder):
    with pytest.raises(work.CourseFolder, match="one of yours"):
        work.root(NOTEBOOKS / folder)
