"""A lab as it was released, as plain values that travel to whoever grades. It reads no file."""

from dataclasses import dataclass

from nbformat import NotebookNode


@dataclass(frozen=True)
class Check:
    """One check cell: the exercise it judges, and the expression that it hands over.

    Without an expression it is a cell of plain asserts: whether they hold is told by the student's own process.
    """

    grade_id: str
    exercise_id: str
    expression: str
    points: float


@dataclass(frozen=True)
class Released:
    """One lab as released: the notebook, and its checks by grade id in their order."""

    id: str
    chapter: str
    stem: str
    notebook: NotebookNode
    checks: dict[str, Check]

    @property
    def points(self) -> float:
        return sum(check.points for check in self.checks.values())
