"""Manual pages from the commands' tables: jobrun(1), and one for each command with those below it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from jobrun.cli import help as words
from jobrun.cli import roff
from jobrun.cli.codes import AS_THE_JOB
from jobrun.cli.command import Command
from jobrun.cli.exit_codes import OF_JOBS, OF_OTHERS
from jobrun.cli.registry import GROUPS, MODULES, load
from jobrun.config.environment import VARIABLES
from jobrun.config.paths import FOLDERS

READ_WITH: Mapping[str, Sequence[str]] = {
    "--server": ("JOBRUN_SERVER", "JOBRUN_TOKEN", "JOBRUN_CONFIG_DIR"),
    "--fingerprint": ("JOBRUN_CONFIG_DIR", "SSL_CERT_FILE"),
    "--data": ("JOBRUN_DATA_DIR",),
    "--listen": ("NOTIFY_SOCKET",),
}
"""Variables that commands with an option read; what all of them read is told by jobrun(1)."""


def pages() -> dict[str, str]:
    """All pages, by the names of their files."""
    return {f"{title(name)}.1": page(name) for name in ("", *MODULES)}


def title(name: str) -> str:
    """The page's name; `name` of a command, or empty for the whole."""
    return f"jobrun-{name}" if name else "jobrun"


def page(name: str) -> str:
    """The source of one page; `name` of a command, or empty for the whole."""
    return _one(load(name)) if name else _whole()


def _whole() -> str:
    groups = [
        roff.subsection(group)
        + roff.rows((title(command.name) + "(1)", command.summary) for command in map(load, names))
        for group, names in GROUPS.items()
    ]
    parts = [
        roff.head("jobrun"),
        roff.section("Name"),
        "jobrun \\- run programs as jobs that outlive the connection\n",
        roff.section("Synopsis"),
        f"{roff.bold('jobrun')} {roff.escape('COMMAND [OPTIONS] [--] [ARGV...]')}\n",
        roff.section("Description"),
        roff.paragraphs((*words.paragraphs(words.ABOUT), *words.paragraphs(words.PLACES))),
        roff.section("Commands"),
        *groups,
        roff.section("Exit status"),
        roff.subsection("run, attach and wait"),
        roff.rows(OF_JOBS),
        roff.subsection("All others"),
        roff.rows(OF_OTHERS),
        roff.section("Environment"),
        roff.rows(VARIABLES.items()),
        roff.section("Files"),
        roff.rows(FOLDERS),
        roff.section("Examples"),
        roff.rows(words.FIRST_STEPS),
        roff.section("See also"),
        _pages(MODULES),
    ]
    return "".join(parts)


def _one(command: Command) -> str:
    codes = OF_JOBS if command.name in AS_THE_JOB else OF_OTHERS
    parts = [
        roff.head(title(command.name)),
        roff.section("Name"),
        roff.filled(f"{title(command.name)} - {command.summary}"),
        roff.section("Synopsis"),
        _synopsis((command, *command.below)),
        roff.section("Description"),
        roff.paragraphs((words.summary_sentence(command), *_description(command))),
        *_options(command, roff.section),
        *(_below(below) for below in command.below),
        *_values((command, *command.below)),
        *_variables((command, *command.below)),
        roff.section("Exit status"),
        roff.rows(codes),
        roff.section("Examples"),
        roff.typed(one.example for one in (command.below or (command,))),
        roff.section("See also"),
        _pages(("", *_neighbours(command.name))),
    ]
    return "".join(parts)


def _neighbours(name: str) -> Iterable[str]:
    """The other commands of its group."""
    return (other for group in GROUPS.values() if name in group for other in group if other != name)


def _pages(names: Iterable[str]) -> str:
    return ",\n".join(f"{roff.bold(title(name))}(1)" for name in names) + "\n"


def _values(commands: Sequence[Command]) -> Iterable[str]:
    if values := words.values_of(commands):
        yield roff.section("Values")
        yield roff.rows(values)


def _variables(commands: Sequence[Command]) -> Iterable[str]:
    keys = {option.key for command in commands for option in command.options}
    names = {name for key, read in READ_WITH.items() if key in keys for name in read}
    if names:
        yield roff.section("Environment")
        yield roff.rows((name, meaning) for name, meaning in VARIABLES.items() if name in names)


def _synopsis(commands: Iterable[Command]) -> str:
    called = ((f"jobrun {command.name}", words.usage(command)) for command in commands)
    return ".br\n".join(f"{roff.bold(name)}{roff.escape(usage.removeprefix(name))}\n" for name, usage in called)


def _below(command: Command) -> str:
    texts = (words.summary_sentence(command), *_description(command))
    return roff.section(command.name) + roff.paragraphs(texts) + "".join(_options(command, roff.subsection))


def _description(command: Command) -> Iterable[str]:
    return words.paragraphs(command.description) if command.description else ()


def _options(command: Command, heading: Callable[[str], str]) -> Iterable[str]:
    if command.options:
        yield heading("Options")
        yield roff.rows((words.option_words(option), words.option_text(option)) for option in command.options)
