"""Room on the disk that is a file's own before it is written."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_KEEP_SIZE: Final = 1
"""FALLOC_FL_KEEP_SIZE of fallocate(2), which Python's os has not: who reads the file sees no more of it."""


def keep_room(fd: int, start: int, count: int) -> None:
    """So many bytes from `start` on have their blocks from here on, also behind the file's end. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    offsets = ctypes.c_int64(start), ctypes.c_int64(count)
    if libc.fallocate64(fd, _KEEP_SIZE, *offsets):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
