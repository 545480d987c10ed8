"""The file of the audit record, which only grows, until it is put aside for a fresh one."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from pathlib import Path
from typing import Final

from jobrun.model.errors import StoreError
from jobrun.store.kept_room import keep_room

log = logging.getLogger(__name__)

MOST_BYTES: Final = 16 << 20
"""Of one file, 80,000 lines; looked at each minute."""
MOST_ASIDE: Final = 8
"""Files put aside, `audit.jsonl.1` the newest: 144 MiB in all; strangers make some MiB a day (LINES_OF_REFUSALS)."""
KEPT_BYTES: Final = 1 << 20
"""Room ahead of the last line, 5,000 more: a full disk has them too."""


class AuditFile:
    """Lines are with the kernel when `append` returns."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError."""
        self._path = path
        self._fd = _opened(path)
        self._torn = False
        """A line was cut by a full disk: the next one begins on its own."""
        self._failing = False
        self._keep_room()

    def append(self, line: bytes) -> None:
        """Never raises: where it can not, the server's log says so."""
        data = b"\n" + line if self._torn else line
        try:
            written = os.write(self._fd, data)  # in one, so that two processes' lines do not mix
        except OSError as error:
            if not self._failing:
                log.error("%s can not be written, decisions are not on record: %s", self._path, error.strerror)
            self._failing = True
        else:
            self._torn = written < len(data)
            self._failing = False

    def sync(self) -> None:
        """What was appended outlasts a power cut now; takes as long as the disk does. For any thread. Never raises."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            log.error("%s is not on disk: %s", self._path, error.strerror)

    def look_after(self) -> None:
        """To be called each minute: a full one is put aside, and there is room ahead. Where that can not be, the old
        one goes on, and the server's log says so."""
        try:
            if os.fstat(self._fd).st_size >= MOST_BYTES:
                self._begin_anew()
        except OSError as error:
            log.error("%s is full and goes on: %s", self._path, error.strerror)
        self._keep_room()

    def reopen(self) -> None:
        """For who has moved the file away. Where that can not be, the old one goes on, and the server's log says so."""
        try:
            fresh = _opened(self._path)
        except StoreError as error:
            log.error("the audit record goes on in the old file: %s", error)
            return
        self._go_on_in(fresh)
        self._keep_room()

    def close(self) -> None:
        """On disk."""
        self.sync()
        os.close(self._fd)

    def _keep_room(self) -> None:
        """Nothing where the disk is full: what was kept before is there. Nor where a file system has no such thing."""
        with contextlib.suppress(OSError):
            keep_room(self._fd, os.fstat(self._fd).st_size, KEPT_BYTES)

    def _begin_anew(self) -> None:
        """Whoever opens the path, at any moment, finds the old one or the fresh one."""
        scratch = self._path.with_name(f"{self._path.name}.new")
        scratch.unlink(missing_ok=True)  # of a server that was killed here
        fresh = os.open(scratch, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.fchmod(fresh, stat.S_IMODE(os.fstat(self._fd).st_mode))
        for place in range(MOST_ASIDE - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                os.rename(aside(self._path, place), aside(self._path, place + 1))
        os.ftruncate(self._fd, os.fstat(self._fd).st_size)  # gives back the room ahead
        with contextlib.suppress(FileNotFoundError):  # somebody moved it away
            os.link(self._path, aside(self._path, 1))
        os.rename(scratch, self._path)
        self._go_on_in(fresh)

    def _go_on_in(self, fresh: int) -> None:
        self.sync()
        os.dup2(fresh, self._fd, inheritable=False)
        os.close(fresh)
        self._torn = False


def aside(path: Path, place: int) -> Path:
    """Where the files are that were put aside: 1 is the newest."""
    return path.with_name(f"{path.name}.{place}")


def _opened(path: Path) -> int:
    """Its group may read it: a collector of logs. Raises StoreError."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}: move it away, or give this user the right to write it") from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        os.close(fd)
        raise StoreError(f"{path} must be a file of this user, written by nobody else: move it away, or chmod 600 it")
    return fd
