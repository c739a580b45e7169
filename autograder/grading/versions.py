"""What a result depends on, as hashes: the hand-in, what its lab's checks say, and the engine. It stores nothing."""

import hashlib
import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy
import torch

from autograder import registry
from autograder.paths import ROOT
from autograder.release.secret import course_secret
from autograder.release.solutions import source_file
from autograder.store import stored_file

if TYPE_CHECKING:
    from autograder.grading.lab import Released

# What runs and judges. How hand-ins are collected, and results shown or exported, changes no result.
ENGINE = (
    *("acting", "cases", "checking", "driving", "exercise", "forbids", "judging", "launch", "plain", "quick_start"),
    *("registry", "running", "store", "verdict", "release/expected", "release/solutions"),
    *("grading/child", "grading/engine", "grading/expectations", "grading/handin", "grading/isolation"),
    *("grading/lab", "grading/limits", "grading/merging", "grading/released", "grading/reports"),
    *("grading/skipping", "grading/syscalls", "grading/versions", "grading/warm", "grading/wire", "grading/worker"),
)


def key(data: bytes, checks: str, every_cell: bool = False) -> str:
    """The ledger's name for grading this file with these checks (their version), by this engine."""
    parts = [hashlib.sha256(data).hexdigest(), checks, engine_version(), every_cell]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def checks_version(lab: "Released") -> str:
    """Changes with the lab's checks, answers, stored expectations, notebook or the course's secret, and no other's."""
    released = json.dumps([lab.id, lab.notebook], sort_keys=True)
    return _digest([*_halves(lab.id), stored_file(lab.id)], released, course_secret())


def expectations_version(lab: str) -> str:
    """Changes with what a lab's expectations are worked out from."""
    return _digest(_halves(lab), engine_version(), course_secret())


def _halves(lab: str) -> list[Path]:
    file = registry.lab_files()[lab]
    files = [source_file(lab)]
    for half in ("checks", "answers"):
        folder = registry.HERE / half / file.parent.name
        # A chapter's labs may share helpers; another lab's own file is none of this one's business.
        files += [folder / file.name, *(f for f in folder.glob("*.py") if not f.name.startswith("lab"))]
    return files


@cache
def engine_version() -> str:
    """Changes with the code that runs and judges, the package that labs import, and the libraries beneath."""
    files = [registry.HERE / f"{name}.py" for name in ENGINE]
    files += (ROOT / "source").rglob("*.py")
    return _digest(files, sys.version, torch.__version__, numpy.__version__)


def _digest(files: Iterable[Path], *texts: str) -> str:
    digest = hashlib.sha256()
    for file in sorted(set(files)):
        content = file.read_bytes() if file.exists() else b""
        digest.update(f"{file.relative_to(ROOT)}\0{len(content)}\0".encode() + content)
    for text in texts:
        digest.update(f"{len(text)}\0{text}".encode())
    return digest.hexdigest()
