"""Shows what the grader's own code states: its statuses and its limits. The page adds words, never a number."""

from dataclasses import fields
from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from autograder.grading import ledger, limits
from autograder.grading.ledger import STATUSES
from autograder.grading.limits import Limits
from book._ext.markdown import parsed


class _Told(SphinxDirective):
    # A directive whose content is YAML: for each thing that the code knows, what the page says about it.
    has_content = True
    source = ledger
    known: tuple[str, ...] = ()

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(Path(self.source.__file__)))
        told = yaml.safe_load("\n".join(self.content)) or {}
        if set(told) != set(self.known):
            odd = ", ".join(sorted(set(told) ^ set(self.known)))
            raise self.error(f"{self.name}: say a word about each of {', '.join(self.known)}; at odds: {odd}")
        return parsed(self, self.text(told))

    def text(self, told: dict) -> str:
        raise NotImplementedError


class GradingStatuses(_Told):
    """```{grading-statuses}```: each status and its meaning, from the ledger; `sees` and `do` from the page."""

    known = tuple(STATUSES)

    def text(self, told: dict) -> str:
        return "\n".join(
            f"**{status}**\n: {meaning[:1].upper()}{meaning[1:]}.\n\n  *The student sees* {told[status]['sees']}\n\n"
            f"  *You* {told[status]['do']}\n"
            for status, meaning in STATUSES.items()
        )


class GradingLimits(_Told):
    """```{grading-limits}```: each limit's default from the grader; in words from the page."""

    source = limits
    known = tuple(field.name for field in fields(Limits))

    def text(self, told: dict) -> str:
        rows = [f"| {told[name]} | {shown(name, value)} |" for name, value in Limits().plain().items()]
        return "\n".join(["| What | At most |", "|---|---|", *rows])


def shown(name: str, value: float) -> str:
    """A limit with its unit, which its name and size give away."""
    if name.endswith("_seconds"):
        return f"{value:g} s"
    for power, unit in ((30, "GiB"), (20, "MiB")):
        if value >= 1 << power:
            return f"{value / (1 << power):g} {unit}"
    return f"{value:,}"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("grading-statuses", GradingStatuses)
    app.add_directive("grading-limits", GradingLimits)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
