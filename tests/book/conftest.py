"""One build of the book for all tests that read it, into a folder of its own."""

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from autograder.paths import BOOK, ROOT
from book.browser import FLAGS
from book.served import Site, served


@dataclass(frozen=True)
class BuiltBook:
    """A built book: where its pages lie, what the build said."""

    html: Path
    log: str

    def page(self, name: str) -> BeautifulSoup:
        return BeautifulSoup((self.html / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def build(into: Path, **environment: str) -> str:
    """Build the book as people do; returns what it printed."""
    program = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    command = [*program, "build", "-n", "--path-output", str(into), "."]
    told = {**os.environ, "NO_COLOR": "1", **environment}
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def built_book(tmp_path_factory) -> BuiltBook:
    into = tmp_path_factory.mktemp("book")
    return BuiltBook(into / "_build" / "html", build(into))


@pytest.fixture(scope="session")
def instructors_book(tmp_path_factory) -> BuiltBook:
    into = tmp_path_factory.mktemp("instructors-book")
    log = build(into, COURSE_EDITION="instructor")
    return BuiltBook(into / "_build" / "instructor" / "html", log)


@pytest.fixture(scope="session")
def book_site(built_book) -> Site:
    """The built book, served as a static host does: modules load over http alone."""
    with served(built_book.html) as site:
        yield site


@pytest.fixture(scope="session")
def browsers():
    """Starts each browser program once."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield cache(lambda program: playwright.chromium.launch(executable_path=program, args=FLAGS))


@pytest.fixture
def browser(chromium, browsers):
    """Headless Chromium; a test is skipped where there is none."""
    return browsers(chromium)


SCREENS = {
    "desk": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "desk in the dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True},
    "phone in the dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True},
}


@dataclass
class Opened:
    """A page of the built book in a browser: the page, its script errors, requests that left the host."""

    page: object
    errors: list[str]
    strangers: list[str]


@pytest.fixture(scope="session")
def contexts(browsers):
    """A browser's context for each screen, made once: what pages share is fetched once, as for a reader."""
    made = cache(lambda program, screen: browsers(program).new_context(reduced_motion="reduce", **SCREENS[screen]))
    return made


@pytest.fixture
def open_book(chromium, contexts, book_site):
    """Opens pages of the built book by their names; closes them after the test."""
    pages = []

    def open_page(name: str, screen: str = "desk", query: str = "") -> Opened:
        page = contexts(chromium, screen).new_page()
        pages.append(page)
        opened = Opened(page, [], [])
        page.on("pageerror", lambda error: opened.errors.append(str(error)))
        page.on("console", lambda said: opened.errors.append(said.text) if said.type == "error" else None)

        def asked(request):
            if not request.url.startswith((book_site.address, "data:", "blob:")):
                opened.strangers.append(request.url)

        page.on("request", asked)
        page.goto(book_site.page(name) + query)
        page.evaluate("async () => { await window.MathJax?.startup?.promise }")
        return opened

    yield open_page
    for page in pages:
        page.close()


class _Source(SimpleHTTPRequestHandler):
    """The source tree, with book/_static where a built book has it."""

    def translate_path(self, path: str) -> str:
        path = path.split("?")[0]
        return str(BOOK / path.lstrip("/") if path.startswith("/_static/") else ROOT / path.lstrip("/"))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def source_site():
    """The address of a server of the source tree: modules can be tried without building the book."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Source, directory=str(ROOT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def open_source(browser, source_site):
    """Opens HTML as a page of that server. Script errors fail the test, save those that a test takes off the list."""
    contexts, errors = [], []

    def open_page(body: str, *, at: str = "page.html", context=None, pages: dict[str, str] | None = None, **options):
        context = context or browser.new_context(viewport={"width": 800, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        head = "<!doctype html><meta charset=utf-8><link rel=icon href=data:,>"
        head += "<link rel=stylesheet href=/_static/course.css>"
        for address, text in {at: body, **(pages or {})}.items():
            page.route(
                f"{source_site}/{address}",
                lambda route, _, text=text: route.fulfill(body=head + text, content_type="text/html; charset=utf-8"),
            )
        page.goto(f"{source_site}/{at}")
        return page

    open_page.errors = errors
    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
