"""The ways to a server: what to dial, who asks, and what may be wrong where nobody answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from jobrun.client.access import Access, NoAccess
from jobrun.client.channel import open_channel

if TYPE_CHECKING:
    import grpc


class Route(Protocol):
    """One server, for as long as the command lasts. `name` is for people."""

    name: str
    access: Access

    def open(self) -> grpc.Channel:
        """A new channel; starts the server where that is its way. Raises Refusal."""

    def examine(self) -> None:
        """After a connection has failed: raises Refusal where asking again can not help."""


class PlainRoute:
    """Without TLS and login. `dial` says what to dial, and starts the private server."""

    def __init__(self, dial: Callable[[], str], name: str) -> None:
        self._dial = dial
        self.name = name
        self.access: Access = NoAccess()

    def open(self) -> grpc.Channel:
        """A plaintext channel."""
        return open_channel(self._dial())

    def examine(self) -> None:
        """Nothing is known that could not pass."""
