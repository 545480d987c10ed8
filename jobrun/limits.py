"""The table of limits: the one place to add a limit. The supervisor reads it too, so nothing is imported here.

A limit's value is a whole number in its unit: nanoseconds, bytes or a count."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

NANOSECONDS, BYTES, COUNT = "nanoseconds", "bytes", "count"

BY_RLIMIT, BY_CGROUP, BY_SUPERVISOR, BY_AFFINITY = 1, 2, 3, 4
"""What enforces a limit, as jobrun.v1.Enforcement numbers it."""

RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_CORE, RLIMIT_NOFILE, RLIMIT_AS = 0, 1, 2, 4, 7, 9
"""getrlimit(2), Linux on every CPU that jobrun runs on (asm-generic/resource.h)."""


class Limit:
    """One row. `field` is its name in jobrun.v1.Limits, `flag` its option, `rlimit` what setrlimit(2) holds of it in
    each process (-1: nothing), `enforced_by` what does so here; empty: not built yet, so refused."""

    __slots__ = ("enforced_by", "field", "flag", "kind", "least", "rlimit", "unit")

    def __init__(
        self, kind: int, field: str, flag: str, unit: str, rlimit: int, least: int, enforced_by: tuple[int, ...]
    ) -> None:
        self.kind, self.field, self.flag, self.unit = kind, field, flag, unit
        self.rlimit, self.least, self.enforced_by = rlimit, least, enforced_by


LIMITS: tuple[Limit, ...] = (
    Limit(1, "cpu_time", "--cpu-time", NANOSECONDS, RLIMIT_CPU, 1, (BY_RLIMIT, BY_SUPERVISOR)),
    Limit(2, "memory_bytes", "--memory", BYTES, RLIMIT_DATA, 1, (BY_RLIMIT, BY_SUPERVISOR)),
    Limit(3, "address_space_bytes", "--address-space", BYTES, RLIMIT_AS, 1, (BY_RLIMIT,)),
    Limit(4, "file_size_bytes", "--file-size", BYTES, RLIMIT_FSIZE, 1, (BY_RLIMIT,)),
    Limit(5, "processes", "--processes", COUNT, -1, 1, (BY_SUPERVISOR,)),
    Limit(6, "open_files", "--open-files", COUNT, RLIMIT_NOFILE, 16, (BY_RLIMIT,)),
    Limit(7, "cpus", "--cpus", COUNT, -1, 1, (BY_AFFINITY,)),
    Limit(8, "timeout", "--timeout", NANOSECONDS, -1, 1, (BY_SUPERVISOR,)),
    Limit(9, "log_bytes", "--log-limit", BYTES, -1, 1 << 20, (BY_SUPERVISOR,)),
)
"""In the order of jobrun.v1.LimitKind; a test holds the two together."""

MOST: Mapping[str, int] = {NANOSECONDS: 366 * 86_400 * 10**9, BYTES: 1 << 53, COUNT: (1 << 31) - 1}
"""The highest number that is no mistake, by unit."""

CPU_HARD_AFTER_S = 2
"""Seconds between the soft limit of RLIMIT_CPU, which sends SIGXCPU, and the hard one, which kills."""
