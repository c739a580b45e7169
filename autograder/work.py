"""Working copies: where a student's labs lie, how one is started, how its two halves are kept in step.

A lab is worked on as notebook and as plain .py. What is remembered lies in `.course/` beside the chapters' folders.
Nothing is ever lost: a half that is not taken, or a copy that is started again, is kept under a dated name.
"""

import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.labs import Lab
from autograder.paths import NOTEBOOKS

REMEMBERED = ".course"


class NotStarted(LookupError):
    """There is no working copy; the message says how to start one."""


class AlreadyStarted(FileExistsError):
    """There is a working copy already; the message says where, and how to start afresh."""


class OutOfStep(RuntimeError):
    """The halves cannot be brought into step without a choice; the message says how to choose."""


class CourseFolder(ValueError):
    """This folder belongs to the course itself; the message says where to work instead."""


@dataclass(frozen=True)
class Copy:
    """One lab's working copy under a root folder. It may not exist yet."""

    lab: Lab
    root: Path

    @property
    def notebook(self) -> Path:
        return self.root / self.lab.chapter / f"{self.lab.stem}.ipynb"

    @property
    def py(self) -> Path:
        return self.notebook.with_suffix(".py")

    @property
    def started(self) -> bool:
        return self.notebook.exists() or self.py.exists()

    @property
    def memory(self) -> Path:
        """What the halves were when they were last in step."""
        return self.root / REMEMBERED / "sync" / f"{self.lab.id.replace('/', '_')}.json"


def root(here: Path | None = None) -> Path:
    """The folder that holds the chapters' folders: the nearest one upward with a `.course`, else this one.

    Raises CourseFolder where that would be one of the course's own folders.
    """
    here = (here or Path.cwd()).absolute()
    found = next((folder for folder in (here, *here.parents) if (folder / REMEMBERED).is_dir()), None)
    if found is None:
        # Inside a chapter's folder whose notebooks were downloaded by hand.
        inside = re.fullmatch(r"ch\d\d_\w+", here.name) and any(here.glob("lab*.*"))
        found = here.parent if inside else here
    return own(found)


def own(folder: Path) -> Path:
    """The folder, made absolute. Raises CourseFolder for one of the course's own."""
    folder = folder.absolute()
    if NOTEBOOKS.is_dir() and (folder == NOTEBOOKS or NOTEBOOKS in folder.parents):
        raise CourseFolder(
            f"{folder} holds the course's own notebooks. Work in one of yours: cd ~/course, for instance."
        )
    return folder


def start(copy: Copy, again: bool = False) -> list[Path]:
    """Make a working copy; returns what an earlier one was renamed to. Raises AlreadyStarted unless `again`."""
    there = [file for file in (copy.notebook, copy.py) if file.exists()]
    if there and not again:
        raise AlreadyStarted(
            f"lab {copy.lab.number} is started already: {shown(there[0])}\n"
            f"Go on there. To start afresh: course start {copy.lab.number} --again (what you have is kept, renamed)"
        )
    from autograder.halves import as_py, read_notebook

    kept = [_renamed(file, file.parent) for file in there]
    copy.notebook.parent.mkdir(parents=True, exist_ok=True)
    write(copy.notebook, copy.lab.file.read_text(encoding="utf-8"))
    write(copy.py, as_py(read_notebook(copy.notebook)))
    _remember(copy)
    return kept


def sync(copy: Copy, take: str | None = None) -> str:
    """Bring the halves into step; the one that was edited wins. Returns what was written, "" if nothing.

    take: "notebook" or "py" decides where both were edited; the other is kept in `.course/backup/`.
    Raises NotStarted, or OutOfStep where there is a choice to make.
    """
    if not copy.started:
        raise NotStarted(
            f"lab {copy.lab.number} is not started in {copy.root}. Start it: course start {copy.lab.number}\n"
            "(or change to the folder where you started it)"
        )
    if take is None:
        if not copy.py.exists():
            return _write_py(copy)
        if not copy.notebook.exists():
            return _write_notebook(copy)
    before = remembered(copy)
    if take is None and before:
        # The common cases need no notebook library.
        now = versions(copy)
        if now == before:
            return ""
        if None not in now.values() and now["py"] == before["py"]:
            return _write_py(copy)
        if None not in now.values() and now["ipynb"] == before["ipynb"]:
            return _write_notebook(copy)
    return _choose(copy, take)


