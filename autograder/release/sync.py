"""Keeps each paired source and its notebook twin the same: jupytext converts, ids and nbgrader metadata are derived.

The .py is what is committed. Its nbgrader metadata is short (grade_id, and solution or grade); the twin
carries the whole of it, points included, so that nbgrader's own tools work on it.
"""

import hashlib
import shutil
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from autograder import registry
from autograder.paths import CACHE, INSTRUCTOR, ROOT


def sources() -> list[Path]:
    """Every paired source of the course."""
    return sorted(INSTRUCTOR.glob("ch*/lab*.py"))


def twin_of(file: Path) -> Path:
    return file.with_suffix(".ipynb")


def sync(file: Path) -> str:
    """Bring a pair into step. Returns "same", "notebook written" or "source written".

    Where both differ, the one edited last wins; the other is kept in .cache/replaced/.
    """
    twin = twin_of(file)
    from_source = nbformat.writes(as_twin(jupytext.read(file), file)) + "\n"
    if not twin.exists():
        twin.write_text(from_source, encoding="utf-8")
        return "notebook written"
    notebook = nbformat.read(twin, as_version=4)
    if _inputs(notebook) == _inputs(nbformat.reads(from_source, as_version=4)):
        return "same"
    if twin.stat().st_mtime <= file.stat().st_mtime:
        _keep(twin)
        twin.write_text(from_source, encoding="utf-8")
        return "notebook written"
    _keep(file)
    file.write_text(as_source(notebook), encoding="utf-8")
    twin.write_text(nbformat.writes(as_twin(jupytext.read(file), file)) + "\n", encoding="utf-8")
    return "source written"


def as_twin(nb: NotebookNode, file: Path) -> NotebookNode:
    """The notebook with stable cell ids and full nbgrader metadata. The same source gives the same bytes."""
    lab = registry.lab_id(file.parent.name, file.stem)
    seen: dict[str, int] = {}
    for cell in nb.cells:
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's own note on blank lines
        told = cell.metadata.get("nbgrader")
        if told:
            cell.metadata["nbgrader"] = _full(dict(told), lab)
            name = told["grade_id"]
        else:
            name = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[name] = seen.get(name, 0) + 1
        cell.id = name if seen[name] == 1 else f"{name}-{seen[name]}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nb.metadata.pop("jupytext", None)
    nb.nbformat, nb.nbformat_minor = 4, 5
    return nb


def as_source(nb: NotebookNode) -> str:
    """The percent text of a twin, its derived nbgrader metadata cut back to what an author writes."""
    for cell in nb.cells:
        told = cell.metadata.get("nbgrader")
        if told:
            role = "solution" if told.get("solution") else "grade"
            cell.metadata["nbgrader"] = {"grade_id": told["grade_id"], role: True}
    nb.metadata["jupytext"] = {
        "notebook_metadata_filter": "course,kernelspec,-jupytext,-language_info",
        "cell_metadata_filter": "nbgrader,tags,-all",
    }
    return jupytext.writes(nb, fmt="py:percent")


def _full(told: dict, lab: str) -> dict:
    grade = bool(told.get("grade"))
    full = {"grade": grade, "grade_id": told["grade_id"], "locked": grade, "schema_version": 3}
    full |= {"solution": bool(told.get("solution")), "task": False}
    if grade:
        full["points"] = registry.exercise(f"{lab}/{told['grade_id'].removeprefix('check_')}").points
    return full


def _inputs(nb: NotebookNode) -> list:
    return [dict(nb.metadata.get("course", {}))] + [(c.cell_type, c.source, dict(c.metadata)) for c in nb.cells]


def _keep(file: Path) -> None:
    kept = CACHE / "replaced" / file.relative_to(ROOT)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(file, kept)
