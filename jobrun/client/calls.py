"""The calls of JobService, each tried again where that is safe and there is time. All of them raise Refusal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import grpc

from jobrun.client.access import NOTHING, Metadata
from jobrun.client.connection import Connection
from jobrun.client.errors import LostConnection, NoServer
from jobrun.client.retry import Retry, ask, ask_to_end
from jobrun.config.errors import NoSuchThing
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as wire
from jobrun.wire.gen.jobrun.v1.job_pb2 import Job
from jobrun.wire.gen.jobrun.v1.job_service_pb2_grpc import JobServiceStub

Answer = TypeVar("Answer")

ANSWER_S = 60.0
"""Seconds for an answer to a call that does not wait for a job: longer than a slow disk, shorter than for ever."""
LONG_LOG_BYTES = 64 << 10
"""A message of this size is one of many: short outputs need no special memory, and no import for it."""
SHORT_RECONNECT_S = 2.0
"""Seconds of an outage in commands that have no --reconnect."""


def keep_freed_blocks() -> None:
    """Imported when a log turns out to be long."""
    from jobrun.wire import allocation

    allocation.keep_freed_blocks()


class Calls:
    """One server's JobService. `reconnect_s`: how long an outage may take, in seconds."""

    def __init__(self, connection: Connection, reconnect_s: float = SHORT_RECONNECT_S) -> None:
        self._connection = connection
        self._reconnect_s = reconnect_s

    def again(self) -> Calls:
        """The same over a connection of its own, for another thread."""
        return Calls(self._connection.again(), self._reconnect_s)

    def start(self, request: wire.StartRequest, on_send: Callable[[], None] = lambda: None) -> Job:
        """Starts a job; `request_id` makes the retry safe. `on_send` is called before it may reach a server."""

        def once(stub: JobServiceStub, who: Metadata) -> wire.StartResponse:
            on_send()
            return stub.Start(request, timeout=ANSWER_S, metadata=who)

        return self._try(once).job

    def stop(self, request: wire.StopRequest) -> Job:
        """Stops a job; answers when it has finished, however long that takes. A retry sends no second signal."""
        request.request_id = os.urandom(16).hex()
        return self._try(lambda stub, who: stub.Stop(request, metadata=who)).job

    def status(self, job_id: str) -> Job:
        """One job as it stands."""
        request = wire.GetStatusRequest(job_id=job_id)
        return self._try(lambda stub, who: stub.GetStatus(request, timeout=ANSWER_S, metadata=who)).job

    def list(self, request: wire.ListRequest) -> wire.ListResponse:
        """One page."""
        return self._try(lambda stub, who: stub.List(request, timeout=ANSWER_S, metadata=who))

    def remove(self, job_id: str) -> None:
        """Forgets a finished job. One that is gone at the second try was removed by the first, whose answer is lost."""
        request = wire.RemoveRequest(job_id=job_id)
        ask_to_end(
            self._connection,
            self._reconnect_s,
            JobServiceStub,
            lambda stub, who: stub.Remove(request, timeout=ANSWER_S, metadata=who),
            NoSuchThing,
        )

    def logs(self, request: wire.LogsRequest) -> Iterator[wire.LogsResponse]:
        """The output from where `request` begins, with follow up to LogEnd. What was yielded is never asked for again:
        after an outage the stream goes on behind the last message that the caller came back from. `request` is
        changed to say where."""
        retry = Retry(self._connection, self._reconnect_s)
        short = True
        while True:
            used = NOTHING
            try:
                used = self._connection.metadata()
                for response in self._stub().Logs(request, metadata=used):
                    retry.answered()
                    if short and response.ByteSize() > LONG_LOG_BYTES:
                        short = False
                        keep_freed_blocks()
                    yield response
                    if response.HasField("end"):
                        return
                    request.cursor = response.next_cursor
            except grpc.RpcError as error:
                retry.failed(error, used)
            except NoServer as error:
                retry.not_started(error)
            else:
                if not request.follow:
                    return
                _go_on_after_cut(retry)

    def wait(self, job_id: str, *, until: float | None = None) -> bool:
        """Whether the job has finished before `until`, a time of time.monotonic (None: any time)."""
        retry = Retry(self._connection, self._reconnect_s)
        request = wire.WatchRequest(job_id=job_id)
        while True:
            used = NOTHING
            try:
                used = self._connection.metadata()
                for response in self._stub().Watch(request, timeout=_left(until), metadata=used):
                    retry.answered()
                    if response.job.HasField("finished"):
                        return True
            except grpc.RpcError as error:
                if _over(until):
                    return False
                retry.failed(error, used)
            except NoServer as error:
                retry.not_started(error)
            else:
                _go_on_after_cut(retry)

    def _stub(self) -> JobServiceStub:
        return JobServiceStub(self._connection.channel())

    def _try(self, call: Callable[[JobServiceStub, Metadata], Answer]) -> Answer:
        return ask(self._connection, self._reconnect_s, JobServiceStub, call)


def _go_on_after_cut(retry: Retry) -> None:
    """For a stream that the server ended before its last message, without saying why."""
    if not retry.cut():
        raise LostConnection("the server ended the stream before its end, again and again")


def _left(until: float | None) -> float | None:
    return None if until is None else max(0.0, until - time.monotonic())


def _over(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until
