"""Lists what there is: a chapter's pages, labs and milestone; the book's chapters. It states no fact of its own."""

import hashlib

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from autograder import registry
from autograder.facts import HARDWARE, Chapter, Lab, Page, chapters
from autograder.release.toc import lab_page, published
from book._ext.markdown import badges, block, parsed, section


def chapter_here(page: str) -> Chapter:
    """The chapter whose folder a page lies in. Raises LookupError."""
    for chapter in chapters():
        if page.startswith(f"book/{chapter.folder}/"):
            return chapter
    raise LookupError(f"{page} lies in no chapter's folder")


def points(lab: Lab) -> int:
    """What a lab's exercises add up to."""
    return sum(exercise.points for exercise in registry.exercises(lab.id).values())


class ChapterContents(SphinxDirective):
    """```{chapter-contents}``` on a chapter's index page."""

    def run(self) -> list[nodes.Node]:
        chapter = chapter_here(self.env.docname)
        items = [self._page(chapter, page) for page in chapter.pages]
        items += [self._lab(lab) for lab in published(chapter)]
        listed = [block("course-contents", children=items)]
        if chapter.milestone:
            listed.append(block("course-milestone", children=parsed(self, _milestone(chapter))))
        return [section("in-this-chapter", "In this chapter", listed)]

    def _page(self, chapter: Chapter, page: Page) -> nodes.container:
        told = parsed(self, f"Read: [{page.title}](/book/{chapter.folder}/{page.file.name})")
        told[0]["classes"].append("course-item-title")
        return block(
            "course-item", "course-read", children=[*told, badges(page.level.capitalize(), f"{page.minutes} min")]
        )

    def _lab(self, lab: Lab) -> nodes.container:
        told = parsed(self, f"Lab {lab.number}: [{lab.title}](/{lab_page(lab)}.ipynb)\n\nYou build {lab.builds}")
        told[0]["classes"].append("course-item-title")
        facts = badges(lab.level.capitalize(), f"{lab.minutes} min", HARDWARE[lab.hardware], f"{points(lab)} points")
        return block("course-item", "course-lab", children=[told[0], facts, *told[1:]])


def _milestone(chapter: Chapter) -> str:
    measuring = f"ch{chapter.number:02d}/{chapter.milestone['lab']}"
    number = f"{chapter.number}.{int(measuring[-2:])}"
    page = next((lab_page(lab) for lab in published(chapter) if lab.id == measuring), None)
    where = f"[lab {number}](/{page}.ipynb)" if page else f"lab {number}"
    return f"**Milestone**, measured in {where}: {chapter.milestone['goal']}"


class BookContents(SphinxDirective):
    """```{book-contents}``` on the landing page: every chapter there is, by part."""

    def run(self) -> list[nodes.Node]:
        listed, part = [], ""
        for chapter in chapters():
            if chapter.part != part:
                part = chapter.part
                listed.append(nodes.paragraph("", f"Part {part}", classes=["course-part"]))
            labs = published(chapter)
            hours = (sum(p.minutes for p in chapter.pages) + sum(lab.minutes for lab in labs)) / 60
            # Escaped, as "1." would begin a list.
            told = parsed(self, f"{chapter.number}\\. [{chapter.title}](/book/{chapter.folder}/index.md)")
            told[0]["classes"].append("course-item-title")
            facts = [count(len(chapter.pages), "page"), count(len(labs), "lab"), f"about {max(1, round(hours))} h"]
            told.append(badges(*facts, f"{sum(map(points, labs))} points"))
            if chapter.milestone:
                told += parsed(self, f"Milestone: {chapter.milestone['goal']}")
            listed.append(block("course-item", "course-read", children=told))
        return [block("course-contents", children=listed)]


def count(number: int, name: str) -> str:
    """Such as "1 lab", "2 labs"."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def _outdated(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    # These pages show what other files say: read them again when any of it changed.
    told = repr([(c, [(lab.id, points(lab)) for lab in published(c)]) for c in chapters()])
    before, env.course_facts = getattr(env, "course_facts", ""), hashlib.sha256(told.encode()).hexdigest()
    if before == env.course_facts:
        return []
    return [page for page in ("book/index", *(f"book/{c.folder}/index" for c in chapters())) if page in env.found_docs]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("chapter-contents", ChapterContents)
    app.add_directive("book-contents", BookContents)
    app.connect("env-get-outdated", _outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
