"""Reading and following one job's output."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from jobrun.jobfile import file, layout, reader
from jobrun.jobfile.reader import Batch as Batch  # told on: readers of a log need not know its file
from jobrun.jobfile.reader import Gap as Gap
from jobrun.logs.wakeups import Waiter, Wakeups
from jobrun.model.errors import InvalidRequest, JobDamaged


@dataclasses.dataclass(frozen=True)
class Cursor:
    """Go on at a cursor that was given before; 0: the beginning."""

    offset: int


@dataclasses.dataclass(frozen=True)
class TailLines:
    """The last lines of the chosen streams."""

    lines: int


@dataclasses.dataclass(frozen=True)
class Since:
    """The first record at or after a time: nanoseconds since the epoch."""

    time_ns: int


@dataclasses.dataclass(frozen=True)
class Beginning:
    """The cursor at which the reading begins. Who asked by lines or a time, and is cut off before there is output, goes
    on from there: asked again, the same lines would begin elsewhere."""

    next: int


@dataclasses.dataclass(frozen=True)
class Following:
    """How a follower waits, and how it knows that a job is over whose file will never say so."""

    wakeups: Wakeups
    is_over: Callable[[], bool]


Start = Cursor | TailLines | Since


async def read_log(
    job_id: str, path: Path, start: Start, streams: frozenset[int], following: Following | None
) -> AsyncIterator[Beginning | Batch | Gap]:
    """First where it begins, where a cursor can say that. Then batches and gaps, up to the end of the job's output;
    without `following` up to what is there now. A batch without a record is behind what other streams have.

    InvalidRequest for a cursor that is none; JobDamaged; FileNotFoundError where the job has no file yet."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    opening = asyncio.ensure_future(_open(fd, streams, start))
    try:
        log = await asyncio.shield(opening)
        if log.is_at_cursor:
            yield Beginning(log.cursor)
        if following is None:
            while (event := log.next()) is not None:
                yield event
            return
        with following.wakeups.of(job_id, path) as waiter:
            async for event in _follow(log, waiter, following.is_over):
                yield event
    except layout.Damaged as error:
        raise JobDamaged(f"the file of job {job_id} is damaged: {error}") from error
    finally:
        _close_behind(opening, fd)


async def _open(fd: int, streams: frozenset[int], start: Start) -> OpenLog:
    """To seek lines or a time may take a second in a big log: not in the loop's thread."""
    if isinstance(start, Cursor):
        return OpenLog(fd, streams, start)
    return await asyncio.to_thread(OpenLog, fd, streams, start)


def _close_behind(opening: asyncio.Task[OpenLog], fd: int) -> None:
    """Close `fd`; where the call was cut while a thread reads from it, once that is done."""

    def close(opening: asyncio.Task[OpenLog]) -> None:
        os.close(fd)
        if not opening.cancelled():
            opening.exception()  # whoever would be told is gone

    if opening.done():
        close(opening)
    else:
        opening.add_done_callback(close)


async def _follow(log: OpenLog, waiter: Waiter, is_over: Callable[[], bool]) -> AsyncIterator[Batch | Gap]:
    while True:
        waiter.clear()
        event = log.next()
        if event is not None:
            yield event
        elif log.has_ended:
            return
        elif is_over():
            raise layout.Damaged("its end is not in it")
        else:
            await waiter.wait()


class OpenLog:
    """One reader's place in a log, the lines that it leaves out, and the end."""

    def __init__(self, fd: int, streams: frozenset[int], start: Start) -> None:
        self._fd, self._streams = fd, streams
        self._reader = reader.LogReader(fd, streams)
        self._newlines_to_skip = 0
        self._end_told = False
        self.has_ended = False
        self._seek(start)

    @property
    def cursor(self) -> int:
        """Where it is."""
        return self._reader.cursor

    @property
    def is_at_cursor(self) -> bool:
        """Whether all that is behind the cursor is wanted; else it is in the middle of lines to leave out."""
        return not self._newlines_to_skip

    def _seek(self, start: Start) -> None:
        log, key = self._reader, self._reader.key
        if isinstance(start, Cursor):
            try:
                log.seek(start.offset)
            except reader.BadCursor:
                raise InvalidRequest("cursor", f"{start.offset} is no cursor of this job's output") from None
        elif isinstance(start, Since):
            log.go_to(reader.seek_time(self._fd, key, start.time_ns))
        else:
            cursor, self._newlines_to_skip = reader.seek_lines(self._fd, key, start.lines, self._streams)
            log.go_to(cursor)

    def next(self) -> Batch | Gap | None:
        """What comes next; None: nothing now, or `has_ended`."""
        event = self._reader.read()
        if event is None:
            record = file.read_exit(self._fd, self._reader.key)
            if record is None:
                return None
            event = self._reader.read() or self._end(record)  # what came between the first read and the record
        if isinstance(event, Batch) and self._newlines_to_skip:
            return self._skip_lines(event)
        return event

    def _end(self, record: Mapping[bytes, object]) -> Gap | None:
        end, unwritten = record.get(b"end", 0), record.get(b"unwritten", 0)
        if isinstance(end, int) and self._reader.cursor < end:
            raise layout.Damaged(f"its output can not be read behind cursor {self._reader.cursor}")
        if isinstance(unwritten, int) and unwritten and not self._end_told:
            self._end_told = True
            return Gap(unwritten, self._reader.cursor)
        self.has_ended = True
        return None

    def _skip_lines(self, batch: Batch) -> Batch:
        records = []
        for time_ns, stream, data, next_cursor in batch.records:
            while self._newlines_to_skip and data:
                _, newline, data = data.partition(b"\n")
                self._newlines_to_skip -= len(newline)
            if data:
                records.append((time_ns, stream, data, next_cursor))
        return Batch(records, batch.next)
