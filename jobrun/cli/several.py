"""A command with several IDs tries all; the code is that of the first failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobrun.cli.output import say
from jobrun.config.errors import Refusal


def try_all(words: Iterable[str], act: Callable[[str], int]) -> int:
    """Calls `act` with each word, tells each refusal in a line, answers with the first code that is not 0."""
    first = 0
    for word in words:
        try:
            code = act(word)
        except Refusal as refusal:
            say(str(refusal))
            code = refusal.code
        first = first or code
    return first
