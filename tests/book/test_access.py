"""Everybody can use the book: axe-core finds nothing serious on a page of any kind, in light and in dark."""

import pytest
from axe_playwright_python.sync_playwright import Axe

from book._ext.access import listed_papers, named_folds
from book.kinds import kinds

pytestmark = pytest.mark.xdist_group("book")
GRAVE = ("serious", "critical")
ALSO = ("heading-order",)  # only moderate for axe; a reader who jumps from heading to heading needs it


@pytest.mark.parametrize("screen", ["desk", "desk in the dark", "phone"])
@pytest.mark.parametrize("kind", kinds())
def test_axe_finds_nothing_grave(open_book, kind, screen):
    found = Axe().run(open_book(kinds()[kind], screen).page).response["violations"]
    told = [
        f"{one['id']} ({one['impact']}): {node['html'][:200]}\n{node['failureSummary']}"
        for one in found
        if one["impact"] in GRAVE or one["id"] in ALSO
        for node in one["nodes"]
    ]
    assert told == []


def test_axe_itself_finds_what_is_wrong(open_book):
    """The check above cannot pass by seeing nothing."""
    page = open_book(kinds()["notation"]).page
    page.evaluate("document.querySelector('article').insertAdjacentHTML('beforeend', '<button></button>')")
    assert "button-name" in {one["id"] for one in Axe().run(page).response["violations"]}


def test_a_fold_of_the_sidebar_is_named_after_its_chapter():
    link = '<a class="reference internal" href="x.html">1. Attention &amp; more</a>'
    shown = named_folds(f'<li>{link}<details open="open"><summary><i></i></summary></details></li>')
    assert '<summary aria-label="Pages of 1. Attention &amp; more"><i></i>' in shown
    assert named_folds("<details><summary>Words</summary></details>") == "<details><summary>Words</summary></details>"


def test_entries_of_the_bibliography_are_items_of_a_list():
    assert listed_papers('<div role="doc-biblioentry">') == '<div role="listitem">'


@pytest.mark.parametrize("kind", ["cover", "concept", "deck", "explain"])
def test_the_first_key_leads_past_the_sidebar_and_focus_is_seen(open_book, kind):
    page = open_book(kinds()[kind]).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "Skip to main content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    style = page.evaluate(
        "(({ outlineStyle, boxShadow }) => [outlineStyle, boxShadow])(getComputedStyle(document.activeElement))"
    )
    assert page.evaluate("Boolean(document.activeElement.closest('main'))")
    assert style != ["none", "none"]
