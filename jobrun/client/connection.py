"""The connection to one server, which can be had anew; the private server is started where it is not there."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from jobrun.client.channel import open_channel
from jobrun.client.errors import LostConnection, NoServer, details_of
from jobrun.config.errors import Refusal
from jobrun.wire.gen.jobrun.v1.job_service_pb2_grpc import JobServiceStub

FIRST_CONTACT_S = 2.0
"""How long a server that never answered is tried: enough for one that restarts, short for a wrong address."""


class Connection:
    """One channel at a time. `dial` says what to dial now, and starts the server where that is its way."""

    def __init__(self, dial: Callable[[], str], name: str) -> None:
        self._dial = dial
        self._name = name
        self._channel: grpc.Channel | None = None
        self._stub: JobServiceStub | None = None
        self.contacted = False
        """The server has answered once."""

    def stub(self) -> JobServiceStub:
        """The service over the channel that is open, or a new one. Raises Refusal where none can be started."""
        if self._stub is None:
            self._channel = open_channel(self._dial())
            self._stub = JobServiceStub(self._channel)
        return self._stub

    def drop(self) -> None:
        """Closes the channel; the next stub() opens another."""
        if self._channel is not None:
            self._channel.close()
        self._channel = self._stub = None

    def again(self) -> Connection:
        """Another connection to the same server, for another thread."""
        other = Connection(self._dial, self._name)
        other.contacted = self.contacted
        return other

    def patience_s(self, reconnect_s: float) -> float:
        """Seconds that an outage may take now."""
        return reconnect_s if self.contacted else min(reconnect_s, FIRST_CONTACT_S)

    def given_up(self, error: grpc.RpcError) -> Refusal:
        """What to raise when patience is used up."""
        if self.contacted:
            return LostConnection(f"lost the connection to {self._name}: {_cause(error)}")
        return NoServer(f"no server at {self._name}: {_cause(error)}: start one there, or name another by --server")


def _cause(error: grpc.RpcError) -> str:
    """The last part of what gRPC says: before it come addresses and its own wrappings."""
    return details_of(error).rstrip(".").rpartition(": ")[2]
