"""Writes the decks as packages for Anki when the book is built: one a chapter and one with all. It shows no page.

Ids derive from names, never from time: importing a package again updates its cards and keeps what was learned.
"""

import hashlib
from pathlib import Path

from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from sphinx.application import Sphinx

from autograder.facts import Chapter, chapters
from book._ext.flashcards import ALL, deck, deck_file

STYLE = ".card { font: 20px/1.45 system-ui, sans-serif; max-width: 38em; margin: 0 auto; } code { font-size: 0.9em; }"


def stable_id(name: str) -> int:
    """An id for Anki out of a name: the same forever, between 2^30 and 2^31."""
    return (1 << 30) + int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % (1 << 30)


def as_html(markdown: str) -> str:
    """A card's side as HTML, its formulas in the form that Anki's MathJax reads."""
    reader = MarkdownIt("commonmark").use(dollarmath_plugin, double_inline=True, renderer=_formula)
    return reader.render(markdown).strip()


def _formula(content: str, options: dict[str, bool]) -> str:
    opening, closing = (r"\[", r"\]") if options.get("display_mode") else (r"\(", r"\)")
    escaped = content.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"{opening}{escaped}{closing}"


def package(found: list[Chapter], file: Path) -> None:
    """Write these chapters' decks into one .apkg."""
    import genanki

    model = genanki.Model(
        stable_id("transformer-systems card"),
        "Transformer Systems",
        fields=[{"name": "Front"}, {"name": "Back"}],
        templates=[{"name": "Card", "qfmt": "{{Front}}", "afmt": "{{FrontSide}}<hr id=answer>{{Back}}"}],
        css=STYLE,
    )
    decks = []
    for chapter in found:
        # Two digits, so that Anki sorts the decks as the book does.
        made = genanki.Deck(
            stable_id(f"deck {chapter.folder}"), f"Transformer Systems::{chapter.number:02d} {chapter.title}"
        )
        for card in deck(chapter.folder):
            made.add_note(
                genanki.Note(
                    model=model,
                    fields=[as_html(card["front"]), as_html(card["back"])],
                    guid=genanki.guid_for(chapter.folder, card["id"]),
                    tags=[card["kind"], f"{chapter.folder}::{card['about']}"],
                )
            )
        decks.append(made)
    file.parent.mkdir(parents=True, exist_ok=True)
    genanki.Package(decks).write_to_file(str(file))


def _write(app: Sphinx, error: Exception | None) -> None:
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / "decks"
    having = [chapter for chapter in chapters() if deck_file(chapter.folder).is_file()]
    for chapter in having:
        package([chapter], folder / f"{chapter.folder}.apkg")
    package(having, folder / f"{ALL}.apkg")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
