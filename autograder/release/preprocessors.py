"""nbgrader preprocessors that turn an instructor's notebook into an assignment: named stubs, hints, header."""

import re

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions, NbGraderPreprocessor

from autograder import registry
from autograder.facts import chapter_of
from autograder.release.generated import with_generated

_REGION = re.compile(r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION[^\n]*$", re.DOTALL | re.MULTILINE)


def without_solution(source: str, title: str) -> str:
    """A solution cell's skeleton: each solution region becomes a stub that names the exercise.

    Raises ValueError where there is no region to clear: the solution would reach the students.
    """
    text, count = _REGION.subn(lambda m: f'{m[1]}raise NotImplementedError("{title}: write it here")', source)
    if count == 0 or "SOLUTION" in text:
        raise ValueError(f"{title}: mark the solution with ### BEGIN SOLUTION and ### END SOLUTION")
    return text


def _lab(resources: ResourcesDict) -> str:
    told = resources["nbgrader"]
    return registry.lab_id(told["assignment"], told["notebook"])


class ClearNamedSolutions(ClearSolutions):
    """nbgrader's ClearSolutions, with a stub that says which exercise is not implemented yet."""

    def preprocess_cell(self, cell: NotebookNode, resources: ResourcesDict, cell_index: int) -> tuple:
        if cell.cell_type != "code" or not cell.metadata.get("nbgrader", {}).get("solution"):
            return super().preprocess_cell(cell, resources, cell_index)
        exercise = registry.exercise(f"{_lab(resources)}/{cell.metadata['nbgrader']['grade_id']}")
        cell.source = without_solution(cell.source, exercise.title)
        return cell, resources


class AddGeneratedCells(NbGraderPreprocessor):
    """Adds the header, the exercises' lines and the hints."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        lab_id = _lab(resources)
        chapter = chapter_of(lab_id)
        lab = next(one for one in chapter.labs if one.id == lab_id)
        return with_generated(nb, lab, chapter), resources
