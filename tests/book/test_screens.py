"""The book in a browser: it fits a phone, runs without script errors, and shows one drawing of each figure."""

import re

import pytest

from autograder.release.toc import TOC
from book._ext.offline_math import mathjax_files
from book._ext.page_facts import pages

pytestmark = pytest.mark.xdist_group("book")
PAGES = ["book/index", *re.findall(r"file: (\S+)", TOC.read_text(encoding="utf-8"))]
PHONE = {"width": 390, "height": 844}
VISIBLE = "image => image.getClientRects().length > 0"


@pytest.fixture
def opened(browser, built_book):
    """Opens a page of the book without a network; returns it and the script errors it made."""
    contexts = []

    def open_page(name, viewport=None, theme="light"):
        context = browser.new_context(viewport=viewport or {"width": 1280, "height": 900}, color_scheme=theme)
        contexts.append(context)
        page, errors = context.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.route("http*://**", lambda route: route.abort())
        page.goto((built_book.html / f"{name}.html").as_uri())
        page.wait_for_load_state("load")
        return page, [error for error in errors if "ERR_FAILED" not in error]

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_phone(opened, name):
    page, _ = opened(name, PHONE)
    if mathjax_files():  # formulas are as wide as what is drawn of them
        page.evaluate("async () => { await (window.MathJax?.startup?.promise) }")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_runs_without_script_errors(opened, name):
    page, errors = opened(name)
    page.wait_for_timeout(200)
    assert errors == []


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_of_a_page_has_words_for_those_who_do_not_see_it(opened, name):
    page, _ = opened(name)
    assert page.eval_on_selector_all("article img", "all => all.filter(i => !i.alt).map(i => i.src)") == []


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", pages())
def test_each_figure_shows_the_drawing_of_the_theme_and_its_caption(opened, name, theme):
    page, _ = opened(name, theme=theme)
    for figure in page.query_selector_all("figure.course-figure"):
        shown = [i.get_attribute("class") for i in figure.query_selector_all("img") if i.evaluate(VISIBLE)]
        assert shown == [f"only-{theme}"]
        assert figure.query_selector("figcaption").evaluate(VISIBLE)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_of_a_verdict_stands_out_from_the_page(opened, theme):
    lab = next(name for name in PAGES if name.startswith("notebooks/"))
    page, _ = opened(lab, theme=theme)
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
def test_formulas_are_drawn_without_a_network(opened):
    page, _ = opened(next(iter(pages())))
    page.evaluate("async () => { await MathJax.startup.promise }")
    assert page.query_selector("mjx-container")
    assert not page.query_selector("mjx-merror")
