"""Other addresses to come from: a TCP forwarder that connects from any address of 127.0.0.0/8, and to whomever it is
told, so that it is also a stranger in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

Got = TypeVar("Got")
PIECE = 65536


class Door:
    """A port that leads to a server, from another address than the caller's own."""

    def __init__(self, target: tuple[str, int], source: str) -> None:
        self.target, self.source = target, source
        self.address = ""
        self._server: asyncio.Server | None = None
        self.connections = 0
        """How many came through."""
        self.detour: tuple[int, tuple[str, int]] | None = None
        """Behind so many connections it leads elsewhere."""

    async def open(self) -> None:
        """Listens on a free port."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Listens no more."""
        if self._server is not None:
            self._server.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        behind, elsewhere = self.detour or (self.connections, self.target)
        host, port = elsewhere if self.connections > behind else self.target
        there_reader, there_writer = await asyncio.open_connection(host, port, local_addr=(self.source, 0))
        with contextlib.suppress(asyncio.CancelledError):  # by close(), which asyncio would else complain of
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
    writer.close()


class Doors:
    """Any number of them, in a thread of their own."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._opened: list[Door] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def open(self, source: str) -> Door:
        """A new one, coming from `source`."""
        door = Door(self._target, source)
        self._run(door.open())
        self._opened.append(door)
        return door

    def address(self, source: str) -> str:
        """Where to call so as to come from `source`."""
        return self.open(source).address

    def close(self) -> None:
        """Ends all that goes through them."""
        self._run(self._end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end_all(self) -> None:
        for door in self._opened:
            door.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, Got]) -> Got:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


@contextlib.contextmanager
def doors_to(host: str, port: int) -> Iterator[Doors]:
    """Doors, closed at the end."""
    doors = Doors(host, port)
    try:
        yield doors
    finally:
        doors.close()
