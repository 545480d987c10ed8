"""Signals in spawner and supervisors: some are ignored, others are bytes on a pipe, so that nothing is done in a
handler and none is missed between two waits."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os

IGNORED = (_signal.SIGHUP, _signal.SIGINT, _signal.SIGTERM, _signal.SIGPIPE, _signal.SIGXFSZ)
"""A server that is told to stop, with its whole session or unit, leaves the jobs alone; the last two become errors."""


def set_dispositions() -> None:
    """The known ones, whatever the server was started with."""
    for number in range(1, _signal.NSIG):
        if _signal.getsignal(number) == _signal.SIG_IGN:
            _signal.signal(number, _signal.SIG_DFL)
    for number in IGNORED:
        _signal.signal(number, _signal.SIG_IGN)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


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
