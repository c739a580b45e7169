"""Reads and writes pages on all cores. `jupyter-book build` has no option for it, and Sphinx's default is one."""

import os

from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, bool]:
    if hasattr(os, "fork"):  # Sphinx needs it; elsewhere it builds on one core
        app.parallel = max(app.parallel, os.cpu_count() or 1)
    # Part of Jupyter Book. It numbers sections when all pages are read and keeps nothing while one is, but does not
    # say so, and Sphinx would then read on one core.
    app.extensions["sphinx_multitoc_numbering"].parallel_read_safe = True
    return {"parallel_read_safe": True, "parallel_write_safe": True}
