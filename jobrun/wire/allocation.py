"""Memory for messages that come one after another: kept, and not given back to the kernel after each."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 64 << 20
"""Of free memory at the heap's end before glibc gives it back."""
LARGEST_BYTES = 16 << 20
"""Blocks up to this come from the heap: no message is larger."""


def keep_freed_blocks() -> None:
    """mallopt(3): a batch of output is 256 KiB, which glibc else maps, faults in page by page and unmaps, each time: a
    third of the time that a long log takes. Nothing happens where libc has no mallopt."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGEST_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
