"""Limits of this very process that gRPC would meet: it aborts, or says why in words of its own."""

from __future__ import annotations

import resource

from jobrun.config.errors import Refusal

MEMORY = (
    (resource.RLIMIT_AS, 800_000_000, "the address space is", "raise it by ulimit -v"),
    (resource.RLIMIT_DATA, 120_000_000, "private memory is", "raise it by ulimit -d, or --memory of the job around it"),
)
"""Limit, least bytes, its name, what to do. gRPC's threads reserve addresses, hardly any of it memory in use: 640 MB
were seen in a client, 790 MB in a server. Their stacks count as data: with 80 MB a server did not come up."""
OPEN_FILES = 64
"""A server has 23 when nothing happens; what follows a log, calls, or is being started takes more."""


def require_memory() -> None:
    """Raises Refusal where a limit of memory (setrlimit(2)) may have gRPC abort."""
    for limit, least, name, then in MEMORY:
        allowed, _ = resource.getrlimit(limit)
        if 0 <= allowed < least:  # RLIM_INFINITY is -1
            needed = f"{least // 10**6} MB are needed"
            raise Refusal(f"{name} limited to {allowed // 10**6} MB, and {needed}: {then}")


def require_open_files() -> None:
    """Raises Refusal where a server could not work: one raises the soft limit itself, so the hard one counts."""
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < OPEN_FILES:
        raise Refusal(f"{allowed} open files are allowed, and a server needs {OPEN_FILES}: raise it by ulimit -n")
