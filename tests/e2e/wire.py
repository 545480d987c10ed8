"""The same server by gRPC alone, as a program in any language meets it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # it brings no types

from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc
from tests.e2e.deadline import patience

Stub = job_service_pb2_grpc.JobServiceStub


@contextlib.contextmanager
def job_service(address: str) -> Iterator[Stub]:
    """A stub for the server at `address` (`unix:PATH` or `insecure:HOST:PORT`)."""
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address.removeprefix("insecure:"), options=options) as channel:
        yield Stub(channel)


def start_request(*argv: str, request_id: str = "", **spec: Any) -> job_service_pb2.StartRequest:
    """A Start of `argv`, as the private server's client asks for it: with a folder that is there."""
    spec.setdefault("cwd", "/")
    spec.setdefault("env", {"PATH": b"/usr/bin:/bin"})
    return job_service_pb2.StartRequest(spec=job_pb2.JobSpec(argv=argv, **spec), request_id=request_id)


def finished(stub: Stub, job_id: str, within: float = 20) -> job_pb2.Job:
    """The job, once it has finished."""
    last = job_pb2.Job()
    for answer in stub.Watch(job_service_pb2.WatchRequest(job_id=job_id), timeout=patience(within)):
        last = answer.job
    assert last.WhichOneof("state") == "finished", last
    return last


def output(stub: Stub, job_id: str, within: float = 20) -> bytes:
    """All output of a job to its end, both streams."""
    got = b""
    request = job_service_pb2.LogsRequest(job_id=job_id, follow=True)
    for answer in stub.Logs(request, timeout=patience(within)):
        got += b"".join(record.data for record in answer.batch.records)
    return got


def refusal(call: Any, request: Any) -> tuple[grpc.StatusCode, str, error_details_pb2.ErrorInfo]:
    """The status of a call that is refused: code, text, and ErrorInfo of its details."""
    try:
        answer = call(request, timeout=patience(10))
        if hasattr(answer, "__next__"):
            list(answer)
    except grpc.RpcError as error:
        return error.code(), error.details() or "", _info(error)
    raise AssertionError("it was not refused")


def _info(error: Any) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                detail.Unpack(info)
    return info
