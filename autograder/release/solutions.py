"""Reads an instructor's notebook: solution cells and what they define, right or wrong on purpose. Writes nothing."""

import ast
import contextlib
import io
import linecache
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
import nbformat

from autograder.exercise import Misconception
from autograder.paths import INSTRUCTOR
from autograder.registry import lab_files


def source_file(lab: str) -> Path:
    """The paired .py of a lab: "ch01/lab01" -> notebooks/instructor/ch01_.../lab01_....py."""
    file = lab_files()[lab]
    return INSTRUCTOR / file.parent.name / file.name


@cache
def notebook(lab: str) -> nbformat.NotebookNode:
    """The instructor's notebook, read from its .py."""
    return jupytext.read(source_file(lab))


def grade_id(cell: nbformat.NotebookNode) -> str:
    """The nbgrader id of a cell, "" for an ordinary one."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def solution_cell(lab: str, name: str) -> nbformat.NotebookNode:
    """The solution cell of an exercise. Raises LookupError naming the cells there are."""
    cells = {grade_id(c): c for c in notebook(lab).cells if c.metadata.get("nbgrader", {}).get("solution")}
    if name not in cells:
        raise LookupError(f"{source_file(lab).name} has no solution cell {name!r}; it has {sorted(cells)}")
    return cells[name]


def wrong_source(lab: str, name: str, wrong: Misconception) -> str:
    """The solution cell's text with a misconception in it. Raises ValueError unless every edit fits exactly once."""
    if wrong.code:
        return wrong.code
    text = solution_cell(lab, name).source
    for old, new in wrong.edits:
        if text.count(old) != 1:
            raise ValueError(
                f"{lab}/{name}, {wrong.name}: {old!r} occurs {text.count(old)} times in the solution, not once"
            )
        text = text.replace(old, new)
    return text


def submission(lab: str, name: str, source: str | None = None) -> Any:
    """What the check cell of an exercise hands over, with the solution cell's text replaced by `source` if given."""
    space = _defined(lab, name, source)
    return eval(compile(checked_expression(lab, name), "<check cell>", "eval"), space)


def checked_expression(lab: str, name: str) -> ast.Expression:
    """The second argument of the exercise's check cell: `check("ch01/lab01/softmax", softmax)` -> softmax."""
    for cell in notebook(lab).cells:
        if grade_id(cell) == f"check_{name}":
            return expression_in(cell.source, f"{lab}/{name}")
    raise LookupError(f"{source_file(lab).name} has no check cell 'check_{name}'")


def expression_in(cell: str, exercise_id: str) -> ast.Expression:
    """The submission's expression in a check cell's text."""
    for node in ast.walk(ast.parse(cell)):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check" and len(node.args) == 2:
            told = node.args[0]
            if isinstance(told, ast.Constant) and told.value == exercise_id:
                return ast.fix_missing_locations(ast.Expression(node.args[1]))
    raise LookupError(f"no call check({exercise_id!r}, ...) in the check cell")


def _defined(lab: str, name: str, source: str | None) -> dict[str, Any]:
    # Set-up, given code and solutions, in order; plots and prose are left out.
    space: dict[str, Any] = {"__name__": "__main__"}
    for i, cell in enumerate(notebook(lab).cells):
        if cell.cell_type != "code":
            continue
        info = cell.metadata.get("nbgrader", {})
        if not info.get("solution") and not {"setup", "given"} & set(cell.metadata.get("tags", [])):
            continue
        this = info.get("grade_id") == name
        text = source if this and source is not None else cell.source
        label = f"<{lab} cell {i}>"
        linecache.cache[label] = (len(text), None, text.splitlines(keepends=True), label)
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(text, label, "exec"), space)
        if this:
            return space
    raise LookupError(f"{lab} has no solution cell {name!r}")
