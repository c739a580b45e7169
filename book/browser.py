"""Starts the headless Chromium with which the book is looked at, weighed and printed. It opens no page."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


class NoBrowser(RuntimeError):
    """No Chromium is installed; the message says how to get one."""


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser on the distribution's Chromium. Raises NoBrowser."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        raise NoBrowser("Chromium is not here: sudo apt-get install chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, args=FLAGS)
