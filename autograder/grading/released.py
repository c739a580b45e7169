"""What a chapter released: its labs' notebooks, their check cells, what each hands over. It reads no hand-in."""

import ast
from pathlib import Path

import nbformat
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

from autograder import registry
from autograder.grading.lab import Check, Released
from autograder.paths import INSTRUCTOR
from autograder.release.assignment import nbgrader_config
from autograder.release.solutions import expression_in, grade_id


class NotReleased(LookupError):
    """The chapter does not exist or has not been released; the message says what to do."""


def chapter_folder(wanted: str) -> str:
    """The folder of a chapter: "ch01" or its whole name. Raises NotReleased, naming the chapters there are."""
    folders = sorted(folder.name for folder in INSTRUCTOR.glob("ch*") if folder.is_dir())
    for folder in folders:
        if wanted in (folder, folder.split("_")[0]):
            return folder
    raise NotReleased(f"no chapter {wanted!r}; there are: {', '.join(folders)}")


def course_directory(config: Config | None = None) -> CourseDirectory:
    """nbgrader's folders of this course."""
    return CourseDirectory(config=config or nbgrader_config())


def released(chapter: str, course: CourseDirectory) -> list[Released]:
    """The labs of a chapter as released, in order. Raises NotReleased."""
    folder = Path(course.format_path(course.release_directory, ".", chapter))
    files = sorted(folder.glob("lab*.ipynb"))
    if not files:
        raise NotReleased(f"{chapter} is not released here: run `course release {chapter.split('_')[0]}` first")
    return [_lab(chapter, file) for file in files]


def _lab(chapter: str, file: Path) -> Released:
    lab = registry.lab_id(chapter, file.stem)
    notebook = nbformat.read(file, as_version=4)
    checks = {}
    for cell in notebook.cells:
        if not cell.metadata.get("nbgrader", {}).get("grade") or cell.metadata.nbgrader.get("solution"):
            continue
        name = grade_id(cell)
        points = float(cell.metadata.nbgrader["points"])
        full_id = f"{lab}/{name.removeprefix('check_')}"
        if full_id not in registry.exercises(lab):
            checks[name] = Check(name, full_id, "", points)
            continue
        exercise = registry.exercise(full_id)
        checks[name] = Check(name, full_id, ast.unparse(expression_in(cell.source, full_id)), points)
        if points != exercise.points:
            raise NotReleased(
                f"{full_id} is worth {exercise.points:g} points, its released check cell says {points:g}: "
                f"run `course release {chapter.split('_')[0]}` again"
            )
    return Released(lab, chapter, file.stem, notebook, checks)
