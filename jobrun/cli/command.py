"""What a command is: a row of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from jobrun.cli.options import Option, Parsed
from jobrun.config.environment import Environment

Run = Callable[[Parsed, Environment], int]


class Command(NamedTuple):
    """One command. `words` is how its arguments look in help; `run` answers with the exit code."""

    name: str
    summary: str
    words: str
    description: str
    options: Sequence[Option]
    run: Run
    example: str
