"""From a gRPC status to one line and an exit code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import grpc
from google.protobuf.message import DecodeError

from jobrun.config.errors import LoginNeeded, NoSuchThing, Refusal

RETRIED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""UNAVAILABLE is what the contract lets one try again. The other two are never a server's answer: no answer in time,
and a call that the transport dropped. What must not be done twice looks at is_lost first."""

DETAILS, DOMAIN = "grpc-status-details-bin", "jobrun"
"""Where a server of ours puts google.rpc.Status, and the domain of its ErrorInfo."""
NO_TOKEN = frozenset({"TOKEN_EXPIRED", "TOKEN_INVALID", "TOKEN_MISSING", "SESSION_ENDED"})
"""Reasons of UNAUTHENTICATED after which another access token may help."""


class CallRefused(Refusal):
    """The server answered, and said no."""


class PermissionRefused(CallRefused):
    """The caller may not do that."""


class NoServer(Refusal):
    """Nobody answers there."""


class Unreachable(NoServer):
    """Nobody answers there now; it may be tried again."""


class SessionOver(LoginNeeded):
    """The server has ended the login that the call came with."""


class LostAnswer(Refusal):
    """The call was sent, and may have been done; it must not be made a second time."""


class LostConnection(Refusal):
    """There was a connection, and the time to have it back is used up."""


REFUSALS: Mapping[grpc.StatusCode, type[Refusal]] = {
    grpc.StatusCode.NOT_FOUND: NoSuchThing,
    grpc.StatusCode.UNAUTHENTICATED: LoginNeeded,
    grpc.StatusCode.PERMISSION_DENIED: PermissionRefused,
}
"""What to raise for a status that is not tried again; CallRefused for all others."""


def is_retried(error: grpc.RpcError) -> bool:
    """Whether the same call may be made again."""
    return status_of(error) in RETRIED


def is_unanswered(error: grpc.RpcError) -> bool:
    """Whether no server of ours said so: the connection failed, for a reason that gRPC hardly tells."""
    return status_of(error) is grpc.StatusCode.UNAVAILABLE and not reason_of(error)


def is_lost(error: grpc.RpcError) -> bool:
    """Whether a call that was sent may have been done: it was to be tried again, and no server of ours said so, which
    does that only of a call that it did not begin."""
    return is_retried(error) and not reason_of(error)


def wants_other_token(error: grpc.RpcError) -> bool:
    """Whether the server did not take the token that came with the call."""
    return status_of(error) is grpc.StatusCode.UNAUTHENTICATED and reason_of(error) in NO_TOKEN


def status_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The status code of a failed call."""
    return error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN


def details_of(error: grpc.RpcError) -> str:
    """What the server said, or gRPC about it."""
    return (error.details() or "" if isinstance(error, grpc.Call) else str(error)) or status_of(error).name


def reason_of(error: grpc.RpcError) -> str:
    """The reason in the ErrorInfo of a server of ours; empty where the error is not from one."""
    from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]  # no stubs
    from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs

    trailing: Iterable[tuple[str, bytes]] = (error.trailing_metadata() if isinstance(error, grpc.Call) else ()) or ()
    packed = next((value for key, value in trailing if key == DETAILS), b"")
    info = ErrorInfo()
    try:
        found = any(detail.Unpack(info) for detail in Status.FromString(packed).details)
    except DecodeError:
        return ""
    return str(info.reason) if found and info.domain == DOMAIN else ""


def refusal_of(error: grpc.RpcError) -> Refusal:
    """What to raise for a status that is not tried again."""
    code, details = status_of(error), details_of(error)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return CallRefused(f"the server does not know this call: it may be older than this client ({details})")
    return REFUSALS.get(code, CallRefused)(details)
