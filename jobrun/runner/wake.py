"""Signals as bytes on a pipe: nothing is done in a handler, and none is missed between two waits."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os


def wake_on(*signals: int) -> int:
    """The end to read of a pipe that gets a byte for each of these signals, its number."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = _signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    if before >= 0:  # a forked supervisor has its spawner's
        os.close(before)
    for number in signals:
        _signal.signal(number, _nothing)
    return read_end


def _nothing(number: int, frame: object) -> None:
    """The pipe has told."""
