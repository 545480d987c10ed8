"""Work that goes on when the call that began it is cut: kept, waited for, and its faults told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from jobrun.model.errors import JobrunError

T = TypeVar("T")

log = logging.getLogger(__name__)


class KeptTasks:
    """Its tasks are bounded by what begins them: a call that the server took, or a job that it has."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin `work`; whoever awaits the task should shield it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` answers or raises; it goes on if this is cancelled."""
        return await asyncio.shield(self.keep(work))

    async def finish(self) -> None:
        """Until all have ended, those that they begin too."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, JobrunError):  # ours are told by whoever awaits it
            log.error("a fault of jobrun's own", exc_info=error)
