"""Finished jobs go after a while, or when there are too many of them: oldest first, a few at a time."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from jobrun.model.errors import JobrunError
from jobrun.store.jobs import JobStore, Keep

DAY_NS = 86_400 * 10**9
EVERY_S = 60.0
"""Between two looks."""
AT_ONCE = 20
"""Jobs removed before others get their turn: about 10 ms of the loop and the disk."""
PAUSE_S = 0.1
"""After so many."""
A_ROUND = 10_000
"""Jobs of one user removed between two looks at all of them; it takes a minute or so."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """For one user's finished jobs."""

    age_ns: int
    jobs: int
    output_bytes: int

    def keep(self, now_ns: int) -> Keep:
        """As the store takes it."""
        return Keep(oldest_ns=now_ns - self.age_ns, most=self.jobs, most_bytes=self.output_bytes)


SHARED: Final = Bounds(age_ns=30 * DAY_NS, jobs=1000, output_bytes=10 << 30)
"""On every server but a private one."""
PRIVATE: Final = Bounds(age_ns=7 * DAY_NS, jobs=1 << 40, output_bytes=2 << 30)
"""Age and size alone."""


async def retain(store: JobStore, forget: Callable[[str], Awaitable[bool]], bounds: Bounds) -> None:
    """For ever. A full disk or a damaged row is told, and tried again the next time."""
    while True:
        try:
            await retain_once(store, forget, bounds, time.time_ns())
        except (JobrunError, OSError) as error:
            log.error("old jobs could not be removed: %s", error)
        except (ValueError, LookupError):  # a row that can not be read: told with where, and no reason to end a server
            log.exception("old jobs could not be removed")
        await asyncio.sleep(EVERY_S)


async def retain_once(store: JobStore, forget: Callable[[str], Awaitable[bool]], bounds: Bounds, now_ns: int) -> None:
    """All that is beyond `bounds` now."""
    await store.forget_requests(now_ns)
    for user in store.finished_users():
        expired = await store.expired(user, bounds.keep(now_ns), A_ROUND)
        for first in range(0, len(expired), AT_ONCE):
            for job_id in expired[first : first + AT_ONCE]:
                try:
                    await forget(job_id)
                except OSError as error:  # one file that can not go keeps no other
                    log.error("job %s could not be removed: %s", job_id, error)
            await asyncio.sleep(PAUSE_S)
        if expired:
            log.info("%d finished jobs of %s were removed: beyond what is kept", len(expired), user)
