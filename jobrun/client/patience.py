"""How long, and with which pauses, a lost connection is tried again."""

from __future__ import annotations

import time

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 2.0
"""Pauses double up to this: a server that comes back is found soon, one that stays away is not hammered."""


class Patience:
    """The time that one outage may take, from now on: `limit_s` seconds."""

    def __init__(self, limit_s: float) -> None:
        self._over_at = time.monotonic() + limit_s
        self._pause_s = FIRST_PAUSE_S

    def pause(self) -> bool:
        """Waits before the next try; False, without a wait, once the time is used up."""
        left = self._over_at - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(self._pause_s, left))
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)
        return True
