"""Frames: a job's output, in the order in which it was read.

A frame is 8-aligned: its own offset, its time, its stream and length, a keyed checksum of these, then the bytes. So a
number that points into a job's bytes can not pass for a cursor, whatever the job wrote. The first frame is the spec. An
second one has the secrets until the supervisor has read them, then zeros. An
index frame, one a MiB or so, has the offset of the one before it and how much each stream had by then."""

from __future__ import annotations

import struct
import zlib

SPEC, STDOUT, STDERR, INDEX, DROPPED, SECRETS = 0, 1, 2, 3, 4, 5
"""A frame's stream. DROPPED: bytes that could not be written in this place (its bytes: how many)."""

_HEAD = struct.Struct("<QQII")  # offset, time in ns, stream << 28 | length, checksum
_CRC = struct.Struct("<I")
INDEX_BODY = struct.Struct("<QQQ")  # offset of the index before it (0: none), stdout and stderr bytes before this place
DROPPED_BODY = struct.Struct("<Q")
HEAD_SIZE = _HEAD.size
MOST_BYTES = (128 << 10) - HEAD_SIZE
"""Of output in one frame: two of these fill a batch of 256 KiB; larger ones measured no faster."""
_LENGTH_MASK = (1 << 28) - 1


class Frame:
    """One that is whole. `start` is where its bytes begin in the data that was parsed, `next` the offset behind it."""

    __slots__ = ("length", "next", "offset", "start", "stream", "time_ns")

    def __init__(self, offset: int, time_ns: int, stream: int, length: int, start: int) -> None:
        self.offset, self.time_ns, self.stream, self.length, self.start = offset, time_ns, stream, length, start
        self.next = offset + size(length)


def size(length: int) -> int:
    """What a frame with that many bytes takes."""
    return HEAD_SIZE + length + (-length & 7)


def pack(key: int, offset: int, time_ns: int, stream: int, data: bytes) -> list[bytes]:
    """The parts of a frame that goes to `offset`, for pwritev(2)."""
    head = _HEAD.pack(offset, time_ns, stream << 28 | len(data), 0)[:-4]
    return [head + _CRC.pack(zlib.crc32(head, key)), data, bytes(-len(data) & 7)]


def parse(key: int, data: bytes, at: int, offset: int) -> Frame | None:
    """The frame at data[at:], whose place in the file is `offset`; None where there is none. Its bytes may go on
    beyond the data."""
    if len(data) - at < HEAD_SIZE:
        return None
    own, time_ns, word, checksum = _HEAD.unpack_from(data, at)
    if own != offset or zlib.crc32(data[at : at + HEAD_SIZE - 4], key) != checksum:
        return None
    return Frame(offset, time_ns, word >> 28, word & _LENGTH_MASK, at + HEAD_SIZE)
