"""What goes with each call to say who asks: a machine token, or nothing; a login is in session_access.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import grpc

from jobrun.client.errors import details_of
from jobrun.config.errors import LoginNeeded

if TYPE_CHECKING:
    from jobrun.config.token_string import MachineLogin

Metadata = tuple[tuple[str, str], ...]
NOTHING: Metadata = ()


class Access(Protocol):
    """Who asks."""

    def metadata(self, channel: grpc.Channel) -> Metadata:
        """What goes with the next call; may ask the server for a new token. Raises LoginNeeded, grpc.RpcError."""

    def reject(self, used: Metadata, error: grpc.RpcError) -> None:
        """The server refused what went with a call. Returns where metadata() will have another; else raises
        LoginNeeded."""


class NoAccess:
    """For a server without login."""

    def metadata(self, channel: grpc.Channel) -> Metadata:
        """Nothing."""
        return NOTHING

    def reject(self, used: Metadata, error: grpc.RpcError) -> None:
        """There is nothing else to offer."""
        raise LoginNeeded(details_of(error)) from error


class MachineAccess:
    """A machine token: never changed, never on disk."""

    def __init__(self, token: MachineLogin) -> None:
        self._metadata = bearer(token.bearer)

    def metadata(self, channel: grpc.Channel) -> Metadata:
        """The token."""
        return self._metadata

    def reject(self, used: Metadata, error: grpc.RpcError) -> None:
        """There is nothing else to offer."""
        raise LoginNeeded(f"JOBRUN_TOKEN: {details_of(error)}") from error


def bearer(token: str) -> Metadata:
    """As RFC 6750 has it."""
    return (("authorization", f"Bearer {token}"),)
