"""The instructors' commands: release, collect, grade, feedback, export, a sample class. autograder.grading does it."""

import json
import sys
from pathlib import Path

import click

from autograder.paths import classroom

_STYLES = {"right": "green", "wrong": "yellow"}


def _epilog(*lines: str) -> str:
    return "Examples:\n\n\b\n" + "\n".join(f"  {line}" for line in lines)


_as_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable.")


@click.command(epilog=_epilog("course release", "course release ch01"))
@click.argument("chapters", nargs=-1)
@_as_json
def release(chapters: tuple[str, ...], as_json: bool) -> None:
    """Make release and student notebooks of some chapters (default: all).

    Brings the pairs into step, stores expected outputs, runs nbgrader's generate_assignment, and draws the course's
    secret if it has none. Redoes only what changed.
    """
    from autograder.release.build import release as make

    with _plain_errors():
        done = make(list(chapters) or None, say=lambda text: click.echo(text, err=as_json))
    if as_json:
        click.echo(json.dumps(done, indent=2))
    else:
        click.echo("; ".join(f"{count} {what}" for what, count in done.items()))


@click.command(
    epilog=_epilog(
        "course collect ch01 downloads/submissions.zip",
        "course collect ch01 downloads/folder_of_zips/",
        "course collect ch01 ch01_attention_jane.zip",
    )
)
@click.argument("chapter")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@_as_json
def collect(chapter: str, path: Path, as_json: bool) -> None:
    """Take in hand-ins from a folder or a zip.

    PATH is a folder with a subfolder or a zip per student, what `course submit` makes (CHAPTER_STUDENT.zip), or the
    zip that Canvas or Moodle gives for all submissions. Of several hand-ins of a student the latest counts.
    """
    from autograder.grading.collect import collect as take

    with _plain_errors():
        taken = take(chapter, path)
    if as_json:
        click.echo(json.dumps({"taken": taken.taken, "skipped": taken.skipped}, indent=2, ensure_ascii=False))
        return
    for student, files in taken.taken.items():
        click.echo(f"taken    {student}: {', '.join(files)}")
    for what, why in taken.skipped:
        click.echo(f"skipped  {what}: {why}")
    click.echo(f"{len(taken.taken)} students, {sum(map(len, taken.taken.values()))} notebooks taken.")
    if taken.taken:
        click.echo(f"Next: course grade {chapter}")


@click.command(
    epilog=_epilog(
        "course grade ch01",
        "course grade ch01 --student jane --again",
        "course grade ch01 --jobs 4 --json",
        "course grade ch01 --cluster tcp://scheduler:8786",
    )
)
@click.argument("chapter")
@click.option("--student", "students", multiple=True, help="Only this student; may be given several times.")
@click.option("--again", is_flag=True, help="Grade anew what was graded before.")
@click.option("--jobs", type=click.IntRange(1), help="Notebooks at a time. Default: one a core.")
@click.option("--seconds", type=click.FloatRange(1), help="What one notebook may take in all. Default: 300.")
@click.option("--memory", type=click.FloatRange(0.25), help="What one notebook may use, in GB. Default: 4.")
@click.option("--cluster", default="", metavar="ADDRESS", help="A running Dask scheduler. Default: processes here.")
@click.option("--every-cell", is_flag=True, help="Run also the cells that only show something and came back unchanged.")
@click.option("--unsafe", is_flag=True, help="Run hand-ins unconfined: they can read and change all that you can.")
@_as_json
def grade(
    chapter: str,
    students: tuple[str, ...],
    again: bool,
    jobs: int | None,
    seconds: float | None,
    memory: float | None,
    cluster: str,
    every_cell: bool,
    unsafe: bool,
    as_json: bool,
) -> None:
    """Grade a chapter's hand-ins and fill nbgrader's gradebook.

    Picks up where it stopped: what was graded before, with the same checks, is not graded again. Hand-ins run
    confined: without a network, without a view of anything but the libraries, within limits.
    """
    from autograder.grading import ahead

    if not cluster:
        ahead.begin()  # before this process loads the same
    from autograder.grading.grade import grade as run
    from autograder.grading.limits import Limits

    wanted = {"notebook_seconds": seconds, "memory": memory and int(memory * 2**30)}
    limits = Limits(**{name: value for name, value in wanted.items() if value})
    with _plain_errors(), _progress() as say:
        graded = run(chapter, students, again, jobs, limits, say, cluster, unsafe, every_cell)
    if as_json:
        rows = [row.plain() for row in graded.rows]
        told = {"chapter": graded.chapter, "notebooks": rows, "unwritten": graded.unwritten}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _show(graded)
    sys.exit(1 if graded.unwritten else 0)


