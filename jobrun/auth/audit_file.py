"""A file of the audit record, which only grows, until it is put aside for a fresh one."""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import stat
import threading
from pathlib import Path
from typing import Final

from jobrun.files.data_folder import NO_ROOM
from jobrun.files.private_files import sync_folder
from jobrun.files.room import keep_room
from jobrun.model.errors import StoreError

log = logging.getLogger(__name__)

MOST_BYTES: Final = 16 << 20
"""Of one file, 80,000 lines."""
MOST_ASIDE: Final = 8
"""Files put aside, `audit.jsonl.1` the newest: 144 MiB in all."""
KEPT_BYTES: Final = 1 << 20
"""Room ahead of the last line, 5,000 more: a full disk has them too."""


class AuditFile:
    """Lines are with the kernel when `append` returns. For one thread, but for `sync`."""

    def __init__(self, path: Path) -> None:
        """Raises StoreError."""
        self._path = path
        self._fd = _opened(path)
        self._size = 0
        """With another process's lines once `look_after` has looked."""
        self._left: collections.deque[int] = collections.deque()
        """Descriptors of files before this one, until they are synced; MOST_ASIDE at most, as one a minute is much."""
        self._syncing = threading.Lock()
        self._torn = False
        """A line was cut by a full disk: the next one begins on its own."""
        self._failing = False
        self._stuck = False
        """It could not be put aside: to be tried again in a minute."""
        self._keep_room()

    def append(self, line: bytes) -> None:
        """Never raises: where it can not, the server's log says so."""
        if self._size and self._size + len(line) > MOST_BYTES and not self._stuck:
            self._put_aside()
        data = b"\n" + line if self._torn else line
        try:
            written = os.write(self._fd, data)  # in one, so that two processes' lines do not mix
        except OSError as error:
            if not self._failing:
                log.error("%s can not be written, decisions are not on record: %s", self._path, error.strerror)
            self._failing = True
        else:
            self._size += written
            self._torn = written < len(data)
            self._failing = False

    def sync(self) -> None:
        """What was appended outlasts a power cut now; takes as long as the disk does. For any thread. Never raises."""
        with self._syncing:
            try:
                self._sync()
            except OSError as error:
                log.error("%s is not on disk: %s", self._path, error.strerror)

    def look_after(self) -> None:
        """To be called each minute: there is room ahead, and what could not be put aside is tried again."""
        self._stuck = False
        self._keep_room()

    def reopen(self) -> None:
        """For who has moved the file away. Where that can not be, the old one goes on, and the server's log says so."""
        try:
            fresh = _opened(self._path)
        except StoreError as error:
            log.error("the audit record goes on in the old file: %s", error)
            return
        self._go_on_in(fresh)

    def close(self) -> None:
        """On disk."""
        self.sync()
        os.close(self._fd)

    def _sync(self) -> None:
        while self._left:
            left = self._left.popleft()
            try:
                os.fsync(left)
            finally:
                os.close(left)
        os.fsync(self._fd)
        sync_folder(str(self._path.parent))

    def _keep_room(self) -> None:
        """Nothing where the disk is full: what was kept before is there. Nor where a file system has no such thing."""
        with contextlib.suppress(OSError):
            self._size = os.fstat(self._fd).st_size
            keep_room(self._fd, self._size, KEPT_BYTES)

    def _put_aside(self) -> None:
        """Where that can not be, the old one goes on, and the server's log says so."""
        try:
            self._go_on_in(self._begun_anew())
        except (OSError, StoreError) as error:
            self._stuck = True
            log.error("%s is full and goes on: %s", self._path, error)

    def _begun_anew(self) -> int:
        """A fresh one, open. A kill or an error between two steps loses no line and no file: the name is free for a
        moment, and whoever opens it first makes the file. Where ours has another name already, since an attempt
        failed behind that or somebody moved it away, nothing is put aside."""
        ours = self._has_its_name()
        if ours:
            _free_the_first_place(self._path)
            os.rename(self._path, aside(self._path, 1))
        fresh = _opened(self._path)
        try:
            if ours:
                _share_as(os.fstat(self._fd), fresh, self._path)
            _have_room(fresh)
        except BaseException:
            os.close(fresh)
            raise
        return fresh

    def _has_its_name(self) -> bool:
        try:
            return os.path.samestat(os.lstat(self._path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _go_on_in(self, fresh: int) -> None:
        if len(self._left) >= MOST_ASIDE:
            self.sync()
        self._left.append(self._fd)
        self._fd = fresh
        self._torn = False
        self._keep_room()


def aside(path: Path, place: int) -> Path:
    """Where the files are that were put aside: 1 is the newest."""
    return path.with_name(f"{path.name}.{place}")


def _free_the_first_place(path: Path) -> None:
    """Each file goes one on, up to the first place that is free, or else the last one's: so where a step fails again
    and again, no other file is lost each time. Raises OSError."""
    taken = (place for place in range(1, MOST_ASIDE) if not os.path.lexists(aside(path, place)))
    for place in range(next(taken, MOST_ASIDE), 1, -1):
        os.rename(aside(path, place - 1), aside(path, place))


def _share_as(old: os.stat_result, fresh: int, path: Path) -> None:
    """Whose group could read the old one can read this one: the group first, so that no other one ever can."""
    try:
        os.fchown(fresh, -1, old.st_gid)
        os.fchmod(fresh, stat.S_IMODE(old.st_mode))
    except OSError as error:
        log.warning("%s is this user's alone from here on, no group may read it: %s", path, error.strerror)


def _have_room(fd: int) -> None:
    """Raises OSError where the disk is full: the old file has room ahead. Not where a file system has no such thing."""
    try:
        keep_room(fd, 0, KEPT_BYTES)
    except OSError as error:
        if error.errno in NO_ROOM:
            raise


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
