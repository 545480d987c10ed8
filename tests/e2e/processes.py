"""Which processes there are, and waiting for their end without reading a pid twice."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.e2e.deadline import Deadline

_FLOCK = "hhqqi4x"


def lock_holder(path: Path) -> int:
    """Pid of the process that holds the POSIX record lock on `path` (fcntl(2), F_GETLK); 0 where none does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return 0 if kind == fcntl.F_UNLCK else int(pid)


class Process:
    """A process by its pidfd: it can not become another one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def signal(self, number: int) -> None:
        """Sends a signal; one that has ended is no error."""
        try:
            signal.pidfd_send_signal(self._fd, number)
        except ProcessLookupError:
            return

    def wait(self, within: float = 10) -> None:
        """Until it has ended."""
        deadline = Deadline(within, f"the end of process {self.pid}")
        while not self._over(deadline.left_ms()):
            deadline.left()

    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return not self._over(0)

    def kill(self) -> None:
        """SIGKILL, and until it has ended."""
        self.signal(signal.SIGKILL)
        self.wait()

    def close(self) -> None:
        """Gives the descriptor back."""
        os.close(self._fd)

    def _over(self, timeout_ms: int) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(timeout_ms))


def parent(pid: int) -> int:
    """Pid of the parent, as /proc/PID/stat tells it."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def descendants(pid: int) -> list[int]:
    """Pids of all that `pid` started and what these started, as far as it still hangs together."""
    found, todo = [], [pid]
    while todo:
        for child in _children(todo.pop()):
            found.append(child)
            todo.append(child)
    return found


def touching(root: Path) -> list[int]:
    """Pids of all live processes that have something of the folder `root`: in their environment, arguments, open
    files or working folder. Not the caller itself."""
    return [pid for pid in _pids() if pid != os.getpid() and _touches(pid, str(root))]


def cmdline(pid: int) -> str:
    """Its arguments, separated by blanks; empty for a zombie and for one that is gone."""
    return _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace")


def opened(pids: Iterable[int]) -> list[Process]:
    """A Process for each of them that is still there."""
    processes = []
    for pid in pids:
        try:
            processes.append(Process(pid))
        except OSError:  # ESRCH; EINVAL while it goes: nothing to wait for
            continue
    return processes


def _pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _children(pid: int) -> list[int]:
    return [int(word) for word in _read(f"/proc/{pid}/task/{pid}/children").split()]


def _touches(pid: int, root: str) -> bool:
    wanted = root.encode()
    if wanted in _read(f"/proc/{pid}/environ") or wanted in _read(f"/proc/{pid}/cmdline"):
        return True
    return any(root in target for target in _links(pid))


def _links(pid: int) -> Iterator[str]:
    try:
        names = [f"/proc/{pid}/cwd", *(f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd"))]
    except OSError:
        return
    for name in names:
        try:
            yield os.readlink(name)
        except OSError:
            continue  # closed meanwhile


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""  # ended meanwhile
