"""Puts a concept's moving part on a page, and lists all concepts. What it shows is computed in the browser, not here.

A concept is three files of one name in book/concepts: NAME.md, its page; NAME.js, what moves; figures_NAME.py, the
still picture for paper and for browsers without scripts.
"""

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.facts import BadFact, front_matter
from autograder.paths import BOOK
from book._ext.course_figures import CourseFigure
from book._ext.markdown import block, parsed, raw

CONCEPTS = BOOK / "concepts"
FACTS = ("order", "says", "chapter", "more")


@dataclass(frozen=True)
class Concept:
    """One concept. name: its files' name; says: it in a sentence; chapter: where it is needed first; more: links."""

    name: str
    title: str
    order: int
    says: str
    chapter: str
    more: tuple[str, ...]


@cache
def concepts() -> tuple[Concept, ...]:
    """All concepts by their order. Raises BadFact when a page lacks a fact or two have the same order."""
    found: dict[int, Concept] = {}
    for file in sorted(CONCEPTS.glob("*.md")):
        if file.stem == "index":
            continue
        told, title = front_matter(file)
        missing = [fact for fact in FACTS if fact not in told]
        if missing:
            raise BadFact(f"concepts/{file.name}: the front matter lacks course.{', course.'.join(missing)}")
        if told["order"] in found:
            raise BadFact(f"concepts/{file.name}: {found[told['order']].name}.md has the same course.order")
        made = Concept(file.stem, title, told["order"], told["says"], told["chapter"], tuple(told["more"]))
        found[made.order] = made
    return tuple(found[order] for order in sorted(found))


class ShowConcept(SphinxDirective):
    """```{concept} NAME``` with a caption as its content, on the concept's own page or any other."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if not (CONCEPTS / f"{name}.js").is_file():
            raise self.error(f"book/concepts has no {name}.js")
        still = CourseFigure(
            self.name, [name], {}, self.content, self.lineno, self.content_offset, self.block_text, self.state,
            self.state_machine,
        )  # fmt: skip
        tag, up = f"course-{name.replace('_', '-')}", "../" * self.env.docname.count("/")
        self.env.note_dependency(str(CONCEPTS / f"{name}.js"))
        return [
            raw(f"<{tag} class='course-concept'>"),
            *still.of("concepts"),
            raw(f"</{tag}><script type='module' src='{up}book/concepts/{name}.js'></script>"),
        ]


class Gallery(SphinxDirective):
    """```{concept-gallery}```: every concept in its order, with its sentence."""

    def run(self) -> list[nodes.Node]:
        items = []
        for concept in concepts():
            told = parsed(self, f"[{concept.title}](/book/concepts/{concept.name}.md)\n\n{concept.says}")
            told[0]["classes"].append("course-item-title")
            items.append(block("course-item", "course-read", children=told))
        return [block("course-contents", children=items)]


def _copy(app: Sphinx, error: Exception | None) -> None:
    """The modules lie beside the pages, in the book as in the source."""
    if error or app.builder.format != "html":
        return
    target = Path(app.outdir) / "book" / "concepts"
    target.mkdir(parents=True, exist_ok=True)
    for module in CONCEPTS.glob("*.js"):
        shutil.copyfile(module, target / module.name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("concept", ShowConcept)
    app.add_directive("concept-gallery", Gallery)
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
