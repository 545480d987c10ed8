"""JobService on the wire: takes requests apart, asks the service, puts answers together."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc.aio

from jobrun.api import page_token
from jobrun.api.current import current_caller
from jobrun.api.noted import noted
from jobrun.api.turns import Turns, to_its_end
from jobrun.jobs.service import JobService
from jobrun.logs.follow import Batch, Beginning, Cursor, Gap, Since, Start, TailLines
from jobrun.model.errors import InvalidRequest
from jobrun.model.job import Job
from jobrun.model.lifecycle import State
from jobrun.wire import convert
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as wire
from jobrun.wire.gen.jobrun.v1 import job_service_pb2_grpc
from jobrun.wire.times import duration_ns, timestamp_ns

if TYPE_CHECKING:
    from jobrun.auth.audit import Audit
    from jobrun.model.caller import Caller

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]  # a subscript that it has in its stub alone

STREAMS = frozenset({wire.OUTPUT_STREAM_STDOUT, wire.OUTPUT_STREAM_STDERR})
PAGE, MOST_PAGE = 100, 1000
"""Jobs on a page of a list: where none is asked for, and at most."""
MOST_PAGE_BYTES = 2 << 20
"""Of one page: clients take messages of up to 4 MiB, and one job may have 1 MiB."""


class JobServicer(job_service_pb2_grpc.JobServiceServicer):
    """Thin: no decision is made here."""

    def __init__(self, jobs: JobService, audit: Audit | None) -> None:
        """`audit` None: the server has no login."""
        self._jobs, self._audit = jobs, audit
        self._turns = Turns()

    async def Start(self, request: wire.StartRequest, context: Context) -> wire.StartResponse:
        starting = self._start(current_caller(), request)
        job = await (self._jobs.outlast(starting) if self._audit else starting)  # a task more, for the record alone
        return wire.StartResponse(job=convert.job_to_wire(job))

    async def _start(self, caller: Caller, request: wire.StartRequest) -> Job:
        """On record with the job's id, also where the caller goes away meanwhile."""
        with noted(self._audit, caller, "job.start") as deed:
            spec, secrets = convert.spec_from_wire(request.spec)
            job = await self._jobs.start(caller, spec, secrets, request.request_id)
            deed.job_id = job.id
        return job

    async def Stop(self, request: wire.StopRequest, context: Context) -> wire.StopResponse:
        signal = request.signal if request.HasField("signal") else None
        grace = duration_ns(request.grace, "grace") if request.HasField("grace") else None
        caller = current_caller()
        with noted(self._audit, caller, "job.stop", request.job_id) as deed:
            job, deed.changes = await self._jobs.stop(caller, request.job_id, signal, grace, request.request_id)
        return wire.StopResponse(job=convert.job_to_wire(job))

    async def GetStatus(self, request: wire.GetStatusRequest, context: Context) -> wire.GetStatusResponse:
        job = self._jobs.status(current_caller(), request.job_id)
        return wire.GetStatusResponse(job=convert.job_to_wire(job))

    async def Watch(  # type: ignore[override]  # it writes to the context: the newest alone, when the last was taken
        self, request: wire.WatchRequest, context: Context
    ) -> None:
        first = True
        async with contextlib.aclosing(self._jobs.watch(current_caller(), request.job_id)) as jobs:
            async for job in jobs:
                await to_its_end(context.write(wire.WatchResponse(job=convert.job_to_wire(job, spec=first))))
                first = False

    async def Logs(  # type: ignore[override]  # it writes to the context: in turns
        self, request: wire.LogsRequest, context: Context
    ) -> None:
        caller, start, streams = current_caller(), _start(request), _streams(request)
        reading = self._jobs.logs(caller, request.job_id, start, streams, follow=request.follow)
        next_cursor = start.offset if isinstance(start, Cursor) else 0
        async with contextlib.aclosing(reading) as events:
            async for event in events:
                if not isinstance(event, Job):
                    next_cursor = event.next
                if _tells_nothing(event, start):
                    await asyncio.sleep(0)  # there may be many of them, and others want their turn
                else:
                    await self._turns.write(context.write(_event(event, next_cursor)))

    async def List(self, request: wire.ListRequest, context: Context) -> wire.ListResponse:
        caller = current_caller()
        before = page_token.decode(request.page_token, request.filter, caller.user)
        wanted = convert.filter_from_wire(request.filter, caller.user)
        found = self._jobs.find(caller, wanted, min(request.page_size or PAGE, MOST_PAGE), before)
        answer, size, more = wire.ListResponse(), 0, found.more_before
        for seq, job in found.jobs:
            one = convert.listed_job_to_wire(job)
            answer.jobs.append(one)
            size += one.ByteSize()
            if size > MOST_PAGE_BYTES:
                more = seq
                break
        if more is not None:
            answer.next_page_token = page_token.encode(more, request.filter, caller.user)
        return answer

    async def Remove(self, request: wire.RemoveRequest, context: Context) -> wire.RemoveResponse:
        caller = current_caller()
        with noted(self._audit, caller, "job.remove", request.job_id):
            await self._jobs.remove(caller, request.job_id)
        return wire.RemoveResponse()


def _start(request: wire.LogsRequest) -> Start:
    which = request.WhichOneof("start")
    if which == "tail_lines":
        return TailLines(request.tail_lines)
    if which == "since":
        return Since(timestamp_ns(request.since, "since"))
    return Cursor(request.cursor)


def _streams(request: wire.LogsRequest) -> frozenset[int]:
    if wire.OUTPUT_STREAM_UNSPECIFIED in request.streams:
        raise InvalidRequest("streams", "name stdout or stderr")
    return frozenset(request.streams) or STREAMS


def _tells_nothing(event: Beginning | Batch | Gap | Job, start: Start) -> bool:
    if isinstance(event, Beginning):
        return isinstance(start, Cursor)  # which is where it begins
    return isinstance(event, Batch) and not event.records


def _event(event: Beginning | Batch | Gap | Job, next_cursor: int) -> wire.LogsResponse:
    if isinstance(event, Beginning):
        return wire.LogsResponse(next_cursor=next_cursor)
    if isinstance(event, Job):
        assert event.state is State.FINISHED, "a log ends with its job"
        end = wire.LogEnd(job=convert.job_to_wire(event))
        return wire.LogsResponse(end=end, next_cursor=next_cursor)
    if isinstance(event, Gap):
        return wire.LogsResponse(gap=wire.LogGap(dropped_bytes=event.dropped), next_cursor=next_cursor)
    records = [
        wire.LogRecord(time_unix_nano=time_ns, stream=stream, data=data, next_cursor=after)  # type: ignore[arg-type]  # its number
        for time_ns, stream, data, after in event.records
    ]
    return wire.LogsResponse(batch=wire.LogBatch(records=records), next_cursor=next_cursor)
