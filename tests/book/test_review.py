"""Reviewing flashcards in a browser: a deck advances, the record outlives a reload, broken storage loses nothing."""

import hashlib
import json
import re

import pytest

from autograder.paths import BOOK

KEY = "transformer-systems:reviews"


def deck(*fronts):
    cards = "".join(
        f'<details class="flashcard" id="card-{f}"><summary><span class="flashcard-front">Why {f}?</span></summary>'
        f'<div class="flashcard-back"><p>Because {f}. <a href="page.html">More</a></p></div></details>'
        for f in fronts
    )
    return cards + "<script type=module src=/_static/js/review.js></script>"


ONE = '<course-review data-deck="ch01_x"></course-review>' + deck("a", "b", "c")


def kept(page):
    return json.loads(page.evaluate(f"localStorage.getItem('{KEY}')"))


def counts(page):
    return [int(n) for n in re.findall(r"\d+", page.inner_text(".review-counts"))]  # due, new, begun, of all


def test_a_deck_advances_by_keys_alone_and_a_reload_keeps_it(open_source):
    page = open_source(ONE)
    assert counts(page) == [0, 3, 0, 3]
    page.get_by_role("button", name="Review").press("Enter")
    assert page.inner_text(".review-front") == "Why a?"
    assert page.is_hidden(".review-back")
    page.keyboard.press("Space")
    assert "Because a." in page.inner_text(".review-back")
    page.keyboard.press("4")
    assert page.inner_text(".review-front") == "Why b?"
    assert counts(page) == [0, 2, 1, 3]
    page.reload()
    assert counts(page) == [0, 2, 1, 3]
    assert list(kept(page)["value"]["cards"]) == ["ch01_x/a"]


def test_a_missed_card_comes_back_in_the_same_sitting(open_source):
    page = open_source(ONE)
    page.get_by_role("button", name="Review").click()
    for key in ("1", "4", "4"):
        page.keyboard.press("Space")
        page.keyboard.press(key)
    assert page.inner_text(".review-front") == "Why a?"
    page.keyboard.press("Space")
    page.keyboard.press("4")
    assert "Nothing is due" in page.inner_text(".review-stage")


def test_an_answer_is_rated_only_when_it_was_seen_and_typing_elsewhere_rates_nothing(open_source):
    page = open_source(ONE)
    page.get_by_role("button", name="Review").click()
    page.keyboard.press("3")
    assert page.evaluate(f"localStorage.getItem('{KEY}')") is None
    assert page.inner_text(".review-front") == "Why a?"


def test_undo_takes_the_last_rating_back(open_source):
    page = open_source(ONE)
    page.get_by_role("button", name="Review").click()
    page.keyboard.press("Space")
    page.keyboard.press("4")
    page.get_by_text("Your record").click()
    page.get_by_role("button", name="Undo").click()
    assert page.inner_text(".review-front") == "Why a?"
    assert kept(page)["value"]["cards"] == {}


def test_export_and_import_carry_the_record_to_another_browser(open_source, tmp_path):
    page = open_source(ONE)
    page.get_by_role("button", name="Review").click()
    page.keyboard.press("Space")
    page.keyboard.press("3")
    page.get_by_text("Your record").click()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Export").click()
    file = tmp_path / "reviews.json"
    saving.value.save_as(file)
    other = open_source(ONE)
    assert counts(other)[2] == 0
    other.get_by_text("Your record").click()
    other.set_input_files("input[type=file]", file)
    other.get_by_text("1 cards imported").wait_for()
    assert kept(other)["value"]["cards"] == kept(page)["value"]["cards"]
    file.write_text("no export")
    other.set_input_files("input[type=file]", file)
    other.get_by_text("no JSON file").wait_for()
    assert counts(other)[2] == 1


def test_forgetting_asks_first(open_source):
    page = open_source(ONE)
    page.get_by_role("button", name="Review").click()
    page.keyboard.press("Space")
    page.keyboard.press("3")
    page.get_by_text("Your record").click()
    page.once("dialog", lambda asked: asked.dismiss())
    page.get_by_role("button", name="Forget all").click()
    assert counts(page)[2] == 1
    page.once("dialog", lambda asked: asked.accept())
    page.get_by_role("button", name="Forget all").click()
    assert counts(page)[2] == 0


def test_a_mixed_review_fetches_all_decks_and_keeps_one_record(open_source):
    decks = [{"deck": "ch01_x", "page": "x/deck.html"}, {"deck": "ch02_y", "page": "y/deck.html"}]
    body = f"<course-review data-decks='{json.dumps(decks)}'></course-review>"
    body += "<script type=module src=/_static/js/review.js></script>"
    page = open_source(body, pages={"x/deck.html": deck("a"), "y/deck.html": deck("a", "b")})
    page.get_by_role("button", name="Review").click()
    assert counts(page) == [0, 3, 0, 3]
    page.keyboard.press("Space")
    assert page.get_attribute(".review-back a", "href").endswith("/x/page.html")
    page.keyboard.press("4")
    assert list(kept(page)["value"]["cards"]) == ["ch01_x/a"]


def test_a_deck_that_cannot_be_fetched_is_said(open_source):
    body = """<course-review data-decks='[{"deck": "ch01_x", "page": "gone.html"}]'></course-review>"""
    page = open_source(body + "<script type=module src=/_static/js/review.js></script>")
    page.get_by_text("could not be read").wait_for()
    assert all("404" in error for error in open_source.errors)
    open_source.errors.clear()


@pytest.mark.parametrize(
    ("stored", "says"),
    [("{ rubbish", "put aside"), (json.dumps({"version": 9, "value": {"from": "later"}}), "another version")],
)
def test_a_record_that_cannot_be_read_is_neither_used_nor_lost(open_source, stored, says):
    page = open_source("<p>first</p>")
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [KEY, stored])
    page = open_source(ONE, at="other.html", context=page.context)
    page.get_by_text(says).wait_for()
    page.get_by_role("button", name="Review").click()
    page.keyboard.press("Space")
    page.keyboard.press("3")
    everything = page.evaluate("() => Object.values(localStorage)")
    assert stored in everything


def test_without_storage_a_review_works_and_says_that_nothing_stays(open_source):
    block = (
        "<script>Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no'); } })</script>"
    )
    page = open_source(block + ONE)
    page.get_by_text("keeps nothing").wait_for()
    page.get_by_role("button", name="Review").click()
    page.keyboard.press("Space")
    page.keyboard.press("4")
    assert page.inner_text(".review-front") == "Why b?"


@pytest.mark.parametrize("library", sorted(p.name for p in (BOOK / "_static" / "vendor").iterdir()))
def test_a_vendored_library_is_the_published_file_with_its_licence(library):
    folder = BOOK / "_static" / "vendor" / library
    told = (folder / "README.md").read_text(encoding="utf-8")
    assert (folder / "LICENSE").is_file()
    modules = [f for f in folder.iterdir() if f.suffix in (".mjs", ".js")]
    assert modules
    assert all(hashlib.sha256(f.read_bytes()).hexdigest() in told for f in modules)
