"""The students' commands: list, start, check, progress, submit, doctor. They ask, call and tell; others do the work."""

import sys
from pathlib import Path

import click

from autograder.cli import show


def _examples(*lines: str) -> str:
    return "Examples:\n\n\b\n" + "\n".join(f"  {line}" for line in lines)


@click.command("list", epilog=_examples("course list", "course list --json"))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def list_(as_json: bool) -> None:
    """Chapters and labs: level, time, hardware, points, how far you are."""
    from autograder import progress as told

    standings = show.ask(told.standings)
    if as_json:
        show.as_json([told.facts(s) for s in standings])
    else:
        show.labs(standings)


@click.command(
    epilog=_examples(
        "course start ch01/lab01", "course start 1.1", "course start 1.1 --into ~/course", "course start 1.1 --again"
    )
)
@click.argument("lab")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="The folder to work in; else this one.")
@click.option("--again", is_flag=True, help="Start afresh; what you have is kept under a dated name.")
def start(lab: str, into: Path | None, again: bool) -> None:
    """Get your own copy of a lab: a notebook, and the same as plain .py."""
    from autograder import labs, progress, work

    found = show.ask(labs.find, lab)
    if into:
        into = into.expanduser()
        show.ask(lambda: into.mkdir(parents=True, exist_ok=True))
    # A folder that is named is taken as it is; else work goes where there is some already.
    copy = work.Copy(found, show.ask(work.own, into) if into else show.ask(work.root))
    kept = show.ask(work.start, copy, again)
    if kept:
        progress.put_aside(copy)
        for file in kept:
            click.echo(f"kept:     {work.shown(file)}")
    click.echo(f"notebook: {work.shown(copy.notebook)}")
    click.echo(f"plain:    {work.shown(copy.py)}")
    click.echo("Edit either; the other follows at the next `course` command. Look for NotImplementedError.")
    click.echo(f"Then:     {_from(copy.root)}course check {found.number}")


def _from(root: Path) -> str:
    from autograder.work import shown

    return "" if root == Path.cwd() or root in Path.cwd().parents else f"cd {shown(root)}; "


@click.command(
    epilog=_examples(
        "course check 1.1",
        "course check 1.1 softmax",
        "course check ch01/lab01/softmax",
        "course check 1.1 --watch",
        "course check 1.1 --take py",
        "course check 1.1 --json",
    )
    + "\n\nEnds with 0 if everything passes, 1 if not, 2 if it could not be checked."
)
@click.argument("lab")
@click.argument("exercise", required=False)
@click.option("--watch", is_flag=True, help="Check again whenever you save; Ctrl-C ends it.")
@click.option("--json", "as_json", is_flag=True, help="For programs. With --watch one line for each check.")
@click.option("--take", type=click.Choice(["notebook", "py"]), help="If both halves were edited: the one that counts.")
@click.option(
    "--limit", type=click.FloatRange(min=1), default=120, show_default=True, help="Seconds that one cell may take."
)
def check(lab: str, exercise: str | None, watch: bool, as_json: bool, take: str | None, limit: float) -> None:
    """Run your copy of a lab and show a verdict for each exercise."""
    from autograder import labs, work
    from autograder.cli.watch import checked, in_step, keep_checking

    found, only = show.ask(labs.find_with_exercise, lab, exercise)
    copy = work.Copy(found, show.ask(work.root))
    in_step(copy, take)
    if watch:
        keep_checking(copy, only, as_json, limit)
        return
    result = checked(copy, only, limit)
    if as_json:
        show.as_json(result)
    else:
        show.result(result)
    sys.exit(0 if result["passed"] else 1)


@click.command(epilog=_examples("course progress", "course progress --json"))
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def progress(as_json: bool) -> None:
    """Your points so far, lab by lab, and what is next."""
    from autograder import progress as told

    standings = show.ask(told.standings)
    after = told.next_one(standings)
    if as_json:
        points, of = told.total(standings)
        after_id = after.lab.id if after else None
        show.as_json({"points": points, "of": of, "next": after_id, "labs": [told.facts(s) for s in standings]})
        return
    show.progress(standings, after)


