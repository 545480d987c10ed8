"""Work that is finished, and put on the audit record, whatever becomes of the call that began it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from jobrun.model.errors import JobrunError

T = TypeVar("T")

log = logging.getLogger(__name__)


class KeptWork:
    """Bounded by the calls that the server takes: each has one."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` answers or raises; it goes on if this is cancelled."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Until all have ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, JobrunError):  # ours are told by whoever awaits it
            log.error("a fault of jobrun's own", exc_info=error)
