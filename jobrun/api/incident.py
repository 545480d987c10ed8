"""Faults of our own: told whole in the server's log, as a number to the caller, and never with what he sent."""

from __future__ import annotations

import logging
import secrets
import traceback
from collections.abc import Iterator
from typing import Final

from jobrun.model.errors import JobrunError

log = logging.getLogger(__name__)

TELLING: Final = (JobrunError, OSError)
"""Exceptions whose text is known to be about our own things. Others, as those of protobuf, may quote a request: it can
hold a password."""
TELLING_MODULES: Final = frozenset({"sqlite3"})
"""The same, where the type can not be named: their texts name tables and columns, never values."""


def report(method: str, error: Exception) -> str:
    """Into the log: where it happened, and of what kind. Answers the incident's number."""
    number = secrets.token_hex(4)
    log.error("incident %s in %s\n%s", number, method, "\n".join(_story(error)))
    return number


def _story(error: BaseException) -> Iterator[str]:
    """As a traceback has it, but for texts that may be a caller's."""
    earlier = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if earlier is not None:
        yield from _story(earlier)
        yield "which led to"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    yield f"{type(error).__module__}.{type(error).__qualname__}{_text(error)}"


def _text(error: BaseException) -> str:
    tells = isinstance(error, TELLING) or type(error).__module__ in TELLING_MODULES
    return f": {error}" if tells else ""
