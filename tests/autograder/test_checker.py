"""Whatever a learner's copy does, checking it ends, and says of each exercise what it came to."""

import nbformat
import pytest
from learner import OVERFLOWS, SOFTMAX, cell_of, write_cells

from autograder import work
from autograder.checker import CannotCheck, check, plan
from autograder.labs import find


@pytest.fixture
def copy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return started(tmp_path)


def started(folder):
    made = work.Copy(find("1.1"), folder)
    work.start(made)
    return made


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """One run of a copy in which much is wrong, and its copy."""
    copy = started(tmp_path_factory.mktemp("work"))
    write_cells(
        copy,
        drop=("check_softmax",),
        look=False,
        softmax=OVERFLOWS + "\nprint('here I am')",
        scores="def scores(Q, K):\n    while True:\n        pass",
        check_scores="check('ch01/lab01/scores', lambda Q, K: Q @ K.mT / Q.shape[-1] ** 0.5)",
        entropy="def entropy(weights):\n    return (weights.sum()",
        attention="def attention(Q, K, V, mask=None):\n    import sys\n    sys.exit('enough')",
        attention_test="attention_test = None\nprint(input('a name: '))",
    )
    notebook = nbformat.read(copy.notebook, as_version=4)
    notebook.cells += [
        nbformat.v4.new_code_cell("x = 1\nnot_there"),
        nbformat.v4.new_code_cell("plt.figure(); plt.show()"),
    ]
    nbformat.write(notebook, copy.notebook)
    work.sync(copy)
    return copy, check(copy, limit=6)


def _exercise(result, name):
    return next(e for e in result["exercises"] if e["name"] == name)


def test_partial_points_and_the_verdicts_own_text(spoiled):
    softmax = _exercise(spoiled[1], "softmax")
    assert (softmax["points"], softmax["of"], softmax["passed"]) == (1.5, 2, False)
    assert softmax["stage"] == "NaN or Inf"
    assert softmax["lines"][0] == "3 of 4 cases pass"
    assert softmax["lines"][1] == "NaN or Inf in the case: scores as large as 1000"
    assert any(line.startswith("Your output equals what you get when") for line in softmax["lines"])


def test_a_deleted_check_cell_is_told_and_the_exercise_checked_anyway(spoiled):
    assert "the check cell of softmax is missing; the course's own was run" in spoiled[1]["notes"]
    assert _exercise(spoiled[1], "softmax")["points"] == 1.5


def test_an_edited_check_cell_is_told_and_the_courses_own_counts(spoiled):
    assert "the check cell of scores was edited; the course's own was run" in spoiled[1]["notes"]
    assert _exercise(spoiled[1], "scores")["points"] == 0


def test_an_endless_loop_ends_at_the_limit_and_the_rest_goes_on(spoiled):
    scores = _exercise(spoiled[1], "scores")
    assert scores["stage"] == "out of time"
    assert scores["lines"][0] == "your code did not finish within 6 s; it was at:"
    assert "in scores: " in scores["lines"][1]
    assert spoiled[1]["ended"] == ""


def test_a_syntax_error_is_shown_with_its_line_in_the_plain_half(spoiled):
    copy, result = spoiled
    entropy = _exercise(result, "entropy")
    assert entropy["lines"] == [
        "the cell with your solution fails:",
        "  line 2: return (weights.sum()",
        "  SyntaxError: '(' was never closed",
    ]
    line = copy.py.read_text().splitlines()[entropy["where"]["line"] - 1]
    assert line == "    return (weights.sum()"


def test_leaving_python_is_an_answer_like_any_other(spoiled):
    attention = _exercise(spoiled[1], "attention")
    assert attention["stage"] == "exit"
    assert "your code ended Python" in attention["lines"][0]
    assert "in attention: sys.exit('enough')" in attention["lines"][1]


