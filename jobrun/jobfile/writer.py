"""Writing a job's output into its file, within a bound: the beginning and the end stay, the middle goes.

A full disk never stops a job: what can not be written is counted, and told in its place once there is room again."""

from __future__ import annotations

import errno
import os
import time

from jobrun.jobfile import frames, layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Punch: TypeAlias = Callable[[int, int, int], None]

INDEX_STEP = 1 << 20
LEAST_INDEX_STEP = 64 << 10
MARKS = 64
"""A bound is divided into about so many parts; holes are punched in steps of one. Also bounds the list of marks."""
LEAST_CHARGE = 8
"""What a record counts against the bound at least: the file then takes 4 x the bound, however small the records are."""


class Mark:
    """An index frame: where a hole may begin or end. `charged` and `written` (bytes): before it."""

    __slots__ = ("charged", "offset", "written")

    def __init__(self, offset: int, charged: int, written: int) -> None:
        self.offset, self.charged, self.written = offset, charged, written


class LogWriter:
    """The one writer of a file's frames and slot; whoever has it holds the file's lock. `punch(fd, from, length)` makes
    a hole, OSError where the file system has none: then only the beginning is kept, as much as the bound allows."""

    def __init__(self, fd: int, key: int, slot: layout.Slot, offset: int, bound: int, punch: Punch) -> None:
        self._fd, self._key, self._slot, self._bound = fd, key, slot, bound
        self._punch, self._can_punch = punch, True
        self.offset = offset
        self.written = [0, 0]  # bytes of stdout and stderr in frames, dropped since or not
        self.unwritten = 0  # bytes that could not be written, not told yet
        self.lost = 0  # all bytes that could not be written
        self.refusal = 0  # errno of the last write that found no room; 0: none did
        self._charged = 0
        self._gap_charged = 0
        self._punched_to = 0
        self._step = min(INDEX_STEP, max(LEAST_INDEX_STEP, bound // 16))
        self._mark_step = max(self._step, bound // MARKS)
        self._next_index = offset
        self._last_index = 0
        self._marks: list[Mark] = []
        self._gap_start: Mark | None = None
        self.most_bytes = min(frames.MOST_BYTES, self._step - frames.HEAD_SIZE)
        self._time = 0

    @property
    def output_bytes(self) -> int:
        """All that the job wrote, kept or not."""
        return sum(self.written) + self.lost

    @property
    def dropped_bytes(self) -> int:
        """What of it is not in the file (any more)."""
        return self._slot.gap_dropped + self.lost

    def append(self, stream: int, data: bytes) -> None:
        """At most `most_bytes`. Never raises for want of room."""
        charge = max(len(data), LEAST_CHARGE)
        if not self._has_room(charge) or not self._write(stream, data):
            self.unwritten += len(data)
            self.lost += len(data)
            return
        self.written[stream - frames.STDOUT] += len(data)
        self._charged += charge

    def _has_room(self, charge: int) -> bool:
        """Within the bound, after the middle has gone where it must."""
        if not self._can_punch and self.unwritten:
            return False
        if self._charged - self._gap_charged + charge > self._bound and self._can_punch:
            try:
                self._make_room()
            except OSError as error:  # a file system that copies on write needs room for that too
                _check_is_no_room(error)
        return self._charged - self._gap_charged + charge <= self._bound

    def _write(self, stream: int, data: bytes) -> bool:
        self._time = now = max(self._time, time.time_ns())  # never back, so that a time is found by bisecting
        offset = self.offset
        parts: list[bytes] = []
        index = offset if offset >= self._next_index else 0
        if index:
            body = frames.INDEX_BODY.pack(self._last_index, *self.written)
            parts += frames.pack(self._key, offset, now, frames.INDEX, body)
            offset += frames.size(len(body))
        if self.unwritten:
            body = frames.DROPPED_BODY.pack(self.unwritten)
            parts += frames.pack(self._key, offset, now, frames.DROPPED, body)
            offset += frames.size(len(body))
        parts += frames.pack(self._key, offset, now, stream, data)
        if not self._write_all(parts, offset + frames.size(len(data))):
            return False
        self.unwritten = 0
        if index:
            self._note_index(index)
        return True

    def _write_all(self, parts: list[bytes], end: int) -> bool:
        try:
            done = os.pwritev(self._fd, parts, self.offset)
            if self.offset + done != end:
                raise OSError(errno.ENOSPC, "short write")
        except OSError as error:
            _check_is_no_room(error)
            self.refusal = error.errno or errno.ENOSPC
            self._cut_off()
            return False
        self.offset = end
        return True

    def _cut_off(self) -> None:
        """Or a torn frame could be taken for one that is being written."""
        try:
            os.ftruncate(self._fd, self.offset)
        except OSError as error:
            _check_is_no_room(error)

    def _note_index(self, offset: int) -> None:
        self._last_index, self._next_index = offset, offset + self._step
        if not self._marks or self._charged - self._marks[-1].charged >= self._mark_step:
            self._marks.append(Mark(offset, self._charged, sum(self.written)))

    def _make_room(self) -> None:
        """Move the gap's end on, as far as leaves half the bound less a step: the slot first, then the hole.

        There is such a mark, newer than the last one: no record is larger than a step (most_bytes), so whenever one
        does not fit, more than that lies behind the gap."""
        half = self._bound // 2
        if self._gap_start is None:
            if not self._probe():
                return
            self._gap_start = [mark for mark in self._marks if mark.charged <= half][-1]
        self._marks = [mark for mark in self._marks if self._charged - mark.charged <= half - self._mark_step]
        self._set_gap(self._gap_start, self._marks[0])

    def _probe(self) -> bool:
        """Whether holes can be made here: tried beyond the end, before the slot says that there is one."""
        try:
            self._punch(self._fd, self.offset, layout.PAGE)
        except OSError:
            self._can_punch = False
        return self._can_punch

    def _set_gap(self, start: Mark, end: Mark) -> None:
        slot = self._slot
        hole_from = max(start.offset, self._punched_to)
        slot.gap_from, slot.gap_to, slot.gap_dropped = start.offset, end.offset, end.written - start.written
        layout.write_slot(self._fd, self._key, slot)
        self._gap_charged = end.charged - start.charged
        self._punch(self._fd, hole_from, end.offset - hole_from)
        self._punched_to = end.offset


def _check_is_no_room(error: OSError) -> None:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        raise error
