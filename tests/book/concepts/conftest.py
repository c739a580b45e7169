"""Concept modules in a browser, straight from the source tree: no build of the book is needed."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from autograder.paths import BOOK, ROOT

PAGE = "<!doctype html><meta charset=utf-8><link rel=stylesheet href=/_static/course.css><course-{tag}></course-{tag}>"


class _Source(SimpleHTTPRequestHandler):
    """The source tree with book/_static where a built book has it."""

    def translate_path(self, path: str) -> str:
        path = path.split("?")[0]
        return str(BOOK / path.lstrip("/") if path.startswith("/_static/") else ROOT / path.lstrip("/"))

    def do_GET(self) -> None:
        if not self.path.startswith("/card/"):
            return super().do_GET()
        name = self.path.removeprefix("/card/")
        page = PAGE.format(tag=name.replace("_", "-")) + f"<script type=module src=/book/concepts/{name}.js></script>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def source_site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Source, directory=str(ROOT)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


class Card:
    """One concept's element on an empty page."""

    def __init__(self, page, name: str) -> None:
        self.page, self.name = page, name

    def call(self, function: str, *arguments: object) -> object:
        """What a function that the module exports returns, for plain arguments."""
        script = "([name, f, all]) => import(`/book/concepts/${name}.js`).then(m => m[f](...all))"
        return self.page.evaluate(script, [self.name, function, list(arguments)])

    def state(self) -> dict[str, object]:
        return self.page.evaluate("() => document.querySelector('body > *').state")

    def words(self) -> str:
        return self.page.inner_text(".concept-words")

    def slide(self, label: str, keys: str, times: int = 1) -> None:
        """Press a key on the control of this label, as somebody without a mouse does."""
        control = self.page.get_by_label(label, exact=True)
        for _ in range(times):
            control.press(keys)

    def answer(self, reply: str) -> str:
        """The verdict on a reply typed into the question's field, or on the option of these words."""
        field = self.page.query_selector(".concept-question input")
        if field:
            field.fill(reply)
            field.press("Enter")
        else:
            self.page.get_by_role("button", name=reply, exact=True).click()
        return self.page.inner_text(".concept-verdict")

    def drag(self, label: str, dx: float, dy: float) -> None:
        """Drag a handle of the picture by so many screen pixels."""
        place = self.page.get_by_role("slider", name=label, exact=True).bounding_box()
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + dx, y + dy, steps=4)
        self.page.mouse.up()


@pytest.fixture
def card(browser, source_site):
    """Opens a concept's element; script errors fail the test."""
    contexts, errors = [], []

    def open_card(name: str, width: int = 800) -> Card:
        context = browser.new_context(viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(f"{source_site}/card/{name}")
        page.wait_for_selector(".concept-picture")
        return Card(page, name)

    yield open_card
    for context in contexts:
        context.close()
    assert [error for error in errors if "favicon" not in error and "404" not in error] == []
