"""How the students' commands speak: JSON for programs, tables and verdicts for people. It finds nothing out."""

import json
from collections.abc import Callable
from typing import Any

import click

BAR = 20  # characters


class Cannot(click.ClickException):
    """The command could not do what was asked; the message says what to do."""

    exit_code = 2


def ask(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call, and turn what can go wrong for a learner into a plain message."""
    from autograder import labs, work

    told = (labs.NoSuchLab, labs.BrokenCourse, work.NotStarted, work.AlreadyStarted, work.OutOfStep, work.CourseFolder)
    try:
        return function(*arguments)
    except told as error:
        raise Cannot(str(error)) from error
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        raise Cannot(f"{what}. Is the folder there, may you write in it, and is the disk not full?") from error


def as_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def console(stderr: bool = False):
    """A rich console that guesses no markup or numbers in what learners wrote."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def table(*headings: str):
    """A table without lines; a heading that begins with > is set to the right."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        right = heading.startswith(">")
        made.add_column(heading.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    return made


def bar(share: float) -> str:
    """A share as a bar of BAR characters: full only when all is earned, empty only when nothing is."""
    full = round(share * BAR)
    full = min(full, BAR - 1) if share < 1 else BAR
    full = max(full, 1) if share > 0 else 0
    return "█" * full + "░" * (BAR - full)


def place(where: dict[str, Any] | None) -> str:
    """Where something is: "lab01_....py:57", or the cell's number where lines are not known."""
    if where is None:
        return ""
    return f"{where['file']}:{where['line']}" if where["line"] else f"cell {where['cell']}"


def points(value: float, of: float) -> str:
    return f"{value:g} of {of:g} points"


def result(found: dict[str, Any]) -> None:
    """Verdicts of a check, other cells' errors, the total."""
    out = console()

    def line(text: str = "", style: str = "") -> None:
        # Soft: a terminal wraps long lines itself, and a file gets them whole.
        out.print(text, style=style or None, soft_wrap=True)

    for exercise in found["exercises"]:
        mark, style = ("✓", "bold green") if exercise["passed"] else ("✗", "bold yellow")
        line(f"{mark} {exercise['title']}: {points(exercise['points'], exercise['of'])}", style)
        if not exercise["passed"] and exercise["where"]:
            line(f"  {place(exercise['where'])}", "dim")
        for text in exercise["lines"]:
            line(f"  {text}")
        if exercise["printed"].strip():
            line("  printed:", "dim")
            shown = exercise["printed"].rstrip().splitlines()
            for text in shown[:20]:
                line(f"    {text}", "dim")
            if len(shown) > 20:
                line(f"    ... and {len(shown) - 20} more lines", "dim")
    if found["errors"]:
        line()
        line("Errors in other cells:", "bold")
        for error in found["errors"][:5]:
            line(f"  {place(error['where'])}  {error['lines'][-1]}")
        if len(found["errors"]) > 5:
            line(f"  ... and {len(found['errors']) - 5} more")
    for note in found["notes"]:
        line(f"Note: {note}.", "yellow")
    if found["ended"]:
        line(f"The run was cut short: {found['ended']}.", "bold red")
    line()
    line(f"{found['lab']}: {points(found['points'], found['of'])}  ({found['seconds']:g} s)", "bold")


def labs(standings: list) -> None:
    """Every lab with its facts and how far it has come."""
    out = console()
    for chapter, found in _by_chapter(standings):
        out.print(f"\n{chapter}", style="bold")
        rows = table("Lab", "Title", "Level", ">Minutes", "Hardware", ">Points", "State")
        for s in found:
            state = s.state + (" (edited since its check)" if s.stale else "")
            facts = (s.lab.number, s.lab.title, s.lab.level, str(s.lab.minutes), s.lab.hardware, f"{s.lab.points:g}")
            rows.add_row(*facts, state)
        out.print(rows)
    first = next((s.lab.number for s in standings if s.state == "not started"), None)
    if first:
        out.print(f"\nBegin one with:  course start {first}", style="dim")


def progress(standings: list, after: Any) -> None:
    """Each lab's bar, the total, and what is next."""
    from rich.text import Text

    from autograder.progress import total

    out = console()
    for chapter, found in _by_chapter(standings):
        out.print(f"\n{chapter}", style="bold")
        rows = table("", "", "", ">", "")
        rows.show_header = False
        for s in found:
            color = {"done": "green", "in progress": "yellow"}.get(s.state, "dim")
            share = Text(bar(s.points / s.lab.points if s.lab.points else 0), style=color)
            rows.add_row(s.lab.number, s.lab.title, share, f"{s.points:g}/{s.lab.points:g}", _state(s))
        out.print(rows)
    earned, of = total(standings)
    out.print(f"\nAltogether {points(earned, of)}  {bar(earned / of if of else 0)}", style="bold")
    if any(s.stale for s in standings):
        out.print("* edited since its check: check again", style="dim")
    if after is None:
        out.print("Everything is done.")
    elif after.state == "in progress":
        number = after.lab.number
        left = [t.name for t in after.lab.tasks if not after.exercises.get(t.name, {}).get("passed")]
        out.print(f"Next: {left[0] if left else 'check'} in lab {number}  (course check {number})")
    else:
        out.print(f"Next: lab {after.lab.number}, {after.lab.title}  (course start {after.lab.number})")


def _state(standing: Any) -> str:
    told = standing.state
    if told == "in progress" and not standing.checked:
        return "started, not checked yet"
    if told == "in progress":
        passed = sum(e["passed"] for e in standing.exercises.values())
        told = f"{passed} of {len(standing.lab.tasks)} exercises pass"
    return told + (" *" if standing.stale else "")


def _by_chapter(standings: list) -> list[tuple[str, list]]:
    chapters: dict[str, list] = {}
    for s in standings:
        number = s.lab.number.split(".")[0]
        chapters.setdefault(f"Chapter {number}. {s.lab.chapter_title}", []).append(s)
    return list(chapters.items())


def findings(found: list) -> None:
    """What the doctor found, and what to type."""
    out = console()
    for f in found:
        mark = {"ok": "✓", "absent": "·"}.get(f.state, "✗")
        style = {"ok": "green", "absent": "dim"}.get(f.state, "bold red")
        out.print(f"{mark} {f.name:22} {f.says}", style=style, soft_wrap=True)
        if f.mend:
            out.print(f"    {f.mend}", style=None if f.bad else "dim", soft_wrap=True)
    bad = any(f.bad for f in found)
    out.print("\nSomething that you need is missing." if bad else "\nAll that a student needs is here.", style="bold")
