"""One lab released into a classroom of its own, for all tests of the benchmark. They run it on two students."""

import pytest

from autograder import registry
from autograder.bench import room as rooms

LAB = "ch01/lab01"
FILE = registry.lab_files()[LAB]
CHAPTER = FILE.parent.name
STEMS = (FILE.stem,)


@pytest.fixture(scope="package")
def released(tmp_path_factory):
    return rooms.fresh(tmp_path_factory.mktemp("bench") / "released", CHAPTER, STEMS)


@pytest.fixture
def room(released, tmp_path):
    """An empty classroom in which one lab is released."""
    return rooms.copied(released, tmp_path / "room")


@pytest.fixture
def at_hand(released, monkeypatch):
    """A benchmark's own release is a copy of the one that is there."""
    monkeypatch.setattr(rooms, "fresh", lambda path, chapter, stems=(): rooms.copied(released, path))
