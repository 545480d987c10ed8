"""Who makes the call that a task answers."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from jobrun.model.caller import Caller

_CALLER: Final[ContextVar[Caller]] = ContextVar("caller")
"""Each call has a task, and so a context, of its own."""


def current_caller() -> Caller:
    """Whom the gate let in. LookupError, a fault of ours, in a call that is open to all."""
    return _CALLER.get()


def caller_if_any() -> Caller | None:
    """The same; None in a call that is open to all, or that the gate has not let in."""
    return _CALLER.get(None)


def set_current_caller(caller: Caller) -> None:
    """By the interceptor, before anything else of the call."""
    _CALLER.set(caller)
