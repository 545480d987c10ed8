"""Who waits for news of a job: its file grew, or the service says that something changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from jobrun.logs.watch import IN_MODIFY, IN_Q_OVERFLOW, Inotify


class Waiter:
    """One wait for one job. Clear it, then look, then wait: so nothing that happens in between is missed."""

    def __init__(self, *, for_file: bool) -> None:
        self.for_file = for_file
        """Woken when the file grows, too."""
        self._event = asyncio.Event()

    def clear(self) -> None:
        """What was told until now is about to be looked at."""
        self._event.clear()

    def wake(self) -> None:
        """Something may have changed."""
        self._event.set()

    async def wait(self) -> None:
        """Until something may have changed since `clear`."""
        await self._event.wait()


class Wakeups:
    """A file is watched only while somebody waits for it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._inotify = Inotify()
        self._waiters: dict[str, set[Waiter]] = {}
        self._watches: dict[int, str] = {}
        loop.add_reader(self._inotify.fd, self._take)

    def close(self) -> None:
        """Nobody is woken any more."""
        self._loop.remove_reader(self._inotify.fd)
        self._inotify.close()

    @contextlib.contextmanager
    def of(self, job_id: str, path: Path | None = None) -> Iterator[Waiter]:
        """A waiter for a job's state, and with `path` for its file too, which exists."""
        waiter = Waiter(for_file=path is not None)
        waiters = self._waiters.setdefault(job_id, set())
        waiters.add(waiter)
        try:
            if path is not None:
                self._watch(job_id, path)
            yield waiter
        finally:
            waiters.discard(waiter)
            if waiter.for_file and not any(other.for_file for other in waiters):
                self._unwatch(job_id)
            if not waiters and self._waiters.get(job_id) is waiters:
                del self._waiters[job_id]

    def wake(self, job_id: str) -> None:
        """Something about this job changed: for all who wait."""
        for waiter in self._waiters.get(job_id, ()):
            waiter.wake()

    def wake_all(self) -> None:
        """Something may have been missed, or all is about to end."""
        for job_id in self._waiters:
            self.wake(job_id)

    def _watch(self, job_id: str, path: Path) -> None:
        self._watches[self._inotify.add(str(path), IN_MODIFY)] = job_id

    def _unwatch(self, job_id: str) -> None:
        for watch in [number for number, watched in self._watches.items() if watched == job_id]:
            del self._watches[watch]
            self._inotify.remove(watch)

    def _grew(self, job_id: str) -> None:
        """Often: whoever waits for its state alone sleeps on."""
        for waiter in self._waiters.get(job_id, ()):
            if waiter.for_file:
                waiter.wake()

    def _take(self) -> None:
        for watch, mask, _ in self._inotify.read():
            if mask & IN_Q_OVERFLOW:
                self.wake_all()
            elif watch in self._watches:
                self._grew(self._watches[watch])
