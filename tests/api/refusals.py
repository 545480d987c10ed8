"""What a refused call tells, taken apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # no stubs

from tests.api.source_server import WITHIN_S


@dataclasses.dataclass(frozen=True)
class Refused:
    """Code and text of the status; what its details hold."""

    code: grpc.StatusCode
    text: str
    reason: str
    domain: str
    fields: list[str]
    retry_s: int | None


def refused(call: Callable[..., Any], request: Any) -> Refused:
    """How `call` is refused; it must be."""
    with pytest.raises(grpc.RpcError) as caught:
        _answers(call, request)
    return taken_apart(caught.value)


def taken_apart(error: Any) -> Refused:
    """What the error of a call tells."""
    status = status_pb2.Status()
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            status.ParseFromString(value)
    assert not status.details or status.code == error.code().value[0]
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    retries = False
    for detail in status.details:
        retries |= detail.Is(retry.DESCRIPTOR)
        for kind in (info, bad, retry):
            detail.Unpack(kind)
    fields = [violation.field for violation in bad.field_violations]
    wait = retry.retry_delay.seconds if retries else None
    return Refused(error.code(), error.details(), info.reason, info.domain, fields, wait)


def told(call: Callable[..., Any], request: Any) -> tuple[Any, ...]:
    """All that a refused caller gets, byte for byte."""
    with pytest.raises(grpc.RpcError) as caught:
        _answers(call, request)
    error: Any = caught.value
    return error.code(), error.details(), tuple(map(tuple, error.trailing_metadata()))


def _answers(call: Callable[..., Any], request: Any) -> None:
    answer = call(request, timeout=WITHIN_S)
    if hasattr(answer, "__next__"):
        list(answer)
