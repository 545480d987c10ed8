"""Making a job's file, and its exit record."""

from __future__ import annotations

import errno
import os

from jobrun.jobfile import frames, layout, reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobrun.jobfile.bencode import Decoded, Value


def create(path: str, created_ns: int, spec: Value) -> None:
    """A file of a job that nobody ran yet, under a name of its own, then renamed: a leftover of that name is replaced,
    and no reader ever sees a part. Its exit record's page is fallocated. OSError where there is no room."""
    key = int.from_bytes(os.urandom(4), "little") or 1
    scratch = path + ".new"
    fd = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.posix_fallocate(fd, 0, layout.FRAMES_AT)
        os.pwrite(fd, layout.pack_header(layout.Header(key, created_ns)), 0)
        layout.write_slot(fd, key, layout.Slot())
        parts = frames.pack(key, layout.FRAMES_AT, created_ns, frames.SPEC, layout.pack_block(spec, key))
        if os.pwritev(fd, parts, layout.FRAMES_AT) != sum(map(len, parts)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        os.rename(scratch, path)
    except OSError:
        os.unlink(scratch)
        raise
    finally:
        os.close(fd)


def read_spec(fd: int, key: int) -> dict[bytes, Decoded]:
    """What `create` was given; Damaged where it is not whole."""
    frame = reader.spec_frame(fd, key)
    spec = layout.unpack_block(os.pread(fd, frame.length, layout.FRAMES_AT + frames.HEAD_SIZE), key)
    if not isinstance(spec, dict):
        raise layout.Damaged("its spec is no spec")
    return spec


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
