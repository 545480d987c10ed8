"""Reading a job's output by cursor, while it grows and while its middle is dropped.

A cursor is an offset of a frame, or the end. Data is read first and the slot second: what lies in the gap by then may
be zeros, and is not looked at."""

from __future__ import annotations

import os

from jobrun.jobfile import frames, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    Record: TypeAlias = tuple[int, int, bytes, int]

BATCH = 256 << 10
"""Bytes of file in one read: larger ones cost memory a follower and bring nothing."""


class BadCursor(Exception):
    """No place in this file."""


class Gap:
    """Output that is missing before `next`; `dropped`: how many bytes of it (at most so many, where a reader came with
    a cursor that was in the gap already)."""

    __slots__ = ("dropped", "next")

    def __init__(self, dropped: int, next_: int) -> None:
        self.dropped, self.next = dropped, next_


class Batch:
    """Records (time in ns, stream, bytes, cursor behind it) in their order; asking again goes on at `next`."""

    __slots__ = ("next", "records")

    def __init__(self, records: list[Record], next_: int) -> None:
        self.records, self.next = records, next_


class LogReader:
    """One reader's place in one file. Reads only; the descriptor stays its owner's."""

    def __init__(self, fd: int, streams: frozenset[int]) -> None:
        self._fd, self._streams = fd, streams
        self._key = layout.read_header(fd).key
        self._first = first_record(fd, self._key)
        self.cursor = self._first
        self._passed: int | None = 0  # bytes of output before the cursor, where that is known

    @property
    def key(self) -> int:
        return self._key

    def seek(self, cursor: int) -> None:
        """Go on at a cursor that was given before; BadCursor where it is none of this file."""
        if cursor in (0, self._first):
            return
        gap_from, gap_to, _ = self._gap()
        if not gap_from <= cursor < gap_to:
            head = os.pread(self._fd, frames.HEAD_SIZE, cursor) if self._first < cursor < 1 << 62 else b""
            if frames.parse(self._key, head, 0, cursor) is None and cursor != log_end(self._fd, self._key):
                raise BadCursor
        self.go_to(cursor)

    def go_to(self, cursor: int) -> None:
        """A place that is known to be one."""
        self.cursor, self._passed = cursor, None

    def read(self) -> Batch | Gap | None:
        """What comes next; None: nothing now."""
        data = os.pread(self._fd, BATCH, self.cursor)
        gap = self._gap()
        if gap[0] <= self.cursor < gap[1]:
            return self._jump(*gap)
        records: list[Record] = []
        begin = self.cursor
        for frame in whole_frames(self._key, data, begin):
            if gap[0] <= frame.offset < gap[1] or (frame.stream == frames.DROPPED and records):
                break
            self.cursor = frame.next
            body = data[frame.start : frame.start + frame.length]
            if frame.stream == frames.DROPPED:
                return Gap(frames.DROPPED_BODY.unpack(body)[0], frame.next)
            if frame.stream == frames.INDEX:
                self._passed = sum(frames.INDEX_BODY.unpack(body)[1:])
                continue
            if self._passed is not None:
                self._passed += frame.length
            if frame.stream in self._streams:
                records.append((frame.time_ns, frame.stream, body, frame.next))
        return Batch(records, self.cursor) if self.cursor != begin else None

    def _gap(self) -> tuple[int, int, int]:
        slot = layout.read_slot(self._fd, self._key)
        return slot.gap_from, slot.gap_to, slot.gap_dropped

    def _jump(self, gap_from: int, gap_to: int, dropped: int) -> Gap:
        index = index_at(self._fd, self._key, gap_to)
        before = None if index is None else sum(index[1:])
        if self.cursor != gap_from:
            known = self._passed
            exact = None if known is None or before is None else before - known
            dropped = min(dropped, gap_to - self.cursor) if exact is None else exact
        self.cursor, self._passed = gap_to, before
        return Gap(dropped, gap_to)


def whole_frames(key: int, data: bytes, offset: int) -> Iterator[frames.Frame]:
    """Frames of which all bytes are in `data`, which was read from `offset` on."""
    at = 0
    while (frame := frames.parse(key, data, at, offset)) is not None and frame.start + frame.length <= len(data):
        yield frame
        at += frame.next - offset
        offset = frame.next


def first_record(fd: int, key: int) -> int:
    """The offset behind the frames of spec and secrets."""
    return secrets_frame(fd, key).next


def spec_frame(fd: int, key: int) -> frames.Frame:
    """The first frame; Damaged where there is none."""
    return _expect(fd, key, layout.FRAMES_AT, frames.SPEC)


def secrets_frame(fd: int, key: int) -> frames.Frame:
    """The second frame; Damaged where there is none."""
    return _expect(fd, key, spec_frame(fd, key).next, frames.SECRETS)


def _expect(fd: int, key: int, offset: int, stream: int) -> frames.Frame:
    frame = frames.parse(key, os.pread(fd, frames.HEAD_SIZE, offset), 0, offset)
    if frame is None or frame.stream != stream:
        raise layout.Damaged("its spec is missing")
    return frame


def index_at(fd: int, key: int, offset: int) -> tuple[int, int, int] | None:
    """An index frame's content: the index before it, bytes of stdout and of stderr before it."""
    data = os.pread(fd, frames.size(frames.INDEX_BODY.size), offset)
    for frame in whole_frames(key, data, offset):
        if frame.stream == frames.INDEX:
            before, out, err = frames.INDEX_BODY.unpack_from(data, frame.start)
            return before, out, err
    return None


def log_end(fd: int, key: int) -> int:
    """The offset behind the last frame that is whole."""
    return tail_of(fd, key).end


