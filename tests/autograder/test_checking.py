"""`check` as a student meets it: in a notebook, without any answer at hand, and as nbgrader's grading cell."""

import subprocess
import sys

import pytest
import torch

from autograder import check, checking, earlier, registry
from autograder.verdict import Points

FIRST = "ch01/lab01/softmax"


def good(x):
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)


def bad(x):
    return torch.exp(x) / torch.exp(x).sum(-1, keepdim=True)


def test_a_right_answer_earns_its_points_and_says_so(capsys):
    points = check(FIRST, good)
    assert points == 2
    assert "✓ Softmax that does not overflow: 2 of 2 points" in capsys.readouterr().out


def test_a_wrong_answer_is_told_what_it_amounts_to_and_keeps_partial_credit(capsys):
    points = check(FIRST, bad)
    said = capsys.readouterr().out
    assert points == 1.5
    assert "3 of 4 cases pass" in said
    assert "Your output equals what you get when the row's maximum is not subtracted" in said
    assert "Read hint 1 of 3" in said


def test_the_number_that_nbgrader_reads_is_a_plain_number():
    assert repr(Points(1.5)) == "1.5"
    assert repr(Points(2.0)) == "2"
    assert float(repr(Points(1 / 3))) == pytest.approx(1 / 3, abs=1e-5)


def test_the_page_shows_the_verdict_as_text_safely():
    check(FIRST, lambda x: (_ for _ in ()).throw(ValueError("<script>alert(1)</script>")))
    page = checking.last[FIRST]._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("name", ["softmax", "ch01/lab01/sofmax", "ch01/lab99/softmax", "1.1"])
def test_an_unknown_exercise_is_told_with_what_there_is(name):
    with pytest.raises(registry.Unknown) as error:
        check(name, good)
    assert "ch01/lab01" in str(error.value)


def test_what_a_later_exercise_builds_on_is_yours_once_it_passes(capsys):
    check(FIRST, bad)
    assert earlier(FIRST, bad, good) is good
    assert "using the course's own" in capsys.readouterr().out
    check(FIRST, good)
    assert earlier(FIRST, good, bad) is good


def test_hidden_cases_run_when_nbgrader_grades_and_are_told_by_kind_only(monkeypatch, capsys):
    def only_visible(x):
        return good(x).float()  # wrong for float64 and bfloat16, which no visible case tries

    assert check(FIRST, only_visible) == 2
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    capsys.readouterr()
    assert 0 < check(FIRST, only_visible) < 2
    said = capsys.readouterr().out
    assert "in a hidden case: float64" in said
    assert "yours" not in said
    assert "expected" not in said


def test_check_needs_neither_answers_nor_grading_nor_the_command_line():
    # What a notebook imports, in a fresh process where everything else refuses to load.
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("autograder.answers", "autograder.grading", "autograder.release", "autograder.cli",
                            "nbgrader", "jupytext", "click", "rich", "yaml", "nbformat")):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
import torch
from autograder import check, earlier, setup
setup()
e = lambda x: torch.exp(x - x.amax(-1, keepdim=True))
assert check("ch01/lab01/softmax", lambda x: e(x) / e(x).sum(-1, keepdim=True)) == 2
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "course 0." in done.stdout
