"""On paper: pages in order with bookmarks, whole pictures in light, unfolded answers, nothing that one clicks."""

import io

import pytest
from pypdf import PdfReader

from book.kinds import kinds
from book.print import Entry, book_pdf, entries, page_pdf

pytestmark = pytest.mark.xdist_group("book")


def test_the_table_of_contents_is_read_in_order():
    sections = [{"file": "a/one"}, {"file": "a/lab"}]
    chapter = {"file": "a/index", "title": "1. A", "sections": sections}
    toc = {"root": "index", "parts": [{"caption": "I", "chapters": [chapter, {"file": "b"}]}]}
    assert entries(toc) == [
        Entry("", "index", 0),
        Entry("I", "", 0),
        Entry("1. A", "a/index", 1),
        Entry("", "a/one", 2),
        Entry("", "a/lab", 2),
        Entry("", "b", 1),
    ]


def test_a_few_pages_become_one_file_with_a_title_page_and_bookmarks(browser, built_book, tmp_path):
    wanted = {kinds()[kind] for kind in ("chapter", "prose", "notation")}
    sheets = book_pdf(browser, built_book.html, tmp_path / "book.pdf", wanted)
    pdf = PdfReader(tmp_path / "book.pdf")
    assert len(pdf.pages) == sheets >= 5
    assert "Transformer Systems" in pdf.pages[0].extract_text()
    marks = pdf.outline  # a list after a mark holds what lies below it
    assert next(mark.title for mark in marks if not isinstance(mark, list)) == "Before you start"
    firsts = [pdf.get_destination_page_number(mark) for mark in _flat(marks)]
    assert firsts == sorted(firsts)
    assert firsts[0] == 1


def _flat(marks):
    return [one for mark in marks for one in (_flat(mark) if isinstance(mark, list) else [mark])]


@pytest.fixture
def printed(browser, book_site):
    """What a page of this kind says and shows on paper: (text of the PDF, the page with the print style)."""
    contexts = []

    def make(kind):
        context = browser.new_context(color_scheme="dark", viewport={"width": 1000, "height": 1400})
        contexts.append(context)
        _, made = page_pdf(book_site, context, kinds()[kind])
        page = context.new_page()
        page.goto(book_site.page(kinds()[kind]))
        page.emulate_media(media="print")
        return "\n".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(made)).pages), page

    yield make
    for context in contexts:
        context.close()


def test_answers_are_unfolded_and_what_one_clicks_is_gone(printed):
    text, page = printed("explain")
    assert "One row of 768 numbers for each token" in text
    for part in ("#pst-primary-sidebar", "#pst-secondary-sidebar", ".prev-next-footer", ".bd-header-article"):
        assert all(not found.is_visible() for found in page.locator(part).all()), part


def test_a_concept_shows_its_still_picture_in_light_although_the_page_was_dark(printed):
    _, page = printed("concept")
    assert page.locator(".concept-live").first.is_hidden()
    assert page.locator(".course-drawings img.only-light").first.is_visible()
    assert page.locator(".course-drawings img.only-dark").first.is_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
