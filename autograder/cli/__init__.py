"""The `course` command: gathers the commands of student, instructor and author. It does no work of its own.

Each module beside this one defines `COMMANDS: list[click.Command]` and imports heavy libraries inside its functions
only, so that help appears at once. A module whose libraries are missing costs its own commands, never the others'.
"""

import importlib

import click

# Section of the help, module, the extra that brings what its commands need.
SECTIONS = (
    ("Student", "autograder.cli.student", "student"),
    ("Instructor", "autograder.cli.instructor", "instructor"),
    ("Author", "autograder.cli.author", "dev"),
)
# Known by name even where their module cannot be loaded, so that the command can say what is missing.
NAMES = {
    "Student": ("list", "start", "check", "progress", "submit", "doctor"),
    "Instructor": ("release", "collect", "grade", "feedback", "export", "sample-class"),
    "Author": ("build", "new", "sync"),
}


def _load(section: str, module: str, extra: str) -> list[click.Command]:
    try:
        return list(importlib.import_module(module).COMMANDS)
    except ImportError as error:
        # `from error` would show a trace; what to type is what helps.
        return [_missing(name, extra, str(error)) for name in NAMES[section]]


def _missing(name: str, extra: str, why: str) -> click.Command:
    @click.command(
        name,
        short_help=f"(needs the {extra} extra)",
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def command(rest: tuple[str, ...]) -> None:
        raise click.ClickException(
            f"`course {name}` needs the {extra} extra: pip install 'transformer-systems[{extra}]'\n({why})"
        )

    return command


class Course(click.Group):
    """A group whose commands are loaded from the modules in SECTIONS when first asked for."""

    def _sections(self) -> dict[str, list[click.Command]]:
        if not hasattr(self, "_loaded"):
            self._loaded = {name: _load(name, module, extra) for name, module, extra in SECTIONS}
        return self._loaded

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [c.name or "" for commands in self._sections().values() for c in commands]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        for section, module, extra in SECTIONS:
            # A command known by name loads its own module alone.
            if name in NAMES[section]:
                found = next((c for c in _load(section, module, extra) if c.name == name), None)
                if found is not None:
                    return found
        return next((c for commands in self._sections().values() for c in commands if c.name == name), None)

    def resolve_command(self, ctx: click.Context, args: list[str]):
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            import difflib

            close = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            ctx.fail(f"no command {args[0]!r}" + (f": did you mean `course {close[0]}`?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in self._sections().items():
            if commands:
                with formatter.section(section):
                    formatter.write_dl([(c.name or "", c.get_short_help_str(90)) for c in commands])


@click.command(
    cls=Course,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Begin with:  course list  ·  course start 1.1  ·  course check 1.1",
)
@click.version_option(package_name="transformer-systems", prog_name="course")
def main() -> None:
    """Transformers as systems: start labs, check your work, see your progress, hand it in."""
