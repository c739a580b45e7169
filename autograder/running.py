"""Runs a notebook's cells in one IPython shell in this process, with the outputs a Jupyter kernel would give.

It confines nothing and judges nothing: whoever runs a stranger's notebook does so in a process of its own.
"""

import os
import re
import sys
from typing import Any

import nbformat
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from nbformat import NotebookNode
from traitlets.config import Config

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class _Publisher(DisplayPublisher):
    # display(...) and plots arrive here.
    def publish(self, data, metadata=None, **_: Any) -> None:
        self.shell.outputs.append(nbformat.v4.new_output("display_data", data=_plain(data), metadata=metadata or {}))

    def clear_output(self, wait: bool = False) -> None:
        self.shell.outputs.clear()


class _ResultHook(DisplayHook):
    # The value of a cell's last expression arrives here.
    def write_format_data(self, format_dict, md_dict=None) -> None:
        count = self.shell.execution_count
        result = nbformat.v4.new_output(
            "execute_result", data=_plain(format_dict), metadata=md_dict or {}, execution_count=count
        )
        self.shell.outputs.append(result)

    def write_output_prompt(self) -> None:
        """A notebook shows no prompt."""

    def finish_displayhook(self) -> None:
        """Nothing was printed, so nothing is to be flushed."""


class _Stream:
    # Consecutive prints of one stream are one output, as in a kernel.
    def __init__(self, shell: "Shell", name: str, limit: int) -> None:
        self.shell, self.name, self.left = shell, name, limit
        self.encoding = "utf-8"

    def write(self, text: str) -> int:
        if self.left > 0 and text:
            kept = text[: self.left]
            self.left -= len(kept)
            if self.left <= 0:
                kept += "\n[the rest of this output was cut: it is too long]\n"
            # Joined when the cell is done: a million short lines would take minutes to add up one by one.
            outputs = self.shell.outputs
            if outputs and outputs[-1].output_type == "stream" and outputs[-1].name == self.name:
                outputs[-1].text.append(kept)
            else:
                outputs.append(nbformat.v4.new_output("stream", name=self.name, text=[kept]))
        return len(text)

    def flush(self) -> None:
        """Everything is written at once."""

    def isatty(self) -> bool:
        return False


class Shell(InteractiveShell):
    """One shell for one notebook. `outputs` are the current cell's."""

    outputs: list[NotebookNode]

    def __init__(self, output_limit: int = 1_000_000) -> None:
        self.outputs = []
        self.output_limit = output_limit
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "NoColor" if "NoColor" in _color_names() else "nocolor"
        super().__init__(config=config, display_pub_class=_Publisher, displayhook_class=_ResultHook)
        InteractiveShell._instance = self  # what get_ipython() returns
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        self.run_line_magic("matplotlib", "inline")

    def enable_gui(self, gui=None) -> None:
        """There is no window and no event loop: plots are drawn inline."""

    def _showtraceback(self, etype, evalue, stb) -> None:
        lines = [_ANSI.sub("", line) for line in stb]
        self.outputs.append(nbformat.v4.new_output("error", ename=etype.__name__, evalue=str(evalue), traceback=lines))

    def run(self, source: str) -> list[NotebookNode]:
        """Run one cell; returns its outputs. An error becomes an output, as in a notebook."""
        self.outputs = []
        before = sys.stdout, sys.stderr
        sys.stdout = _Stream(self, "stdout", self.output_limit)
        sys.stderr = _Stream(self, "stderr", self.output_limit)
        try:
            self.run_cell(source, store_history=True)
        finally:
            sys.stdout, sys.stderr = before
        for output in self.outputs:
            if output.output_type == "stream":
                output.text = "".join(output.text)
        return self.outputs


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    # Pictures come as bytes from some formatters; nbformat holds text.
    import base64

    return {
        kind: base64.b64encode(value).decode() if isinstance(value, bytes) else value for kind, value in data.items()
    }


def _color_names() -> list[str]:
    trait = InteractiveShell.class_traits()["colors"]
    return list(getattr(trait, "values", None) or [])


def run_notebook(nb: NotebookNode, shell: Shell | None = None) -> NotebookNode:
    """Run every code cell in order, filling in outputs and counts; go on after an error, as nbgrader does."""
    shell = shell or Shell()
    for cell in nb.cells:
        if cell.cell_type == "code":
            count = shell.execution_count
            cell.outputs = list(shell.run(cell.source))
            cell.execution_count = count
    return nb
