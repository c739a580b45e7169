"""One build of the book for all tests that read it, into a folder of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from autograder.paths import ROOT


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
def browsers():
    """Starts each browser program once."""
    from playwright.sync_api import sync_playwright

    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        yield cache(lambda program: playwright.chromium.launch(executable_path=program, args=flags))


@pytest.fixture
def browser(chromium, browsers):
    """Headless Chromium; a test is skipped where there is none."""
    return browsers(chromium)
