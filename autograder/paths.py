"""Where things lie in a clone, and where student data goes. It creates nothing."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
INSTRUCTOR = NOTEBOOKS / "instructor"
RELEASE = NOTEBOOKS / "release"
BOOK = ROOT / "book"
CACHE = ROOT / ".cache"


def student_notebooks() -> Path:
    """The launch-ready notebooks: in a clone its own folder, in an installed wheel the packaged copy."""
    packaged = Path(__file__).parent / "_notebooks"
    return packaged if packaged.is_dir() else NOTEBOOKS / "student"


def in_clone() -> bool:
    """Whether this is a clone of the course: an installed wheel has no sources to make anything from."""
    return INSTRUCTOR.is_dir()


def classroom() -> Path:
    """The one folder of student data: hand-ins, grades, feedback, the course secret."""
    home = ROOT if in_clone() else Path.cwd()
    return Path(os.environ.get("COURSE_CLASSROOM", home / "classroom")).absolute()
