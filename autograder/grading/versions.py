"""What a result depends on, as hashes: the hand-in, what its lab's checks say, and the engine. It stores nothing."""

import hashlib
import json
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy
import torch

from autograder import registry
from autograder.grading.released import Released
from autograder.paths import ROOT
from autograder.release.expected import course_secret
from autograder.release.solutions import source_file
from autograder.store import stored_file

# What runs and judges. How hand-ins are collected, and results shown or exported, changes no result.
ENGINE = (
    *("acting", "cases", "checking", "exercise", "forbids", "judging", "launch", "plain", "registry", "running"),
    *("store", "verdict", "release/expected", "release/solutions"),
    *("grading/child", "grading/engine", "grading/handin", "grading/merging", "grading/released", "grading/reports"),
    *("grading/versions", "grading/warm", "grading/wire", "grading/worker"),
)


def key(data: bytes, lab: Released) -> str:
    """The ledger's name for grading this file as this lab, with these checks, by this engine."""
    parts = [hashlib.sha256(data).hexdigest(), checks_version(lab), engine_version()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def checks_version(lab: Released) -> str:
    """Changes with the lab's checks, answers, stored expectations, notebook or the course's secret, and no other's."""
    file = registry.lab_files()[lab.id]
    files = [source_file(lab.id), stored_file(lab.id)]
    for half in ("checks", "answers"):
        folder = registry.HERE / half / file.parent.name
        # A chapter's labs may share helpers; another lab's own file is none of this one's business.
        files += [folder / file.name, *(f for f in folder.glob("*.py") if not f.name.startswith("lab"))]
    released = json.dumps([lab.id, lab.notebook], sort_keys=True)
    return _digest(files, released, course_secret())


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
