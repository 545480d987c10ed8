"""The clock by which tokens and sessions expire: it never goes back, not even where this machine's does."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

WORTH_A_LINE_NS: Final = 60 * 10**9
FAR_AHEAD_NS: Final = 86_400 * 10**9
"""A step of the wall clock that is more than setting it right, and ends what should have lasted."""


def since_boot_ns() -> int:
    """Goes on while the machine sleeps, clock_gettime(2)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclasses.dataclass(frozen=True)
class Clocks:
    """What tells the time."""

    wall_ns: Callable[[], int] = time.time_ns
    """UTC; may jump."""
    steady_ns: Callable[[], int] = since_boot_ns
    """For durations."""


class IssuerClock:
    """The later of the wall clock, and the last time on record with what has passed since."""

    def __init__(self, latest_ns: int, clocks: Clocks) -> None:
        self._clocks = clocks
        wall = clocks.wall_ns()
        self._latest_ns, self._at_ns = max(wall, latest_ns), clocks.steady_ns()
        ahead = latest_ns - wall  # the other way round it is the time that no server ran
        if ahead > WORTH_A_LINE_NS:
            log.warning("the clock is %d s behind the last time on record: logins go by the record", ahead // 10**9)

    def now_ns(self) -> int:
        """UTC."""
        steady, wall = self._clocks.steady_ns(), self._clocks.wall_ns()
        expected = self._latest_ns + steady - self._at_ns
        if wall - expected > FAR_AHEAD_NS:
            log.warning("the clock went %d s ahead: what ends until then has ended", (wall - expected) // 10**9)
        self._latest_ns, self._at_ns = max(wall, expected), steady
        return self._latest_ns
