"""The authors' commands: build everything, sync pairs, scaffold a lab. The work is done in autograder.release."""

from pathlib import Path

import click


@click.command(epilog="Examples:\n\n\b\n  course build\n  course build --only book\n  course build --fresh")
@click.option("--only", type=click.Choice(["notebooks", "class", "book"]), help="Do one step only.")
@click.option("--fresh", is_flag=True, help="Redo every step, changed or not.")
def build(only: str | None, fresh: bool) -> None:
    """Make everything: notebooks, a graded sample class, the book.

    Redoes only what changed. Ends with a table of what was done and where things lie.
    """
    from autograder.release.everything import build as make

    raise SystemExit(make(only, fresh))


@click.command(epilog="Examples:\n\n\b\n  course sync\n  course sync --json")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
def sync(as_json: bool) -> None:
    """Bring each lab's .py and its notebook into step: the one edited last wins."""
    import json

    from autograder.paths import ROOT
    from autograder.release.sync import sources
    from autograder.release.sync import sync as bring

    found = {str(file.relative_to(ROOT)): bring(file) for file in sources()}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for file, result in found.items():
        click.echo(f"{result:17} {file}")


@click.command(
    epilog="Examples:\n\n\b\n"
    '  course new ch02/lab02 "Positional Encodings"\n'
    '  course new ch05/lab01 "Complexity Analysis" --chapter linear_attention --part "III. Attention Variants"'
)
@click.argument("lab")
@click.argument("title")
@click.option("--chapter", help="For a chapter's first lab: the rest of its folder's name, linear_attention.")
@click.option("--part", help='For a chapter\'s first lab: the part of the book, "III. Attention Variants".')
def new(lab: str, title: str, chapter: str | None, part: str | None) -> None:
    """Scaffold a lab that already passes the tests: notebook, checks, answers."""
    from autograder.paths import ROOT
    from autograder.release.scaffold import CannotScaffold, scaffold

    try:
        files = scaffold(lab, title, chapter, part)
    except CannotScaffold as error:
        raise click.ClickException(str(error)) from error
    for file in files:
        click.echo(f"written: {file.relative_to(ROOT)}")
    click.echo(f"Next: course release {lab.split('/')[0]}, then replace the example exercise with yours.")


# Named here so that `--help` loads none of it: autograder.bench.grading.PARTS is the list.
_PARTS = ("profile", "scaling", "against-nbgrader", "many")


@click.command(
    epilog="Examples:\n\n\b\n  course measure bench\n  course measure gpu\n  course measure grading\n"
    "  course measure grading --only against-nbgrader --students 4 --into /tmp/tried"
)
@click.argument("kind", type=click.Choice(["bench", "gpu", "grading"]))
@click.option("--only", multiple=True, type=click.Choice(_PARTS), help="grading: only this part; may be repeated.")
@click.option("--students", type=click.IntRange(1), help="grading: how many. Default: each part's own number.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="A folder. Default: data/results.")
def measure(kind: str, only: tuple[str, ...], students: int | None, into: Path | None) -> None:
    """Run the course's benchmarks; results go to data/results/ as JSON, with machine and versions.

    bench and gpu time the labs' code; grading times `course grade`, beside plain nbgrader and on 10,000 notebooks.
    """
    if kind != "grading" and (only or students):
        raise click.UsageError("--only and --students are for `course measure grading`")
    from autograder.release.measure import RESULTS

    if kind == "grading":
        from autograder.bench.grading import measure as grading

        raise SystemExit(grading(only, students, into or RESULTS))
    from autograder.release.measure import measure as run

    raise SystemExit(run(kind, into or RESULTS))


COMMANDS = [build, sync, new, measure]
