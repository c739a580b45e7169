"""Every chapter has a deck that is whole: enough cards, each with its fields, each about something that exists."""

import pytest

from autograder.facts import chapters
from book._ext import flashcards
from book._ext.flashcards import deck, deck_file

CHAPTERS = {chapter.folder: chapter for chapter in chapters()}


@pytest.mark.parametrize("folder", CHAPTERS)
def test_a_chapter_has_at_least_fifteen_cards_each_with_its_own_id(folder):
    ids = [card["id"] for card in deck(folder)]
    assert len(ids) >= 15
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("folder", CHAPTERS)
def test_a_card_is_about_a_page_or_a_lab_of_its_chapter(folder):
    chapter = CHAPTERS[folder]
    stems = {page.file.stem for page in chapter.pages} | {lab.stem for lab in chapter.labs}
    unknown = {card["about"] for card in deck(folder)} - stems
    assert not unknown, f"{deck_file(folder)}: cards about {unknown}; there are: {sorted(stems)}"


@pytest.mark.parametrize("folder", CHAPTERS)
def test_no_two_cards_ask_the_same(folder):
    fronts = [card["front"].strip().lower() for card in deck(folder)]
    assert len(set(fronts)) == len(fronts)


def test_a_card_without_an_answer_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(flashcards, "BOOK", tmp_path)
    (tmp_path / "ch98_x").mkdir()
    deck_file("ch98_x").write_text("- {id: half, front: 'Why?', back: ' ', about: page, kind: mechanism}\n")
    with pytest.raises(ValueError, match=r"card 1 \(half\): it lacks back"):
        deck("ch98_x")
