"""Fixtures: one lab released by nbgrader into a temporary folder, and a classroom of its own for each test."""

import shutil
from contextlib import contextmanager

import jupytext
import nbformat
import pytest
from rooms import CHAPTER, LAB, Class, Room, need_isolation

from autograder.release.assignment import generate
from autograder.release.solutions import source_file
from autograder.release.sync import as_twin

SECRET = "a secret for tests"


def release(root, *labs: str):
    """Labs, released by nbgrader itself; the gradebook that it made lies beside."""
    for lab in labs:
        file = source_file(lab)
        twin = root / "instructor" / CHAPTER / f"{file.stem}.ipynb"
        twin.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(as_twin(jupytext.read(file), file), twin)
    (root / "nbgrader_config.py").write_text(
        "c = get_config()\n"
        f"c.CourseDirectory.source_directory = {str(root / 'instructor')!r}\n"
        f"c.CourseDirectory.release_directory = {str(root / 'release')!r}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_CLASSROOM", str(root))
        patch.setenv("COURSE_SECRET", SECRET)
        generate(CHAPTER)
    return root


@pytest.fixture(scope="package")
def release_folder(tmp_path_factory):
    return release(tmp_path_factory.mktemp("released"), LAB)


def room_in(path, release_folder, monkeypatch) -> Room:
    monkeypatch.setenv("COURSE_CLASSROOM", str(path))
    monkeypatch.setenv("COURSE_SECRET", SECRET)
    shutil.copy(release_folder / "gradebook.db", path)
    shutil.copy(release_folder / "nbgrader_config.py", path)
    return Room(path)


@pytest.fixture
def room(release_folder, tmp_path, monkeypatch):
    return room_in(tmp_path, release_folder, monkeypatch)


@pytest.fixture(scope="package")
def new_room(release_folder, tmp_path_factory):
    """Makes classrooms that outlive a test; the environment points to one as long as it is open."""

    @contextmanager
    def opened():
        need_isolation()
        with pytest.MonkeyPatch.context() as patch:
            yield room_in(tmp_path_factory.mktemp("room"), release_folder, patch)

    return opened


@pytest.fixture(scope="package")
def grade_class(new_room):
    """Grades hand-ins as one class, once for all tests that look at it."""

    def graded(hand_ins, **options) -> Class:
        with new_room() as room:
            return Class(room, hand_ins, **options)

    return graded
