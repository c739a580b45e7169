"""Which cells need not run for a grade: those that only show something and came back as released. It runs none."""

import ast
import re
import symtable
from collections.abc import Iterable
from functools import lru_cache

from nbformat import NotebookNode

from autograder import registry
from autograder.grading.lab import Released
from autograder.grading.merging import Merged, untouched

# What takes a second and more to import, and the words by which a cell shows that it will.
_HEAVY = {"torch._dynamo": r"\boptim\b|torch\.compile\b|torch\.func\b", "transformers": r"\btransformers\b"}

SHOWN = {"look", "milestone"}  # tags of cells that only show: the milestone of a training lab is a training
NOTE = "[Not run for the grade: this cell only shows something, and it is as it was released.]"


def only_show(merged: Merged, lab: Released) -> set[int]:
    """Positions of cells that the lab tags so, unchanged, and that bind no name which a cell that runs uses.

    A `look` cell computes nothing that an exercise needs (book/contributing.md); the names are looked at all the
    same, for what a student built upon it.
    """
    released = {c.source.strip() for c in lab.notebook.cells if SHOWN & set(c.metadata.get("tags", []))}
    skipped: set[int] = set()
    needed: set[str] = set()
    for place in reversed(range(len(merged.notebook.cells))):
        cell = merged.notebook.cells[place]
        if cell.cell_type != "code":
            continue
        text = merged.checks[place].expression or cell.source if place in merged.checks else cell.source
        bound, used = names(text)
        if place not in merged.checks and cell.source.strip() in released and not bound & needed:
            skipped.add(place)
        else:
            needed |= used
    return skipped


def loads(labs: Iterable[Released], every_cell: bool) -> tuple[str, ...]:
    """Modules that most hand-ins will import: better once in the warm process than once in each child."""
    texts, checks = [], []
    for lab in labs:
        file = registry.lab_files()[lab.id]
        checks.append(f"autograder.checks.{file.parent.name}.{file.stem}")
        merged = untouched(lab)
        skipped = set() if every_cell else only_show(merged, lab)
        texts += [c.source for i, c in enumerate(merged.notebook.cells) if c.cell_type == "code" and i not in skipped]
    return (*checks, *(name for name, words in _HEAVY.items() if any(re.search(words, text) for text in texts)))


@lru_cache(maxsize=4096)
def names(source: str) -> tuple[set[str], set[str]]:
    """The module-level names that a cell binds, and those that it uses before it has bound them itself.

    Of what is no plain Python: every word.
    """
    try:
        table = symtable.symtable(source, "<cell>", "exec")
        tree = ast.parse(source)
        bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
        inner = list(table.get_children())
        while inner:
            scope = inner.pop()
            inner += scope.get_children()
            bound |= {s.get_name() for s in scope.get_symbols() if s.is_declared_global() and s.is_assigned()}
        used: set[str] = set()
        _follow(tree.body, set(), used)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        words = set(re.findall(r"\w+", source))
        return words, words
    return bound, used


def _follow(body: list[ast.stmt], have: set[str], used: set[str]) -> None:
    # In order: what a statement uses and nothing before it has surely bound. `have` grows with what is surely bound.
    for statement in body:
        parts = [getattr(statement, name, []) for name in ("body", "orelse", "finalbody")]
        parts += [handler.body for handler in getattr(statement, "handlers", [])]
        if not isinstance(statement, ast.If | ast.For | ast.While | ast.With | ast.Try):
            found, needs = _of_one(statement)
            used |= needs - have
            have |= found
            continue
        # The head (a condition, what is looped over) runs first; of the branches none is sure to run.
        head = [node for name, node in ast.iter_fields(statement) if name in ("test", "iter", "items")]
        for node in head:
            for one in node if isinstance(node, list) else [node]:
                used |= {n.id for n in ast.walk(one) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} - have
        targets = [statement.target] if isinstance(statement, ast.For) else getattr(statement, "items", [])
        stored = {
            n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
        }
        if isinstance(statement, ast.With):
            _follow(statement.body, have, used)
            have |= stored
            continue
        for part in parts:
            _follow(part, have | stored, used)


def _of_one(statement: ast.stmt) -> tuple[set[str], set[str]]:
    table = symtable.symtable(ast.unparse(statement), "<statement>", "exec")
    symbols = table.get_symbols()
    found = {s.get_name() for s in symbols if (s.is_assigned() or s.is_imported()) and not s.is_referenced()}
    used = {s.get_name() for s in symbols if s.is_referenced()}
    inner = list(table.get_children())
    while inner:
        scope = inner.pop()
        inner += scope.get_children()
        used |= {s.get_name() for s in scope.get_symbols() if s.is_global()}
    # `x = f(x)` uses the old x; from the next statement on x is its own.
    stored = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return found | (stored & {s.get_name() for s in symbols if s.is_assigned()}), used


def mark(cell: NotebookNode) -> None:
    """Say in the graded notebook why a cell has no output."""
    cell.outputs = [NotebookNode(output_type="stream", name="stdout", text=NOTE + "\n")]
