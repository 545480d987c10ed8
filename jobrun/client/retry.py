"""Trying a call again: what may be, for how long, over a fresh connection or with a fresh token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import grpc

from jobrun.client.access import NOTHING, Metadata
from jobrun.client.connection import Connection
from jobrun.client.errors import (
    NoServer,
    Unreachable,
    is_lost,
    is_retried,
    is_unanswered,
    refusal_of,
    wants_other_token,
)
from jobrun.client.patience import Patience
from jobrun.config.errors import Refusal

Stub = TypeVar("Stub")
Answer = TypeVar("Answer")


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

    def failed(self, error: grpc.RpcError, used: Metadata) -> None:
        """Returns once the call can be made again: after a pause, over another connection, or at once, with another
        token than `used`. Raises Refusal where it can not, or no longer."""
        if wants_other_token(error):
            self._connection.reject(used, error)
            return
        if not is_retried(error):
            self._connection.contacted = True
            raise refusal_of(error) from error
        if is_unanswered(error):
            self._connection.examine()
        if not self._pause():
            raise self._connection.given_up(error) from error

    def not_started(self, error: NoServer) -> None:
        """There is no channel: where the private server could not be started that is final at first, later it is a part
        of the outage."""
        final = not self._connection.contacted and not isinstance(error, Unreachable)
        if final or not self._pause():
            raise error

    def cut(self) -> bool:
        """A stream ended before its last message: as failed(), but False once the time is used up."""
        return self._pause()

    def _pause(self) -> bool:
        if self._patience is None:
            self._patience = Patience(self._connection.patience_s(self._reconnect_s))
        self._connection.drop()
        return self._patience.pause()


def ask(
    connection: Connection,
    reconnect_s: float,
    stub: Callable[[grpc.Channel], Stub],
    call: Callable[[Stub, Metadata], Answer],
) -> Answer:
    """The answer to a call that may be made again. Raises Refusal."""
    retry = Retry(connection, reconnect_s)
    while True:
        used = NOTHING
        try:
            used = connection.metadata()
            answer = call(stub(connection.channel()), used)
        except grpc.RpcError as error:
            retry.failed(error, used)
        except NoServer as error:
            retry.not_started(error)
        else:
            retry.answered()
            return answer


def ask_to_end(
    connection: Connection,
    reconnect_s: float,
    stub: Callable[[grpc.Channel], Stub],
    call: Callable[[Stub, Metadata], Answer],
    gone: type[Refusal],
) -> Answer | None:
    """The answer to a call that ends something for good, after which it is refused with `gone`; None where that comes
    behind a lost answer, as the call that lost it did that. Raises Refusal."""
    lost = False

    def once(stub: Stub, who: Metadata) -> Answer:
        nonlocal lost
        try:
            return call(stub, who)
        except grpc.RpcError as error:
            lost = lost or is_lost(error)
            raise

    try:
        return ask(connection, reconnect_s, stub, once)
    except gone:
        if not lost:
            raise
        return None
