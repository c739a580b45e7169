"""Every link inside the built book leads somewhere: the page is there, and so is the place on it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bs4 import BeautifulSoup, SoupStrainer

pytestmark = pytest.mark.xdist_group("book")
LINKS = {"a": "href", "img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}


def links(text: str) -> Iterator[str]:
    """What a page links to or loads."""
    for tag in BeautifulSoup(text, "html.parser", parse_only=SoupStrainer(list(LINKS))).find_all(list(LINKS)):
        if told := tag.get(LINKS[tag.name]):
            yield told


def broken(html: Path) -> list[str]:
    """The links of all pages that lead nowhere: "page -> link"."""

    @cache
    def places(file: Path) -> set[str]:
        found = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser").find_all(True)
        return {tag[name] for tag in found for name in ("id", "name") if tag.get(name)}

    @cache
    def leads(file: Path, place: str) -> bool:
        if file.is_dir():
            file /= "index.html"
        if not file.is_file():
            return False
        return not place or file.suffix != ".html" or place in places(file)

    bad = []
    for page in sorted(html.rglob("*.html")):
        if "_static" in page.parts:
            continue  # the theme's own templates
        for link in sorted(set(links(page.read_text(encoding="utf-8")))):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            where = (page.parent / unquote(parts.path)).resolve() if parts.path else page.resolve()
            if not leads(where, unquote(parts.fragment)):
                bad.append(f"{page.relative_to(html)} -> {link}")
    return bad


def test_every_internal_link_and_anchor_leads_somewhere(built_book):
    assert broken(built_book.html) == []


def test_what_leads_nowhere_is_found(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.html").write_text("<p id='here'>", encoding="utf-8")
    page = "<a href='sub/b.html#here'></a><a href='sub/b.html#gone'></a><a href='c.html'></a><img src='d.png'>"
    (tmp_path / "a.html").write_text(page + "<a href='https://example.org/x'></a><a href='#'></a>", encoding="utf-8")
    assert broken(tmp_path) == ["a.html -> c.html", "a.html -> d.png", "a.html -> sub/b.html#gone"]


def test_no_page_loads_anything_from_elsewhere(built_book):
    """A link may lead away; what a page loads by itself may not."""
    for page in built_book.html.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        for tag in BeautifulSoup(text, "html.parser", parse_only=SoupStrainer(["img", "script", "link", "iframe"])):
            told = getattr(tag, "attrs", None) and (tag.get("src") or (tag.get("href") if tag.name == "link" else ""))
            if tag.name == "link" and set(tag.get("rel", [])) & {"canonical", "next", "prev"}:
                continue
            assert not urlsplit(told or "").netloc, f"{page.name} loads {told}"