class Tail:
    """The last stretch of a log. `index`: offset of its last index frame (0: the log is empty)."""

    __slots__ = ("end", "index", "written")

    def __init__(self, end: int, index: int, written: tuple[int, int]) -> None:
        self.end, self.index, self.written = end, index, written


def tail_of(fd: int, key: int) -> Tail:
    """Found from the end backwards: the last index frame is within two steps of it, unless the file is torn."""
    first, size, back = first_record(fd, key), os.fstat(fd).st_size, 2 * BATCH
    while True:
        slot = layout.read_slot(fd, key)
        floor = max(first, slot.gap_to)
        begin = max(floor, size - back)
        start = floor if begin == floor else resync(fd, key, begin, size)
        tail = _walk(fd, key, start)
        if tail.index or start == floor:
            return tail
        back *= 4


def _walk(fd: int, key: int, offset: int) -> Tail:
    index, written = 0, [0, 0]
    while batch := list(whole_frames(key, data := os.pread(fd, BATCH, offset), offset)):
        for frame in batch:
            if frame.stream == frames.INDEX:
                index = frame.offset
                written = list(frames.INDEX_BODY.unpack_from(data, frame.start)[1:])
            elif frame.stream in (frames.STDOUT, frames.STDERR):
                written[frame.stream - frames.STDOUT] += frame.length
        offset = batch[-1].next
    return Tail(offset, index, (written[0], written[1]))


def resync(fd: int, key: int, offset: int, end: int) -> int:
    """The first frame at or behind `offset`: an 8-aligned word that equals its own offset, with a good checksum. `end`
    where there is none."""
    offset = offset + 7 & ~7
    while offset < end:
        data = os.pread(fd, 64 << 10, offset)
        words = memoryview(data)[: len(data) & ~7].cast("Q")
        for own, at in zip(words, range(offset, offset + len(data), 8), strict=False):
            if own == at and frames.parse(key, os.pread(fd, frames.HEAD_SIZE, at), 0, at) is not None:
                return at
        if not len(words):
            break
        offset += 8 * len(words)
    return end


def seek_time(fd: int, key: int, time_ns: int) -> int:
    """The cursor of the first frame at or after that time, by bisection (times never go back within a job)."""
    slot = layout.read_slot(fd, key)
    first, end = first_record(fd, key), log_end(fd, key)
    if slot.gap_to:  # in which of the two parts it is
        frame = frames.parse(key, os.pread(fd, frames.HEAD_SIZE, slot.gap_to), 0, slot.gap_to)
        low, high = (slot.gap_to, end) if frame is None or frame.time_ns < time_ns else (first, slot.gap_from)
    else:
        low, high = first, end
    return _bisect(fd, key, time_ns, low, high)


def _bisect(fd: int, key: int, time_ns: int, low: int, high: int) -> int:
    """`low` is a frame, `high` a frame or the end."""
    end = high
    while high - low > BATCH:
        middle = resync(fd, key, (low + high) // 2, high)
        frame = frames.parse(key, os.pread(fd, frames.HEAD_SIZE, middle), 0, middle) if middle < high else None
        if frame is None or frame.time_ns >= time_ns:
            if middle >= high:
                break
            high = middle
        else:
            low = middle
    offset = low
    while offset < end and (batch := list(whole_frames(key, os.pread(fd, BATCH, offset), offset))):
        for frame in batch:
            if frame.time_ns >= time_ns or frame.offset >= end:
                return frame.offset
        offset = batch[-1].next
    return offset


def seek_lines(fd: int, key: int, lines: int, streams: frozenset[int]) -> tuple[int, int]:
    """Where the last `lines` lines of the streams begin: the cursor of a frame, and how many newlines of the streams to
    leave out from there on. Bytes behind the last newline are a line too. Goes back from index to index, and reads only
    what has bytes of these streams."""
    if not lines:
        return log_end(fd, key), 0
    count, is_open = 0, None
    for begin, end, gap_to in _segments(fd, key, streams):
        if gap_to:  # the gap has ended whatever line was there
            count += 1
            if count >= (lines if is_open else lines + 1):
                return gap_to, 0
        newlines, open_here = _count_lines(fd, key, begin, end, streams)
        is_open = open_here if is_open is None else is_open
        count += newlines
        wanted = lines if is_open else lines + 1
        if count >= wanted:
            return begin, count - wanted + 1
    return first_record(fd, key), 0


def _segments(fd: int, key: int, streams: frozenset[int]) -> Iterator[tuple[int, int, int]]:
    """From the end of the log to its beginning, what lies between two index frames and has bytes of these streams; for
    what is before the gap, the gap's end too."""
    slot, tail = layout.read_slot(fd, key), tail_of(fd, key)
    begin, end, written = tail.index, tail.end, tail.written
    while begin and (found := index_at(fd, key, begin)) is not None:
        before, *counts = found
        if any(written[stream - frames.STDOUT] > counts[stream - frames.STDOUT] for stream in streams):
            yield begin, end, 0
        if begin == slot.gap_to:  # the chain is cut here: what is before the gap is one segment
            yield first_record(fd, key), slot.gap_from, slot.gap_to
            return
        begin, end, written = before, begin, (counts[0], counts[1])


def _count_lines(fd: int, key: int, begin: int, end: int, streams: frozenset[int]) -> tuple[int, bool | None]:
    """Newlines of the streams between two frames, and whether bytes follow the last one (None: no bytes at all)."""
    count, is_open, offset = 0, None, begin
    while batch := list(whole_frames(key, data := os.pread(fd, min(BATCH, end - offset), offset), offset)):
        for frame in batch:
            if frame.stream in streams and frame.length:
                body = data[frame.start : frame.start + frame.length]
                count += body.count(b"\n")
                is_open = not body.endswith(b"\n")
        offset = batch[-1].next
    return count, is_open
