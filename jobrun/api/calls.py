"""The calls that a server is busy with: how many, since when none, and those that wait for a job and have to end when
the server does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from jobrun.model.errors import ShuttingDown


class Calls:
    """For the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.count = 0
        """Calls under way."""
        self._waiting: set[asyncio.Task[object]] = set()
        self._draining = False
        self.idle_since = loop.time()
        """By the loop's clock; means nothing while there is a call."""

    @contextlib.contextmanager
    def one(self, *, waits: bool) -> Iterator[None]:
        """Round each call. `waits`: it may last as long as a job does, so `drain` cuts it: ShuttingDown."""
        task = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        if self._draining:
            raise ShuttingDown(_TEXT)
        self.count += 1
        if waits:
            self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if waits and self._draining:
                raise ShuttingDown(_TEXT) from None
            raise
        finally:
            self._waiting.discard(task)
            self.count -= 1
            if not self.count:
                self.idle_since = self._loop.time()

    def drain(self) -> None:
        """Take no more, and cut those that wait: their callers go on at the next server."""
        self._draining = True
        for task in self._waiting:
            task.cancel()


_TEXT = "the server is shutting down: ask again"
