"""Job ids: random, short, easy to read aloud, and safe as the name of a file."""

from __future__ import annotations

import re

from jobrun.model.letters import LETTERS, random_letters

LENGTH = 8
"""Of 30 to the 8th, 656 thousand million: an id is not likely to come twice, and is no secret."""

_ID = re.compile(f"[{LETTERS}]{{{LENGTH}}}")


def new_id() -> str:
    """A random one; that it is free is checked where it is put on record."""
    return random_letters(LENGTH)


def is_id(text: str) -> bool:
    """Whether this can be a job's id: only then it may become part of a path."""
    return _ID.fullmatch(text) is not None
