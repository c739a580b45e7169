"""A slider over pictures: what the element holds, and that it needs nothing from elsewhere."""

import re

import matplotlib.pyplot as plt
import pytest

from source.flipbook import flipbook


def draw(value):
    fig, ax = plt.subplots(figsize=(1, 1))
    ax.plot([0, 1])
    ax.set_ylim(0, value + 1)
    return fig


def test_it_holds_every_picture_and_shows_the_one_it_starts_with():
    book = flipbook(draw, range(0, 9, 2), 4, label="position", alt="a line")
    element = book._repr_html_()
    assert len(set(book.pictures)) == 5
    assert re.search(r'data-pictures="([^"]*)"', element)[1].split() == list(book.pictures)
    assert f'src="data:image/png;base64,{book.pictures[2]}"' in element
    assert 'max="4" value="2"' in element


def test_it_needs_no_script_no_id_and_no_network():
    element = flipbook(draw, [1, 2], 1, label="n", alt="a line")._repr_html_()
    assert not re.search(r"<script|<link|http|\bid=", element)


def test_label_and_alternative_text_are_escaped():
    element = flipbook(draw, [1], 1, label="a < b", alt='the "hand"')._repr_html_()
    assert "a &lt; b" in element
    assert "the &quot;hand&quot;" in element


def test_its_figures_are_closed():
    before = plt.get_fignums()
    flipbook(draw, range(3), 0, label="n", alt="a line")
    assert plt.get_fignums() == before


def test_a_start_that_is_no_value_is_refused():
    with pytest.raises(ValueError, match="cannot start at 5"):
        flipbook(draw, [1, 2], 5, label="n", alt="a line")
