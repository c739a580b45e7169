"""Fixtures: one lab released by nbgrader into a temporary folder, and a classroom of its own for each test."""

import shutil

import jupytext
import nbformat
import pytest
from rooms import CHAPTER, LAB, Room

from autograder.release.assignment import generate
from autograder.release.solutions import source_file
from autograder.release.sync import as_twin


@pytest.fixture(scope="package")
def release_folder(tmp_path_factory):
    """One lab, released by nbgrader itself; the gradebook that it made lies beside."""
    root = tmp_path_factory.mktemp("released")
    file = source_file(LAB)
    twin = root / "instructor" / CHAPTER / f"{file.stem}.ipynb"
    twin.parent.mkdir(parents=True)
    nbformat.write(as_twin(jupytext.read(file), file), twin)
    (root / "nbgrader_config.py").write_text(
        "c = get_config()\n"
        f"c.CourseDirectory.source_directory = {str(root / 'instructor')!r}\n"
        f"c.CourseDirectory.release_directory = {str(root / 'release')!r}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CLASSROOM", str(root))
        patch.setenv("COURSE_SECRET", "a secret for tests")
        generate(CHAPTER)
    return root


@pytest.fixture
def room(release_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CLASSROOM", str(tmp_path))
    monkeypatch.setenv("COURSE_SECRET", "a secret for tests")
    shutil.copy(release_folder / "gradebook.db", tmp_path)
    shutil.copy(release_folder / "nbgrader_config.py", tmp_path)
    return Room(tmp_path)
