"""`version` and `help`."""

from __future__ import annotations

from jobrun.cli.command import Command, no_such_command
from jobrun.cli.options import COMMAND_NAMES, Option, Parsed
from jobrun.cli.output import put
from jobrun.cli.session import JSON
from jobrun.cli.words import no_words
from jobrun.config.environment import Environment

MAN = Option("--man", "print a manual page instead, in roff")


def version(parsed: Parsed, environment: Environment) -> int:
    """Prints the version, and what is inside."""
    from jobrun.version import BUILD, VERSION

    no_words(parsed)
    facts: dict[str, object] = {"version": VERSION, "build": BUILD}
    words = f"jobrun {VERSION}\n"
    if parsed.flag("--licenses"):
        from jobrun.cli import licenses

        facts["license"] = licenses.OWN
        facts["inside"] = works = licenses.inside()
        words = f"jobrun {VERSION}: {licenses.OWN}\n\n{licenses.text(works)}"
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import dump

        put(dump(facts))
    else:
        put(words)
    return 0


def help_(parsed: Parsed, environment: Environment) -> int:
    """Prints what there is, or one command's options."""
    from jobrun.cli.help import command_help, overview, width_of_stdout

    command = _named(parsed)
    if parsed.flag(MAN.key):
        from jobrun.cli.manual import page

        put(page(parsed.words[0] if parsed.words else ""))
    else:
        put(overview(width_of_stdout()) if command is None else command_help(command, width_of_stdout()))
    return 0


def _named(parsed: Parsed) -> Command | None:
    """The command that the words name, None without any. Raises UsageError."""
    from jobrun.cli.registry import find

    if not parsed.words:
        return None
    command, rest = find(parsed.words[0]).choose(parsed.words[1:])
    if rest:
        raise no_such_command(command.name, rest[0], command.below)
    return command


COMMANDS = (
    Command(
        name="version",
        summary="print the version",
        words="",
        description="",
        options=(Option("--licenses", "what is inside, and the licences of it"), JSON),
        run=version,
        example="jobrun version",
    ),
    Command(
        name="help",
        summary="print this, or the options of a command",
        words="[COMMAND]",
        takes=COMMAND_NAMES,
        description='With --man the source of a manual page, for man(1): "jobrun help --man run | man -l -". The page\n'
        "of a command tells of all below it too.",
        options=(MAN,),
        run=help_,
        example="jobrun help run",
    ),
)
