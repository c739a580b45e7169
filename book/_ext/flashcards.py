"""Shows a chapter's deck of flashcards: the question, and the answer when unfolded. It schedules no repetition."""

from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.facts import Chapter
from autograder.paths import BOOK
from autograder.release.toc import lab_page, published
from book._ext.contents import chapter_here
from book._ext.markdown import block, inline, parsed, raw, section

FIELDS = ("id", "front", "back", "about", "kind")


def deck_file(chapter: str) -> Path:
    """Where a chapter's deck lies."""
    return BOOK / chapter / "flashcards.yml"


def deck(chapter: str) -> list[dict[str, str]]:
    """A chapter's cards. Raises ValueError naming the card that lacks something."""
    cards = yaml.safe_load(deck_file(chapter).read_text(encoding="utf-8"))
    for i, card in enumerate(cards, 1):
        lacking = [name for name in FIELDS if not str(card.get(name) or "").strip()]
        if lacking:
            raise ValueError(f"{chapter}/flashcards.yml, card {i} ({card.get('id')}): it lacks {', '.join(lacking)}")
    return cards


def sources(chapter: Chapter) -> dict[str, tuple[str, str]]:
    """What a card can be about: each page's and shown lab's stem, with its title and its address in the book."""
    found = {p.file.stem: (p.title, f"/book/{chapter.folder}/{p.file.name}") for p in chapter.pages}
    return found | {lab.stem: (f"Lab {lab.number}", f"/{lab_page(lab)}.ipynb") for lab in published(chapter)}


class Flashcards(SphinxDirective):
    """```{flashcards}``` on a chapter's index page."""

    def run(self) -> list[nodes.Node]:
        chapter = chapter_here(self.env.docname)
        self.env.note_dependency(str(deck_file(chapter.folder)))
        cards = deck(chapter.folder)
        told = parsed(self, f"{len(cards)} cards. Say the answer aloud before you unfold it.")
        return [section("flashcards", "Flashcards", [*told, block("flashcards", children=self._cards(cards, chapter))])]

    def _cards(self, cards: list[dict[str, str]], chapter: Chapter) -> list[nodes.Node]:
        where, shown = sources(chapter), []
        for card in cards:
            title, address = where.get(card["about"], ("", ""))
            back = parsed(self, card["back"] + (f"\n\nFrom [{title}]({address})" if title else ""))
            shown += [
                raw(f'<details class="flashcard" id="card-{card["id"]}"><summary><span class="flashcard-front">'),
                nodes.inline("", "", *inline(self, card["front"])),
                raw(f'</span> <span class="course-badge">{card["kind"]}</span></summary><div class="flashcard-back">'),
                *back,
                raw("</div></details>"),
            ]
        return shown


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("flashcards", Flashcards)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