def _choose(copy: Copy, take: str | None) -> str:
    from autograder.halves import Damaged, as_notebook, differing, read_notebook, read_text, same

    notebook = from_py = None
    damage = []
    if copy.notebook.exists():
        try:
            notebook = read_notebook(copy.notebook)
        except Damaged as error:
            damage.append(str(error))
    if copy.py.exists():
        try:
            text = read_text(copy.py)
            from_py = as_notebook(text, notebook or read_notebook(copy.lab.file), copy.lab)
            if not text.strip():
                raise Damaged(f"{copy.py.name} is empty")
        except Damaged as error:
            from_py = None
            damage.append(str(error))
    choices = {"notebook": notebook, "py": from_py}
    if take:
        if choices[take] is None:
            raise OutOfStep(f"{damage[0] if damage else f'there is no {take} half'}: it cannot be taken.")
        if take == "py":
            kept = keep(copy.notebook) if notebook is None or not same(notebook, from_py) else None
            return _write_notebook(copy) + _told_kept(kept)
        kept = keep(copy.py) if from_py is None or not same(notebook, from_py) else None
        return _write_py(copy) + _told_kept(kept)
    if damage:
        good = next((name for name, half in choices.items() if half is not None), None)
        told = f"Restore it, or make it again from the other half: course check {copy.lab.number} --take {good}"
        afresh = f"Restore one from a copy of yours, or start afresh: course start {copy.lab.number} --again"
        kept = "The damaged file is then kept in .course/backup." if good else ""
        raise OutOfStep("\n".join(filter(None, [*damage, told if good else afresh, kept])))
    if same(notebook, from_py):
        _remember(copy)
        return ""
    if remembered(copy) is None:
        # Nothing is remembered: a half that is as published was not edited.
        published = read_notebook(copy.lab.file)
        if same(from_py, published):
            return _write_py(copy)
        if same(notebook, published):
            return _write_notebook(copy)
    raise OutOfStep(
        f"both halves of lab {copy.lab.number} were edited since they were last in step:\n"
        + "".join(f"  {shown(file)}  edited {edited(file)}\n" for file in (copy.notebook, copy.py))
        + f"They differ in: {', '.join(differing(notebook, from_py))}\n"
        + f"Choose one:  course check {copy.lab.number} --take notebook\n"
        + f"        or:  course check {copy.lab.number} --take py\n"
        + "The other is kept in .course/backup."
    )


def versions(copy: Copy) -> dict[str, str | None]:
    """A fingerprint of each half, of what a person edits in it: running a notebook does not change it.

    None for a half that is missing or damaged.
    """
    return {"ipynb": _notebook_version(copy.notebook), "py": _py_version(copy.py)}


def _notebook_version(file: Path) -> str | None:
    try:
        cells = json.loads(file.read_text(encoding="utf-8-sig"))["cells"]
        told = [[c["cell_type"], "".join(c["source"]), c["metadata"].get("nbgrader")] for c in cells]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _py_version(file: Path) -> str | None:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return None
    # An emptied file is an accident, not an edit.
    return hashlib.sha256(text.encode()).hexdigest() if text.strip() else None


def remembered(copy: Copy) -> dict[str, str | None] | None:
    """The fingerprints of both halves when they were last in step."""
    told = read_json(copy.memory)
    return {"ipynb": told["ipynb"], "py": told["py"]} if told.keys() >= {"ipynb", "py"} else None


def _remember(copy: Copy) -> None:
    write_json(copy.memory, versions(copy))


def _write_py(copy: Copy) -> str:
    from autograder.halves import Damaged, as_py, read_notebook

    try:
        write(copy.py, as_py(read_notebook(copy.notebook)))
    except Damaged as error:
        raise OutOfStep(str(error)) from error
    _remember(copy)
    return f"{copy.py.name} brought into step with the notebook"


def _write_notebook(copy: Copy) -> str:
    from autograder.halves import Damaged, as_notebook, grade_id, read_notebook, read_text

    try:
        before = read_notebook(copy.notebook)
    except (Damaged, FileNotFoundError):
        before = read_notebook(copy.lab.file)
    try:
        notebook = as_notebook(read_text(copy.py), before, copy.lab)
    except Damaged as error:
        raise OutOfStep(str(error)) from error
    lost = {grade_id(c) for c in before.cells} - {grade_id(c) for c in notebook.cells}
    kept = keep(copy.notebook) if lost else None  # cells are gone from the .py: perhaps not on purpose
    import nbformat

    write(copy.notebook, nbformat.writes(notebook) + "\n")
    _remember(copy)
    return f"{copy.notebook.name} brought into step with the .py" + _told_kept(kept)


def keep(file: Path) -> Path | None:
    """Copy a file of a chapter's folder into `.course/backup/` under a dated name."""
    if not file.exists():
        return None
    folder = file.parent.parent / REMEMBERED / "backup"
    folder.mkdir(parents=True, exist_ok=True)
    target = _dated(file, folder)
    shutil.copy2(file, target)
    return target


def _told_kept(kept: Path | None) -> str:
    return f"; what it was is kept: {shown(kept)}" if kept else ""


def _renamed(file: Path, folder: Path) -> Path:
    target = _dated(file, folder)
    file.rename(target)
    return target


def _dated(file: Path, folder: Path) -> Path:
    stamp = time.strftime("%Y-%m-%d_%H%M%S")
    names = [f"{file.stem}.{stamp}{extra}{file.suffix}" for extra in ("", *(f"_{n}" for n in range(2, 1000)))]
    return next(folder / name for name in names if not (folder / name).exists())


def shown(file: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def edited(file: Path) -> str:
    """When a file was last saved, for a person."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(file.stat().st_mtime))


def write(file: Path, text: str) -> None:
    """Write a whole file or nothing of it."""
    part = file.with_name(f".{file.name}.part")
    part.write_text(text, encoding="utf-8", newline="\n")
    os.replace(part, file)


def read_json(file: Path) -> dict[str, Any]:
    """What a small JSON file says; {} where it is missing or damaged."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def write_json(file: Path, value: dict[str, Any]) -> None:
    """Write a small JSON file, folders included."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write(file, json.dumps(value, indent=1) + "\n")
