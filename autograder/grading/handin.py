"""Reads a handed-in notebook file, whatever is in it: plain cells, or a sentence that says why not. It runs nothing."""

import json
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autograder.grading.lab import Released

BYTES = 32 << 20
_PICTURES = ("image/png", "image/jpeg")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_LAB = re.compile(r"ch\d\d/lab\d\d(?=/)")


class Malformed(ValueError):
    """The file cannot be graded; the message says why, for the student as well."""


@dataclass
class Cell:
    """What a handed-in cell says. Its outputs and the rest of its metadata are not looked at."""

    kind: str  # "code", "markdown" or "raw"
    source: str
    id: str = ""
    grade_id: str = ""
    attachments: dict[str, Any] = field(default_factory=dict)


def find(folder: Path, lab: Released) -> tuple[Path | None, str]:
    """The file handed in for a lab, and a note where it was found under another name."""
    named = folder / f"{lab.stem}.ipynb"
    if named.exists() or named.is_symlink():
        return named, ""
    for file in sorted(folder.rglob("*.ipynb")):
        inside = file.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        if file.stem.startswith(lab.stem) or _mentions(file, lab.id):
            return file, f"the file was handed in as {_written(str(inside))}"
    return None, ""


def _mentions(file: Path, lab: str) -> bool:
    try:
        labs = _LAB.findall(content(file).decode("utf-8", "replace"))
    except Malformed:
        return False
    return bool(labs) and max(set(labs), key=labs.count) == lab


def content(file: Path) -> bytes:
    """The bytes of a handed-in file. Raises Malformed for anything but a plain file of bearable size."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Malformed(f"the file cannot be opened: {error.strerror}") from error
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode):
        os.close(descriptor)
        raise Malformed("it is no plain file")
    with os.fdopen(descriptor, "rb") as opened:
        if told.st_size > BYTES:
            size = f"{told.st_size >> 20} MB; at most {BYTES >> 20} MB are read"
            raise Malformed(f"the file has {size}: clear its outputs")
        return opened.read(BYTES)


def cells(data: bytes, lab: Released) -> list[Cell]:
    """The cells of a handed-in notebook. Raises Malformed."""
    if not data.strip():
        raise Malformed("the file is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"the file is not UTF-8 text (byte {error.start})") from error
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) - 1 or "Unterminated" in error.msg
        told = "it ends in the middle: was it cut off when it was saved or sent?" if cut else error.msg
        raise Malformed(f"the file is not JSON (line {error.lineno}): {told}") from error
    except (RecursionError, ValueError) as error:
        raise Malformed("the file is not JSON of bearable depth") from error
    if not isinstance(tree, dict) or "nbformat" not in tree:
        raise Malformed("it is JSON, but no notebook")
    if tree["nbformat"] != 4:
        told = f" {tree['nbformat']}" if type(tree["nbformat"]) is int and tree["nbformat"] < 100 else ""
        raise Malformed(f"it is a notebook of format{told or ' unknown'}, not 4: open it in Jupyter and save it again")
    told = tree.get("cells")
    if not isinstance(told, list):
        raise Malformed("it is a notebook without cells")
    found = [_cell(i, one) for i, one in enumerate(told)]
    _belongs(found, lab)
    return found


def _cell(index: int, told: Any) -> Cell:
    if not isinstance(told, dict) or told.get("cell_type") not in ("code", "markdown", "raw"):
        raise Malformed(f"cell {index + 1} is no cell of a notebook")
    source = told.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise Malformed(f"the text of cell {index + 1} is no text")
    source = _written(source)
    metadata = told.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    id = told.get("id")
    return Cell(
        told["cell_type"],
        source,
        id if isinstance(id, str) else "",
        grade_id if isinstance(grade_id, str) else "",
        _attachments(told.get("attachments")),
    )


def _attachments(told: Any) -> dict[str, Any]:
    # A picture pasted into text: name -> kind -> base64.
    if not isinstance(told, dict):
        return {}
    return {
        _written(name): {k: text for k, text in one.items() if k in _PICTURES and _is_base64(text)}
        for name, one in told.items()
        if isinstance(one, dict)
    }


def _is_base64(text: Any) -> bool:
    return isinstance(text, str) and _BASE64.fullmatch(text) is not None


def _written(text: str) -> str:
    # Lone surrogates cannot be written to a file.
    return text.encode("utf-8", "replace").decode()


def _belongs(found: list[Cell], lab: Released) -> None:
    ours = {cell.id for cell in lab.notebook.cells if cell.cell_type == "code"}
    texts = {cell.source.strip() for cell in lab.notebook.cells}
    labs = [one for cell in found for one in _LAB.findall(cell.source)]
    if lab.id in labs:
        return
    if labs:
        raise Malformed(f"it is the notebook of another lab, {max(set(labs), key=labs.count)}")
    told = [cell for cell in found if cell.source.strip()]
    if not any({cell.id, cell.grade_id} & ours or cell.source.strip() in texts for cell in told):
        raise Malformed("it is no notebook of this lab: none of the lab's cells is in it")
