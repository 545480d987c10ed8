"""The gate that every call passes first: who is it, and may he? Without a login it stands open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from jobrun.model.caller import Caller

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
"""A call's, as gRPC has it: keys in lower case."""


class Gate(Protocol):
    """What api asks before anything else of a call. For the loop's thread."""

    on_ended: Callable[[str], None]
    """Set by who has calls under way: called with the id of a session or machine token once it has ended, or once its
    user's role was narrowed: what it was let in for must end."""

    def admit(self, method: str, metadata: Metadata, peer: str) -> Caller | None:
        """Who calls; None for a method that is open to all. `method` as in access.ACCESS, `peer` as gRPC names it.

        Raises TokenMissing, TokenInvalid, TokenExpired, SessionEnded, ScopeMissing."""

    def seconds_left(self, caller: Caller) -> float | None:
        """Until his token expires, negative if it has; None: never."""


def nobody_waits(_: str) -> None:
    """Until api says otherwise."""


class OpenGate:
    """Of a private server, or one with --insecure: whoever reaches it is one and the same."""

    def __init__(self, everybody: Caller) -> None:
        self._everybody = everybody
        self.on_ended: Callable[[str], None] = nobody_waits

    def admit(self, method: str, metadata: Metadata, peer: str) -> Caller | None:
        """Always the same; asks for nothing."""
        return self._everybody

    def seconds_left(self, caller: Caller) -> float | None:
        """None: there is no token."""
        return None
