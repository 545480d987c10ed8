"""The connection to one server, which can be had anew."""

from __future__ import annotations

import grpc

from jobrun.client.access import Metadata
from jobrun.client.errors import LostConnection, NoServer, details_of
from jobrun.client.routes import Route
from jobrun.config.errors import Refusal

FIRST_CONTACT_S = 2.0
"""How long a server that never answered is tried: enough for one that restarts, short for a wrong address."""


class Connection:
    """One channel at a time."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._channel: grpc.Channel | None = None
        self.contacted = False
        """The server has answered once."""

    def channel(self) -> grpc.Channel:
        """The channel that is open, or a new one. Raises Refusal where none can be had."""
        if self._channel is None:
            self._channel = self._route.open()
        return self._channel

    def metadata(self) -> Metadata:
        """What goes with the next call: who asks. Raises LoginNeeded, grpc.RpcError."""
        return self._route.access.metadata(self.channel())

    def reject(self, used: Metadata, error: grpc.RpcError) -> None:
        """The server did not take what went with a call. Raises LoginNeeded where there is nothing else."""
        self.contacted = True
        self._route.access.reject(used, error)

    def drop(self) -> None:
        """Closes the channel; the next channel() opens another."""
        if self._channel is not None:
            self._channel.close()
        self._channel = None

    def again(self) -> Connection:
        """Another connection to the same server, for another thread."""
        other = Connection(self._route)
        other.contacted = self.contacted
        return other

    def examine(self) -> None:
        """After a call that nobody answered: raises Refusal where asking again can not help."""
        self._route.examine()

    def patience_s(self, reconnect_s: float) -> float:
        """Seconds that an outage may take now."""
        return reconnect_s if self.contacted else min(reconnect_s, FIRST_CONTACT_S)

    def given_up(self, error: grpc.RpcError) -> Refusal:
        """What to raise when patience is used up."""
        name = self._route.name
        if self.contacted:
            return LostConnection(f"lost the connection to {name}: {_cause(error)}")
        return NoServer(f"no server at {name}: {_cause(error)}: start one there, or name another")


def _cause(error: grpc.RpcError) -> str:
    """The last part of what gRPC says: before it come addresses and its own wrappings."""
    return details_of(error).rstrip(".").rpartition(": ")[2]
