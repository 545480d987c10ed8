"""What setrlimit(2) lets a job of this server have at most."""

from __future__ import annotations

import resource

from jobrun.limits import CPU_HARD_AFTER_S, LIMITS, RLIMIT_CPU, RLIMIT_NOFILE


def hard_limits() -> dict[str, int]:
    """By Limit.field, in its unit; what is not in here has no bound. The kernel is asked by raising this process's own
    hard limits for a moment: whether that is allowed depends on more than the user. For one thread, at the start."""
    found = {}
    for limit in LIMITS:
        if limit.rlimit < 0:
            continue
        most = _most_open_files() if limit.rlimit == RLIMIT_NOFILE else None
        if not _can_raise(limit.rlimit):
            most = resource.getrlimit(limit.rlimit)[1]
        if most is not None:
            found[limit.field] = max(0, most - CPU_HARD_AFTER_S) * 10**9 if limit.rlimit == RLIMIT_CPU else most
    return found


def _can_raise(rlimit: int) -> bool:
    soft, hard = resource.getrlimit(rlimit)
    if hard == resource.RLIM_INFINITY:
        return True
    try:
        resource.setrlimit(rlimit, (soft, hard + 1))
    except (OSError, ValueError):  # Python says "not allowed to raise maximum limit" by ValueError
        return False
    resource.setrlimit(rlimit, (soft, hard))
    return True


def _most_open_files() -> int:
    """For whoever may raise his own limit: proc_sys_fs(5)."""
    with open("/proc/sys/fs/nr_open", encoding="ascii") as file:
        return int(file.read())
