"""Which command lies in which module: a command imports its own alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence

from jobrun.cli.command import Command
from jobrun.cli.text import nearest
from jobrun.config.errors import NotBuilt, UsageError

GROUPS: Mapping[str, Mapping[str, str]] = {
    "Run a program": {"run": "start", "start": "start"},
    "Find your jobs, and what they print": {
        "list": "listing",
        "status": "status",
        "logs": "logs",
        "attach": "attach",
        "wait": "wait",
    },
    "End jobs": {"stop": "stop", "rm": "remove"},
    "Use another machine": {
        "login": "login",
        "logout": "login",
        "whoami": "account",
        "passwd": "account",
        "token": "tokens",
    },
    "Be a server for others": {"server": "server", "user": "users", "audit": "audit", "doctor": "doctor"},
    "Know jobrun": {"help": "about", "completion": "completion", "version": "about"},
}
"""Commands by what one wants to do, as help shows them."""
MODULES: Mapping[str, str] = {name: module for group in GROUPS.values() for name, module in group.items()}
LATER = ("download", "ci")
"""The contract has them, this version has not."""
HABITS: Mapping[str, str] = {
    "ps": "list",
    "ls": "list",
    "show": "status",
    "log": "logs",
    "tail": "logs",
    "exec": "run",
    "submit": "start",
    "add": "start",
    "sbatch": "start",
    "kill": "stop",
    "cancel": "stop",
}
"""Words of other tools, and the command that does it here. They are told, never run."""


def load(name: str) -> Command:
    """One of MODULES."""
    commands: Sequence[Command] = importlib.import_module(f"jobrun.cli.{MODULES[name]}").COMMANDS
    return next(command for command in commands if command.name == name)


def find(name: str) -> Command:
    """The command that somebody typed. Raises NotBuilt, and UsageError with what may have been meant."""
    if name in MODULES:
        return load(name)
    if name in LATER:
        raise NotBuilt(name)
    meant = HABITS.get(name) or nearest(name, MODULES)
    then = f"did you mean {meant}?" if meant else 'see "jobrun help"'
    raise UsageError(f"{name}: no such command: {then}")


def every_command() -> Iterator[Command]:
    """All, in that order; those that a second word chooses are in their `below`."""
    yield from map(load, MODULES)
