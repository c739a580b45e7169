"""Which files some Python can reach, by the names it mentions: what a cached result depends on. It imports none."""

import hashlib
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from autograder.paths import ROOT

# Names in strings and paths count too: a lab may start `python -m source.distributed.worker` in a process of its own.
_NAME = re.compile(r"\b(?:source|autograder)(?:[./]\w+)*")
_FROM = re.compile(r"^\s*from\s+((?:source|autograder)[\w.]*)\s+import\s+(\([^)]*\)|[^\n#]*)", re.MULTILINE)


def reached(texts: Iterable[str], files: Iterable[Path] = ()) -> list[Path]:
    """Every file of source/ and autograder/ that the texts and files import or name, and what those reach, sorted."""
    found: set[Path] = set()
    waiting = [*files]
    for text in texts:
        waiting += _mentioned(text)
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += _mentioned(file.read_text(encoding="utf-8"))
    return sorted(found)


def data_files(texts: Iterable[str]) -> list[Path]:
    """Every file of those folders of data/ whose name occurs in the texts, sorted."""
    joined = "\n".join(texts)
    folders = [folder for folder in sorted((ROOT / "data").glob("*")) if folder.name in joined]
    return [f for folder in folders for f in sorted([folder, *folder.rglob("*")]) if f.is_file()]


def digest(file: Path) -> str:
    """The SHA-256 of a file's content. A file is read again only when its size or time changed."""
    stat = file.stat()
    return _digest(file, stat.st_size, stat.st_mtime_ns)


@cache
def _digest(file: Path, size: int, changed: int) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _mentioned(text: str) -> list[Path]:
    names = {tuple(re.split(r"[./]", name)) for name in _NAME.findall(text)}
    for module, imported in _FROM.findall(text):
        names |= {(*module.split("."), name) for name in re.findall(r"\w+", imported)}
    return [file for name in names for file in _module_files(name)]


def _module_files(name: tuple[str, ...]) -> list[Path]:
    # Importing a.b.c runs a/__init__.py and a/b/__init__.py first.
    files, folder = [], ROOT
    for part in name:
        for file in (folder / f"{part}.py", folder / part / "__init__.py"):
            if file.is_file():
                files.append(file)
        folder = folder / part
    return files
