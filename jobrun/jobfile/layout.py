"""What lies where in a job's file.

    page 0  header (once, at creation); two slots in turn for what changes: state, attempt, pids, gap
    page 1  exit record, fallocated at creation and written once, so that an end can be recorded on a full disk
    page 2  control page, written by the server alone: the stops that were asked for
    page 3  frames: see frames.py

Every part has a checksum that is keyed with the file's own random number."""

from __future__ import annotations

import os
import struct
import zlib

from jobrun.jobfile import bencode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobrun.jobfile.bencode import Decoded, Value

PAGE = 4096
EXIT_AT, CONTROL_AT, FRAMES_AT = PAGE, 2 * PAGE, 3 * PAGE
SLOTS_AT = (512, 1024)

READY, CLAIMED, EXECUTED = 1, 2, 3
"""A slot's state: nobody ran it; a supervisor took it; its first process was executed."""

_MAGIC = b"jobrun\0\x01"  # the last byte is the format's version
_HEADER = struct.Struct("<8sIQI")  # magic, key, created_ns, checksum
_SLOT = struct.Struct("<QIIII16sQQQQQQ")
_STOP = struct.Struct("<QQIQ32s")
_BLOCK = struct.Struct("<II")  # length, checksum
_CRC = struct.Struct("<I")
STOP_SIZE = 64
NAME_SIZE = 32
"""Of a user's name, which has at most so many ASCII characters; one of an operating system's users may be cut."""
MOST_STOPS = PAGE // STOP_SIZE


class Damaged(Exception):
    """The file is not what a supervisor or server of ours wrote."""


class Header:
    """`key`: the random number of this file. `created_ns`: nanoseconds since the epoch."""

    __slots__ = ("created_ns", "key")

    def __init__(self, key: int, created_ns: int) -> None:
        self.key, self.created_ns = key, created_ns


class Slot:
    """What changes while a job lives. A fresh one is READY, at attempt 0."""

    __slots__ = (
        "attempt", "boot_id", "gap_dropped", "gap_from", "gap_to", "mark", "pid", "sequence", "started_boot_ns",
        "started_ns", "state", "supervisor",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sequence = 0
        self.state = READY
        self.attempt = 0
        self.supervisor = 0  # pid
        self.pid = 0  # of the first process
        self.boot_id = bytes(16)
        self.mark = 0  # hard RLIMIT_RTTIME of every process of the job; 0: none
        self.started_ns = 0  # since the epoch
        self.started_boot_ns = 0  # CLOCK_BOOTTIME
        self.gap_from = self.gap_to = 0  # offsets of index frames; equal: no gap
        self.gap_dropped = 0  # bytes of output that were between them


class StopRequest:
    """One entry of the control page. `signal` 0: none, it only joins. `request`: the same number is the same request,
    asked again; 0: it has none."""

    __slots__ = ("accepted_ns", "by", "grace_ns", "request", "signal")

    def __init__(self, accepted_ns: int, grace_ns: int, signal: int, by: str, request: int = 0) -> None:
        self.accepted_ns, self.grace_ns, self.signal, self.by = accepted_ns, grace_ns, signal, by
        self.request = request


def pack_header(header: Header) -> bytes:
    """Goes to offset 0."""
    body = _HEADER.pack(_MAGIC, header.key, header.created_ns, 0)[:-4]
    return body + _CRC.pack(zlib.crc32(body, header.key))


def read_header(fd: int) -> Header:
    """Damaged where it is none of ours."""
    data = os.pread(fd, _HEADER.size, 0)
    if len(data) != _HEADER.size:
        raise Damaged("its header is cut short")
    magic, key, created_ns, checksum = _HEADER.unpack(data)
    if magic != _MAGIC or zlib.crc32(data[:-4], key) != checksum:
        raise Damaged("its header is not one of jobrun's")
    return Header(key, created_ns)


def read_slot(fd: int, key: int) -> Slot:
    """The newer of the two that is whole. Damaged where none is, in three reads: a writer may be between."""
    for _ in range(3):
        found = [slot for at in SLOTS_AT if (slot := _unpack_slot(os.pread(fd, _SLOT.size + 4, at), key))]
        if found:
            return max(found, key=lambda slot: slot.sequence)
    raise Damaged("it has no state that is whole")


def _unpack_slot(data: bytes, key: int) -> Slot | None:
    if len(data) != _SLOT.size + 4 or zlib.crc32(data[:-4], key) != _CRC.unpack(data[-4:])[0]:
        return None
    slot = Slot()
    (
        slot.sequence, slot.state, slot.attempt, slot.supervisor, slot.pid, slot.boot_id, slot.mark, slot.started_ns,
        slot.started_boot_ns, slot.gap_from, slot.gap_to, slot.gap_dropped,
    ) = _SLOT.unpack_from(data)  # fmt: skip
    return slot


def write_slot(fd: int, key: int, slot: Slot) -> None:
    """Over the older of the two, so that the newer stays whole whenever this is cut, or fails (OSError). Whoever calls
    holds the lock."""
    sequence = slot.sequence + 1
    body = _SLOT.pack(
        sequence, slot.state, slot.attempt, slot.supervisor, slot.pid, slot.boot_id, slot.mark, slot.started_ns,
        slot.started_boot_ns, slot.gap_from, slot.gap_to, slot.gap_dropped,
    )  # fmt: skip
    os.pwrite(fd, body + _CRC.pack(zlib.crc32(body, key)), SLOTS_AT[sequence & 1])
    slot.sequence = sequence


def pack_block(value: Value, key: int) -> bytes:
    """A value with its length and checksum before it."""
    body = bencode.encode(value)
    return _BLOCK.pack(len(body), zlib.crc32(body, key)) + body


def unpack_block(data: bytes, key: int) -> Decoded:
    """What pack_block packed; Damaged where it is not whole."""
    if len(data) < _BLOCK.size:
        raise Damaged("a record is cut short")
    length, checksum = _BLOCK.unpack_from(data)
    body = data[_BLOCK.size : _BLOCK.size + length]
    if len(body) != length or zlib.crc32(body, key) != checksum:
        raise Damaged("a record is not whole")
    try:
        return bencode.decode(body)
    except ValueError as error:
        raise Damaged(f"a record can not be read: {error}") from None


def append_stop(fd: int, key: int, request: StopRequest) -> None:
    """Behind those that are there; IndexError where the page is full. The server alone writes here."""
    at = len(read_stops(fd, key))
    if at == MOST_STOPS:
        raise IndexError("the control page is full")
    by = request.by.encode()[:NAME_SIZE]
    body = _STOP.pack(request.accepted_ns, request.grace_ns, request.signal, request.request, by)
    os.pwrite(fd, body + _CRC.pack(zlib.crc32(body, key)), CONTROL_AT + at * STOP_SIZE)


def read_stops(fd: int, key: int) -> list[StopRequest]:
    """Those that are whole, in their order."""
    data = os.pread(fd, PAGE, CONTROL_AT)
    found = []
    for at in range(0, len(data) - STOP_SIZE + 1, STOP_SIZE):
        body = data[at : at + _STOP.size]
        if zlib.crc32(body, key) != _CRC.unpack_from(data, at + _STOP.size)[0]:
            break
        accepted_ns, grace_ns, signal, request, by = _STOP.unpack(body)
        found.append(StopRequest(accepted_ns, grace_ns, signal, by.rstrip(b"\0").decode("utf-8", "replace"), request))
    return found
