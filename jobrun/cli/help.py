"""Help from the commands' tables: plain text, as wide as the terminal."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Sequence

from jobrun.cli.command import Command
from jobrun.cli.exit_codes import OF_JOBS, OF_OTHERS
from jobrun.cli.options import JOBS, PROGRAM, Option
from jobrun.cli.output import STDOUT
from jobrun.cli.registry import GROUPS, LATER, load

WIDTH = 80
"""Columns where stdout is no terminal."""
NARROWEST, WIDEST = 60, 100
"""Columns that text is set for at least and at most: longer lines are hard to read."""
COLUMN = 26
"""Where the text beside options begins."""

ABOUT = """\
Runs programs as jobs, on this machine or another one: they outlive the connection, keep their limits and can be found
again.
"""
FIRST_STEPS = (
    ("jobrun run make -j4", "run a program: its output and exit code are yours"),
    ("jobrun start ./nightly", "the same, without waiting for it"),
    ("jobrun list -a", "find it again"),
    ("jobrun login HOST", "from now on commands go there"),
)
PLACES = """\
A command goes to the server that the first of these names: --server; JOBRUN_TOKEN, which names its server;
JOBRUN_SERVER; the last login. Where there never was a login, it goes to this machine's private server, which is
started when it is needed: it runs jobs with your own rights and isolates nothing. After a logout: --local, or log in.
"""
ID = 'a job\'s id, a beginning of one that fits one job, or "@last", your newest job'
VALUES = {
    "DUR": "a number and ms, s, m, h or d, such as 90s or 1.5h; over 0, at most 366d",
    "SIZE": "bytes, or a whole number and K, M, G or T (1024), such as 512M; at most 2^53",
    "N": "a whole number, from 1 to 2^31-1 where nothing else is said",
    "TIME": "RFC 3339, such as 2026-01-31T08:15:30Z; or a duration ago, such as 90s or 1.5h",
    "ADDR": "HOST[:PORT] with TLS; insecure:127.0.0.1:PORT without, loopback alone; unix:PATH",
}
"""What options take, by the names that have one meaning in all commands."""


def width_of_stdout() -> int:
    """Columns to set text for."""
    try:
        columns = os.get_terminal_size(STDOUT).columns
    except OSError:
        return WIDTH
    return max(NARROWEST, min(columns, WIDEST)) if columns else WIDTH


def overview(width: int = WIDTH) -> str:
    """All commands, a line each, by what one wants to do."""
    column = 4 + max(len(name) for group in GROUPS.values() for name in group)
    steps = 4 + max(len(line) for line, _ in FIRST_STEPS)
    groups = [
        _section(title, [(command.name, command.summary) for command in map(load, names)], column, width)
        for title, names in GROUPS.items()
    ]
    codes = [("run, attach and wait", _listed(OF_JOBS)), ("all others", _listed(OF_OTHERS))]
    parts = [
        "Usage: jobrun COMMAND [OPTIONS] [--] [ARGV...]\n",
        _filled(ABOUT, width),
        _section("First steps", FIRST_STEPS, steps, width),
        *groups,
        "Where a command goes\n" + _filled(PLACES, width, "  "),
        _section("Exit codes", codes, COLUMN, width),
        _filled(
            'More: "jobrun help COMMAND"; as a manual page: "jobrun help --man [COMMAND] | man -l -". '
            f"Not in this version: {', '.join(LATER)}.",
            width,
        ),
    ]
    return "\n".join(parts)


def command_help(command: Command, width: int = WIDTH) -> str:
    """One command: usage, what it does, options, an example."""
    options = [(option_words(option), option_text(option)) for option in command.options]
    below = [(below.name, below.summary) for below in command.below]
    text = summary_sentence(command)
    if command.description:
        text += f"\n\n{command.description}"
    parts = [_filled(f"Usage: {usage(command)}", width), _filled(text, width)]
    if below:
        parts.append(_section("Commands", below, COLUMN, width))
    if options:
        parts.append(_section("Options", options, COLUMN, width))
    if values := values_of((command,)):
        parts.append(_section("Values", values, COLUMN, width))
    parts.append(f"Example: {command.example}\n")
    return "\n".join(parts)


def usage(command: Command) -> str:
    """How it is called."""
    options = "" if command.below and not command.options else "[OPTIONS]"
    end = "[--]" if command.takes == PROGRAM else ""
    return " ".join(part for part in ("jobrun", command.name, options, end, command.words) if part)


def values_of(commands: Iterable[Command]) -> Sequence[tuple[str, str]]:
    """What the jobs' ids and the options' values of these commands are."""
    named = {option.value for command in commands for option in command.options}
    ids = [("ID", ID)] if any(command.takes == JOBS for command in commands) else []
    return [*ids, *((name, meaning) for name, meaning in VALUES.items() if name in named)]


def summary_sentence(command: Command) -> str:
    """What it does."""
    return f"{command.summary[0].upper()}{command.summary[1:]}."


def option_words(option: Option) -> str:
    """Its names, and its value's."""
    return f"{', '.join(option.names)} {option.value}".rstrip()


def option_text(option: Option) -> str:
    """What it does."""
    return f"{option.help}; may be repeated" if option.many else option.help


def paragraphs(text: str) -> Sequence[str]:
    """Each in one line."""
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _filled(text: str, width: int, indent: str = "") -> str:
    return "\n".join(f"{_wrapped(paragraph, width, indent, indent)}\n" for paragraph in paragraphs(text))


def _section(title: str, rows: Iterable[tuple[str, str]], column: int, width: int) -> str:
    return f"{title}\n" + "".join(_row(left, right, column, width) for left, right in rows)


def _row(left: str, right: str, column: int, width: int) -> str:
    head = f"  {left:<{column - 4}}  "
    if len(head) > column:
        return f"{head.rstrip()}\n{_wrapped(right, width, ' ' * column, ' ' * column)}\n"
    return _wrapped(right, width, head, " " * column) + "\n"


def _wrapped(text: str, width: int, first: str, later: str) -> str:
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=later, break_long_words=False, break_on_hyphens=False
    )


def _listed(codes: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{code} {meaning}" for code, meaning in codes)
