"""The labs a student has, read from the course's own student notebooks, and the names people call them by.

It knows the labs as published. What a student made of one is autograder.work's business.
"""

import difflib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autograder.paths import student_notebooks


class NoSuchLab(LookupError):
    """No lab, chapter or exercise goes by that name; the message says what there is."""


class BrokenCourse(RuntimeError):
    """The course's own notebooks are missing or damaged; the message says how to mend it."""


@dataclass(frozen=True)
class Task:
    """One exercise, as its notebook shows it. `check`: the whole text of its check cell."""

    name: str  # "softmax", the grade_id of its solution cell
    points: float
    skeleton: str  # the solution cell, as yet unsolved
    check: str


@dataclass(frozen=True)
class Lab:
    """One lab. id: "ch01/lab01"; number: "1.1"; chapter: its folder's name; stem: its file's, without ending."""

    id: str
    number: str
    chapter: str
    chapter_title: str
    part: str
    stem: str
    title: str
    level: str
    minutes: int
    hardware: str
    builds: str
    tasks: tuple[Task, ...]
    file: Path  # the course's own notebook

    @property
    def points(self) -> float:
        """What all its exercises are worth."""
        return sum(task.points for task in self.tasks)

    def task(self, name: str) -> Task:
        """An exercise by its name. Raises NoSuchLab."""
        found = next((task for task in self.tasks if task.name == name), None)
        if found is None:
            names = [task.name for task in self.tasks]
            raise NoSuchLab(f"lab {self.number} has no exercise {name!r}; {_there_are(name, names)}")
        return found


@cache
def labs() -> tuple[Lab, ...]:
    """Every lab, in order. Raises BrokenCourse."""
    files = sorted(student_notebooks().glob("ch*/lab*.ipynb"))
    if not files:
        raise BrokenCourse(
            f"no lab notebooks in {student_notebooks()}. Install the course again, or, in a clone: course release"
        )
    return tuple(_lab(file) for file in files)


def _lab(file: Path) -> Lab:
    try:
        notebook = json.loads(file.read_text(encoding="utf-8"))
        facts = notebook["metadata"]["course"]
        chapter, lab = (int(n) for n in re.findall(r"\d+", facts["id"]))
        return Lab(
            facts["id"],
            f"{chapter}.{lab}",
            facts["chapter"]["folder"],
            facts["chapter"]["title"],
            facts["chapter"]["part"],
            file.stem,
            facts["title"],
            facts["level"],
            facts["minutes"],
            facts["hardware"],
            facts["builds"],
            _tasks(notebook["cells"]),
            file,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenCourse(
            f"the course's own {file} cannot be read ({error}). Install the course again; in a clone: course release"
        ) from error


def _tasks(cells: list[dict]) -> tuple[Task, ...]:
    told = {c["metadata"]["nbgrader"]["grade_id"]: c for c in cells if c["metadata"].get("nbgrader")}
    tasks = []
    for name, cell in told.items():
        check = told.get(f"check_{name}")
        if cell["metadata"]["nbgrader"]["solution"] and check:
            points = check["metadata"]["nbgrader"]["points"]
            tasks.append(Task(name, points, "".join(cell["source"]), "".join(check["source"])))
    return tuple(tasks)


def find(name: str) -> Lab:
    """A lab by any name people give it: ch01/lab01, 1.1, ch1/lab1, its file's name or path, its title.

    Raises NoSuchLab.
    """
    wanted = _plain(name)
    for lab in labs():
        if wanted in _names(lab):
            return lab
    one = [lab for lab in labs() if lab.chapter in (wanted, _plain_chapter(wanted))]
    if one:
        there = ", ".join(f"{lab.number} {lab.title}" for lab in one)
        raise NoSuchLab(f"{name!r} is a chapter; name one of its labs: {there}")
    # Numbers first: the nearest spelling of 1.9 is no help, the labs of chapter 1 are.
    chapter = re.match(r"(?:ch)?0*(\d+)(?:\.|/|_|$)", wanted)
    same = [lab for lab in labs() if chapter and lab.number.split(".")[0] == chapter[1]]
    if same:
        there = ", ".join(f"{lab.number} {lab.title}" for lab in same)
        raise NoSuchLab(f"there is no lab {name!r}; chapter {chapter[1]} has: {there}")
    close = difflib.get_close_matches(wanted, [n for lab in labs() for n in sorted(_names(lab))], n=1, cutoff=0.6)
    meant = next((lab for lab in labs() if close and close[0] in _names(lab)), None)
    if meant:
        raise NoSuchLab(f"there is no lab {name!r}: did you mean {meant.id} ({meant.title})?")
    raise NoSuchLab(f"there is no lab {name!r}. `course list` shows them all.")


def find_with_exercise(name: str, exercise: str | None) -> tuple[Lab, str | None]:
    """A lab and, if asked for, one exercise's name: "ch01/lab01/softmax" names both. Raises NoSuchLab."""
    full = re.fullmatch(r"(.*\d)/([a-z][a-z0-9_]*)", name)
    if exercise is None and full and not full[2].startswith("lab"):
        name, exercise = full[1], full[2]
    lab = find(name)
    if exercise is not None:
        exercise = lab.task(exercise.split("/")[-1].removeprefix("check_")).name
    return lab, exercise


def find_chapter(name: str) -> tuple[Lab, ...]:
    """A chapter's labs, by ch01, 1, ch1, its folder's name, or its title. Raises NoSuchLab."""
    wanted = _plain(name)
    chapters: dict[str, list[Lab]] = {}
    for lab in labs():
        chapters.setdefault(lab.chapter, []).append(lab)
    for folder, found in chapters.items():
        names = (folder, folder.split("_", 1)[-1], found[0].chapter_title.lower())
        if wanted in names or _plain_chapter(wanted) == folder:
            return tuple(found)
    if any(wanted in _names(lab) for lab in labs()):
        lab = find(name)
        raise NoSuchLab(f"{name!r} is one lab; name its chapter: {lab.chapter.split('_')[0]} ({lab.chapter_title})")
    raise NoSuchLab(f"there is no chapter {name!r}; {_there_are(wanted, list(chapters))}")


def _names(lab: Lab) -> set[str]:
    chapter, number = lab.number.split(".")
    short = {lab.id, lab.number, f"ch{chapter}/lab{number}", f"{chapter}/{number}", f"{chapter}-{number}"}
    short |= {f"ch{chapter}.{number}", f"ch{chapter}lab{number}", lab.id.replace("/", "_"), lab.id.replace("/", "")}
    return short | {lab.stem, f"{lab.chapter}/{lab.stem}", f"{lab.id.split('/')[0]}/{lab.stem}", lab.title.lower()}


def _plain(name: str) -> str:
    # A path to a working copy names its lab by its last two parts.
    text = name.strip().replace("\\", "/").rstrip("/")
    text = re.sub(r"\.(ipynb|py)$", "", text).lower()
    parts = text.split("/")
    if parts[-1].startswith("lab") and "_" in parts[-1]:
        return parts[-1]
    text = re.sub(r"^(lab|chapter)\s+", "", text)
    return re.sub(r"\s*,?\s+lab\s+", ".", text)


def _plain_chapter(wanted: str) -> str:
    number = re.fullmatch(r"(?:ch|chapter)?\s*0*(\d+)", wanted)
    if not number:
        return ""
    return next((lab.chapter for lab in labs() if lab.number.split(".")[0] == number[1]), "")


def _there_are(wanted: str, names: list[str]) -> str:
    close = difflib.get_close_matches(wanted, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names)}"
