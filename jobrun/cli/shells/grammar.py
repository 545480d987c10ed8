"""What a shell has to know of the commands: read from their tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobrun.cli.command import HELP, Command
from jobrun.cli.options import Option
from jobrun.cli.registry import every_command


def all_commands() -> Iterator[Command]:
    """Every command, each with those below it."""
    for command in every_command():
        yield command
        yield from command.below


def options_of(command: Command) -> Sequence[Option]:
    """Its own, and the one that all have."""
    return (*command.options, HELP)


def offers_of(option: Option) -> Sequence[str]:
    """Values that are known."""
    return option.choices or option.offers


def below_names(command: Command) -> Sequence[str]:
    """The words that choose a command below this one."""
    return [below.name.removeprefix(f"{command.name} ") for below in command.below]


def short_and_long(option: Option) -> tuple[Sequence[str], Sequence[str]]:
    """Its names without dashes: those of one letter, and the others."""
    letters = [name[1:] for name in option.names if not name.startswith("--")]
    return letters, [name[2:] for name in option.names if name.startswith("--")]
