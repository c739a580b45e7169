"""`course build`: notebooks, a graded sample class and the book in turn, redoing only what changed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from autograder.facts import chapters
from autograder.paths import CACHE, ROOT, classroom
from autograder.release.build import redo, release

HTML = ROOT / "_build" / "html"
CLASS = "ch01_attention"  # one chapter shows what grading is; `course sample-class` hands in any other


def sample_classroom() -> Path:
    """The sample class has a classroom of its own, so that it never mixes with a real one."""
    return classroom() / "sample"


def build(only: str | None = None, fresh: bool = False) -> int:
    """Do the steps; print a table of what was done and where things lie. Returns the exit code."""
    console = Console()
    if fresh:
        shutil.rmtree(CACHE / "steps", ignore_errors=True)
    steps = {"notebooks": _notebooks, "class": _class, "book": _book}
    table = Table("step", "result", "seconds", title="The course")
    code = 0
    for name, step in steps.items():
        # A class and a book are made from notebooks: that step always comes first.
        if only and name != only and name != "notebooks":
            continue
        console.rule(name)
        started = time.monotonic()
        try:
            said = step(console)
        except Exception as error:
            said, code = f"[red]failed[/red]: {error}", 1
        table.add_row(name, said, f"{time.monotonic() - started:.1f}")
        if code:
            break
    console.print(table)
    for what, where in places():
        console.print(f"{what:12} {where}", soft_wrap=True, highlight=False)
    return code


def places() -> Iterator[tuple[str, Path]]:
    """Where the results lie, as far as they are there."""
    yield from (
        (what, where)
        for what, where in (
            ("book", HTML / "index.html"),
            ("gradebook", sample_classroom() / "gradebook.db"),
            ("feedback", sample_classroom() / "feedback"),
        )
        if where.exists()
    )


def _notebooks(console: Console) -> str:
    done = release(say=lambda text: console.print(text, highlight=False, soft_wrap=True))
    changed = {what: count for what, count in done.items() if count}
    labs = sum(len(c.labs) for c in chapters())
    return f"{labs} labs; " + (", ".join(f"{count} {what}" for what, count in changed.items()) or "nothing changed")


def _class(console: Console) -> str:
    room = sample_classroom()
    inputs = [ROOT / "autograder", ROOT / "source", ROOT / "notebooks/instructor" / CLASS]
    outputs = [room / "gradebook.db", room / "feedback"]

    def work() -> None:
        for step in ("release", "sample-class", "grade", "feedback"):
            # The course itself wrote this class: where hand-ins cannot be confined it is graded all the same.
            options = _unconfined(console) if step == "grade" else []
            console.print(f"course {' '.join([step, CLASS, *options])}", style="dim")
            _course(step, CLASS, *options)

    done = redo(f"class-{CLASS}", inputs, [], work)
    if not done and not all(p.exists() for p in outputs):
        work()
        done = True
    return f"{CLASS}: {'graded' if done else 'nothing changed'}"


def _unconfined(console: Console) -> list[str]:
    from autograder.grading.isolation import NotIsolated, probe

    try:
        probe()
    except NotIsolated as error:
        console.print(f"[yellow]{error}[/yellow]", highlight=False)
        return ["--unsafe"]
    return []


def _course(*words: str) -> None:
    environment = {**os.environ, "COURSE_CLASSROOM": str(sample_classroom())}
    command = [sys.executable, "-c", "from autograder.cli import main; main()", *words]
    if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
        raise RuntimeError(f"`course {' '.join(words)}` failed: see above")


def _book(console: Console) -> str:
    def work() -> None:
        command = [str(Path(sys.executable).parent / "jupyter-book"), "build", "-W", "-n", "--keep-going", "."]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            raise RuntimeError("the book does not build without warnings: see above")

    # Whatever may reach a page: the builder itself then redoes only the pages that changed.
    parts = ("book", "notebooks/instructor", "notebooks/student", "autograder", "source", "data")
    inputs = [ROOT / p for p in (*parts, "_config.yml", "_toc.yml", "constraints.txt")]
    done = redo("book", inputs, [HTML / "index.html"], work)
    pages = len(list(HTML.rglob("*.html")))
    return f"{pages} pages; {'built' if done else 'nothing changed'}"
