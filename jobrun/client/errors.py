"""From a gRPC status to one line and an exit code (CONTRACT 4)."""

from __future__ import annotations

import grpc

from jobrun.config.errors import LoginNeeded, NoSuchJob, Refusal

RETRIED = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED})
"""UNAVAILABLE is what the contract lets one try again. The other two are never a server's answer: no answer in time,
and a call that the transport dropped. Start has its request_id, all else is idempotent."""


class CallRefused(Refusal):
    """The server answered, and said no."""


class PermissionRefused(CallRefused):
    """The caller may not do that."""


class NoServer(Refusal):
    """Nobody answers there."""


class LostConnection(Refusal):
    """There was a connection, and the time to have it back is used up."""


def is_retried(error: grpc.RpcError) -> bool:
    """Whether the same call may be made again."""
    return status_of(error) in RETRIED


def status_of(error: grpc.RpcError) -> grpc.StatusCode:
    """The status code of a failed call."""
    return error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN


def details_of(error: grpc.RpcError) -> str:
    """What the server said, or gRPC about it."""
    return (error.details() or "" if isinstance(error, grpc.Call) else str(error)) or status_of(error).name


def refusal_of(error: grpc.RpcError) -> Refusal:
    """What to raise for a status that is not tried again."""
    code, details = status_of(error), details_of(error)
    if code is grpc.StatusCode.NOT_FOUND:
        return NoSuchJob(details)
    if code is grpc.StatusCode.UNAUTHENTICATED:
        return LoginNeeded(details)
    if code is grpc.StatusCode.PERMISSION_DENIED:
        return PermissionRefused(details)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return CallRefused(f"the server does not know this call: it may be older than this client ({details})")
    return CallRefused(details)
