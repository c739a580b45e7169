"""Weighs a page of each kind and times the book's builds: `python -m book.weights`. It judges none.

A page's weight is what a first visit transfers, zipped, down to the page's end. `make bench` keeps the table in
data/results/book-bench.json.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from rich.console import Console
from rich.table import Table

from autograder.paths import ROOT
from book.browser import chromium
from book.kinds import kinds
from book.served import Site, body, served

PAGES = ("book", "notebooks")  # where the book's own pages lie
MODULES = ("/_static/js/", "/_static/vendor/ts-fsrs/", "/book/concepts/")
SCROLL = """async () => {
  for (let y = 0; y < document.body.scrollHeight; y += innerHeight / 2) {
    window.scrollTo(0, y);
    await new Promise((done) => setTimeout(done, 30));
  }
}"""


@dataclass(frozen=True)
class Weight:
    """What a page transfers, in bytes: at a first visit, interactive parts apart; and after another page was seen."""

    kind: str
    page: str
    first: int
    interactive: int
    later: int


def visit(site: Site, context: Any, name: str) -> list[tuple[str, int]]:
    """Open a page and scroll to its end; returns what was sent: each path and its bytes."""
    before = len(site.sent)
    page = context.new_page()
    page.goto(site.page(name))
    page.evaluate(SCROLL)
    page.wait_for_load_state("networkidle")
    page.close()
    return site.sent[before:]


def _moves(path: str) -> bool:
    """Whether a path is a module of an interactive part."""
    return path.startswith(MODULES) and path.split("?")[0].endswith((".js", ".mjs"))


def weigh(site: Site, browser: Any, kind: str, name: str) -> Weight:
    """A page's weight in a browser that has seen nothing, and in one that has just been on the first prose page."""
    fresh, used = (browser.new_context(viewport={"width": 1280, "height": 900}) for _ in range(2))
    first = visit(site, fresh, name)
    visit(site, used, kinds()["prose"] if kind != "prose" else kinds()["notation"])
    later = visit(site, used, name)
    fresh.close()
    used.close()
    moving = sum(size for path, size in first if _moves(path))
    total = sum(size for _, size in first)
    return Weight(kind, name, total - moving, moving, sum(size for _, size in later))


def own(html: Path, name: str) -> int:
    """What a page alone transfers, in bytes: itself and the pictures that it shows by day. No browser is asked."""
    page = html / f"{name}.html"
    shown = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser").select("article img[src]:not(.only-dark)")
    pictures = {(page.parent / image["src"]).resolve() for image in shown if "://" not in image["src"]}
    return len(body(page)) + sum(len(body(picture)) for picture in pictures)


def heaviest(html: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The five heaviest of all pages at a first visit: what each has of its own, and what the weighed lab shares."""
    lab = next(row for row in rows if row["kind"] == "lab")
    shared = lab["first"] - own(html, lab["page"])
    names = [
        file.relative_to(html).with_suffix("").as_posix() for top in PAGES for file in (html / top).rglob("*.html")
    ]
    weighed = [{"page": name, "first": own(html, name) + shared} for name in names]
    return sorted(weighed, key=lambda row: -row["first"])[:5]


def build(into: Path) -> tuple[float, str]:
    """Build the book into a folder; returns the seconds and what the build said. Raises CalledProcessError."""
    program = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*program, "build", "-n", "--path-output", str(into), "."]
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return time.monotonic() - started, done.stdout + done.stderr


def run(device: object = None) -> dict[str, Any]:
    """Build the book twice and weigh its pages.

    The first build is cold but for the labs' outputs and the drawings of figures, which are kept by content. The
    second finds everything fresh. Returns the seconds, how many labs each executed, and a row for each kind of page.
    """
    with tempfile.TemporaryDirectory(prefix="book-bench-") as folder:
        build_of = {name: build(Path(folder)) for name in ("cold", "warm")}
        html = Path(folder) / "_build" / "html"
        with served(html) as site, chromium() as browser:
            rows = [asdict(weigh(site, browser, kind, name)) for kind, name in kinds().items()]
        heavy = heaviest(html, rows)
        pages = len(list(html.rglob("*.html")))
    return {
        "what": "the book: seconds of builds, bytes of pages as transferred",
        "pages": pages,
        **{f"{name}_seconds": seconds for name, (seconds, _) in build_of.items()},
        **{f"{name}_executed": said.count("executed lab") for name, (_, said) in build_of.items()},
        "rows": rows,
        "heaviest": heavy,
    }


def table(rows: list[dict[str, Any]]) -> Table:
    """The weights for people, in kB."""
    shown = Table("kind", "page", "first visit", "interactive parts", "after another page", title="kB transferred")
    for row in rows:
        sizes = (f"{row[name] / 1000:.0f}" for name in ("first", "interactive", "later"))
        shown.add_row(row["kind"], row["page"], *sizes)
    return shown


def main() -> None:
    """Weigh the built book, or the one in the folder that is given, without building it."""
    html = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "_build" / "html"
    if not (html / "book" / "index.html").is_file():
        raise SystemExit(f"no built book in {html}: run `make book`, or give the folder of a built one")
    with served(html) as site, chromium() as browser:
        rows = [asdict(weigh(site, browser, kind, name)) for kind, name in kinds().items()]
    Console().print(table(rows))
    for row in heaviest(html, rows):
        print(f"{row['first'] / 1000:.0f} kB  {row['page']}")


if __name__ == "__main__":
    main()
