"""The book in a browser, as it is served: it fits a phone, makes no error, asks no other host."""

import re

import pytest

from autograder.release.toc import TOC
from book._ext.offline_math import RARE_SHOWN, mathjax_files
from book._ext.page_facts import pages
from book.kinds import kinds

pytestmark = pytest.mark.xdist_group("book")
PAGES = ["book/index", *re.findall(r"file: (\S+)", TOC.read_text(encoding="utf-8")), "search"]
VISIBLE = "image => image.getClientRects().length > 0"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone_and_runs_there_in_the_dark(open_book, name):
    opened = open_book(name, "phone in the dark")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.errors == []
    assert opened.strangers == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_on_a_desk_and_every_picture_has_words_for_those_who_do_not_see_it(open_book, name):
    opened = open_book(name)
    assert opened.errors == []
    assert opened.strangers == []
    assert opened.page.eval_on_selector_all("article img", "all => all.filter(i => !i.alt).map(i => i.src)") == []


@pytest.mark.parametrize("screen", ["desk in the dark", "phone"])
@pytest.mark.parametrize("kind", kinds())
def test_each_kind_of_page_runs_on_the_other_screens(open_book, kind, screen):
    opened = open_book(kinds()[kind], screen)
    assert opened.errors == []
    assert opened.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", pages())
def test_each_figure_shows_the_drawing_of_the_theme_and_its_caption(open_book, name, theme):
    page = open_book(name, "desk" if theme == "light" else "desk in the dark").page
    for figure in page.query_selector_all("figure.course-figure"):
        shown = [i.get_attribute("class") for i in figure.query_selector_all("img") if i.evaluate(VISIBLE)]
        live = figure.evaluate("figure => Boolean(figure.closest('.course-concept.live'))")
        assert shown == ([] if live else [f"only-{theme}"])
        assert figure.query_selector("figcaption").evaluate(VISIBLE)


@pytest.mark.parametrize("screen", ["desk", "desk in the dark"])
def test_text_of_a_verdict_stands_out_from_the_page(open_book, screen):
    page = open_book(kinds()["lab"], screen).page
    ink, paper = page.evaluate(
        """() => {
            let box = document.querySelector('.verdict'), ink = getComputedStyle(box).color, paper;
            const luminance = c => {
                const linear = x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
                const [r, g, b] = c.match(/[\\d.]+/g).map(x => linear(x / 255));
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            do { paper = getComputedStyle(box).backgroundColor; box = box.parentElement; }
            while (box && /, 0\\)$|transparent/.test(paper));
            return [luminance(ink), luminance(paper)];
        }"""
    )
    light, dark = max(ink, paper), min(ink, paper)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


@pytest.mark.skipif(not mathjax_files(), reason="MathJax comes from its CDN: pip install sphinx-mathjax-offline")
def test_formulas_are_drawn_from_the_book_itself(open_book):
    opened = open_book(kinds()["prose"])
    assert opened.page.query_selector("mjx-container")
    assert not opened.page.query_selector("mjx-merror")
    assert opened.strangers == []


def test_search_finds_a_page_by_its_words(open_book):
    page = open_book("search").page
    field = page.locator("main input[type=search], .bd-article-container input[type=search]").first
    field.fill("tokenization")
    field.press("Enter")
    found = page.locator("#search-results a[href*='ch00_text_to_tensors/tokenization']").first
    found.wait_for(timeout=20_000)
    found.click()
    page.wait_for_load_state()
    assert "tokenization.html" in page.url


@pytest.mark.skipif(not mathjax_files(), reason="MathJax comes from its CDN: pip install sphinx-mathjax-offline")
@pytest.mark.parametrize("name", sorted(pages()))
def test_every_formula_of_a_page_is_understood(open_book, name):
    page = open_book(name).page
    assert page.eval_on_selector_all("mjx-merror", "all => all.map(e => e.title || e.textContent)") == []
    of_the_cut_font = """all => all.map(e => getComputedStyle(e, "::before"))
        .filter(style => /MJXTEX-A\\b/.test(style.fontFamily.split(",")[1] ?? style.fontFamily))
        .map(style => style.content.replaceAll('"', ""))"""
    assert {ord(letter) for letter in page.eval_on_selector_all("mjx-c.TEX-A", of_the_cut_font)} <= RARE_SHOWN
