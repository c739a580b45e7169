"""Shows a page's level, time, goals and needs under its title, from its front matter. Labs bring their own header."""

import re

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.facts import Page, chapters
from book._ext.markdown import badges, block, parsed

_INSERTED = ["", "```{page-facts}", "```", ""]


def pages() -> dict[str, Page]:
    """Each prose page of a chapter, by its name in the book."""
    return {f"book/{c.folder}/{p.file.stem}": p for c in chapters() for p in c.pages}


def with_directive(text: str) -> str:
    """The page's text with the directive after its title, and as many lines fewer in its front matter.

    So a warning's line number stays right.
    """
    match = re.match(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL)
    if not match:
        return text
    rest = {name: value for name, value in (yaml.safe_load(match[1]) or {}).items() if name != "course"}
    front = ["---", *yaml.safe_dump(rest).splitlines(), "---"] if rest else []
    body = match[2].split("\n")
    title = next(i for i, line in enumerate(body) if line.startswith("# "))
    body[title + 1 : title + 1] = _INSERTED
    missing = len(text.split("\n")) - len(front) - len(body)
    return "\n".join(front + [""] * max(0, missing) + body)


class PageFacts(SphinxDirective):
    """```{page-facts}```: inserted, never written by hand."""

    def run(self) -> list[nodes.Node]:
        page = pages()[self.env.docname]
        told = [badges(page.level.capitalize(), f"about {page.minutes} minutes")]
        told += parsed(self, "**You will be able to**\n\n" + "\n".join(f"- {goal}" for goal in page.goals))
        if page.needs:
            told += parsed(self, "**You need**\n\n" + "\n".join(f"- {need}" for need in page.needs))
        return [block("course-facts", children=told)]


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    if page in pages():
        source[0] = with_directive(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("page-facts", PageFacts)
    app.connect("source-read", _read)
    app.setup_extension("book._ext.grading_facts")  # the instructors' pages show facts of the grader's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
