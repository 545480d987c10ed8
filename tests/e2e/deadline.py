"""How long a test waits for an event before it gives up."""

from __future__ import annotations

import os
import time

PATIENCE = float(os.environ.get("JOBRUN_TEST_PATIENCE", "3"))
"""A deadline is there to end a broken test, not to measure: it is this much longer than a good day needs."""


def patience(seconds: float) -> float:
    """`seconds` of a good day as a deadline in seconds, longer on a machine that has more to do than CPUs."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * PATIENCE * max(1.0, load)


class Deadline:
    """A moment in the future, `within` good-day seconds from now."""

    def __init__(self, within: float, what: str) -> None:
        self._end = time.monotonic() + patience(within)
        self._what = what

    def left(self) -> float:
        """Seconds until then; AssertionError once it has passed."""
        left = self._end - time.monotonic()
        assert left > 0, f"waited too long for {self._what}"
        return left

    def left_ms(self) -> int:
        """As left, for poll(2); at least 1."""
        return max(1, int(self.left() * 1000))
