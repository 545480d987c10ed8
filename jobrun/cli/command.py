"""What a command is: a row of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jobrun.cli.options import OTHER, Option, Parsed
from jobrun.cli.text import nearest
from jobrun.config.environment import Environment
from jobrun.config.errors import UsageError

HELP = Option("-h --help", "print this")
"""Every command has it."""
Run = Callable[[Parsed, Environment], int]


class Command(NamedTuple):
    """One command. `words` is how its arguments look in help; `run` answers with the exit code. `below` are the
    commands that a word right behind this one's name chooses; their names are whole: `user add`. `mixed`: options may
    come behind the words too. `takes`: what its words are, `many`: there may be more than one; `choices`: all that
    there are."""

    name: str
    summary: str
    words: str
    description: str
    options: Sequence[Option]
    run: Run
    example: str
    below: Sequence[Command] = ()
    mixed: bool = False
    takes: str = OTHER
    many: bool = False
    choices: Sequence[str] = ()

    def choose(self, words: Sequence[str]) -> tuple[Command, Sequence[str]]:
        """The command that `words`, which came behind this one's name, choose; and the rest of them."""
        for command in self.below:
            if words and command.name == f"{self.name} {words[0]}":
                return command, words[1:]
        return self, words


def no_such_command(name: str, word: str, below: Sequence[Command]) -> UsageError:
    """The error for a word behind a command's name that chooses none of those below it."""
    known = [command.name.removeprefix(f"{name} ") for command in below]
    meant = nearest(word, known)
    if meant:
        then = f"did you mean {name} {meant}?"
    else:
        then = f"one of {', '.join(known)}" if known else f'see "jobrun help {name}"'
    return UsageError(f"{name} {word}: no such command: {then}")


def group(name: str, summary: str, below: Sequence[Command], example: str) -> Command:
    """A command that does nothing without a word behind it."""

    def refuse(parsed: Parsed, environment: Environment) -> int:
        if parsed.words:
            raise no_such_command(name, parsed.words[0], below)
        known = ", ".join(command.name.removeprefix(f"{name} ") for command in below)
        raise UsageError(f'{name}: say what: {known}: see "jobrun help {name}"')

    return Command(name, summary, "COMMAND", "", (), refuse, example, below)
