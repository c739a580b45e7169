"""nbgrader preprocessors that turn an instructor's notebook into an assignment: named stubs, hints, header."""

import re

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions

_REGION = re.compile(r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION[^\n]*$", re.DOTALL | re.MULTILINE)


def without_solution(source: str, title: str) -> str:
    """A solution cell's skeleton: each solution region becomes a stub that names the exercise.

    Raises ValueError where there is no region to clear: the solution would reach the students.
    """
    text, count = _REGION.subn(lambda m: f'{m[1]}raise NotImplementedError("{title}: write it here")', source)
    if count == 0 or "SOLUTION" in text:
        raise ValueError(f"{title}: mark the solution with ### BEGIN SOLUTION and ### END SOLUTION")
    return text


class ClearNamedSolutions(ClearSolutions):
    """nbgrader's ClearSolutions, with a stub that says which exercise is not implemented yet."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        from autograder.release.generated import exercise_of

        for cell in nb.cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                cell.source = without_solution(cell.source, exercise_of(cell, nb).title)
        return super().preprocess(nb, resources)
