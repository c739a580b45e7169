"""The roadmap: steps and tracks hold what exists, hours are summed, neighbours in order; ticks stay in the browser."""

import json

import pytest

from autograder.facts import BadFact, chapters
from book._ext import paths
from book._ext.paths import neighbours, places_of, resolved, ways

KEY = "transformer-systems:progress"
SCRIPT = "<script type=module src=/_static/js/progress.js></script>"


def test_every_page_and_lab_of_the_book_is_on_the_arc_exactly_once():
    on_arc = [place.page for step in ways("arc") for place in step.places]
    everything = [place.page for chapter in chapters() for place in places_of(chapter).values()]
    assert sorted(on_arc) == sorted(everything)


def test_every_page_and_lab_is_on_a_track_and_on_none_twice():
    tracks = [[place.page for place in track.places] for track in ways("tracks")]
    assert all(len(set(pages)) == len(pages) for pages in tracks)
    everything = {place.page for chapter in chapters() for place in places_of(chapter).values()}
    assert everything == {page for pages in tracks for page in pages}


def test_a_tracks_hours_are_its_places_minutes():
    for track in ways("tracks"):
        minutes = sum(place.minutes for place in track.places)
        assert abs(60 * track.hours - minutes) <= 30


def test_neighbours_follow_the_track():
    track = ways("tracks")[0]
    for before, here, after in zip(track.places, track.places[1:], track.places[2:], strict=False):
        found = next(n for n in neighbours(here.page) if n[0] == track)
        assert found[1:] == (before, after)
    assert next(n for n in neighbours(track.places[0].page) if n[0] == track)[1] is None
    assert next(n for n in neighbours(track.places[-1].page) if n[0] == track)[2] is None


def test_a_chapter_to_come_is_left_out_and_a_wrong_name_is_refused():
    assert resolved(["ch77", "ch77/lab01"]) == ()
    with pytest.raises(BadFact, match="ch01/lab99 does not exist"):
        resolved(["ch01/lab99"])


def tick(name):
    return f'<course-tick data-page="{name}"></course-tick>'


def test_a_tick_stays_over_a_reload_marks_links_and_can_be_taken_back(open_source):
    links = '<div class="course-contents"><a href="book/x/a.html#part">A</a><a href="book/x/b.html">B</a></div>'
    page = open_source(tick("book/x/a") + links + SCRIPT)
    page.get_by_role("checkbox").press("Space")
    assert page.inner_text(".course-contents").count("✓") == 1
    page.reload()
    assert page.get_by_role("checkbox").is_checked()
    assert "(done)" in page.text_content("a >> nth=0")
    page.get_by_role("checkbox").click()
    assert "✓" not in page.inner_text(".course-contents")
    assert json.loads(page.evaluate(f"localStorage.getItem('{KEY}')"))["value"]["pages"] == {}


def test_the_record_counts_what_is_ticked_and_goes_out_and_in(open_source, tmp_path):
    minutes = json.dumps({"book/x/a": 30, "book/x/b": 90})
    body = tick("book/x/b") + f"<course-record data-minutes='{minutes}'></course-record>" + SCRIPT
    page = open_source(body)
    assert page.inner_text("course-record [role=status]").startswith("0 of 2 pages and labs done, about 0 of 2 hours")
    page.get_by_role("checkbox").click()
    assert page.inner_text("course-record [role=status]").startswith("1 of 2 pages and labs done, about 2 of 2 hours")
    with page.expect_download() as saving:
        page.get_by_role("button", name="Export").click()
    file = tmp_path / "progress.json"
    saving.value.save_as(file)
    other = open_source(body)
    other.set_input_files("input[type=file]", file)
    other.get_by_text("Imported.").wait_for()
    assert other.inner_text("course-record [role=status]").startswith("1 of 2")
    file.write_text('{"kind": "transformer-systems progress", "version": 1, "pages": {"a": "someday"}}')
    other.set_input_files("input[type=file]", file)
    other.get_by_text("no progress of this book").wait_for()
    assert other.inner_text("course-record [role=status]").startswith("1 of 2")


@pytest.mark.parametrize(
    ("address", "root", "name"),
    [
        ("https://a.org/course/book/x/a.html", "https://a.org/course/", "book/x/a"),
        ("https://b.org/course/book/x/a.html", "https://b.org/other/", None),
        ("https://a.org/course/data.json", "https://a.org/course/", None),
    ],
)
def test_a_page_is_known_by_its_place_under_the_books_root(open_source, address, root, name):
    page = open_source("<p>names</p>")
    call = "([a, r]) => import('/_static/js/progress.js').then(m => m.pageName(a, r))"
    assert page.evaluate(call, [address, root]) == name


def test_the_footer_links_both_ways_and_escapes_titles(monkeypatch):
    class App:
        class builder:
            @staticmethod
            def get_relative_uri(page, target):
                return f"to/{target}.html"

    a, b = (paths.Place(f"{n} <x>", f"book/y/{n}", 5, 1) for n in "ab")
    monkeypatch.setattr(paths, "neighbours", lambda page: [(paths.Way("t", "T & U", "", (a, b)), a, b)])
    text = paths.footer(App, "book/y/c")
    assert "a &lt;x&gt;" in text
    assert "T &amp; U" in text
    assert text.index("to/book/y/a.html") < text.index("to/book/y/b.html")
