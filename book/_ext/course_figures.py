"""Draws a chapter's figure in the light and the dark theme and shows the one that fits. It computes no number."""

import hashlib
import importlib.util
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.paths import BOOK, ROOT
from autograder.release.reach import data_files, digest, reached
from book._ext.markdown import block, inline
from book._ext.results import RESULTS
from source.plots import THEMES

PLOTS = ROOT / "source" / "plots.py"
_FROM_BOOK = re.compile(r"^from (book\.[\w.]+) import", re.MULTILINE)


class BadFigure(ValueError):
    """No such figure, or one without alt text; the message names the file."""


@cache
def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{file.stem}_of_{file.parent.name}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def figures_file(chapter: str, name: str) -> Path:
    """The file of a chapter that defines a figure: figures.py, or a page's own figures_PAGE.py. Raises BadFigure."""
    files = sorted((BOOK / chapter).glob("figures*.py"))
    found = [f for f in files if f"\ndef {name}(" in "\n" + f.read_text(encoding="utf-8")]
    where = (BOOK / chapter).relative_to(ROOT)
    if not found or name.startswith("_"):
        raise BadFigure(
            f"{where} has no figure {name!r}: write a function of that name that returns a Figure, in figures.py or "
            "in the page's figures_PAGE.py"
        )
    if len(found) > 1:
        raise BadFigure(f"{where} has two figures {name!r}, in {' and '.join(f.name for f in found)}: rename one")
    return found[0]


def figure(chapter: str, name: str) -> tuple[Callable, str]:
    """The function that draws a chapter's figure, and its alt text, which is its docstring. Raises BadFigure."""
    file = figures_file(chapter, name)
    draw = getattr(_module(file), name)
    alt = " ".join((draw.__doc__ or "").split())
    if not alt:
        where = file.relative_to(ROOT)
        raise BadFigure(f"{where}: {name} lacks its alt text: say in its docstring what the figure shows")
    return draw, alt


def _reads_results(file: Path) -> bool:
    return "book._ext.results" in file.read_text(encoding="utf-8")


def _results(file: Path) -> list[Path]:
    # Which of the measured results a drawing shows is not looked at: they are few.
    return sorted(RESULTS.glob("*.json")) if _reads_results(file) else []


def _depends(file: Path) -> list[Path]:
    """What a figure's drawing depends on: its file, what that imports, the course's code and data that they reach."""
    code = reached([], [*_with_imported(file), PLOTS])
    texts = [one.read_text(encoding="utf-8") for one in code]
    return [*code, Path(__file__), *data_files(texts), *_results(file)]


def _with_imported(file: Path) -> list[Path]:
    """A drawing's file and what it imports of the book: sketches' parts, another drawing's numbers."""
    found, waiting = [], [file]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.append(one)
            names = _FROM_BOOK.findall(one.read_text(encoding="utf-8"))
            files = [ROOT / f"{name.replace('.', '/')}.py" for name in names]
            waiting += [imported for imported in files if imported.is_file()]
    return found


def drawn(chapter: str, name: str, theme: str) -> Path:
    """The figure's SVG in a theme, drawn only when its code, what that reaches, matplotlib or results changed."""
    import matplotlib

    draw, _ = figure(chapter, name)
    home = figures_file(chapter, name)
    parts = [digest(part) for part in _depends(home)]
    stamp = f"<!-- {hashlib.sha256(' '.join([*parts, matplotlib.__version__]).encode()).hexdigest()} -->\n"
    file = BOOK / chapter / "figures" / f"{name}-{theme}.svg"
    if not file.exists() or not file.read_text(encoding="utf-8").endswith(stamp):
        _replace(file, _svg(draw, theme) + stamp)
    return file


def _svg(draw: Callable, theme: str) -> str:
    import io

    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from source.plots import themed

    # Text as outlines: it looks the same on every machine and never outgrows its box. The alt text says it in words.
    # A heatmap goes in with a pixel for an entry, and the browser enlarges it: sharp, and a tenth of the size.
    own = {"svg.fonttype": "path", "svg.hashsalt": f"{draw.__name__}", "image.interpolation": "none"}
    with plt.rc_context(), themed(theme), plt.rc_context(own):
        fig = draw()
        out = io.StringIO()
        fig.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        plt.close(fig)
    return out.getvalue()


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, suffix=".part", delete=False) as part:
        part.write(text)
    os.chmod(part.name, 0o644)  # a temporary file is its owner's alone; a web server must read this one
    os.replace(part.name, file)


class CourseFigure(SphinxDirective):
    """```{course-figure} name``` with the caption as its content, in Markdown."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        return self.of(self.env.docname.split("/")[1])

    def of(self, chapter: str) -> list[nodes.Node]:
        """The figure out of a folder of book/, on whatever page."""
        name = self.arguments[0]
        try:
            _, alt = figure(chapter, name)
        except BadFigure as error:
            raise self.error(str(error)) from error
        home = figures_file(chapter, name)
        for file in _depends(home):
            self.env.note_dependency(str(file))
        if _reads_results(home):
            self.env.note_reread()  # a result that is not there yet cannot be a dependency
        shown = nodes.figure(classes=["course-figure"], align="center")
        drawings = []
        for theme in THEMES:
            uri = "/" + drawn(chapter, name, theme).relative_to(ROOT).as_posix()
            # Lazy: the browser then fetches only the drawing that the theme shows.
            drawings.append(nodes.image(uri=uri, alt=alt, classes=[f"only-{theme}"], loading="lazy"))
        # In a box of their own: the theme hides a caption beside an image that it hides.
        shown += block("course-drawings", children=drawings)
        shown += nodes.caption("", "", *inline(self, "\n".join(self.content)))
        # On a page elsewhere the page's name is part of the label: a label may be there only once in the book.
        folder, page = self.env.docname.split("/")[-2:]
        label = name if folder == chapter else f"{page}-{name}"
        shown["names"].append(f"fig-{label.replace('_', '-')}")
        self.set_source_info(shown)
        self.state.document.note_explicit_target(shown, shown)
        return [shown]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("course-figure", CourseFigure)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
