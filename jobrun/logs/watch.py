"""inotify(7), as hints: something about a file may have changed. What is true is read from the file."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator

IN_MODIFY, IN_ATTRIB, IN_CLOSE_WRITE, IN_Q_OVERFLOW = 0x2, 0x4, 0x8, 0x4000
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name
_READ = 64 << 10


class Inotify:
    """One instance: non-blocking, for a loop's add_reader. There are few a user (128), so a server has two."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._check(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")

    def _check(self, result: int, what: str) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), what)
        return result

    def add(self, path: str, mask: int) -> int:
        """The watch's number; the same one for the same file."""
        return self._check(self._libc.inotify_add_watch(self.fd, os.fsencode(path), mask), path)

    def remove(self, watch: int) -> None:
        """A watch that the kernel took away with its file is no error."""
        self._libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> Iterator[tuple[int, int, str]]:
        """Watch, mask and name of what came; nothing where nothing did."""
        try:
            data = os.read(self.fd, _READ)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            watch, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            yield watch, mask, os.fsdecode(data[at - length : at].rstrip(b"\0"))

    def close(self) -> None:
        """All watches go."""
        os.close(self.fd)
