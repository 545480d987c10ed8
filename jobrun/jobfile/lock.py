"""The write lock on a job's file is the right to write it, and the only proof that its supervisor lives.

The supervisor holds it as a POSIX record lock (fcntl(2)): it ends with that process, is not inherited by its children,
and F_GETLK names the holder. Closing any other descriptor of the file in the same process drops it. Who judges holds it
as an open file description lock, on a descriptor of its own."""

from __future__ import annotations

import fcntl
import struct

_FLOCK = struct.Struct("hhqqi4x")  # struct flock: type, whence, start, length, pid
_WHOLE_FILE = (0, 0, 0, 0)


def _try(fd: int, command: int) -> bool:
    try:
        fcntl.fcntl(fd, command, _FLOCK.pack(fcntl.F_WRLCK, *_WHOLE_FILE))
    except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: both mean that somebody holds it
        return False
    return True


def try_own(fd: int) -> bool:
    """Take the lock for this process, if it is free."""
    return _try(fd, fcntl.F_SETLK)


def try_judge(fd: int) -> bool:
    """Take the lock for this open file description, if it is free; closing the descriptor gives it back."""
    return _try(fd, fcntl.F_OFD_SETLK)


def holder(fd: int) -> int | None:
    """The pid that holds the lock; None: nobody. 0 or less: alive, but not to be signalled (another PID namespace, or
    a judge)."""
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, *_WHOLE_FILE)))
    return None if kind == fcntl.F_UNLCK else int(pid)
