"""When a file in a folder is replaced, by inotify(7)."""

from __future__ import annotations

import ctypes
import os
import select
from pathlib import Path

from tests.e2e.deadline import Deadline

IN_MOVED_TO = 0x80


class FolderWatch:
    """From its making on it knows of each file that gets a name in the folder by rename(2)."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(folder), IN_MOVED_TO) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def wait(self, within: float = 10) -> None:
        """Until the next one, or at once where there was one since the last wait."""
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        deadline = Deadline(within, "a file to be replaced")
        while not poll.poll(deadline.left_ms()):
            deadline.left()
        os.read(self._fd, 4096)

    def close(self) -> None:
        """Gives the descriptor back."""
        os.close(self._fd)
