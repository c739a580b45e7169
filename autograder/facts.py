"""The course's facts, read from where each is written: a lab's notebook header, a page's front matter. It writes none.

Chapters, labs and pages are found by their place in the tree: there is no list of them anywhere.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from autograder.paths import BOOK, INSTRUCTOR, ROOT
from autograder.registry import lab_id

LEVELS = ("intermediate", "advanced", "expert")
HARDWARE = {"cpu": "runs on a laptop CPU", "gpu": "wants a GPU, has a CPU path", "tpu": "wants a TPU, has a CPU path"}
_NO_PROSE = ("index.md", "deck.md")  # a chapter's cover and its flashcards
PARTS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")


class BadFact(ValueError):
    """A header or front matter lacks a fact or states an impossible one; the message names file, fact and remedy."""


@dataclass(frozen=True)
class Lab:
    """One lab. id: "ch01/lab01"; chapter: its folder's name; stem: its file's name without ending."""

    id: str
    chapter: str
    stem: str
    title: str
    level: str
    minutes: int
    hardware: str
    builds: str
    goals: tuple[str, ...]
    needs: tuple[str, ...]

    @property
    def number(self) -> str:
        """As the reader says it: "1.3" for ch01/lab03."""
        chapter, lab = re.findall(r"\d+", self.id)
        return f"{int(chapter)}.{int(lab)}"


@dataclass(frozen=True)
class Page:
    """One prose page of a chapter."""

    file: Path
    title: str
    order: int
    level: str
    minutes: int
    goals: tuple[str, ...]
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """One chapter: its folder under book/ and notebooks/, which is its nbgrader assignment too."""

    folder: str
    title: str
    part: str  # "II. Foundations"
    milestone: dict[str, str] = field(default_factory=dict)  # goal, and the lab that measures it
    pages: tuple[Page, ...] = ()
    labs: tuple[Lab, ...] = ()

    @property
    def number(self) -> int:
        return int(self.folder[2:4])


def lab_facts(course: dict[str, Any], chapter: str, stem: str, where: str) -> Lab:
    """A lab from the `course` entry of its notebook's metadata. Raises BadFact."""
    common = _common(course, where)
    _one_of(course, "hardware", tuple(HARDWARE), where)
    for key in ("title", "builds"):
        if not isinstance(course.get(key), str) or not course[key].strip():
            raise BadFact(f"{where}: the header lacks course.{key}, a sentence")
    return Lab(
        lab_id(chapter, stem),
        chapter,
        stem,
        course["title"],
        hardware=course["hardware"],
        builds=course["builds"],
        **common,
    )


def _common(course: dict[str, Any], where: str) -> dict[str, Any]:
    _one_of(course, "level", LEVELS, where)
    minutes = course.get("minutes")
    if not isinstance(minutes, int) or not 1 <= minutes <= 600:
        raise BadFact(f"{where}: course.minutes is {minutes!r}; state a number of minutes from 1 to 600")
    goals, needs = course.get("goals") or [], course.get("needs") or []
    if not 2 <= len(goals) <= 6:
        raise BadFact(f"{where}: course.goals has {len(goals)} entries; state two to four, each beginning with a verb")
    return {"level": course["level"], "minutes": minutes, "goals": tuple(goals), "needs": tuple(needs)}


def _one_of(course: dict[str, Any], key: str, choices: tuple[str, ...], where: str) -> None:
    if course.get(key) not in choices:
        raise BadFact(f"{where}: course.{key} is {course.get(key)!r}; choose one of {', '.join(choices)}")


def front_matter(file: Path) -> tuple[dict[str, Any], str]:
    """The `course` entry of a page's YAML front matter and the page's title. Raises BadFact."""
    where = str(file.relative_to(ROOT))
    match = re.match(r"---\n(.*?)\n---\n(.*)", file.read_text(encoding="utf-8"), re.DOTALL)
    if not match:
        raise BadFact(f"{where}: begin the page with front matter between two lines of ---")
    try:
        course = (yaml.safe_load(match[1]) or {}).get("course")
    except yaml.YAMLError as error:
        raise BadFact(f"{where}: the front matter is not YAML: {error}") from error
    title = re.search(r"^# (.+)$", match[2], re.MULTILINE)
    if not isinstance(course, dict) or not title:
        raise BadFact(f"{where}: the page needs a `course:` entry in its front matter and a title line `# ...`")
    return course, title[1].strip()


def notebook_header(file: Path) -> dict[str, Any]:
    """The `course` entry of a paired notebook's YAML header. Raises BadFact."""
    where = str(file.relative_to(ROOT))
    header = re.match(r"# ---\n(.*?)# ---\n", file.read_text(encoding="utf-8"), re.DOTALL)
    if not header:
        raise BadFact(f"{where}: begin the notebook with a commented YAML header between two lines of # ---")
    text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in header[1].splitlines())
    try:
        course = (yaml.safe_load(text) or {}).get("jupyter", {}).get("course")
    except yaml.YAMLError as error:
        raise BadFact(f"{where}: the header is not YAML: {error}") from error
    if not isinstance(course, dict):
        raise BadFact(f"{where}: the header lacks jupyter.course")
    return course


@cache
def chapters() -> tuple[Chapter, ...]:
    """Every chapter, in the order of the book: by part, then by number."""
    found = [_chapter(index.parent) for index in sorted(BOOK.glob("ch*/index.md"))]
    return tuple(sorted(found, key=lambda c: (PARTS.index(c.part.split(".")[0]), c.number)))


def _chapter(folder: Path) -> Chapter:
    course, title = front_matter(folder / "index.md")
    where = str((folder / "index.md").relative_to(ROOT))
    part = course.get("part", "")
    if part.split(".")[0] not in PARTS:
        raise BadFact(f"{where}: course.part is {part!r}; write it like 'II. Foundations'")
    pages = sorted((_page(f) for f in folder.glob("*.md") if f.name not in _NO_PROSE), key=lambda p: p.order)
    orders = [p.order for p in pages]
    if len(set(orders)) != len(orders):
        raise BadFact(f"{where}: two pages of this chapter have the same course.order: {orders}")
    labs = tuple(
        lab_facts(notebook_header(f), folder.name, f.stem, str(f.relative_to(ROOT)))
        for f in sorted((INSTRUCTOR / folder.name).glob("lab*.py"))
    )
    return Chapter(folder.name, title, part, course.get("milestone", {}), tuple(pages), labs)


def _page(file: Path) -> Page:
    course, title = front_matter(file)
    where = str(file.relative_to(ROOT))
    if not isinstance(course.get("order"), int):
        raise BadFact(f"{where}: the front matter lacks course.order, the page's place in its chapter")
    return Page(file, title, course["order"], **_common(course, where))


def chapter_of(lab: str) -> Chapter:
    """The chapter of a lab id. Raises LookupError naming the labs there are."""
    for chapter in chapters():
        if any(one.id == lab for one in chapter.labs):
            return chapter
    raise LookupError(f"no lab {lab!r}; there are: {', '.join(one.id for c in chapters() for one in c.labs)}")


@cache
def repository() -> tuple[str, str]:
    """Address and branch of the course's repository, from _config.yml."""
    told = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    return told["url"].rstrip("/"), told["branch"]
