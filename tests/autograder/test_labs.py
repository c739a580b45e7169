"""Labs are found in the course's own notebooks, by whatever name a learner gives them."""

import shutil

import pytest

from autograder import labs
from autograder.paths import NOTEBOOKS


@pytest.mark.parametrize(
    "name",
    [
        "ch01/lab01",
        "1.1",
        "ch1/lab1",
        "1/1",
        "ch1lab1",
        "CH01/LAB01",
        "lab01_dot_product_attention",
        "lab01_dot_product_attention.ipynb",
        "./ch01_attention/lab01_dot_product_attention.py",
        "ch01_attention\\lab01_dot_product_attention.ipynb",
        "lab 1.1",
        "chapter 1 lab 1",
        "Dot-Product Attention",
    ],
)
def test_a_lab_is_found_by_any_friendly_name(name):
    assert labs.find(name).id == "ch01/lab01"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("lab01_dot_prodct_attention", "did you mean ch01/lab01"),
        ("dot product atention", "did you mean ch01/lab01"),
        ("1.99", "chapter 1 has: 1.1 Dot-Product Attention"),
        ("ch01", "is a chapter"),
        ("ch01_attention", "is a chapter"),
        ("", "course list"),
        ("xyzzy", "course list"),
    ],
)
def test_a_name_that_no_lab_has_is_answered_with_what_was_meant(name, says):
    with pytest.raises(labs.NoSuchLab, match=says):
        labs.find(name)


@pytest.mark.parametrize("given", [("1.1", "softmax"), ("ch01/lab01/softmax", None), ("1.1", "ch01/lab01/softmax")])
def test_an_exercise_is_named_alone_or_with_its_lab(given):
    lab, exercise = labs.find_with_exercise(*given)
    assert (lab.id, exercise) == ("ch01/lab01", "softmax")


def test_a_misspelt_exercise_is_answered_with_the_right_one():
    with pytest.raises(labs.NoSuchLab, match="did you mean 'softmax'"):
        labs.find_with_exercise("1.1", "sofmax")


@pytest.mark.parametrize("name", ["ch01", "1", "ch1", "chapter 1", "ch01_attention", "attention", "ch01_attention/"])
def test_a_chapter_is_found_by_any_friendly_name(name):
    assert {lab.chapter for lab in labs.find_chapter(name)} == {"ch01_attention"}


def test_a_lab_is_no_chapter_and_a_typo_is_answered():
    with pytest.raises(labs.NoSuchLab, match="is one lab; name its chapter: ch01"):
        labs.find_chapter("1.1")
    with pytest.raises(labs.NoSuchLab, match="did you mean 'ch01_attention'"):
        labs.find_chapter("ch01_atention")


def test_exercises_points_and_names_agree_with_the_checks():
    from autograder import registry

    for lab in labs.labs():
        of_checks = {e.name: e.points for e in registry.exercises(lab.id).values()}
        assert {task.name: task.points for task in lab.tasks} == of_checks
        assert all(f'"{lab.id}/{task.name}"' in task.check for task in lab.tasks)
        assert all("NotImplementedError" in task.skeleton for task in lab.tasks)


def test_an_installed_course_reads_its_packaged_notebooks(tmp_path, monkeypatch):
    shutil.copytree(NOTEBOOKS / "student" / "ch01_attention", tmp_path / "ch01_attention")
    monkeypatch.setattr(labs, "student_notebooks", lambda: tmp_path)
    labs.labs.cache_clear()
    try:
        assert labs.find("1.1").file.is_relative_to(tmp_path)
        (tmp_path / "ch01_attention" / "lab01_dot_product_attention.ipynb").write_text("{")
        labs.labs.cache_clear()
        with pytest.raises(labs.BrokenCourse, match="Install the course again"):
            labs.labs()
        shutil.rmtree(tmp_path / "ch01_attention")
        with pytest.raises(labs.BrokenCourse, match="no lab notebooks"):
            labs.labs()
    finally:
        labs.labs.cache_clear()