@click.command(epilog=_epilog("course feedback ch01", "course feedback ch01 --student jane"))
@click.argument("chapter")
@click.option("--student", help="Only this student.")
@_as_json
def feedback(chapter: str, student: str | None, as_json: bool) -> None:
    """Make an HTML page of each graded notebook, with nbgrader's generate_feedback."""
    from autograder.grading.feedback import feedback as make

    with _plain_errors():
        files = make(chapter, student)
    if as_json:
        click.echo(json.dumps([str(file) for file in files], indent=2, ensure_ascii=False))
        return
    if student:
        for file in files:
            click.echo(str(file))
    click.echo(f"{len(files)} pages in {classroom() / 'feedback'}")


@click.command(
    epilog=_epilog(
        "course export ch01 --format canvas -o canvas.csv",
        "course export ch01 --format moodle -o moodle.csv",
        "course export ch01 > grades.csv",
    )
)
@click.argument("chapter")
@click.option(
    "--format", "kind", type=click.Choice(["canvas", "moodle", "plain"]), default="plain", help="Whose columns."
)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Default: standard output.")
def export(chapter: str, kind: str, output: Path | None) -> None:
    """Write the gradebook's scores of a chapter as CSV."""
    from autograder.grading.export import export as write

    with _plain_errors():
        text = write(chapter, kind)
        if output is None:
            click.echo(text, nl=False)
            return
        try:
            output.write_text(text, encoding="utf-8", newline="")
        except OSError as error:
            raise click.ClickException(f"{output} cannot be written: {error.strerror}") from error
    click.echo(f"written: {output} ({len(text.splitlines()) - 1} rows)")


@click.command("sample-class", epilog=_epilog("course sample-class ch01", "course sample-class ch01 --into /tmp/class"))
@click.argument("chapter")
@click.option(
    "--into", type=click.Path(file_okay=False, path_type=Path), help="A folder. Default: the classroom's hand-ins."
)
@_as_json
def sample_class(chapter: str, into: Path | None, as_json: bool) -> None:
    """Hand in for a made-up class, to try grading out: one all right, one per misconception, one blank, and so on."""
    from autograder.grading.sample_class import sample_class as make

    with _plain_errors():
        students = make(chapter, into)
    if as_json:
        click.echo(json.dumps(students, indent=2))
        return
    for student in students:
        click.echo(student)
    click.echo(f"{len(students)} students." + ("" if into else f" Next: course grade {chapter}"))


def _show(graded) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    # Through a pipe a table keeps its width: nothing is cut that a reader might look for.
    console = Console(width=None if sys.stdout.isatty() else 120)
    labs = list(dict.fromkeys(row.lab for row in graded.rows))
    of = {row.lab: row.result.max_points for row in graded.rows}
    table = Table(title=f"{graded.chapter}: points")
    table.add_column("student", overflow="fold")
    for lab in labs:
        table.add_column(f"{lab} ({of[lab]:g})", justify="right")
    table.add_column(f"total ({sum(of.values()):g})", justify="right")
    by_student: dict[str, list] = {}
    for row in graded.rows:
        by_student.setdefault(row.student, []).append(row)
    for student, rows in by_student.items():
        cells = [_points(row.result) for row in rows]
        table.add_row(escape(student), *cells, f"{sum(row.result.points for row in rows):g}")
    console.print(table)
    _show_mistakes(graded, console)
    for row in graded.rows:
        # What is merely wrong stands in the table above, in --json and in the feedback.
        ran = row.result.status in ("right", "wrong")
        told = [*([row.result.reason] if row.result.reason and not ran else []), *row.result.notes]
        told += [f"{e['grade_id']} is judged by plain asserts" for e in row.result.exercises if e.get("trust")]
        if told:
            status = f"[{_style(row.result)}]{row.result.status}[/]"
            console.print(f"{escape(row.student)}, {row.lab}, {status}: {escape('; '.join(told))}", highlight=False)
    for student, why in graded.unwritten.items():
        console.print(f"[red]not written[/]: {escape(student)}: {escape(why)}")
    _show_statuses(graded, console)
    chapter = graded.chapter.split("_")[0]
    console.print(f"Next: course feedback {chapter}, course export {chapter}", highlight=False)


