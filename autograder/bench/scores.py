"""What each made-up student must get, from the exercises alone: no engine, no nbgrader, no notebook file takes part.

Thousands of students write few different things. What an exercise earns is worked out once for each variant of it
and of what it builds on; `_Needs` reads from the cells' names what that is.
"""

import ast
from collections.abc import Iterator
from functools import cache

from autograder import checking
from autograder.bench.classes import Class, Wrote, source
from autograder.grading.released import Released
from autograder.grading.sample_class import define, points_of
from autograder.grading.skipping import names
from autograder.release.solutions import checked_expression, grade_id, notebook

Scores = dict[tuple[str, str], float]  # student and lab -> points


def expected(labs: list[Released], drawn: Class) -> Scores:
    """The points of every notebook of a class."""
    scorers = [(lab, Scorer(lab)) for lab in labs]
    return {
        (student, lab.id): scorer.score(wrote[lab.id]) for student, wrote in drawn.items() for lab, scorer in scorers
    }


class Scorer:
    """Scores one lab; remembers what each exercise earned. `worked_out` counts what it could not remember."""

    def __init__(self, lab: Released) -> None:
        self.lab, self.worked_out = lab, 0
        self._earned: dict[tuple, tuple[float, bool]] = {}

    def score(self, wrote: Wrote) -> float:
        """The points of a notebook in which these variants stand."""
        points, passed = 0.0, {}
        for name in self._names():
            needs = _Needs(self.lab, wrote, passed)
            key = (name, *needs.of(name))
            if key not in self._earned:
                self._earned[key] = self._run(name, wrote, passed)
            earned, passed[f"{self.lab.id}/{name}"] = self._earned[key]
            points += earned
        return round(points, 2)

    def _names(self) -> list[str]:
        return [check.removeprefix("check_") for check in self.lab.checks]

    def _run(self, name: str, wrote: Wrote, passed: dict[str, bool]) -> tuple[float, bool]:
        # The cells that define something, up to the exercise's check cell.
        self.worked_out += 1
        before = dict(checking._passed)
        checking._passed.clear()
        space: dict = {"__name__": "__main__"}
        try:
            for kind, cell, text in _cells(self.lab, wrote):
                if kind == "check" and cell == name:
                    break
                if kind == "check":
                    checking._passed[f"{self.lab.id}/{cell}"] = passed[f"{self.lab.id}/{cell}"]
                else:
                    define(text, space)
            points = points_of(self.lab, name, space)
            return points, checking._passed.get(f"{self.lab.id}/{name}", False)
        finally:
            checking._passed.clear()
            checking._passed.update(before)


class _Needs:
    # What an exercise builds on. Through `earlier` it sees another exercise's cell only if that one passed.
    def __init__(self, lab: Released, wrote: Wrote, passed: dict[str, bool]) -> None:
        self.lab, self.wrote, self.passed = lab, wrote, passed

    def of(self, name: str) -> list[tuple[str, str]]:
        """The cells, each with its variant, on which the exercise's points depend."""
        before = []
        for kind, cell, text in _cells(self.lab, self.wrote):
            if kind == "check" and cell == name:
                break
            if kind != "check":
                before.append((kind, cell, text))
        needed, found, size = set(_expression(self.lab.id, name)), {name: self.wrote[name]}, -1
        while size < len(needed):  # a function may use what a later cell defines
            size = len(needed)
            for kind, cell, text in before:
                bound, direct, through = _names(text)
                if not bound & needed:
                    continue
                needed |= direct
                if kind == "solution":
                    found[cell] = self.wrote[cell]
                for exercise, theirs in through.items():
                    if self.passed.get(exercise):
                        needed |= theirs
                    else:
                        found[f"not {exercise}"] = ""
        return sorted(found.items())


def _cells(lab: Released, wrote: Wrote) -> Iterator[tuple[str, str, str]]:
    # In order: "solution" and "check" cells by exercise, and what else defines something.
    for kind, name, text in _layout(lab.id, tuple(lab.checks)):
        yield kind, name, _source(lab.id, name, wrote[name], lab) if kind == "solution" else text


@cache
def _layout(lab: str, checks: tuple[str, ...]) -> list[tuple[str, str, str]]:
    found = []
    for cell in notebook(lab).cells:
        name = grade_id(cell)
        if cell.cell_type != "code":
            continue
        if name in checks:
            found.append(("check", name.removeprefix("check_"), ""))
        elif cell.metadata.get("nbgrader", {}).get("solution"):
            found.append(("solution", name, ""))
        elif {"setup", "given"} & set(cell.metadata.get("tags", [])):
            found.append(("given", "", cell.source))
    return found


_texts: dict[tuple[str, str, str], str] = {}


def _source(lab_id: str, name: str, variant: str, lab: Released) -> str:
    if (lab_id, name, variant) not in _texts:
        _texts[lab_id, name, variant] = source(lab, name, variant)
    return _texts[lab_id, name, variant]


@cache
def _expression(lab: str, name: str) -> frozenset[str]:
    return frozenset(names(ast.unparse(checked_expression(lab, name)))[1])


@cache
def _names(text: str) -> tuple[frozenset[str], frozenset[str], dict[str, frozenset[str]]]:
    # The names that a cell binds, those that it uses, and those that it uses only through `earlier`, by exercise.
    tree, through = ast.parse(text), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "earlier" and len(node.args) == 3:
            through[ast.literal_eval(node.args[0])] = frozenset(names(ast.unparse(node.args[1]))[1])
            node.args[1] = ast.Constant(None)
    return frozenset(names(text)[0]), frozenset(names(ast.unparse(tree))[1]), through
