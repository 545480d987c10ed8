"""A client that lost its server, against a real gRPC server on a unix socket that cuts its streams."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from jobrun.client.calls import Calls
from jobrun.client.connection import Connection
from jobrun.client.errors import CallRefused, LostConnection, NoServer, PermissionRefused
from jobrun.client.routes import PlainRoute
from jobrun.config.errors import LoginNeeded, NoSuchThing, Refusal
from jobrun.wire.gen.jobrun.v1 import job_pb2
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as wire

RECORDS = 9
STEP = 100
"""A cursor is an opaque number: these are no positions of records."""


class Cutting:
    """Serves RECORDS records, and cuts each stream after `cut_after` messages; says no to all else by `refuse`."""

    def __init__(self, cut_after: int, code: grpc.StatusCode) -> None:
        self._cut_after, self._code = cut_after, code
        self.asked: list[int] = []
        self.starts: list[str] = []
        self.stops: list[str] = []
        self.removes = 0

    def logs(self, request: wire.LogsRequest, context: grpc.ServicerContext) -> Iterator[wire.LogsResponse]:
        self.asked.append(request.cursor)
        first = request.cursor // STEP
        for sent, number in enumerate(range(first, RECORDS)):
            if sent == self._cut_after:
                context.abort(self._code, "cut")
            record = wire.LogRecord(stream=wire.OUTPUT_STREAM_STDOUT, data=b"%d" % number)
            yield wire.LogsResponse(batch=wire.LogBatch(records=[record]), next_cursor=(number + 1) * STEP)
        yield wire.LogsResponse(end=wire.LogEnd(job=finished()), next_cursor=RECORDS * STEP)

    def start(self, request: wire.StartRequest, context: grpc.ServicerContext) -> wire.StartResponse:
        self.starts.append(request.request_id)
        if len(self.starts) <= self._cut_after:
            context.abort(self._code, "cut")
        return wire.StartResponse(job=job_pb2.Job(id="x"))

    def stop(self, request: wire.StopRequest, context: grpc.ServicerContext) -> wire.StopResponse:
        self.stops.append(request.request_id)
        if len(self.stops) <= self._cut_after:
            context.abort(self._code, "cut")
        return wire.StopResponse(job=finished())

    def remove(self, request: wire.RemoveRequest, context: grpc.ServicerContext) -> wire.RemoveResponse:
        self.removes += 1
        if self.removes <= self._cut_after:
            context.abort(self._code, "the job is removed, and the answer lost")
        context.abort(grpc.StatusCode.NOT_FOUND, "no such job")
        raise AssertionError("abort raises")


def finished() -> job_pb2.Job:
    """A job that went well."""
    return job_pb2.Job(id="x", finished=job_pb2.Finished(reason=job_pb2.END_REASON_EXITED, exit_code=0))


def serve(path: Path, servicer: Cutting) -> grpc.Server:
    """A server at that socket."""
    server = grpc.server(ThreadPoolExecutor(4))
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Logs": grpc.unary_stream_rpc_method_handler(
            servicer.logs, wire.LogsRequest.FromString, wire.LogsResponse.SerializeToString
        ),
        "Start": grpc.unary_unary_rpc_method_handler(
            servicer.start, wire.StartRequest.FromString, wire.StartResponse.SerializeToString
        ),
        "Stop": grpc.unary_unary_rpc_method_handler(
            servicer.stop, wire.StopRequest.FromString, wire.StopResponse.SerializeToString
        ),
        "Remove": grpc.unary_unary_rpc_method_handler(
            servicer.remove, wire.RemoveRequest.FromString, wire.RemoveResponse.SerializeToString
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("jobrun.v1.JobService", handlers),))
    server.add_insecure_port(f"unix:{path}")
    server.start()
    return server


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    """Where to listen; relative, as pytest's folders are deep."""
    return Path(os.path.relpath(tmp_path / "s"))


def calls_to(socket: Path, reconnect_s: float = 5.0) -> Calls:
    """Calls to the server at that socket."""
    return Calls(Connection(PlainRoute(lambda: f"unix:{socket}", "the test's server")), reconnect_s)


def read_all(calls: Calls) -> bytes:
    """Everything that a follower prints."""
    request = wire.LogsRequest(job_id="x", cursor=0, follow=True)
    return b"".join(record.data for response in calls.logs(request) for record in response.batch.records)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
