"""From a job's pipes into its log: bytes, never decoded, in the order in which they are read."""

from __future__ import annotations

import fcntl
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobrun.jobfile.writer import LogWriter

DEFAULT_PIPE = 64 << 10
FULL_PIPE = 1 << 20
"""A pipe is grown to this once a read finds it full: the job then waits less for its supervisor."""
MOST_DRAINED = 16 << 20
"""Bytes taken of a pipe after the tree is gone: more than a pipe holds, so beyond it somebody else writes."""


class Pump:
    """The pipes that are open. `poll` waits for them, and for what else its user registers."""

    def __init__(self, log: LogWriter) -> None:
        self._log = log
        self.poll = select.poll()
        self._streams: dict[int, int] = {}
        self._small: set[int] = set()

    def add(self, fd: int, stream: int) -> None:
        """Takes the descriptor over."""
        os.set_blocking(fd, False)
        self._streams[fd] = stream
        self._small.add(fd)
        self.poll.register(fd, select.POLLIN)

    def take(self, fd: int) -> int:
        """Move what one read gives: how many bytes; 0: the pipe has ended, or has nothing now."""
        try:
            data = os.read(fd, self._log.most_bytes)
        except BlockingIOError:
            return 0
        if not data:
            self.poll.unregister(fd)
            os.close(fd)
            del self._streams[fd]
            return 0
        self._log.append(self._streams[fd], data)
        if len(data) >= DEFAULT_PIPE - 4096 and fd in self._small:
            self._grow(fd)
        return len(data)

    def _grow(self, fd: int) -> None:
        self._small.discard(fd)
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, FULL_PIPE)
        except PermissionError:
            return  # pipe-user-pages-soft, pipe(7): it stays as it is

    def drain(self) -> None:
        """What the pipes still hold, without waiting for who may hold them open."""
        for fd in list(self._streams):
            left = MOST_DRAINED
            while left > 0 and (got := self.take(fd)):
                left -= got