def _show_statuses(graded, console) -> None:
    from collections import Counter

    from rich.table import Table

    from autograder.grading.ledger import STATUSES

    count = Counter(row.result.status for row in graded.rows)
    graded_now = sum(not row.skipped and row.result.status not in ("missing", "infrastructure") for row in graded.rows)
    students = len({row.student for row in graded.rows})
    table = Table("status", "notebooks", "which means", title=f"{len(graded.rows)} notebooks of {students} students")
    for status, meaning in STATUSES.items():
        if count[status]:
            table.add_row(f"[{_STYLES.get(status, 'red')}]{status}[/]", str(count[status]), meaning)
    console.print(table)
    skipped = sum(row.skipped for row in graded.rows)
    console.print(
        f"{graded_now} graded now, confined by: {graded.isolation}. {skipped} skipped: graded before, with the same "
        f"checks{' (--again grades them anew)' if skipped else ''}.",
        highlight=False,
    )


def _show_mistakes(graded, console) -> None:
    # What a teacher would talk about in the next lecture.
    from collections import Counter

    from rich.table import Table

    why = [(e["exercise"], e["why"]) for row in graded.rows for e in row.result.exercises if not e["passed"]]
    ran = Counter((exercise, told) for exercise, told in why if told and not told.startswith("not "))
    if not ran:
        return
    table = Table("exercise", "what went wrong", "students", title="Most frequent mistakes")
    for (exercise, told), count in ran.most_common(8):
        table.add_row(exercise, told, str(count))
    console.print(table)


def _points(result) -> str:
    told = "" if result.status in ("right", "wrong") else f" {result.status}"
    return f"[{_style(result)}]{result.points:g}{told}[/]"


def _style(result) -> str:
    return _STYLES.get(result.status, "red")


class _progress:
    # A bar on standard error, with the rate and the time left; standard output is for results alone.
    def __enter__(self):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=not sys.stderr.isatty(),
        )
        self.tasks: dict[str, int] = {}
        return self.say

    def say(self, what: str, done: int, of: int) -> None:
        if what not in self.tasks:
            self.bar.start()  # before there is anything to show it would leave an empty line
            self.tasks[what] = self.bar.add_task(what, total=of, rate="")
        task = self.bar.tasks[self.tasks[what]]
        rate = f"{done / task.elapsed:.2f} a second" if done and task.elapsed else ""
        self.bar.update(task.id, completed=done, total=of, rate=rate)

    def __exit__(self, *error) -> None:
        if self.tasks:
            self.bar.stop()


class _plain_errors:
    # What the user can mend comes as one sentence, without a traceback.
    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, trace) -> None:
        if error is None:
            return
        from autograder.grading.collect import CannotCollect
        from autograder.grading.export import NoGrades
        from autograder.grading.feedback import NoFeedback
        from autograder.grading.grade import CannotGrade
        from autograder.grading.isolation import NotIsolated
        from autograder.grading.released import NotReleased

        mendable = CannotCollect | CannotGrade | NoFeedback | NoGrades | NotIsolated | NotReleased
        if isinstance(error, mendable) or kind is LookupError:
            raise click.ClickException(str(error)) from error


COMMANDS = [release, collect, grade, feedback, export, sample_class]
