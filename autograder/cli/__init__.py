"""The `course` command: gathers the commands of student, instructor and author. It does no work of its own.

Each module beside this one defines `COMMANDS: list[click.Command]` and imports heavy libraries inside its functions
only, so that help appears at once. A library that is missing costs the commands that need it, never the others.
"""

import difflib
import importlib
from functools import cache

import click

from autograder import quick_start  # noqa: F401
from autograder.paths import ROOT

# Section of the help: the module, the extra whose libraries its commands need, and the commands' names, which
# are known here so that one whose module cannot be loaded still says what is missing.
SECTIONS = {
    "Student": ("student", "student", ("list", "start", "check", "progress", "submit", "doctor")),
    "Instructor": ("instructor", "instructor", ("release", "collect", "grade", "feedback", "export", "sample-class")),
    "Author": ("author", "dev", ("build", "sync", "new", "measure")),
}


@cache
def _commands(section: str) -> tuple[click.Command, ...]:
    module, extra, names = SECTIONS[section]
    if section != "Student" and not (ROOT / "pyproject.toml").exists():
        # What students install lacks the solutions and the folders that these work on.
        return tuple(_stand_in(name, "(in a clone of the course only)", Needs.clone(name, extra)) for name in names)
    try:
        return tuple(importlib.import_module(f"autograder.cli.{module}").COMMANDS)
    except ImportError as error:
        return tuple(_stand_in(name, f"(needs the {extra} extra)", Needs.library(name, extra, error)) for name in names)


def _stand_in(name: str, short: str, answer: click.ClickException) -> click.Command:
    # Takes any arguments, and says what it needs.
    def run(rest: tuple[str, ...]) -> None:
        raise answer

    return click.Command(
        name,
        callback=run,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
        short_help=short,
        add_help_option=False,
        context_settings={"ignore_unknown_options": True},
    )


class Needs(click.ClickException):
    """A command lacks its libraries or the course's repository; the message is what to type."""

    exit_code = 2

    @classmethod
    def library(cls, name: str, extra: str, error: ImportError) -> "Needs":
        wanted = f"`course {name}` needs the {extra} extra: pip install 'transformer-systems[{extra}]'"
        return cls(f"{wanted}\n({error})")

    @classmethod
    def clone(cls, name: str, extra: str) -> "Needs":
        where = f"`course {name}` works in a clone of the course's repository only."
        return cls(f"{where} There: pip install -e '.[{extra}]'")


class Course(click.Group):
    """A group whose commands come from the modules named in SECTIONS, each loaded when first needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [command.name or "" for section in SECTIONS for command in _commands(section)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        # The section that should have it comes first, so that no other module is loaded for it.
        for section in sorted(SECTIONS, key=lambda s: name not in SECTIONS[s][2]):
            for command in _commands(section):
                if command.name == name:
                    return command
        return None

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            close = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f": did you mean `course {close[0]}`?" if close else "."))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except ImportError as error:
            name = ctx.invoked_subcommand or ""
            extra = next((SECTIONS[s][1] for s in SECTIONS if any(c.name == name for c in _commands(s))), "dev")
            raise Needs.library(name, extra, error) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in SECTIONS:
            with formatter.section(section):
                formatter.write_dl([(c.name or "", c.get_short_help_str(90)) for c in _commands(section)])


@click.command(
    cls=Course,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Examples:\n\n\b\n  course list\n  course start 1.1\n  course check 1.1\n  course COMMAND --help",
)
@click.version_option(package_name="transformer-systems", prog_name="course")
def main() -> None:
    """Transformers as systems: start labs, check your work, see your progress, hand it in."""
