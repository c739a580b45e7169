"""Writes the book's table of contents, _toc.yml, from the chapters' facts. No page or lab is listed by hand."""

from itertools import groupby

import yaml

from autograder.facts import Chapter, Lab, chapters
from autograder.paths import NOTEBOOKS, ROOT

TOC = ROOT / "_toc.yml"
FRONT = ("book/notation",)
BACK = ("book/contributing", "book/bibliography")
_HEAD = "# Generated from the chapters' own facts by `course build`: change a page's front matter or a lab's header.\n"


def published(chapter: Chapter) -> tuple[Lab, ...]:
    """The labs of a chapter whose student notebook is there to be shown."""
    return tuple(lab for lab in chapter.labs if (ROOT / f"{lab_page(lab)}.ipynb").is_file())


def lab_page(lab: Lab) -> str:
    """A lab's place in the book, without ending: the student notebook itself."""
    return (NOTEBOOKS / "student" / lab.chapter / lab.stem).relative_to(ROOT).as_posix()


def toc_text() -> str:
    """What _toc.yml should say."""
    parts = [{"caption": "Before you start", "chapters": [{"file": page} for page in FRONT]}]
    for part, members in groupby(chapters(), key=lambda chapter: chapter.part):
        parts.append({"caption": part, "chapters": [_chapter(chapter) for chapter in members]})
    parts.append({"caption": "About", "chapters": [{"file": page} for page in BACK]})
    toc = {"format": "jb-book", "root": "book/index", "parts": parts}
    return _HEAD + yaml.safe_dump(toc, sort_keys=False, allow_unicode=True, width=120)


def _chapter(chapter: Chapter) -> dict:
    folder = f"book/{chapter.folder}"
    pages = [f"{folder}/{page.file.stem}" for page in chapter.pages] + [lab_page(lab) for lab in published(chapter)]
    entry = {"file": f"{folder}/index", "title": f"{chapter.number}. {chapter.title}"}
    return entry | {"sections": [{"file": page} for page in pages]} if pages else entry


def write_toc() -> bool:
    """Write _toc.yml if it says something else; tell whether it did."""
    text = toc_text()
    if TOC.exists() and TOC.read_text(encoding="utf-8") == text:
        return False
    TOC.write_text(text, encoding="utf-8")
    return True
