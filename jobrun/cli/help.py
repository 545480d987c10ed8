"""Help from the commands' tables."""

from __future__ import annotations

import textwrap

from jobrun.cli.command import Command
from jobrun.cli.options import Option
from jobrun.cli.registry import LATER, MODULES, load

WIDTH = 100
COLUMN = 26
"""Where the text beside options and commands begins."""

EXIT_CODES = """\
Exit codes: run, attach and wait: the program's own; 128+N if signal N ended it; 124 timeout; 127 not found;
126 not executable; 125 for all that is jobrun's own. The others: 0; 1 refused or failed; 2 usage; 3 no such job, user
or token; 4 login needed.
"""
PLACES = """\
Where a command goes: --server; JOBRUN_TOKEN, which names its server; JOBRUN_SERVER; the last login; and where there
never was one, this machine's private server, which is started when it is needed: it runs jobs with your own rights
and isolates nothing. After a logout: --local, or log in.
"""


def overview() -> str:
    """All commands, a line each."""
    rows = "".join(_row(command.name, command.summary) for command in map(load, MODULES) if command is not None)
    later = textwrap.fill(f"Not in this version: {' '.join(LATER)}", WIDTH)
    return f"Usage: jobrun COMMAND [OPTIONS] [--] [ARGV...]\n\n{rows}\n{PLACES}\n{EXIT_CODES}\n{later}\n"


def command_help(command: Command) -> str:
    """One command: usage, what it does, options, an example."""
    between = () if command.words == "COMMAND" else ("[OPTIONS]", "[--]")
    usage = " ".join(part for part in ("jobrun", command.name, *between, command.words) if part)
    parts = [f"Usage: {usage}\n\n{command.summary[0].upper()}{command.summary[1:]}.\n"]
    if command.description:
        parts.append(f"\n{command.description}\n")
    if command.below:
        parts.append("\nCommands:\n" + "".join(_row(below.name, below.summary) for below in command.below))
    if command.options:
        parts.append("\nOptions:\n" + "".join(_option(option) for option in command.options))
    parts.append(f"\nExample: {command.example}\n")
    return "".join(parts)


def _option(option: Option) -> str:
    return _row(f"{', '.join(option.names)} {option.value}".rstrip(), option.help)


def _row(left: str, right: str) -> str:
    lines = textwrap.wrap(right, WIDTH - COLUMN)
    head = f"  {left:<{COLUMN - 4}}  "
    if len(head) > COLUMN:
        return f"{head.rstrip()}\n" + "".join(f"{'':{COLUMN}}{line}\n" for line in lines)
    return head + f"\n{'':{COLUMN}}".join(lines) + "\n"
