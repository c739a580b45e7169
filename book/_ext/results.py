"""Puts values of data/results/*.json into pages, so that no measured number is typed by hand. It computes none."""

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective, SphinxRole

from autograder.paths import ROOT
from book._ext.markdown import parsed

RESULTS = ROOT / "data" / "results"
NOT_MEASURED = "(not measured yet)"
_UNITS = {"s": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "minutes": 60.0, "ms": 1e-3}


class BadResult(ValueError):
    """A result file has no such value, or a value does not fit its format; the message names both."""


def result_file(name: str) -> Path:
    """Where a benchmark's result lies, be it there or not."""
    return RESULTS / f"{name}.json"


def result(name: str) -> dict[str, Any] | None:
    """A benchmark's result, or None where it was not measured yet."""
    file = result_file(name)
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


def shown(name: str, path: str, form: str = "") -> str:
    """A value as text, or NOT_MEASURED. Raises BadResult.

    path: keys and places of lists, joined by dots: `rows.0.rate`. form: Python's, `.1f`; with a unit behind it, a
    number of bytes or seconds in that unit: `.0f MB`.
    """
    value: Any = result(name)
    if value is None:
        return NOT_MEASURED
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, ValueError, TypeError):
            raise BadResult(f"data/results/{name}.json has no value {path!r} (there is no {key!r})") from None
    spec, _, unit = form.partition(" ")
    try:
        return format(value / _UNITS[unit] if unit else value, spec) + (f"\u00a0{unit}" if unit else "")
    except (KeyError, TypeError, ValueError) as error:
        raise BadResult(f"{path!r} of data/results/{name}.json does not fit the format {form!r}: {error}") from None


class Result(SphinxRole):
    """{result}`file:path` or {result}`file:path:format`."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        name, path, *form = self.text.split(":", 2)
        self.env.note_dependency(str(result_file(name)))
        try:
            return [nodes.Text(shown(name, path, *form))], []
        except BadResult as error:
            told = self.inliner.reporter.error(str(error), line=self.lineno)
            return [self.inliner.problematic(self.rawtext, self.rawtext, told)], [told]


class ResultTable(SphinxDirective):
    """```{result-table} file```: each line of its content is `what | path | format`; a line may leave out the last."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        self.env.note_dependency(str(result_file(name)))
        if result(name) is None:
            said = nodes.paragraph("", f"Not measured yet: data/results/{name}.json is missing. ")
            said += [nodes.Text("Run "), nodes.literal("", "make bench-grading"), nodes.Text(".")]
            return [nodes.note("", said)]
        rows = ["| What | Measured |", "|---|--:|"]
        for line in self.content:
            what, path, *form = (part.strip() for part in line.split("|"))
            try:
                rows.append(f"| {what} | {shown(name, path, *form)} |")
            except BadResult as error:
                raise self.error(str(error)) from error
        return parsed(self, "\n".join(rows))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_role("result", Result())
    app.add_directive("result-table", ResultTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
