"""Checks, release pipeline, grading and the command line. Notebooks use `check`, `earlier` and `setup` alone."""

from autograder.checking import check, earlier
from autograder.launch import setup

__all__ = ["check", "earlier", "setup"]
