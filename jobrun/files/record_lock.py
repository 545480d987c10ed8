"""Who holds a POSIX record lock on a file: fcntl(2). Only small modules in here: each command of a client asks."""

from __future__ import annotations

import fcntl
import os
import struct

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock on 64-bit Linux: type, whence, start, length, pid."""


def holder(fd: int) -> int | None:
    """The pid of another process that has locked the open file, None where there is none; 0 or less: one of another PID
    namespace, or machine, which can not be signalled. OSError."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else int(pid)
