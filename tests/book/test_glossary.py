"""Glossary terms: a page's first mention is linked, whole words only; definitions show by mouse and by keyboard."""

import pytest

from book._ext.glossary_links import pieces, terms

PAGE = """<p>A <a class="reference internal" href="glossary.html#term-token">
<span class="glossary-term">token</span></a> and a <a class="reference internal" href="other.html">link</a>.</p>
<script type=module src=/_static/js/glossary.js></script>"""
GLOSSARY = '<dl class="glossary"><dt id="term-token">token</dt><dd><p>A piece of text.</p></dd></dl>'


def linked(text, seen=None):
    return [term for _, term in pieces(text, set() if seen is None else seen) if term]


def test_only_the_first_mention_is_cut_out_and_no_word_is_lost():
    text = "Softmax turns logits into weights; softmax again."
    cut = pieces(text, set())
    assert "".join(words for words, _ in cut) == text
    assert [pair for pair in cut if pair[1]] == [("Softmax", "softmax"), ("logits", "logit")]
    assert linked("softmax", {"softmax"}) == []


def test_the_longest_term_wins_and_parts_of_words_are_left_alone():
    assert linked("multi-head attention") == ["multi-head attention"]
    assert linked("tokenization of subtokens") == []
    assert linked("an embedding-like value") == ["value"]


def test_every_term_is_listed_once_and_in_order():
    listed = list(dict.fromkeys(terms().values()))
    assert listed == sorted(listed, key=str.lower)
    assert len(listed) >= 40


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_a_definition_shows_and_goes(open_source, way):
    page = open_source(PAGE, pages={"glossary.html": GLOSSARY})
    link, tip = page.get_by_role("link", name="token"), page.locator(".glossary-tip")
    assert tip.is_hidden()
    link.hover() if way == "mouse" else link.focus()
    tip.wait_for()
    assert tip.inner_text() == "A piece of text."
    assert link.get_attribute("aria-describedby") == tip.get_attribute("id")
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_an_ordinary_link_shows_nothing(open_source):
    page = open_source(PAGE, pages={"glossary.html": GLOSSARY})
    page.get_by_role("link", name="link", exact=True).hover()
    page.wait_for_timeout(150)
    assert page.locator(".glossary-tip").is_hidden()
