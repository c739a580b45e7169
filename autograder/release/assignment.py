"""Runs nbgrader's own generate_assignment with the course's configuration. What it makes lies in notebooks/release/."""

import logging
import os
import sys
from pathlib import Path

from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config
from traitlets.config.loader import PyFileConfigLoader

from autograder.paths import ROOT, classroom


def nbgrader_config(**course_directory: str) -> Config:
    """The course's nbgrader configuration, with some of CourseDirectory's settings replaced."""
    # A new database makes nbgrader call `alembic`, which lies beside this Python.
    tools = str(Path(sys.executable).parent)
    if tools not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = tools + os.pathsep + os.environ.get("PATH", "")
    classroom().mkdir(parents=True, exist_ok=True)
    config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
    for name, value in course_directory.items():
        setattr(config.CourseDirectory, name, value)
    return config


def nbgrader_api(config: Config) -> NbGraderAPI:
    """nbgrader's API on the course's folders."""
    return NbGraderAPI(CourseDirectory(config=config), config=config)


class AssignmentFailed(RuntimeError):
    """nbgrader could not make an assignment; the message is its log."""


def generate(chapter: str, config: Config | None = None) -> None:
    """Make a chapter's release version and enter it into the gradebook. Raises AssignmentFailed."""
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    api = nbgrader_api(config or nbgrader_config())
    result = api.generate_assignment(chapter, force=True, create=True)
    if not result["success"]:
        raise AssignmentFailed(f"nbgrader could not make {chapter}:\n{result['log']}\n{result.get('error', '')}")
