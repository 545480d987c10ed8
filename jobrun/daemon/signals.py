"""Signals to a server, and waiting for the first of several things."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


async def first_of(*waits: Coroutine[Any, Any, str | None]) -> str | None:
    """What the first of them to end says; the others are cancelled."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task.result() for task in tasks if task.done())
    finally:
        for task in tasks:
            task.cancel()


class Signals:
    """SIGTERM and SIGINT: the first one drains, the second one ends at once. SIGHUP: look at files again, where there
    is a login; it ends no server."""

    def __init__(self) -> None:
        self.first, self.second = Told(), Told()
        self.hangup = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.hangup.set)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._take, number)

    def _take(self, number: signal.Signals) -> None:
        told = self.second if self.first.text else self.first
        told.tell(f"{number.name} came")


class Told:
    """Something that is said once."""

    def __init__(self) -> None:
        self.text = ""
        self._event = asyncio.Event()

    def tell(self, text: str) -> None:
        """Those who wait get `text`."""
        self.text = text
        self._event.set()

    async def wait(self) -> str:
        """What was said."""
        await self._event.wait()
        return self.text
