"""No page is heavy: what each kind transfers, what pages share, that nothing comes from elsewhere."""

from dataclasses import asdict

import pytest

from book._ext.icons import characters, without_others
from book._ext.light_images import lighten, repoint
from book._ext.light_styles import lighter, words
from book.kinds import kinds
from book.served import served
from book.weights import heaviest, own, visit, weigh

pytestmark = pytest.mark.xdist_group("book")
MOST = 500_000  # bytes on the wire, without what moves
MOST_MOVING = 250_000


@pytest.fixture(scope="module")
def weights(browsers, book_site):
    """A kind's weight, weighed once."""
    known = {}

    def weight(program, kind):
        if kind not in known:
            known[kind] = weigh(book_site, browsers(program), kind, kinds()[kind])
        return known[kind]

    return weight


@pytest.mark.parametrize("kind", kinds())
def test_a_first_visit_transfers_less_than_500_kb(weights, chromium, kind):
    weight = weights(chromium, kind)
    assert 10_000 < weight.first < MOST
    assert weight.interactive < MOST_MOVING


def test_no_page_of_the_book_is_heavier(built_book, weights, chromium):
    rows = [asdict(weights(chromium, kind)) for kind in ("lab", "prose")]
    weighed = heaviest(built_book.html, rows)
    assert weighed[0]["first"] < MOST, weighed
    estimated = own(built_book.html, rows[1]["page"]) + rows[0]["first"] - own(built_book.html, rows[0]["page"])
    assert estimated == pytest.approx(rows[1]["first"], rel=0.15)  # fonts differ with the formulas


@pytest.mark.parametrize("kind", ["cover", "prose", "lab", "deck"])
def test_fonts_and_scripts_are_fetched_once_for_all_pages(browser, book_site, kind):
    context = browser.new_context()
    other = kinds()["prose"] if kind != "prose" else kinds()["notation"]
    seen = {path for path, _ in visit(book_site, context, other)}
    again = [path for path, _ in visit(book_site, context, kinds()[kind])]
    context.close()
    assert [path for path in again if path in seen and path.startswith("/_static/")] == []


def test_nothing_of_a_page_is_missing(browser, book_site):
    for name in kinds().values():
        context = browser.new_context()
        assert [path for path, size in visit(book_site, context, name) if size == 0 and "favicon" not in path] == []
        context.close()


def test_only_the_drawing_of_the_theme_is_fetched(browser, book_site):
    context = browser.new_context(color_scheme="dark")
    sent = [path for path, _ in visit(book_site, context, kinds()["prose"])]
    context.close()
    assert any(path.endswith("-dark.svg") for path in sent)
    assert not any(path.endswith("-light.svg") for path in sent)


def test_pages_with_formulas_alone_load_mathjax(built_book):
    loads, shows = {}, {}
    for file in sorted((built_book.html / "book").rglob("*.html")):
        page = built_book.page(file.relative_to(built_book.html).with_suffix("").as_posix())
        loads[file.name] = any("mathjax" in script["src"].lower() for script in page.select("script[src]"))
        shows[file.name] = bool(page.select(".math"))
    assert loads == shows
    assert set(shows.values()) == {True, False}


def test_the_index_of_words_is_fetched_by_the_search_page_alone(built_book):
    assert not built_book.page(kinds()["prose"]).select("script[src*=searchindex]")
    assert built_book.page("search").select("script[src*=searchindex]")


@pytest.mark.parametrize("kind", ["cover", "lab", "prose"])
def test_every_icon_of_a_page_is_in_its_font(open_book, kind):
    page = open_book(kinds()[kind]).page
    missing = page.evaluate(
        """async () => {
            await document.fonts.ready;
            const seen = [];
            for (const icon of document.querySelectorAll("i[class*='fa-'], span[class*='fa-']")) {
                const { content, fontFamily, fontWeight } = getComputedStyle(icon, "::before");
                const there = document.fonts.check(`${fontWeight} 16px ${fontFamily}`, content);
                if (content === "none" || !there) seen.push(icon.className);
            }
            return seen;
        }"""
    )
    assert missing == []