@click.command(
    epilog=_examples(
        "course submit ch01",
        "course submit ch01 --student ada --out ~/Desktop",
        "course submit ch01 --strip",
        "course submit ch01 --force",
    )
)
@click.argument("chapter")
@click.option("--student", help="Your student id; remembered for the next time.")
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="Where to put the archive; else this folder."
)
@click.option("--strip", is_flag=True, help="Leave outputs out of the archive; your own copy keeps them.")
@click.option("--force", is_flag=True, help="Hand in although a lab or a solution cell is missing or a file is large.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def submit(chapter: str, student: str | None, out: Path | None, strip: bool, force: bool, as_json: bool) -> None:
    """Pack a chapter's notebooks into the one file to hand in.

    Looks for the usual mistakes first. Nothing is sent anywhere: hand the file in where your course says.
    """
    from autograder import handin, labs, work

    found = show.ask(labs.find_chapter, chapter)
    root = show.ask(work.root)
    name = _who(student, root, as_json)
    copies = [work.Copy(lab, root) for lab in found]
    hand_in = show.ask(handin.look_over, copies, strip)
    stops = hand_in.of("error") + ([] if force else hand_in.of("blocking"))
    if not as_json:
        for finding in hand_in.findings:
            _tell(finding, stops)
    if stops:
        if as_json:
            show.as_json({"file": None, "findings": [vars(f) for f in hand_in.findings]})
        else:
            click.echo("\nNothing was packed: mend what is marked ✗ first.", err=True)
        sys.exit(1)
    target = (out.expanduser() if out else root) / f"{found[0].chapter}_{name}.zip"
    data = handin.packed(hand_in.files)
    show.ask(handin.write_archive, target, data, root)
    if as_json:
        files = {file: len(content) for file, content in hand_in.files.items()}
        show.as_json({"file": str(target.absolute()), "files": files, "findings": [vars(f) for f in hand_in.findings]})
        return
    click.echo(f"\nTo hand in: {work.shown(target.absolute())} ({len(data) / 1000:.0f} kB)")
    from autograder.progress import standing

    for copy in copies:
        if copy.notebook.name in hand_in.files:
            s = standing(copy)
            told = f"your last check: {show.points(s.points, s.lab.points)}" if s.checked else "never checked"
            click.echo(f"  {copy.notebook.name}  {told}" + (" (edited since)" if s.stale else ""))
    click.echo("Hidden cases count too when it is graded: the points may differ.")


def _tell(finding, stops: list) -> None:
    mark = "✗" if finding in stops else "!"
    lab = f"lab {finding.lab}: " if finding.lab else ""
    click.echo(f"{mark} {lab}{finding.says}", err=finding in stops)
    if finding.remedy:
        click.echo(f"    {finding.remedy}", err=finding in stops)


def _who(student: str | None, root: Path, as_json: bool) -> str:
    from autograder import handin

    told = student or handin.remembered_student(root)
    if not told:
        if as_json or not sys.stdin.isatty():
            raise show.Cannot("your student id is not known yet: add --student ID (it is remembered)")
        told = click.prompt("Your student id")
    try:
        name = handin.student_id(told)
    except handin.BadStudentId as error:
        raise show.Cannot(str(error)) from error
    show.ask(handin.remember_student, root, name)
    return name


@click.command(
    epilog=_examples("course doctor", "course doctor --json")
    + "\n\nEnds with 1 if something that a student needs is missing or too old."
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def doctor(as_json: bool) -> None:
    """What this machine has, what the course needs, and the command that mends what is missing."""
    from autograder.doctor import examine

    findings = examine()
    bad = any(f.bad for f in findings)
    if as_json:
        show.as_json({"ready": not bad, "findings": [vars(f) for f in findings]})
        sys.exit(1 if bad else 0)
    show.findings(findings)
    sys.exit(1 if bad else 0)


COMMANDS = [list_, start, check, progress, submit, doctor]
