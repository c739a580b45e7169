"""Decides which cells run: the student's, with every check cell as it was released. It runs none of them."""

import copy
import re
from dataclasses import dataclass, field

from nbformat import NotebookNode

from autograder.grading.handin import Cell
from autograder.grading.lab import Check, Released
from autograder.release.solutions import grade_id


@dataclass
class Merged:
    """A notebook to run. checks: the position of each check cell and what it checks. notes: what was put right."""

    notebook: NotebookNode
    checks: dict[int, Check]
    notes: list[str] = field(default_factory=list)


def merge(found: list[Cell], lab: Released) -> Merged:
    """The cells to run, in the order of the hand-in.

    A cell that the release locks stands as released, whatever the hand-in says. A check cell that is missing is
    put back behind its exercise; one that stands before its exercise moves there. Of a cell that occurs twice the
    last one counts, as in nbgrader.
    """
    ours = {grade_id(cell): cell for cell in lab.notebook.cells if grade_id(cell)}
    names = _names(found, ours)
    texts = {cell.source for cell in lab.notebook.cells}
    notes, changed = [], []
    cells: list[tuple[str, NotebookNode]] = []
    for place, cell in enumerate(found):
        name = names.get(place, "")
        if name and _locked(ours[name]):
            if cell.source.strip() != ours[name].source.strip() or cell.kind != ours[name].cell_type:
                changed.append(name)
            cells.append((name, _copy(ours[name])))
        elif name:
            cells.append((name, _theirs(cell, ours[name])))
        else:
            if cell.grade_id in ours and cell.grade_id in names.values():
                notes.append(f"the cell {cell.grade_id} occurs more than once: the last one counts")
            cells.append(("", _plain(cell, cell.source in texts)))
    if changed:
        notes.append(f"changed check cells were graded as released: {', '.join(changed)}")
    for name in ours:
        if _locked(ours[name]):
            _put_in_place(cells, name, ours[name], notes)
    notebook = _assembled(cells, lab)
    checks = {i: lab.checks[name] for i, (name, _) in enumerate(cells) if name in lab.checks}
    return Merged(notebook, checks, list(dict.fromkeys(notes)))


def untouched(lab: Released) -> Merged:
    """The notebook as released: what stands in for a hand-in that cannot be read."""
    return merge([Cell(c.cell_type, c.source, c.id, grade_id(c)) for c in lab.notebook.cells], lab)


def _locked(cell: NotebookNode) -> bool:
    told = cell.metadata.nbgrader
    return bool((told.get("locked") or told.get("grade")) and not told.get("solution"))


def _names(found: list[Cell], ours: dict[str, NotebookNode]) -> dict[int, str]:
    # By grade id; where a platform stripped the metadata, by cell id, then by the released text.
    by_name = {}
    for how in (
        lambda cell: cell.grade_id,
        lambda cell: cell.id,
        lambda cell: next((n for n in ours if _locked(ours[n]) and ours[n].source.strip() == cell.source.strip()), ""),
    ):
        taken = set(by_name)
        for place, cell in enumerate(found):
            name = how(cell)
            if name in ours and name not in taken and place not in by_name.values():
                by_name[name] = place
    return {place: name for name, place in by_name.items()}


def _put_in_place(cells: list[tuple[str, NotebookNode]], name: str, ours: NotebookNode, notes: list[str]) -> None:
    places = {n: i for i, (n, _) in enumerate(cells) if n}
    solution = places.get(name.removeprefix("check_"), -1)
    if name not in places:
        # Behind its exercise; where that is not to be found, at the end, where everything is defined.
        cells.insert(solution + 1 if solution >= 0 else len(cells), (name, _copy(ours)))
        notes.append(f"the check cell {name} was missing: it was put back")
    elif places[name] < solution:
        cells.insert(solution, cells.pop(places[name]))
        notes.append(f"the check cell {name} stood before its exercise: it was moved behind it")


def _copy(ours: NotebookNode) -> NotebookNode:
    metadata = {k: ours.metadata[k] for k in ("nbgrader", "deletable", "editable") if k in ours.metadata}
    return _made(ours.cell_type, ours.source, copy.deepcopy(metadata))


def _theirs(cell: Cell, ours: NotebookNode) -> NotebookNode:
    merged = _copy(ours)
    merged.source = cell.source
    return merged


def _plain(cell: Cell, released: bool) -> NotebookNode:
    if cell.kind == "code":
        return _made("code", cell.source, {})
    # Markup in a student's own text could carry a script into the page of whoever reads it.
    source = cell.source if released else re.sub(r"<(?=[A-Za-z/!?])", "&lt;", cell.source)
    if cell.kind == "raw":
        return _made("raw", source, {})
    made = _made("markdown", source, {})
    if cell.attachments:
        made.attachments = cell.attachments
    return made


def _made(kind: str, source: str, metadata: dict) -> NotebookNode:
    # nbformat's own makers check each cell against the schema: a tenth of a notebook's time, for what is right here.
    cell = NotebookNode(cell_type=kind, source=source, metadata=NotebookNode(metadata), id="")
    if kind == "code":
        cell.execution_count, cell.outputs = None, []
    return cell


def _assembled(cells: list[tuple[str, NotebookNode]], lab: Released) -> NotebookNode:
    for place, (name, cell) in enumerate(cells):
        cell.id = name or f"cell-{place}"
    kernel = lab.notebook.metadata.get("kernelspec", {})
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return NotebookNode(nbformat=4, nbformat_minor=5, metadata=NotebookNode(metadata), cells=[c for _, c in cells])
