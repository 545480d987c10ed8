"""What is left of a job whose supervisor is gone: found by the mark that all its processes inherit."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import os
import resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SIGUSR1: int = _signal.SIGUSR1
"""To a supervisor: look at the control page."""

MOST_PASSES = 20
"""A tree that forks while it is killed is gone after a few, or is one built to escape."""


def kill_marked(mark: int) -> None:
    """Kill every process that has this hard RLIMIT_RTTIME; through pidfds, and after a second look."""
    for _ in range(MOST_PASSES):
        found = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _has(pid, mark)]
        if not found:
            return
        for pid in found:
            _kill(pid, mark)


def _has(pid: int, mark: int) -> bool:
    try:
        return resource.prlimit(pid, resource.RLIMIT_RTTIME)[1] == mark
    except (ProcessLookupError, PermissionError):
        return False


def _kill(pid: int, mark: int) -> None:
    signal_if(pid, _signal.SIGKILL, lambda: _has(pid, mark))


def signal_if(pid: int, number: int, is_the_one: Callable[[], bool]) -> None:
    """Send a signal to a process that was found by its pid, if it still is the one once its pidfd is open."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:  # ESRCH: gone; EINVAL: no process any more
        return
    try:
        if is_the_one():
            _signal.pidfd_send_signal(fd, number)
    except ProcessLookupError:
        return
    finally:
        os.close(fd)