def test_asking_for_input_fails_instead_of_waiting(spoiled):
    errors = [e for e in spoiled[1]["errors"] if "input" in " ".join(e["lines"])]
    assert errors
    assert "EOFError" in errors[0]["lines"][-1] or "StdinNotImplementedError" in errors[0]["lines"][-1]


def test_errors_in_other_cells_are_told_with_their_place(spoiled):
    copy, result = spoiled
    error = next(e for e in result["errors"] if e["kind"] == "NameError")
    assert error["lines"][-1] == "NameError: name 'not_there' is not defined"
    assert copy.py.read_text().splitlines()[error["where"]["line"] - 1] == "not_there"


def test_what_the_learner_prints_is_passed_on(spoiled):
    assert _exercise(spoiled[1], "softmax")["printed"] == "here I am\n"


def test_points_add_up(spoiled):
    result = spoiled[1]
    assert (result["points"], result["of"], result["passed"]) == (1.5, 13, False)


def test_a_crash_is_told_and_what_was_judged_before_it_stands(copy):
    write_cells(copy, look=False, softmax=SOFTMAX, scores="import os\ndef scores(Q, K):\n    os._exit(3)")
    result = check(copy)
    assert result["ended"] == "Python ended with exit code 3"
    assert _exercise(result, "softmax")["passed"]
    assert _exercise(result, "scores")["lines"] == ["here Python ended with exit code 3"]
    assert _exercise(result, "entropy")["lines"] == ["not reached: Python ended with exit code 3 before"]
    assert result["points"] == 2


def test_a_loop_that_swallows_every_error_is_ended_from_outside(copy, monkeypatch):
    monkeypatch.setattr("autograder.checker.GRACE", 1.0)
    loop = "def softmax(x):\n    while True:\n        try:\n            x + 1\n        except:\n            pass"
    write_cells(copy, look=False, softmax=loop)
    result = check(copy, "softmax", limit=1)
    assert result["ended"] == "it did not stop within 1 s"
    assert _exercise(result, "softmax")["lines"] == ["here it did not stop within 1 s"]


def test_checking_can_be_stopped(copy):
    assert check(copy, stop=lambda: True) is None


def test_a_copy_that_is_no_notebook_cannot_be_checked(copy):
    copy.notebook.write_text("{")
    with pytest.raises(CannotCheck, match="not valid JSON"):
        check(copy)


def test_without_torch_the_command_that_installs_it_is_named(copy, monkeypatch):
    monkeypatch.setattr("autograder.checker.NEEDED", ("torch", "no_such_library"))
    with pytest.raises(CannotCheck, match=r"needs no_such_library: pip install 'transformer-systems\[student\]'"):
        check(copy)


def _cells(lab):
    return nbformat.read(lab.file, as_version=4).cells


def test_as_published_every_code_cell_is_one_step_and_nothing_is_noted():
    lab = find("1.1")
    steps, notes = plan(_cells(lab), lab)
    assert notes == []
    assert len(steps) == sum(c.cell_type == "code" for c in _cells(lab))


def test_for_one_exercise_the_steps_end_with_its_check():
    lab = find("1.1")
    steps, _ = plan(_cells(lab), lab, "scores")
    assert (steps[-1]["kind"], steps[-1]["name"]) == ("check", "scores")


def test_missing_and_doubled_solution_cells_are_noted_and_still_checked():
    lab = find("1.1")
    cells = [
        c for c in _cells(lab) if c.metadata.get("nbgrader", {}).get("grade_id") not in ("softmax", "check_softmax")
    ]
    cells.append(cell_of(nbformat.v4.new_notebook(cells=_cells(lab)), "scores"))
    steps, notes = plan(cells, lab)
    assert any(n.startswith("the solution cell of softmax is missing") for n in notes)
    assert "the solution cell of scores is there 2 times; keep one" in notes
    assert (steps[-1]["kind"], steps[-1]["name"]) == ("check", "softmax")
