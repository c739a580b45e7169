"""Fresh classrooms for a benchmark: a chapter released into each, a made-up class handed in. It measures nothing."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat

from autograder import registry
from autograder.bench.classes import Class, synthetic
from autograder.grading import gradebook
from autograder.grading.released import Released, chapter_folder, course_directory, released
from autograder.release.assignment import generate
from autograder.release.solutions import source_file
from autograder.release.sync import as_twin

# The same in every run: what is hidden from students must not differ between what is compared.
SECRET = "the secret of the grading benchmark"


@dataclass(frozen=True)
class Room:
    """A classroom in a folder of its own, with the release inside: the clone's own release stays as it is."""

    path: Path
    chapter: str

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to work in this classroom. How many threads it takes is left to it."""
        told = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        return {**told, "COURSE_CLASSROOM": str(self.path), "COURSE_SECRET": SECRET}

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """This process works in this classroom meanwhile."""
        wanted = {"COURSE_CLASSROOM": str(self.path), "COURSE_SECRET": SECRET}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None) if value is None else os.environ.update({name: value})

    def labs(self) -> list[Released]:
        """The labs as released here."""
        with self.entered():
            return released(self.chapter, course_directory())

    def hand_in(self, students: int, seed: int) -> Class:
        """Have a class hand in; returns what each student wrote."""
        with self.entered():
            return synthetic(self.chapter, students, seed, self.path / "submitted")

    def scores(self) -> dict[tuple[str, str], float]:
        """What nbgrader's gradebook says of each notebook, by student and lab id."""
        with self.entered():
            labs = self.labs()
            by_stem = {lab.stem: lab.id for lab in labs}
            with gradebook.gradebook(course_directory(), self.chapter, labs) as book:
                return {
                    (submission.student_id, by_stem[notebook.name]): round(notebook.score, 2)
                    for submission in book.find_assignment(self.chapter).submissions
                    for notebook in submission.notebooks
                }

    def ledger_bytes(self) -> int:
        """What the ledger takes on the disk, in whole blocks."""
        return sum(file.stat().st_blocks * 512 for file in (self.path / "ledger").glob("*.json"))

    def ledger_times(self) -> list[float]:
        """When each result came, in seconds since the epoch, in order."""
        return sorted(file.stat().st_mtime for file in (self.path / "ledger").glob("*.json"))


def fresh(path: Path, chapter: str, stems: tuple[str, ...] = ()) -> Room:
    """An empty classroom with a chapter released. stems: only labs whose file begins so; () for all."""
    folder = chapter_folder(chapter)
    room = Room(path, folder)
    path.mkdir(parents=True)
    with room.entered():
        for lab, file in registry.lab_files().items():
            if file.parent.name != folder or (stems and not file.stem.startswith(stems)):
                continue
            twin = path / "instructor" / folder / f"{file.stem}.ipynb"
            twin.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(as_twin(jupytext.read(source_file(lab)), source_file(lab)), twin)
        _configure(path)
        generate(folder)
    return room


def copied(room: Room, path: Path) -> Room:
    """Another classroom in the same state."""
    shutil.copytree(room.path, path)
    _configure(path)
    return Room(path, room.chapter)


def _configure(path: Path) -> None:
    (path / "nbgrader_config.py").write_text(
        "c = get_config()\n"
        f"c.CourseDirectory.source_directory = {str(path / 'instructor')!r}\n"
        f"c.CourseDirectory.release_directory = {str(path / 'release')!r}\n"
    )
