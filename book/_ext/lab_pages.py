"""Makes a lab's page from its student notebook and the executed instructor twin's outputs. It writes no notebook.

Nothing moves on the page by a widget: that would load scripts from elsewhere. A line says where one can move it.
"""

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

from autograder.facts import Lab, chapters
from autograder.paths import BOOK
from autograder.release.execute import LabFailed, execute_all, executed, key
from autograder.release.toc import lab_page, published
from book._ext.edition import edition
from source.sliders import VIEW

LOGGER = logging.getLogger(__name__)


def labs_by_page() -> dict[str, Lab]:
    """Each lab page's name and its lab."""
    return {lab_page(lab): lab for chapter in chapters() for lab in published(chapter)}


def merged(student: NotebookNode, twin: NotebookNode, solutions: bool = False) -> NotebookNode:
    """The student notebook with the outputs of the twin's cell of the same id; with solutions, each folded in a cell.

    student: as students get it. twin: the executed instructor notebook. Both are left as they are.
    """
    page = nbformat.from_dict(student)
    by_id = {cell.id: cell for cell in twin.cells}
    cells, setup_cell = [], next(cell for cell in page.cells if cell.cell_type == "code")
    for cell in page.cells:
        cells.append(cell)
        ran = by_id.get(cell.id)
        if cell.cell_type != "code" or ran is None:
            continue
        cell.outputs = [output for output in ran.outputs if not _empty(output) and not _controls(output)]
        cell.execution_count = ran.execution_count
        if cell is setup_cell:
            _fold(cell, "Set-up: finds or installs the course, picks the device")
        for moved in filter(_controls, ran.outputs):
            told = moved.metadata.get("course", {})
            cell.metadata.setdefault("mystnb", {})["image"] = {"alt": told.get("alt", "")}
            cells.append(nbformat.v4.new_markdown_cell(_where_to_move(told.get("card")), id=f"moved-{cell.id}"))
        if solutions and cell.metadata.get("nbgrader", {}).get("solution"):
            cells.append(_solution(ran))
    page.cells = cells
    page.metadata.pop("widgets", None)
    return page


def _empty(output: NotebookNode) -> bool:
    # What a check returns is for nbgrader alone: it shows as nothing, which would be an empty box on the page.
    return output.get("data", {}).get("text/html") == ""


def _controls(output: NotebookNode) -> bool:
    return VIEW in output.get("data", {})


def _where_to_move(card: str | None) -> str:
    if not card:
        return "*You can move it in the notebook.*"
    lines = (BOOK / "concepts" / f"{card}.md").read_text(encoding="utf-8").splitlines()
    title = next(line.removeprefix("# ") for line in lines if line.startswith("# "))
    return f"*Move it in the notebook, or here:* [{title}](../../../book/concepts/{card}.md)"


def _solution(ran: NotebookNode) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(ran.source, id=f"solution-{ran.id}", execution_count=ran.execution_count)
    _fold(cell, "The course's solution")
    return cell


def _fold(cell: NotebookNode, label: str) -> None:
    cell.metadata["tags"] = [*cell.metadata.get("tags", []), "hide-input"]
    cell.metadata["mystnb"] = {"code_prompt_show": label, "code_prompt_hide": label}


def _execute_stale(app: Sphinx) -> None:
    # Once, here, with progress: the processes that read pages find everything in the cache.
    try:
        execute_all(LOGGER.info, labs_by_page().values())
    except LabFailed as error:
        raise ExtensionError(str(error)) from error


def _outdated(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    before = getattr(env, "course_lab_keys", {})
    env.course_lab_keys = {page: f"{edition()} {key(lab.id)}" for page, lab in labs_by_page().items()}
    return [page for page, now in env.course_lab_keys.items() if before.get(page) != now and page in env.found_docs]


def _read(app: Sphinx, page: str, source: list[str]) -> None:
    lab = labs_by_page().get(page)
    if lab:
        student = nbformat.reads(Path(app.env.doc2path(page)).read_text(encoding="utf-8"), as_version=4)
        source[0] = nbformat.writes(merged(student, executed(lab.id), solutions=edition() == "instructor"))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", _execute_stale)
    app.connect("env-get-outdated", _outdated)
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
