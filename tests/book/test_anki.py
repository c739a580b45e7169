"""The decks for Anki: a package holds every card, ids stay, formulas and code arrive as Anki reads them."""

import sqlite3
import zipfile

import pytest

from autograder.facts import chapters
from book._ext import anki
from book._ext.flashcards import deck

CHAPTERS = list(chapters())[:2]


def notes(file, tmp_path):
    with zipfile.ZipFile(file) as packed:
        packed.extract("collection.anki2", tmp_path)
    with sqlite3.connect(tmp_path / "collection.anki2") as base:
        return base.execute("select guid, flds, tags from notes order by id").fetchall()


def test_a_package_holds_every_card_with_the_same_ids_each_time(tmp_path):
    anki.package(CHAPTERS, tmp_path / "one.apkg")
    first = notes(tmp_path / "one.apkg", tmp_path)
    anki.package(CHAPTERS, tmp_path / "two.apkg")
    second = notes(tmp_path / "two.apkg", tmp_path)
    assert len(first) == sum(len(deck(chapter.folder)) for chapter in CHAPTERS)
    assert first == second
    assert len({guid for guid, _, _ in first}) == len(first)


def test_a_card_keeps_its_id_when_its_words_change(tmp_path, monkeypatch):
    anki.package(CHAPTERS[:1], tmp_path / "one.apkg")
    changed = [card | {"back": "Another answer."} for card in deck(CHAPTERS[0].folder)]
    monkeypatch.setattr(anki, "deck", lambda folder: changed)
    before = notes(tmp_path / "one.apkg", tmp_path)
    anki.package(CHAPTERS[:1], tmp_path / "two.apkg")
    after = notes(tmp_path / "two.apkg", tmp_path)
    assert [guid for guid, _, _ in before] == [guid for guid, _, _ in after]
    assert all("Another answer." in fields for _, fields, _ in after)


def test_ids_are_in_ankis_range_and_differ_by_name():
    ids = [anki.stable_id(f"deck {n}") for n in range(200)]
    assert all(1 << 30 <= i < 1 << 31 for i in ids)
    assert len(set(ids)) == 200


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("Why $a < b$?", r"\(a &lt; b\)"),
        ("$$x^2$$", r"\[x^2\]"),
        ("`a < b` and *so*", "<p><code>a &lt; b</code> and <em>so</em></p>"),
    ],
)
def test_formulas_and_code_arrive_as_anki_reads_them(markdown, html):
    assert html in anki.as_html(markdown).replace("\n", "")
