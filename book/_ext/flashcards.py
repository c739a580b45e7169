"""Shows a chapter's deck of flashcards, and the review of what is due. The repetition itself runs in the browser."""

import json
from html import escape
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.facts import Chapter, chapters
from autograder.paths import BOOK
from autograder.release.toc import lab_page, published
from book._ext.contents import chapter_here
from book._ext.markdown import block, inline, parsed, raw, section

ALL = "all"  # the name of the package that holds every deck
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
    """```{flashcards}``` on a chapter's deck.md: the cards to go through, and below them all of them, unfoldable."""

    def run(self) -> list[nodes.Node]:
        chapter = chapter_here(self.env.docname)
        self.env.note_dependency(str(deck_file(chapter.folder)))
        cards = deck(chapter.folder)
        of = parsed(self, f"Of [Chapter {chapter.number}, {chapter.title}](index.md): {len(cards)} cards.")
        anki = raw(
            f'<p>For Anki: <a href="{_apkg(self, chapter.folder)}" download>this deck</a>; imported again, it updates.'
            "</p>"
        )
        review = [raw(f'<course-review data-deck="{chapter.folder}"></course-review>'), _module(self)]
        told = parsed(self, "Say the answer aloud before you unfold it.")
        listed = [*told, block("flashcards", children=self._cards(cards, chapter))]
        return [*of, *review, anki, section("all-cards", "All cards", listed)]

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


class DeckLink(SphinxDirective):
    """```{deck-link}``` on a chapter's index page: how many cards there are, and where."""

    def run(self) -> list[nodes.Node]:
        chapter = chapter_here(self.env.docname)
        self.env.note_dependency(str(deck_file(chapter.folder)))
        many = len(deck(chapter.folder))
        told = parsed(
            self, f"[{many} flashcards](deck.md) on this chapter's mechanisms and trade-offs, with spaced repetition."
        )
        return [section("flashcards", "Flashcards", told)]


class AllDecks(SphinxDirective):
    """```{all-decks}``` on the review page: what is due of every chapter, and a list of the decks."""

    def run(self) -> list[nodes.Node]:
        having = [chapter for chapter in chapters() if deck_file(chapter.folder).is_file()]
        for chapter in having:
            self.env.note_dependency(str(deck_file(chapter.folder)))
        up = "../" * self.env.docname.count("/")
        decks = [{"deck": c.folder, "page": f"{up}book/{c.folder}/deck.html"} for c in having]
        told = "\n".join(
            f"- [{c.number}. {c.title}](/book/{c.folder}/deck.md), {len(deck(c.folder))} cards" for c in having
        )
        anki = raw(
            f'<p>For Anki: <a href="{_apkg(self, ALL)}" download>all decks</a>; imported again, they update.</p>'
        )
        review = raw(f"<course-review data-decks='{escape(json.dumps(decks))}'></course-review>")
        return [review, _module(self), section("decks", "The decks", [*parsed(self, told), anki])]


def _module(directive: SphinxDirective) -> nodes.raw:
    up = "../" * directive.env.docname.count("/")
    return raw(f'<script type="module" src="{up}_static/js/review.js"></script>')


def _apkg(directive: SphinxDirective, name: str) -> str:
    return f"{'../' * directive.env.docname.count('/')}_static/decks/{name}.apkg"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("flashcards", Flashcards)
    app.add_directive("deck-link", DeckLink)
    app.add_directive("all-decks", AllDecks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
