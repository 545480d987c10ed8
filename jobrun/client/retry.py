"""Trying a call again: what may be, for how long, over a fresh connection."""

from __future__ import annotations

import grpc

from jobrun.client.connection import Connection
from jobrun.client.errors import NoServer, is_retried, refusal_of
from jobrun.client.patience import Patience


class Retry:
    """The tries of one call or stream. `reconnect_s`: seconds that one outage may take."""

    def __init__(self, connection: Connection, reconnect_s: float) -> None:
        self._connection = connection
        self._reconnect_s = reconnect_s
        self._patience: Patience | None = None

    def answered(self) -> None:
        """The server answered: the next failure is another outage."""
        self._connection.contacted = True
        self._patience = None

    def failed(self, error: grpc.RpcError) -> None:
        """Waits a little and drops the connection, so that the call can be made again. Raises Refusal where it can
        not, or no longer."""
        if not is_retried(error):
            self._connection.contacted = True
            raise refusal_of(error) from error
        if not self._pause():
            raise self._connection.given_up(error) from error

    def not_started(self, error: NoServer) -> None:
        """The private server could not be started: at first that is final, later it is a part of the outage."""
        if not self._connection.contacted or not self._pause():
            raise error

    def cut(self) -> bool:
        """A stream ended before its last message: as failed(), but False once the time is used up."""
        return self._pause()

    def _pause(self) -> bool:
        if self._patience is None:
            self._patience = Patience(self._connection.patience_s(self._reconnect_s))
        self._connection.drop()
        return self._patience.pause()
