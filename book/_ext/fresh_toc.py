"""Writes _toc.yml anew before Sphinx reads it, where a page or lab came or went. release/toc.py says what it holds."""

from sphinx.application import Sphinx
from sphinx.util import logging

from autograder.release.toc import write_toc


def setup(app: Sphinx) -> dict[str, bool]:
    # Now: sphinx_external_toc reads the file when the configuration is complete, after all extensions are loaded.
    if write_toc():
        logging.getLogger(__name__).info("_toc.yml was out of date and is written anew")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
