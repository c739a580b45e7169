"""Numbers figures within their chapter: Figure 1.2. Sphinx counts on through the book, as chapters have no number."""

from collections import Counter

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from autograder.facts import chapters


def by_chapter(counted: dict[str, dict[str, dict[str, tuple[int, ...]]]], numbers: dict[str, int]) -> None:
    """Replace each figure's number by its chapter's and its place there.

    counted: page -> kind -> id -> number, as Sphinx counted. numbers: a chapter's folder -> its number.
    """
    found = sorted(
        (number, page, name) for page, kinds in counted.items() for name, number in kinds.get("figure", {}).items()
    )
    placed: Counter[int] = Counter()
    for _, page, name in found:
        chapter = numbers.get(page.split("/")[1]) if page.startswith("book/") else None
        if chapter is not None:
            placed[chapter] += 1
            counted[page]["figure"][name] = (chapter, placed[chapter])


def _renumber(app: Sphinx, env: BuildEnvironment) -> list[str]:
    before = getattr(env, "course_figure_numbers", {})
    by_chapter(env.toc_fignumbers, {chapter.folder: chapter.number for chapter in chapters()})
    now = {page: repr(kinds) for page, kinds in env.toc_fignumbers.items()}
    env.course_figure_numbers = now
    return [page for page in now if before.get(page) != now[page]]  # to be written again


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("env-get-updated", _renumber, priority=600)  # Sphinx counts at 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
