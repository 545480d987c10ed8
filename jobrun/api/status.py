"""From our errors to gRPC's status: the one table, and google.rpc's details that go with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo  # type: ignore[import-untyped]  # no stubs
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs

from jobrun.model import errors
from jobrun.wire.times import duration

DOMAIN: Final = "jobrun"
DETAILS_KEY: Final = "grpc-status-details-bin"
"""Trailing metadata that holds a google.rpc.Status, as grpc-status does."""
MOST_TEXT = 2000
"""Characters of an error's text: the metadata of one answer must stay below 8 KiB."""

STATUS: Final[Mapping[type[errors.JobrunError], grpc.StatusCode]] = {
    errors.InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    errors.JobNotFound: grpc.StatusCode.NOT_FOUND,
    errors.NotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    errors.TokenMissing: grpc.StatusCode.UNAUTHENTICATED,
    errors.TokenInvalid: grpc.StatusCode.UNAUTHENTICATED,
    errors.TokenExpired: grpc.StatusCode.UNAUTHENTICATED,
    errors.SessionEnded: grpc.StatusCode.UNAUTHENTICATED,
    errors.LoginFailed: grpc.StatusCode.UNAUTHENTICATED,
    errors.RefreshFailed: grpc.StatusCode.UNAUTHENTICATED,
    errors.LoginThrottled: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.TooManyCalls: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ScopeMissing: grpc.StatusCode.PERMISSION_DENIED,
    errors.NoLoginHere: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UserNotFound: grpc.StatusCode.NOT_FOUND,
    errors.UserExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.LastAdmin: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UserHasJobs: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TooMany: grpc.StatusCode.FAILED_PRECONDITION,
    errors.MachineTokenNotFound: grpc.StatusCode.NOT_FOUND,
    errors.MachineTokenExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.RequestIdReused: grpc.StatusCode.ALREADY_EXISTS,
    errors.RequestIdRemoved: grpc.StatusCode.FAILED_PRECONDITION,
    errors.NotEnforceable: grpc.StatusCode.FAILED_PRECONDITION,
    errors.JobNotFinished: grpc.StatusCode.FAILED_PRECONDITION,
    errors.TooManyStops: grpc.StatusCode.FAILED_PRECONDITION,
    errors.StorageFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.QueueFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.ShuttingDown: grpc.StatusCode.UNAVAILABLE,
    errors.JobDamaged: grpc.StatusCode.DATA_LOSS,
    errors.StoreError: grpc.StatusCode.INTERNAL,
}

RETRY_AFTER_NS: Final[Mapping[type[errors.JobrunError], int]] = {
    errors.StorageFull: 10 * 10**9,
    errors.QueueFull: 10 * 10**9,
    errors.ShuttingDown: 10**9,
    errors.LoginThrottled: 5 * 10**9,
    errors.TooManyCalls: 10**9,
}
"""What may be asked again, and when."""


@dataclasses.dataclass(frozen=True)
class Refusal:
    """What a caller is told instead of an answer."""

    code: grpc.StatusCode
    text: str
    details: bytes
    """A serialized google.rpc.Status."""


def refusal_of(error: errors.JobrunError) -> Refusal:
    """What to tell of an error of ours."""
    return _refusal(STATUS[type(error)], str(error), _details(error))


def internal(incident: str) -> Refusal:
    """A fault of ours: its details are in the server's log alone, under that number."""
    text = f"internal error, incident {incident}: see the server's log"
    info = ErrorInfo(domain=DOMAIN, reason="INTERNAL", metadata={"incident": incident})
    return _refusal(grpc.StatusCode.INTERNAL, text, [info])


def _details(error: errors.JobrunError) -> Iterator[Message]:
    yield ErrorInfo(domain=DOMAIN, reason=error.reason)
    if isinstance(error, errors.InvalidRequest):
        violation = BadRequest.FieldViolation(field=error.field, description=error.text[:MOST_TEXT])
        yield BadRequest(field_violations=[violation])
    if type(error) in RETRY_AFTER_NS:
        yield RetryInfo(retry_delay=duration(RETRY_AFTER_NS[type(error)]))


def _refusal(code: grpc.StatusCode, text: str, details: Iterator[Message] | list[Message] | list[ErrorInfo]) -> Refusal:
    text = text[:MOST_TEXT]
    status = Status(code=code.value[0], message=text)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return Refusal(code, text, status.SerializeToString())
