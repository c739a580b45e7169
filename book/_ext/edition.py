"""Chooses the edition: COURSE_EDITION=instructor builds into _build/instructor, with solutions. It adds none itself."""

import os

from sphinx.application import Sphinx
from sphinx.util import logging

EDITIONS = ("student", "instructor")


def edition() -> str:
    """ "student" or "instructor". Raises ValueError for any other."""
    told = os.environ.get("COURSE_EDITION", "student")
    if told not in EDITIONS:
        raise ValueError(f"COURSE_EDITION is {told!r}: choose one of {', '.join(EDITIONS)}")
    return told


def setup(app: Sphinx) -> dict[str, bool]:
    if edition() == "instructor":
        # _build/html becomes _build/instructor/html: solutions never lie where the students' edition is served from.
        build = app.outdir.parent / "instructor"
        app.outdir, app.doctreedir = type(app.outdir)(build / "html"), type(app.doctreedir)(build / ".doctrees")
        app.outdir.mkdir(parents=True, exist_ok=True)
        app.doctreedir.mkdir(parents=True, exist_ok=True)
        logging.getLogger(__name__).info("instructors' edition, with solutions: %s", app.outdir)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
