"""Limits of this very process that gRPC would meet: it aborts, or says why in words of its own."""

from __future__ import annotations

import resource

from jobrun.config.errors import Refusal

ADDRESS_SPACE_BYTES = 800_000_000
"""What gRPC's threads reserve, hardly any of it memory in use: 640 MB were seen in a client, 790 MB in a server."""
OPEN_FILES = 64
"""A server has 23 when nothing happens; what follows a log, calls, or is being started takes more."""


def require_address_space() -> None:
    """Raises Refusal where RLIMIT_AS (setrlimit(2)) may have gRPC abort."""
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    if 0 <= allowed < ADDRESS_SPACE_BYTES:  # RLIM_INFINITY is -1
        needed = f"{ADDRESS_SPACE_BYTES // 10**6} MB are needed"
        raise Refusal(f"the address space is limited to {allowed // 10**6} MB, and {needed}: raise it by ulimit -v")


def require_open_files() -> None:
    """Raises Refusal where a server could not work: one raises the soft limit itself, so the hard one counts."""
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= allowed < OPEN_FILES:
        raise Refusal(f"{allowed} open files are allowed, and a server needs {OPEN_FILES}: raise it by ulimit -n")
