"""Takes the README's two pictures from what a run shows: `python -m book.readme_pictures`, after `make book`.

The lab's page comes from the built book; the verdict from a real wrong answer to lab 1.1. It needs Chromium.
"""

import shutil

import torch
from playwright.sync_api import Page, sync_playwright

from autograder import check, checking
from autograder.paths import BOOK, ROOT

PICTURES = BOOK / "_static" / "readme"
LAB = ROOT / "_build/html/notebooks/student/ch01_attention/lab01_dot_product_attention.html"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def wrong_softmax(x: torch.Tensor) -> torch.Tensor:
    """What a learner may write first: it overflows."""
    return torch.exp(x) / torch.exp(x).sum(-1, keepdim=True)


def take(page: Page) -> None:
    """Write both pictures."""
    page.goto(LAB.as_uri())
    page.wait_for_timeout(1500)
    page.screenshot(path=PICTURES / "lab.png")
    check("ch01/lab01/softmax", wrong_softmax)
    verdict = checking.last["ch01/lab01/softmax"]._repr_html_()
    page.set_content(f'<body style="font:16px sans-serif;margin:24px;background:white">{verdict}</body>')
    page.locator(".verdict").screenshot(path=PICTURES / "verdict.png")


def main() -> None:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None or not LAB.exists():
        raise SystemExit("first: make book, and install chromium (sudo apt-get install chromium)")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        take(browser.new_page(viewport={"width": 900, "height": 760}))
        browser.close()


if __name__ == "__main__":
    main()
