"""Dispatches on their way from the server to a supervisor that claims its job."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable

from jobrun.jobs.live import LiveJob, Phase

IN_FLIGHT = 32
"""Dispatched and not claimed by a supervisor yet: so many messages surely fit into the spawner's socket."""


class Flight:
    """So many at once; others wait here for one to land. At most one entry a dispatched job."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_failure: Callable[[LiveJob, Exception], None]) -> None:
        """`on_failure` is told what a dispatch raised."""
        self._loop, self._on_failure = loop, on_failure
        self._in_flight: set[str] = set()
        self._unsent: collections.deque[tuple[LiveJob, Callable[[str], None]]] = collections.deque()

    def send(self, live: LiveJob, dispatch: Callable[[str], None]) -> None:
        """`dispatch` it, now or when there is room."""
        live.sent_at = self._loop.time()
        if live.id not in self._in_flight and len(self._in_flight) >= IN_FLIGHT:
            live.unsent = True
            self._unsent.append((live, dispatch))
            return
        self._in_flight.add(live.id)
        try:
            dispatch(live.id)
        except Exception as error:  # noqa: BLE001 - told there
            self._on_failure(live, error)

    def landed(self, live: LiveJob) -> None:
        """It was claimed, or will not be: room for another."""
        self._in_flight.discard(live.id)
        while self._unsent and len(self._in_flight) < IN_FLIGHT:
            waiting, dispatch = self._unsent.popleft()
            waiting.unsent = False
            if waiting.phase is Phase.DISPATCHED:
                self.send(waiting, dispatch)
