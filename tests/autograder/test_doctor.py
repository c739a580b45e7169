"""The doctor names what is missing and the command that mends it."""

import importlib.metadata

import pytest

from autograder import doctor


def by_name(findings):
    return {f.name: f for f in findings}


def test_a_complete_machine_lacks_nothing_that_a_student_needs():
    findings = by_name(doctor.examine())
    assert not any(f.bad for f in findings.values())
    assert {"Python", "torch", "numpy", "matplotlib", "ipywidgets", "device", "free disk"} <= findings.keys()
    assert {"bubblewrap", "confinement", "chromium", "extra 'instructor'"} <= findings.keys()
    assert {"lab notebooks", "expected outputs"} <= findings.keys()


@pytest.mark.parametrize(("version", "state"), [(None, "missing"), ("1.0", "old"), ("99.0+cpu", "ok")])
def test_a_library_is_missing_too_old_or_fine(monkeypatch, version, state):
    real = importlib.metadata.version

    def told(name):
        if name != "matplotlib":
            return real(name)
        if version is None:
            raise importlib.metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(importlib.metadata, "version", told)
    found = by_name(doctor.examine())["matplotlib"]
    assert found.state == state
    assert found.bad == (state != "ok")
    assert ("-m pip install 'matplotlib>=" in found.mend) == (state != "ok")


def test_an_extra_that_is_not_installed_is_told_but_stops_no_student(monkeypatch):
    real = importlib.metadata.version

    def told(name):
        if name == "nbgrader":
            raise importlib.metadata.PackageNotFoundError
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", told)
    found = by_name(doctor.examine())["extra 'instructor'"]
    assert (found.state, found.bad) == ("absent", False)
    assert "nbgrader" in found.says
    assert "-m pip install" in found.mend
    assert "[instructor]'" in found.mend


def test_a_course_without_notebooks_is_told(monkeypatch, tmp_path):
    from autograder import labs

    monkeypatch.setattr(labs, "student_notebooks", lambda: tmp_path)
    labs.labs.cache_clear()
    try:
        assert by_name(doctor.examine())["lab notebooks"].bad
    finally:
        labs.labs.cache_clear()


def test_a_machine_that_cannot_confine_hand_ins_is_told_and_how_to_mend_it(monkeypatch):
    from autograder.grading import isolation

    def refuses():
        raise isolation.NotIsolated("bubblewrap is not installed: sudo apt-get install bubblewrap, or give --unsafe")

    monkeypatch.setattr(isolation, "probe", refuses)
    found = by_name(doctor.examine())["confinement"]
    assert (found.state, found.bad) == ("absent", False)
    assert "bubblewrap is not installed" in found.says
    assert "apt-get install bubblewrap" in found.mend
