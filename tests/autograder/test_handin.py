"""An archive holds exactly the notebooks, the same bytes every time; each usual mistake is found before."""

import io
import json
import zipfile

import nbformat
import pytest
from learner import cell_of, raw, write_cells, write_py

from autograder import handin, work
from autograder.labs import find, find_chapter


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = work.Copy(find("1.1"), tmp_path)
    work.start(made)
    return made


def found(copy, **options):
    return [(f.weight, f.says) for f in handin.look_over([copy], **options).findings]


def expect(copy, weight, says, **options):
    matching = [w for w, s in found(copy, **options) if says in s]
    assert matching == [weight], found(copy, **options)


def edit(copy, change):
    notebook = nbformat.read(copy.notebook, as_version=4)
    change(notebook)
    nbformat.write(notebook, copy.notebook)


def test_a_fresh_copy_can_be_handed_in_with_warnings_only(copy):
    assert found(copy) == [("warning", f"{t.name}: not solved yet ({t.points:g} points)") for t in copy.lab.tasks]


def test_the_archive_reads_back_and_is_the_same_twice(copy):
    write_py(copy, "import math", "import math  # mine")
    hand_in = handin.look_over([copy])
    data = handin.packed(hand_in.files)
    assert data == handin.packed(handin.look_over([copy]).files)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.namelist() == ["lab01_dot_product_attention.ipynb"]
        assert archive.read(archive.namelist()[0]) == copy.notebook.read_bytes()
    assert "import math  # mine" in hand_in.files["lab01_dot_product_attention.ipynb"].decode()


def test_a_chapter_without_any_started_lab_is_an_error(tmp_path):
    copies = [work.Copy(lab, tmp_path) for lab in find_chapter("ch01")]
    findings = handin.look_over(copies).findings
    assert [f.weight for f in findings] == ["error"]
    assert "course start 1.1" in findings[0].remedy


def test_a_lab_that_is_not_started_blocks(copy, tmp_path):
    other = work.Copy(copy.lab, tmp_path / "elsewhere")
    assert ("blocking", "not started: it would earn no points") in [
        (f.weight, f.says) for f in handin.look_over([copy, other]).findings
    ]


def test_halves_out_of_step_are_an_error(copy):
    write_py(copy, "import math", "import math  # 1")
    write_cells(copy, softmax="x = 2")
    expect(copy, "error", "both halves of lab 1.1 were edited")


def test_a_notebook_that_is_not_json_is_an_error(copy):
    copy.notebook.write_text("{" + copy.notebook.read_text())
    expect(copy, "error", "not valid JSON")


def test_a_notebook_that_is_not_nbformat_is_an_error(copy):
    tree = raw(copy.notebook)
    tree["cells"][0]["cell_type"] = "poem"
    copy.notebook.write_text(json.dumps(tree))
    expect(copy, "error", "not a valid notebook")


def test_a_deleted_check_cell_is_a_warning(copy):
    write_cells(copy, drop=("check_softmax",))
    expect(copy, "warning", "softmax: its check cell is missing")


def test_an_edited_check_cell_is_a_warning(copy):
    write_cells(copy, check_softmax="check('ch01/lab01/softmax', torch.softmax)")
    expect(copy, "warning", "softmax: its check cell was edited")


def test_a_deleted_solution_cell_blocks(copy):
    write_cells(copy, drop=("softmax",))
    expect(copy, "blocking", "softmax: its solution cell is missing")


def test_a_doubled_solution_cell_is_an_error(copy):
    def double(notebook):
        cell = nbformat.from_dict(json.loads(json.dumps(cell_of(notebook, "softmax"))))
        cell.id = "another"
        notebook.cells.append(cell)

    edit(copy, double)
    expect(copy, "error", "softmax: its solution cell is there 2 times")


def test_another_labs_notebook_under_this_name_is_an_error(copy):
    edit(copy, lambda nb: nb.metadata.course.update(id="ch01/lab03"))
    expect(copy, "error", "holds lab ch01/lab03, not ch01/lab01")


def test_a_foreign_notebook_under_this_name_is_an_error(copy):
    def foreign(notebook):
        notebook.metadata.pop("course")
        for cell in notebook.cells:
            if cell.metadata.get("nbgrader"):
                cell.metadata.nbgrader.grade_id += "_of_another"

    edit(copy, foreign)
    expect(copy, "error", "holds another lab's exercises")


def test_a_notebook_that_lost_its_metadata_is_an_error(copy):
    edit(copy, lambda nb: [c.metadata.clear() for c in nb.cells])
    expect(copy, "error", "lost their nbgrader metadata")


def test_a_large_file_blocks_and_stripping_helps_without_touching_the_copy(copy):
    big = nbformat.v4.new_output("stream", text="x" * (handin.LARGEST + 1))
    edit(copy, lambda nb: cell_of(nb, "softmax").outputs.append(big))
    before = copy.notebook.read_bytes()
    expect(copy, "blocking", "10.0 MB, more than 10")
    hand_in = handin.look_over([copy], strip=True)
    assert not hand_in.of("blocking")
    assert len(hand_in.files[copy.notebook.name]) < 1_000_000
    assert copy.notebook.read_bytes() == before


@pytest.mark.parametrize("name", ["ada", "ada.lovelace-1_2@school.org", " ada "])
def test_a_student_id_may_be(name):
    assert handin.student_id(name) == name.strip()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        ("ada lovelace", "a space"),
        ("../ada", "'/'"),
        ("zoë", "'ë'"),
        ("-ada", "begins with '-'"),
        ("..", "begins with '.'"),
        ("a" * 101, "101 characters"),
    ],
)
def test_a_student_id_may_not_be(name, says):
    with pytest.raises(handin.BadStudentId, match=says):
        handin.student_id(name)


def test_an_earlier_archive_that_differs_is_kept(tmp_path):
    target = tmp_path / "out" / "ch01_attention_ada.zip"
    for data in (b"one", b"two", b"two"):
        handin.write_archive(target, data, tmp_path)
    assert target.read_bytes() == b"two"
    assert [f.read_bytes() for f in (tmp_path / ".course" / "backup").iterdir()] == [b"one"]
