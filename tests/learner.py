"""A pretended learner for the tests: solves, spoils and edits a working copy. It asserts nothing."""

import json
from pathlib import Path

import nbformat

SOFTMAX = "def softmax(x):\n    e = torch.exp(x - x.amax(-1, keepdim=True))\n    return e / e.sum(-1, keepdim=True)"
OVERFLOWS = "def softmax(x):\n    return torch.exp(x) / torch.exp(x).sum(-1, keepdim=True)"


def cell_of(notebook, name: str):
    return next(c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def write_cells(copy, drop: tuple[str, ...] = (), look: bool = True, **sources: str) -> None:
    """Edit the notebook half: cells' new sources by grade_id, cells to drop; without plots it runs faster."""
    notebook = nbformat.read(copy.notebook, as_version=4)
    for name, source in sources.items():
        cell_of(notebook, name).source = source
    keep = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id", "") not in drop]
    notebook.cells = [c for c in keep if look or "look" not in c.metadata.get("tags", [])]
    nbformat.write(notebook, copy.notebook)


def write_py(copy, old: str, new: str) -> None:
    """Edit the plain half, as an editor does."""
    text = copy.py.read_text(encoding="utf-8")
    assert old in text
    copy.py.write_text(text.replace(old, new), encoding="utf-8")


def raw(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))
