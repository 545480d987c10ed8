"""Which command lies in which module: a command imports its own alone."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from jobrun.cli.command import Command

MODULES = {
    "run": "start",
    "start": "start",
    "status": "status",
    "logs": "logs",
    "attach": "attach",
    "list": "listing",
    "stop": "stop",
    "wait": "wait",
    "rm": "remove",
    "login": "login",
    "logout": "login",
    "whoami": "account",
    "passwd": "account",
    "user": "users",
    "token": "tokens",
    "audit": "audit",
    "server": "server",
    "doctor": "doctor",
    "version": "about",
    "help": "about",
}
"""In the order in which help shows them."""
LATER = ("download", "ci", "completion")
"""The contract has them, this version has not."""


def load(name: str) -> Command | None:
    """The command of that name, None where there is none."""
    if name not in MODULES:
        return None
    commands: Sequence[Command] = importlib.import_module(f"jobrun.cli.{MODULES[name]}").COMMANDS
    return next(command for command in commands if command.name == name)
