"""Making a job's file, and its exit record."""

from __future__ import annotations

import errno
import os

from jobrun.jobfile import frames, layout, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobrun.jobfile.bencode import Decoded, Value

FIRST_ATTEMPT = 1
"""What a new file waits for: its first dispatch needs no write of its own."""


def create(path: str, created_ns: int, spec: Value, secrets: bytes) -> None:
    """A file of a job that waits for its first dispatch, made under a name of its own, then renamed: a leftover of that
    name is replaced, and no reader ever sees a part. OSError where there is no room."""
    scratch = path + ".new"
    fd = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fill(fd, created_ns, spec, secrets)
        os.rename(scratch, path)
    except OSError:
        os.unlink(scratch)
        raise
    finally:
        os.close(fd)


def fill(fd: int, created_ns: int, spec: Value, secrets: bytes) -> None:
    """An empty file, up to where output begins. Its exit record's page is fallocated. OSError if there is no room."""
    key = int.from_bytes(os.urandom(4), "little") or 1
    os.posix_fallocate(fd, 0, layout.FRAMES_AT)
    os.pwrite(fd, layout.pack_header(layout.Header(key, created_ns)), 0)
    slot = layout.Slot()
    slot.attempt = FIRST_ATTEMPT
    layout.write_slot(fd, key, slot)
    parts = frames.pack(key, layout.FRAMES_AT, created_ns, frames.SPEC, layout.pack_block(spec, key))
    parts += frames.pack(key, layout.FRAMES_AT + sum(map(len, parts)), created_ns, frames.SECRETS, secrets)
    if os.pwritev(fd, parts, layout.FRAMES_AT) != sum(map(len, parts)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_spec(fd: int, key: int) -> dict[bytes, Decoded]:
    """What `create` was given; Damaged where it is not whole."""
    frame = reader.spec_frame(fd, key)
    return _dictionary(os.pread(fd, frame.length, frame.offset + frames.HEAD_SIZE), key)


def read_secrets(fd: int, key: int) -> dict[bytes, Decoded]:
    """What pack_secrets packed, until it was wiped; Damaged where it is not whole, as after a power cut."""
    frame = reader.secrets_frame(fd, key)
    return _dictionary(os.pread(fd, frame.length, frame.offset + frames.HEAD_SIZE), 0)


def pack_secrets(secrets: Mapping[bytes, Value]) -> bytes:
    """For `create`, and to keep until then: it is checked as a whole, and tied to no file."""
    return layout.pack_block(secrets, 0)


def wipe_secrets(fd: int, key: int) -> None:
    """Zeros in their place: for a job that starts at once they mostly never reach the disk."""
    frame = reader.secrets_frame(fd, key)
    os.pwrite(fd, bytes(frame.length), frame.offset + frames.HEAD_SIZE)


def _dictionary(data: bytes, key: int) -> dict[bytes, Decoded]:
    value = layout.unpack_block(data, key)
    if not isinstance(value, dict):
        raise layout.Damaged("a record is of another kind")
    return value


def write_exit(fd: int, key: int, record: Mapping[bytes, Value]) -> None:
    """Once, by whoever holds the lock; on disk when this returns."""
    data = layout.pack_block(record, key)
    if len(data) > layout.PAGE:
        raise ValueError("the exit record does not fit its page")
    os.pwrite(fd, data, layout.EXIT_AT)
    os.fdatasync(fd)


def read_exit(fd: int, key: int) -> dict[bytes, Decoded] | None:
    """None where the job has not ended, or its end was never recorded whole."""
    data = os.pread(fd, layout.PAGE, layout.EXIT_AT)
    if data[:8] in (b"", bytes(8)):
        return None
    try:
        record = layout.unpack_block(data, key)
    except layout.Damaged:
        return None
    return record if isinstance(record, dict) else None


def has_exit(fd: int) -> bool:
    """Whether anything was written where the exit record goes, whole or not."""
    return os.pread(fd, 8, layout.EXIT_AT) not in (b"", bytes(8))


def frames_begin(fd: int, key: int) -> int:
    """The cursor of the first record."""
    return reader.first_record(fd, key)
