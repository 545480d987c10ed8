"""IssueToken: from a password or a refresh token to a session on record."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from jobrun.config.session_file import Moment, Session, this_moment
from jobrun.version import VERSION
from jobrun.wire.gen.jobrun.v1 import auth_service_pb2 as wire
from jobrun.wire.gen.jobrun.v1.auth_service_pb2_grpc import AuthServiceStub

if TYPE_CHECKING:
    import grpc

CLIENT_NAME_MOST = 64
"""Characters (auth_service.proto)."""


def refresh(channel: grpc.Channel, session: Session, timeout_s: float) -> Session:
    """Goes on with a session, whose next refresh token is on disk. Raises grpc.RpcError."""
    grant = wire.RefreshTokenGrant(
        session_id=session.session,
        refresh_token=session.refresh_token,
        next_refresh_token_sha256=_sha256(session.next_refresh_token),
    )
    request = wire.IssueTokenRequest(refresh_token=grant, client_name=_client_name())
    asked_at = this_moment()
    answer = AuthServiceStub(channel).IssueToken(request, timeout=timeout_s)
    return _session(answer, session.user, session.next_refresh_token, asked_at)


def log_in(stub: AuthServiceStub, user: str, password: str, refresh_token: str, timeout_s: float) -> Session:
    """Begins a session, which will go on by `refresh_token`. Raises grpc.RpcError."""
    grant = wire.PasswordGrant(username=user, password=password, refresh_token_sha256=_sha256(refresh_token))
    request = wire.IssueTokenRequest(password=grant, client_name=_client_name())
    asked_at = this_moment()
    answer = stub.IssueToken(request, timeout=timeout_s)
    return _session(answer, user, refresh_token, asked_at)


def _session(answer: wire.IssueTokenResponse, user: str, refresh_token: str, asked_at: Moment) -> Session:
    """The token's life counts from before it was asked for: never too long."""
    return Session(
        user=user,
        session=answer.session_id,
        refresh_token=refresh_token,
        next_refresh_token="",
        access_token=answer.access_token,
        access_boot=asked_at.boot_id,
        access_since_ns=asked_at.boot_ns,
        access_life_ns=answer.expires_in * 10**9,
        session_expires_s=answer.session_expires_at.seconds,
    )


def _sha256(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _client_name() -> str:
    """For the record of who logs in from where."""
    import socket

    return f"jobrun/{VERSION} {socket.gethostname()}"[:CLIENT_NAME_MOST]
