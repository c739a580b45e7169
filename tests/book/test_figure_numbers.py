"""Figures are numbered within their chapter, in the order of the book."""

from book._ext.figure_numbers import by_chapter


def test_each_chapter_begins_at_one():
    counted = {
        "book/ch02_b/page": {"figure": {"late": (4,), "early": (3,)}},
        "book/ch01_a/one": {"figure": {"x": (1,)}},
        "book/ch01_a/two": {"figure": {"y": (2,)}, "table": {"t": (1,)}},
    }
    by_chapter(counted, {"ch01_a": 1, "ch02_b": 2})
    assert counted["book/ch01_a/one"]["figure"] == {"x": (1, 1)}
    assert counted["book/ch01_a/two"] == {"figure": {"y": (1, 2)}, "table": {"t": (1,)}}
    assert counted["book/ch02_b/page"]["figure"] == {"early": (2, 1), "late": (2, 2)}


def test_a_figure_outside_the_chapters_keeps_its_number():
    counted = {"book/index": {"figure": {"x": (1,)}}}
    by_chapter(counted, {"ch01_a": 1})
    assert counted["book/index"]["figure"] == {"x": (1,)}
