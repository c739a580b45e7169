"""Serves MathJax with the book where the package that carries it is installed; elsewhere pages load it from its CDN.

Only pages that show formulas load it.
"""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from shutil import copy2
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config

from book._ext.fonts import small

# The package's folder has a name that Python cannot import: only its files are used.
PACKAGE, FOLDER = "sphinx-mathjax-offline", "sphinx-mathjax-offline/static/mathjax/"
FONTS = "output/chtml/fonts/woff-v2/"
# The parts that a page needs, without the menu and the speech engine: together 100 kB less than MathJax's usual file.
MAIN = "startup.js"
PARTS = ("core", "input/tex", "output/chtml", "a11y/assistive-mml")
# Of the font with rare symbols the book shows blackboard letters, as in R and E. Another symbol of it is entered here;
# a test names it.
RARE, RARE_SHOWN = f"{FONTS}MathJax_AMS-Regular.woff", {ord(letter) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
FONT = "output/chtml/fonts/tex"  # the output loads it by itself; asked for beside it, it may come too early


def mathjax_files() -> dict[str, Path]:
    """What a page needs of MathJax, by its place in MathJax's own folder; empty where the package is missing."""
    try:
        packaged = {str(f).removeprefix(FOLDER): Path(f.locate()) for f in files(PACKAGE) or []}
    except PackageNotFoundError:
        return {}
    wanted = (MAIN, *(f"{part}.js" for part in (*PARTS, FONT)), FONTS, "input/tex/extensions/")
    return {name: path for name, path in packaged.items() if name.startswith(wanted)}


def _copy(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for name, path in mathjax_files().items():
            target = Path(app.outdir) / "_static" / "mathjax" / name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                if name.startswith(FONTS):
                    small(path, target, RARE_SHOWN if name == RARE else None)
                else:
                    copy2(path, target)


def _configure(app: Sphinx, config: Config) -> None:
    told = config["mathjax3_config"] or {}
    config["mathjax3_config"] = {**told, "loader": {"load": list(PARTS)}}


def _leave_out(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    # Sphinx adds it to pages that list others with formulas, too: the cover has none of its own.
    if 'class="math' not in context.get("body", ""):
        scripts = context["script_files"]
        scripts[:] = [script for script in scripts if not _is_mathjax(script)]


def _is_mathjax(script: Any) -> bool:
    told = getattr(script, "attributes", {})  # the theme's own scripts are plain strings
    return "mathjax" in str(getattr(script, "filename", "") or "").lower() or "MathJax" in (told.get("body") or "")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("html-page-context", _leave_out, priority=900)  # after Sphinx has put it there
    if mathjax_files():
        app.config["mathjax_path"] = f"mathjax/{MAIN}"
        app.connect("config-inited", _configure)
        app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