@pytest.mark.parametrize("cut_after", [1, 2, 3, RECORDS])
def test_a_cut_stream_goes_on_where_it_was(socket: Path, cut_after: int, code: grpc.StatusCode) -> None:
    """Every byte once, in order: no line of a build log is there twice, and none is missing."""
    servicer = Cutting(cut_after, code)
    server = serve(socket, servicer)
    assert read_all(calls_to(socket)) == b"".join(b"%d" % number for number in range(RECORDS))
    server.stop(None).wait()
    assert servicer.asked == list(range(0, RECORDS * STEP + 1, cut_after * STEP))[: len(servicer.asked)]


def test_a_server_that_comes_back_is_found(socket: Path) -> None:
    """A restart of the server is no end of a `run`."""
    server = serve(socket, Cutting(RECORDS + 1, grpc.StatusCode.OK))
    calls = calls_to(socket)
    request = wire.LogsRequest(job_id="x", cursor=0, follow=True)
    stream = calls.logs(request)
    data = b"".join(record.data for record in next(stream).batch.records)
    server.stop(0).wait()
    back = threading.Timer(0.2, serve, (socket, Cutting(RECORDS + 1, grpc.StatusCode.OK)))
    back.start()
    data += b"".join(record.data for response in stream for record in response.batch.records)
    back.join()
    assert data == b"".join(b"%d" % number for number in range(RECORDS))


def test_a_start_is_sent_again_with_the_same_request_id(socket: Path) -> None:
    """So that a lost answer does not start the job twice."""
    servicer = Cutting(2, grpc.StatusCode.UNAVAILABLE)
    server = serve(socket, servicer)
    assert calls_to(socket).start(wire.StartRequest(request_id="once")).id == "x"
    server.stop(None).wait()
    assert servicer.starts == ["once"] * 3


def test_a_stop_is_sent_again_as_the_same_one(socket: Path) -> None:
    """A program would get INT twice, and take the second one for "at once": its work of the day is lost."""
    servicer = Cutting(1, grpc.StatusCode.UNAVAILABLE)
    server = serve(socket, servicer)
    for _ in range(2):
        calls_to(socket).stop(wire.StopRequest(job_id="x", signal=2))
    server.stop(None).wait()
    first, again, other = servicer.stops
    assert first == again != other
    assert first


@pytest.mark.parametrize("lost_answers", [0, 1])
def test_a_job_that_the_first_try_removed_is_removed(socket: Path, lost_answers: int) -> None:
    """`rm` would say that there is no such job, of the job that it has just removed."""
    server = serve(socket, Cutting(lost_answers, grpc.StatusCode.UNAVAILABLE))
    calls = calls_to(socket)
    if lost_answers:
        calls.remove("x")
    else:
        with pytest.raises(NoSuchThing):
            calls.remove("x")
    server.stop(None).wait()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, CallRefused),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, CallRefused),
        (grpc.StatusCode.INTERNAL, CallRefused),
        (grpc.StatusCode.DATA_LOSS, CallRefused),
        (grpc.StatusCode.UNIMPLEMENTED, CallRefused),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionRefused),
        (grpc.StatusCode.NOT_FOUND, NoSuchThing),
        (grpc.StatusCode.UNAUTHENTICATED, LoginNeeded),
    ],
)
def test_nothing_else_is_tried_again(socket: Path, code: grpc.StatusCode, kind: type[Refusal]) -> None:
    """A refusal is told at once, with its own exit code."""
    servicer = Cutting(99, code)
    server = serve(socket, servicer)
    with pytest.raises(kind):
        calls_to(socket).start(wire.StartRequest(request_id="once"))
    server.stop(None).wait()
    assert len(servicer.starts) == 1


def test_a_server_that_was_never_there_is_told_soon(socket: Path) -> None:
    """A wrong address is no outage: nobody waits ten minutes for it."""
    began = time.monotonic()
    with pytest.raises(NoServer, match="no server at"):
        calls_to(socket, reconnect_s=600).status("x")
    assert time.monotonic() - began < 30


def test_patience_ends(socket: Path) -> None:
    """--reconnect is kept: then the client leaves, and says that the connection is lost."""
    server = serve(socket, Cutting(1, grpc.StatusCode.UNAVAILABLE))
    stream = calls_to(socket, reconnect_s=0.3).logs(wire.LogsRequest(job_id="x", cursor=0, follow=True))
    next(stream)
    server.stop(0).wait()
    with pytest.raises(LostConnection):
        list(stream)
