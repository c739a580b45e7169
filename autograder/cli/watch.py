"""Checks a working copy for a person: halves in step first, a line on what is running, and again on every save."""

import json
import time
from collections.abc import Callable
from typing import Any

import click

from autograder.cli import show
from autograder.work import Copy

QUIET = 0.3  # seconds without a save before a check begins: an editor may write in several steps


def in_step(copy: Copy, take: str | None = None) -> None:
    """Bring the halves into step and say what was written."""
    from autograder import work

    written = show.ask(work.sync, copy, take)
    if written:
        reload = " (reload it if it is open)" if copy.notebook.name in written.split() else ""
        click.echo(f"{written}{reload}", err=True)


def checked(
    copy: Copy, only: str | None, limit: float, stop: Callable[[], bool] = lambda: False
) -> dict[str, Any] | None:
    """Check once and remember what it came to; None if `stop` said so."""
    from autograder import checker, progress, work

    before = work.versions(copy)
    try:
        with show.console(stderr=True).status("starting") as status:

            def tell(what: str, seconds: float) -> None:
                status.update(f"{what}: {seconds:.0f} s" + (f" of at most {limit:g}" if seconds > 10 else ""))

            result = checker.check(copy, only, limit, stop, tell)
    except checker.CannotCheck as error:
        raise show.Cannot(str(error)) from error
    except OSError as error:
        raise show.Cannot(f"the check could not run: {error}") from error
    # If it was edited meanwhile, the result is no longer of what is there.
    if result is not None and work.versions(copy) == before:
        show.ask(progress.record, copy, result)
    return result


def keep_checking(copy: Copy, only: str | None, as_json: bool, limit: float) -> None:
    """Check now and after every save, until Ctrl-C. A save during a check begins it anew."""
    out = show.console()
    seen: tuple = ()
    try:
        while True:
            now = _saved(copy)
            time.sleep(QUIET)
            if now == seen or _saved(copy) != now:
                continue
            if not as_json and out.is_terminal:
                out.clear()
            seen = _once(copy, only, as_json, limit)
            if not as_json:
                out.print(f"{time.strftime('%H:%M:%S')}  waiting for you to save; Ctrl-C ends", style="dim")
    except KeyboardInterrupt:
        click.echo("\nStopped watching.", err=True)


def _once(copy: Copy, only: str | None, as_json: bool, limit: float) -> tuple:
    # Returns what was saved when the check began.
    try:
        in_step(copy)
        seen = _saved(copy)
        result = checked(copy, only, limit, stop=lambda: _saved(copy) != seen)
    except click.ClickException as error:
        click.echo(f"Error: {error.format_message()}", err=True)
        return _saved(copy)
    if result is not None and as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
    elif result is not None:
        show.result(result)
    return seen


def _saved(copy: Copy) -> tuple:
    """When the halves were last saved, and how large they are."""
    stats = []
    for file in (copy.notebook, copy.py):
        try:
            told = file.stat()
            stats.append((told.st_mtime_ns, told.st_size))
        except OSError:  # an editor is just replacing it
            stats.append(None)
    return tuple(stats)