def test_rules_of_icons_that_no_page_shows_are_left_out():
    bars = '.fa-bars:before,.fa-navicon:before{content:"\\f0c9"}'
    style = bars + '.fa-yelp:before{content:"\\f1e9"}.x:after{content:"\\f058"}'
    cut = without_others(style, {"fa-bars"})
    assert cut == '.fa-bars:before{content:"\\f0c9"}.x:after{content:"\\f058"}'
    assert characters(cut) == {0xF0C9, 0xF058}
    assert without_others(cut, {"fa-bars"}) == cut


def test_rules_that_no_page_can_use_are_left_out_and_the_others_stay():
    kept = (
        ".a{x:y}",
        "p:hover{x:y}",
        ".a .b,p{x:y}",
        ".a:not(.gone){x:y}",
        ":is(.gone,.a) b{x:y}",
        '[class="gone"]{x:y}',
    )
    kept += ".bs-any{x:y}", "@media print{.b{x:y}}", '@font-face{font-family:"F"}', '.a::after{content:".gone{}"}'
    gone = ".gone{x:y}", ".a.gone{x:y}", "@media print{.gone{x:y}}", ".a .gone>p{x:y}"
    whole = "".join(kept) + "".join(gone) + "/* a note */"
    assert lighter(whole, {"a", "b"}) == "".join(kept)
    assert lighter(".gone,.a{x:y}", {"a"}) == ".a{x:y}"
    assert lighter("".join(kept), {"a", "b"}) == "".join(kept)


def test_words_of_pages_and_scripts_are_known(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "s.js").write_text('element.classList.add("made-later")')
    (tmp_path / "p.html").write_text('<p class="in-page other">')
    assert words(tmp_path) >= {"made-later", "in-page", "other"}


def test_a_plot_gets_lighter_and_looks_the_same(tmp_path):
    import numpy as np
    from PIL import Image

    wave = np.linspace(0, 6, 300)
    picture = np.full((200, 300, 3), 255, dtype=np.uint8)
    for shift in range(12):  # a blurred line
        rows = (100 + 60 * np.sin(wave) + shift).astype(int)
        picture[rows, np.arange(300)] = [20 * shift, 90, 200]
    file = tmp_path / "plot.png"
    Image.fromarray(picture).save(file)
    before = file.stat().st_size
    light = lighten(file)
    assert light.stat().st_size < before
    after = np.asarray(Image.open(light).convert("RGB"), dtype=int)
    drawn = picture.min(axis=2) < 250
    assert np.abs(after - picture)[drawn].mean() < 4
    assert list(tmp_path.iterdir()) == [light]


@pytest.mark.parametrize("kind", ["see-through", "of too many colours"])
def test_a_picture_that_a_palette_would_change_stays_as_it_is(tmp_path, kind):
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 4), dtype=np.uint8)
    picture = Image.fromarray(noise if kind == "see-through" else noise[..., :3])
    picture.save(tmp_path / "picture.png")
    with Image.open(lighten(tmp_path / "picture.png")) as kept:
        same = np.asarray(kept.convert("RGBA")) == np.asarray(picture.convert("RGBA"))
    assert same[noise[..., 3] > 0].all()  # what is wholly see-through has no colour


def test_a_page_shows_the_lighter_pictures_and_others_as_before(tmp_path):
    page = tmp_path / "page.html"
    page.write_text('<img src="../_images/a.png"><a href="_images/b.png"></a><img src="_static/a.png">')
    repoint(page, {"a"})
    assert page.read_text() == '<img src="../_images/a.webp"><a href="_images/b.png"></a><img src="_static/a.png">'


def test_the_server_counts_what_it_sends_zipped(tmp_path):
    from urllib.request import urlopen

    (tmp_path / "page.html").write_text("word " * 1000)
    with served(tmp_path) as site:
        with urlopen(site.page("page")) as answer:
            body = answer.read()
        assert answer.headers["Content-Encoding"] == "gzip"
        assert site.sent == [("/page.html", len(body))]
        assert len(body) < 200
