"""Turns a lab's notebook into its plain .py half and back, losing no outputs, ids or nbgrader metadata. Writes no file.

The .py is jupytext's percent format. It says of a graded cell only which it is, `nbgrader={"grade_id": "softmax",
"solution": true}`; everything else that a notebook holds is taken from the notebook it goes back into.
"""

import copy
import difflib
import json
import re
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from autograder.labs import Lab

# No header and no metadata but the graded cells' names: a .py that is read and edited by hand stays short.
_FILTERS = {"notebook_metadata_filter": "-all", "cell_metadata_filter": "nbgrader,-all"}


class Damaged(ValueError):
    """A half cannot be read; the message says where and why."""


def read_notebook(file: Path) -> NotebookNode:
    """A notebook from its file. Raises Damaged."""
    text = read_text(file)
    try:
        tree = json.loads(text)
    except ValueError as error:
        raise Damaged(f"{file.name} is not valid JSON: {error}") from error
    if not isinstance(tree, dict) or "nbformat" not in tree:
        raise Damaged(f"{file.name} is not a notebook: it has no nbformat entry")
    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except Exception as error:  # nbformat and its validators raise many kinds
        where = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise Damaged(f"{file.name} is not a valid notebook: {where}") from error
    return notebook


def read_text(file: Path) -> str:
    """A half's text. Raises Damaged."""
    try:
        return file.read_text(encoding="utf-8-sig")  # Windows editors put a mark in front
    except UnicodeDecodeError as error:
        raise Damaged(f"{file.name} is not UTF-8 text: {error}") from error


def grade_id(cell: NotebookNode) -> str:
    """The nbgrader name of a cell, "" for an ordinary one."""
    told = cell.metadata.get("nbgrader")
    return told.get("grade_id", "") if isinstance(told, dict) else ""


def as_py(notebook: NotebookNode) -> str:
    """The percent text of a notebook."""
    short = copy.deepcopy(notebook)
    short.metadata = nbformat.from_dict({"jupytext": _FILTERS})
    for cell in short.cells:
        name, told = grade_id(cell), cell.metadata.get("nbgrader")
        role = "solution" if name and told.get("solution") else "grade"
        cell.metadata = nbformat.from_dict({"nbgrader": {"grade_id": name, role: True}} if name else {})
    return jupytext.writes(short, fmt="py:percent")


def as_notebook(text: str, before: NotebookNode, lab: Lab) -> NotebookNode:
    """The notebook that a percent text says, with what `before` knows of its cells. Raises Damaged.

    An output stays where its cell's text is unchanged; under other code it would mislead.
    """
    try:
        cells = jupytext.reads(text, fmt="py:percent").cells
    except Exception as error:  # jupytext reads almost anything; what it raises otherwise varies
        raise Damaged(f"the .py cannot be read as cells: {error}") from error
    published = nbformat.read(lab.file, as_version=4)
    known = {grade_id(c): c for c in [*published.cells, *before.cells] if grade_id(c)}
    partners = _partners(cells, before.cells, lab)
    taken: set[str] = set()
    for i, cell in enumerate(cells):
        old = before.cells[partners[i]] if i in partners else known.get(grade_id(cell))
        cell.metadata.pop("lines_to_next_cell", None)  # jupytext's own note on blank lines
        if old is None:
            continue
        cell.metadata = copy.deepcopy(old.metadata)
        if old.get("id") and old.id not in taken:
            cell.id = old.id
        taken.add(cell.get("id", ""))
        if old.get("attachments"):
            cell.attachments = copy.deepcopy(old.attachments)
        if cell.cell_type == "code" and cell.source == old.source:
            cell.outputs = copy.deepcopy(old.get("outputs", []))
            cell.execution_count = old.get("execution_count")
    notebook = copy.deepcopy(before)
    notebook.cells = cells
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def _partners(new: list[NotebookNode], old: list[NotebookNode], lab: Lab) -> dict[int, int]:
    # Which cell of the old notebook each new one continues: by name, by text, then by place between those.
    def key(cell: NotebookNode) -> tuple[str, str]:
        return ("graded", grade_id(cell)) if grade_id(cell) else (cell.cell_type, cell.source)

    named = {grade_id(c) for c in new}
    partners: dict[int, int] = {}
    matcher = difflib.SequenceMatcher(None, [key(c) for c in new], [key(c) for c in old], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag not in ("equal", "replace"):
            continue
        for i, j in zip(range(i1, i2), range(j1, j2), strict=False):
            name = grade_id(old[j])
            if tag == "equal":
                partners[i] = j
                continue
            # A graded cell whose `# %%` line lost its name keeps it, if the text still tells which it is.
            free = not name or (name not in named and _is_still(name, new[i].source, lab))
            if free and new[i].cell_type == old[j].cell_type and not grade_id(new[i]):
                partners[i] = j
    places = {grade_id(c): j for j, c in enumerate(old) if grade_id(c)}
    for i, cell in enumerate(new):  # graded cells that were moved
        if i not in partners and grade_id(cell) in places:
            partners[i] = places[grade_id(cell)]
    return partners


def _is_still(name: str, source: str, lab: Lab) -> bool:
    if name.startswith("check_"):
        return f'"{lab.id}/{name.removeprefix("check_")}"' in source
    task = next((t for t in lab.tasks if t.name == name), None)
    defined = re.search(r"^(?:def|class) (\w+)", task.skeleton, re.MULTILINE) if task else None
    return bool(defined and re.search(rf"^(?:def|class) {defined[1]}\b", source, re.MULTILINE))


def lines_of_cells(text: str, cells: int) -> list[int] | None:
    """The first line of each cell's code in a percent text, or None where markers and cells do not match up."""
    lines = text.splitlines()
    starts = [number + 1 for number, line in enumerate(lines, 1) if re.match(r"# %%(\s|$)", line)]
    return starts if len(starts) == cells else None


def same(a: NotebookNode, b: NotebookNode) -> bool:
    """Whether two notebooks hold the same cells, outputs and blank ends aside."""
    return _told(a) == _told(b)


def differing(a: NotebookNode, b: NotebookNode) -> list[str]:
    """The graded cells whose text differs, by name; then how many other cells do."""
    mine, theirs = ({grade_id(c): c.source.strip() for c in nb.cells if grade_id(c)} for nb in (a, b))
    names = [name for name in dict.fromkeys([*mine, *theirs]) if mine.get(name) != theirs.get(name)]
    others = [[c.source.strip() for c in nb.cells if not grade_id(c)] for nb in (a, b)]
    if others[0] != others[1]:
        names.append("cells of your own or of the text")
    return names


def _told(nb: NotebookNode) -> list[tuple[str, str, str]]:
    cells = [(c.cell_type, grade_id(c), c.source.strip()) for c in nb.cells]
    return [cell for cell in cells if cell[2]]
