"""Prints the built book into one PDF through headless Chromium: `make pdf`. It builds nothing and alters no page.

Pages follow the table of contents, with a title page before them and a bookmark for each part, chapter and page.
"""

import datetime
import io
import sys
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import yaml

from autograder.facts import repository
from autograder.paths import ROOT
from autograder.release.toc import TOC
from book.browser import chromium
from book.served import Site, served

# Shown where the page's number stands; Chromium fills it. Sizes must be given: its default is nothing.
FOOT = """<div style="font: 8px sans-serif; width: 100%; padding: 0 17mm; color: #555">{title},
<span class="pageNumber"></span> of <span class="totalPages"></span></div>"""
# Pictures below the screen's edge are fetched late, and formulas drawn late: both must be there before printing.
READY = """async () => {
  for (const image of document.images) {
    if (!image.classList.contains("only-dark")) image.loading = "eager";
  }
  await window.MathJax?.startup?.promise;
  await document.fonts.ready;
  const shown = [...document.images].filter((image) => !image.classList.contains("only-dark"));
  await Promise.all(shown.map((image) => image.decode().catch(() => {})));
}"""


@dataclass(frozen=True)
class Entry:
    """A line of the table of contents. page: its name in the book, or "" for a part; depth: 0 for a part."""

    title: str
    page: str
    depth: int


def entries(toc: dict[str, Any]) -> list[Entry]:
    """The table of contents in order. A page without a title in it has "" here, and takes its own heading."""
    found = [Entry("", toc["root"], 0)]

    def walk(listed: list[dict[str, Any]], depth: int) -> None:
        for one in listed:
            found.append(Entry(one.get("title", ""), one["file"], depth))
            walk(one.get("sections", []), depth + 1)

    for part in toc["parts"]:
        found.append(Entry(part["caption"], "", 0))
        walk(part["chapters"], 1)
    return found


def page_pdf(site: Site, context: Any, name: str) -> tuple[str, bytes]:
    """A page's heading and its PDF."""
    page = context.new_page()
    page.goto(site.page(name))
    page.evaluate(READY)
    title = page.eval_on_selector("article h1", "h => h.firstChild.textContent.trim()")
    made = _pdf(page, escape(title))
    page.close()
    return title, made


def _pdf(page: Any, foot: str) -> bytes:
    return page.pdf(
        format="A4",
        print_background=True,
        prefer_css_page_size=True,
        display_header_footer=bool(foot),
        header_template="<span></span>",
        footer_template=FOOT.format(title=foot),
    )


def title_page(context: Any, title: str, author: str) -> bytes:
    """The PDF's first sheet."""
    url, _ = repository()
    page = context.new_page()
    page.set_content(
        f"""<style>@page {{ size: A4; margin: 20mm }}</style>
        <body style="font-family: sans-serif; margin: 0; padding-top: 60mm; color: #1a1a1a">
        <div style="border-left: 6px solid #0072B2; padding-left: 10mm">
        <h1 style="font-size: 40pt; font-weight: 500; margin: 0 0 8mm">{escape(title)}</h1>
        <p style="font-size: 15pt; margin: 0 0 30mm">Build every part of a transformer, and measure what it costs.</p>
        <p style="font-size: 11pt">{escape(author)}<br>{datetime.date.today():%d %B %Y}<br>{escape(url)}</p>
        <p style="font-size: 10pt; color: #555">What moves in the book on the web stands still here. Its labs run in a
        browser: open them from the web.</p></div></body>"""
    )
    made = _pdf(page, "")
    page.close()
    return made


def book_pdf(browser: Any, html: Path, target: Path, names: set[str] | None = None) -> int:
    """Print a built book, or those of its pages, into one file with bookmarks; returns its number of sheets."""
    from pypdf import PdfReader, PdfWriter

    told = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    writer, above = PdfWriter(), {}
    with served(html) as site:
        context = browser.new_context(color_scheme="light", viewport={"width": 1000, "height": 1400})
        writer.append(io.BytesIO(title_page(context, told["title"], told["author"])), import_outline=False)
        for entry in entries(yaml.safe_load(TOC.read_text(encoding="utf-8"))):
            if not entry.page:
                above = {0: (entry.title, None)}  # a part's bookmark is made when its first page comes
                continue
            if names is not None and entry.page not in names:
                continue
            heading, made = page_pdf(site, context, entry.page)
            first = len(writer.pages)
            writer.append(PdfReader(io.BytesIO(made)), import_outline=False)
            if entry.depth and above.get(0, ("", True))[1] is None:
                above[0] = (above[0][0], writer.add_outline_item(title=above[0][0], page_number=first))
            parent = above.get(entry.depth - 1, ("", None))[1]
            above[entry.depth] = (
                "",
                writer.add_outline_item(title=entry.title or heading, page_number=first, parent=parent),
            )
            print(f"{entry.page}: {len(writer.pages) - first} sheets", flush=True)
    writer.add_metadata({"/Title": told["title"], "/Author": told["author"]})
    writer.compress_identical_objects()  # every page brings its fonts
    target.parent.mkdir(parents=True, exist_ok=True)
    writer.write(target)
    return len(writer.pages)


def main() -> None:
    """Print _build/html, or the built book in the folder that is given, into _build/transformer-systems.pdf."""
    html = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "html"
    if not (html / "book" / "index.html").is_file():
        raise SystemExit(f"no built book in {html}: run `make book`, or give the folder of a built one")
    target = html.parent / "transformer-systems.pdf"
    with chromium() as browser:
        print(f"{book_pdf(browser, html, target)} sheets: {target}")


if __name__ == "__main__":
    main()
