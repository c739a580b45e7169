"""Writes the book's table of contents, _toc.yml, from the chapters' facts. No page or lab is listed by hand."""

from itertools import groupby
from pathlib import Path

import yaml

from autograder.facts import BadFact, Chapter, Lab, chapters, front_matter
from autograder.paths import BOOK, NOTEBOOKS, ROOT

TOC = ROOT / "_toc.yml"
FRONT = ("book/roadmap", "book/labs", "book/notation")
CONCEPTS = BOOK / "concepts"
TEACHING = BOOK / "instructors"
KEEPING = ("book/review", "book/explain")
BACK = ("book/glossary", "book/bibliography", "book/contributing")
_HEAD = "# Generated from the chapters' own facts by `course build`: change a page's front matter or a lab's header.\n"


def published(chapter: Chapter) -> tuple[Lab, ...]:
    """The labs of a chapter whose student notebook is there to be shown."""
    return tuple(lab for lab in chapter.labs if (ROOT / f"{lab_page(lab)}.ipynb").is_file())


def lab_page(lab: Lab) -> str:
    """A lab's place in the book, without ending: the student notebook itself."""
    return (NOTEBOOKS / "student" / lab.chapter / lab.stem).relative_to(ROOT).as_posix()


def teaching_pages() -> list[str]:
    """The instructors' pages by their own course.order, without the entry page. Raises BadFact."""
    return _ordered(TEACHING)


def concept_pages() -> list[str]:
    """The concept cards' pages by their own course.order, without the gallery. Raises BadFact."""
    return _ordered(CONCEPTS)


def _ordered(folder: Path) -> list[str]:
    orders: dict[int, str] = {}
    for file in sorted(folder.glob("*.md")):
        if file.name == "index.md":
            continue
        where, order = f"{folder.name}/{file.name}", front_matter(file)[0].get("order")
        if not isinstance(order, int):
            raise BadFact(f"{where}: the front matter lacks course.order, the page's place in the part")
        if order in orders:
            raise BadFact(f"{where}: {orders[order]}.md has the same course.order, {order}")
        orders[order] = file.stem
    return [f"book/{folder.name}/{orders[order]}" for order in sorted(orders)]


def toc_text() -> str:
    """What _toc.yml should say."""
    parts = [{"caption": "Before you start", "chapters": [{"file": page} for page in FRONT]}]
    for part, members in groupby(chapters(), key=lambda chapter: chapter.part):
        parts.append({"caption": part, "chapters": [_chapter(chapter) for chapter in members]})
    parts.append(
        {
            "caption": "To try and to keep",
            "chapters": [_folder(CONCEPTS, concept_pages()), *({"file": page} for page in KEEPING)],
        }
    )
    parts.append({"caption": "For instructors", "chapters": [_folder(TEACHING, teaching_pages())]})
    parts.append({"caption": "About", "chapters": [{"file": page} for page in BACK]})
    toc = {"format": "jb-book", "root": "book/index", "parts": parts}
    return _HEAD + yaml.safe_dump(toc, sort_keys=False, allow_unicode=True, width=120)


def _folder(folder: Path, pages: list[str]) -> dict:
    return {"file": f"book/{folder.name}/index", "sections": [{"file": page} for page in pages]}


def _chapter(chapter: Chapter) -> dict:
    folder = f"book/{chapter.folder}"
    pages = [f"{folder}/{page.file.stem}" for page in chapter.pages] + [lab_page(lab) for lab in published(chapter)]
    if (BOOK / chapter.folder / "deck.md").is_file():
        pages.append(f"{folder}/deck")
    entry = {"file": f"{folder}/index", "title": f"{chapter.number}. {chapter.title}"}
    return entry | {"sections": [{"file": page} for page in pages]} if pages else entry


def write_toc() -> bool:
    """Write _toc.yml if it says something else; tell whether it did."""
    text = toc_text()
    if TOC.exists() and TOC.read_text(encoding="utf-8") == text:
        return False
    TOC.write_text(text, encoding="utf-8")
    return True
