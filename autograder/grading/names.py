"""Whose file is it? Reads the names that learning platforms give to hand-ins. It opens no file."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Owner:
    """A student, and what is left of the path once the platform's part is taken off."""

    student: str
    rest: PurePosixPath
    name: str = ""  # as the platform writes it, where it does


# Moodle's "Download all submissions": Jane Doe_123456_assignsubmission_file_/file, or ..._file_file without folders.
_MOODLE = re.compile(r"(?P<name>[^/]+?)_(?P<student>\d+)_assignsubmission_file_?/?(?P<rest>.+)")
# Canvas's "Download Submissions": doejane_LATE_1234_567890_file; 1234 is the student's Canvas ID.
_CANVAS = re.compile(r"(?P<name>[^/_]+)_(?:LATE_)?(?P<student>\d+)_\d+_(?P<rest>[^/]+)")
# A browser or a platform that met the name before: "x (1).zip", "x-1.zip".
_AGAIN = re.compile(r"( ?\(\d+\)|-\d+)$")


def owner(path: PurePosixPath, chapter: str) -> Owner | None:
    """Whose file a path in a download is, or None where it does not say.

    What the platform says counts before what the student named a file. Without a platform it is the name of an
    archive as `course submit` makes it (ch01_attention_jane.zip), else that of the outermost folder or the zip.
    """
    text = str(path)
    for pattern in (_MOODLE, _CANVAS):
        if match := pattern.fullmatch(text):
            return _owner(match["student"], PurePosixPath(match["rest"]), match["name"])
    if len(path.parts) == 1:
        return _owner(_of_archive(path, chapter), PurePosixPath(path.name)) if path.suffix == ".zip" else None
    return _owner(_of_archive(PurePosixPath(path.parts[0]), chapter), PurePosixPath(*path.parts[1:]))


def notebook_name(name: str, stems: list[str]) -> str:
    """A handed-in notebook's name without what a platform added to tell copies apart."""
    stem = name.removesuffix(".ipynb")
    plain = _AGAIN.sub("", stem)
    return f"{plain if plain in stems else stem}.ipynb"


def _of_archive(path: PurePosixPath, chapter: str) -> str:
    stem = path.name.removesuffix(".zip")
    own = stem.removeprefix(f"{chapter}_")
    return _AGAIN.sub("", own) if path.suffix == ".zip" else own


def _owner(student: str, rest: PurePosixPath, name: str = "") -> Owner | None:
    student = student.strip()
    # An id becomes a folder's name, and nbgrader takes that for a pattern.
    if not student or student.startswith(".") or set("/*?[") & set(student) or len(student) > 100:
        return None
    if not student.isprintable():
        return None
    return Owner(student, rest, name)
