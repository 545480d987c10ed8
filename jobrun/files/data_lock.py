"""One server a data folder: a record lock that lasts as long as its process, fcntl(2)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NamedTuple, NoReturn

from jobrun.files.record_lock import holder
from jobrun.model.errors import StoreError

TEXT_MOST = 8192
"""Bytes of the file: four lines, one of them a path."""
OPERATORS = "operator's certificate"


class LockText(NamedTuple):
    """What the file says of its holder, a line each, for clients that look."""

    version: str
    """And build."""
    socket: str
    """Where it listens; empty: not at a socket."""
    login: bool
    """It has users; takes SIGHUP as a wish to look at them and its certificate again."""

    operators: bool
    """Its certificate is its operator's."""

    def lines(self) -> str:
        """The file's whole content."""
        login, certificate = "login" if self.login else "", OPERATORS if self.operators else ""
        return f"{self.version}\n{self.socket}\n{login}\n{certificate}\n"


class DataLock:
    """`DATA/lock`. Never open the file again in the same process: to close any descriptor of it gives the lock back."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "lock"
        self._fd = -1

    def take(self, text: LockText, wait_s: float) -> None:
        """Waits up to `wait_s` seconds for a server that is ending; main thread only. StoreError, OSError."""
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            self._lock(wait_s)
        except OSError as error:
            pid = _holder(self._fd)
            self.give_back()
            raise StoreError(f"{self._path.parent} is in use by pid {pid}: end it, or use another --data") from error
        said = os.fsencode(text.lines())
        os.pwrite(self._fd, said, 0)  # before it is cut, so that a full disk has the room that it had before
        os.ftruncate(self._fd, len(said))

    def give_back(self) -> None:
        """Once nothing in the folder is written any more."""
        os.close(self._fd)

    def is_in_place(self) -> bool:
        """Whether the file is still at its path, as far as can be told. If not, another may hold what is there."""
        try:
            return os.path.samestat(os.stat(self._path, follow_symlinks=False), os.fstat(self._fd))
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)

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


def hang_up(folder: Path) -> bool:
    """SIGHUP to the server with login that holds the folder; whether there is one. Never for that server itself.

    The pid is asked for again once a pidfd holds it, so that no stranger is ever signalled. StoreError, OSError."""
    with _opened(folder) as fd:
        if fd is None or not (pid := _holder(fd)) or not _has_login(fd):
            return False  # one that took the lock just now, and has not said so, has not read its files either
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return False
        try:
            if _holder(fd) != pid:
                return False
            signal.pidfd_send_signal(process, signal.SIGHUP)
            return True
        finally:
            os.close(process)


def is_held(folder: Path) -> bool:
    """Whether a server holds the folder. Never for that server itself. StoreError, OSError."""
    with _opened(folder) as fd:
        return fd is not None and _holder(fd) != 0


def serves_operators(folder: Path) -> bool:
    """Whether a server holds the folder whose certificate is its operator's. As `is_held`."""
    with _opened(folder) as fd:
        return fd is not None and _holder(fd) != 0 and _line(fd, 3) == OPERATORS


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    """The lock's file; None where there is none."""
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def _has_login(fd: int) -> bool:
    return _line(fd, 2) == "login"


def _line(fd: int, index: int) -> str:
    return os.fsdecode(b"".join(os.pread(fd, TEXT_MOST, 0).split(b"\n")[index : index + 1]))


def _holder(fd: int) -> int:
    """Pid of the server that holds the open file, 0 where none does. StoreError for one that is out of reach."""
    pid = holder(fd)
    if pid is None:
        return 0
    if pid <= 0:
        raise StoreError("a server in another container or machine holds the data folder: do this there")
    return pid


def _too_late(number: int, frame: FrameType | None) -> NoReturn:
    raise TimeoutError("the lock was not given back in time")
