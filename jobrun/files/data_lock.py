"""One server a data folder: a record lock that lasts as long as its process, fcntl(2)."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
from pathlib import Path
from types import FrameType
from typing import NoReturn

from jobrun.model.errors import StoreError

_FLOCK = struct.Struct("hhqqi4x")
"""struct flock of fcntl(2) on 64-bit Linux: type, whence, start, length, pid."""


class DataLock:
    """`DATA/lock`. It says which version holds it, and at which socket, for clients that look. Never open the file
    again in the same process: to close any descriptor of it gives the lock back."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._fd = -1

    def take(self, text: str, wait_s: float) -> None:
        """Waits up to `wait_s` seconds for a server that is ending; main thread only. StoreError, OSError."""
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            self._lock(wait_s)
        except OSError as error:
            pid = self._holder()
            self.give_back()
            raise StoreError(f"{self._path.parent} is in use by pid {pid}: end it, or use another --data") from error
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, os.fsencode(f"{text}\n"), 0)

    def give_back(self) -> None:
        """Once nothing in the folder is written any more."""
        os.close(self._fd)

    def _holder(self) -> int:
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        return int(_FLOCK.unpack(fcntl.fcntl(self._fd, fcntl.F_GETLK, asked))[4])

    def _lock(self, wait_s: float) -> None:
        if not wait_s:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        before = signal.signal(signal.SIGALRM, _too_late)
        signal.setitimer(signal.ITIMER_REAL, wait_s)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _too_late(number: int, frame: FrameType | None) -> NoReturn:
    raise TimeoutError("the lock was not given back in time")
