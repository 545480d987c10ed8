"""The one thread that writes: what is asked for while a commit runs goes into the next one, all of it together."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from jobrun.model.errors import StoreError
from jobrun.store.database import translated

T = TypeVar("T")

log = logging.getLogger(__name__)

WAITING = 1024
"""Operations that may wait; more wait in their own calls. At 2,000 a second that is half a second of work."""
BATCH = 256
"""Operations in one commit: a bound on how long the first of them waits for the others."""


@dataclasses.dataclass
class _Order(Generic[T]):
    operation: Callable[[sqlite3.Connection], T]
    answer: asyncio.Future[T]
    then: Callable[[T], None] | None = None
    result: T | None = None
    error: Exception | None = None


class Writer:
    """Runs operations one after another in a thread; each is atomic, and on disk before it is answered."""

    def __init__(self, db: sqlite3.Connection, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._db, self._path, self._loop = db, path, loop
        self._orders: queue.SimpleQueue[_Order[Any] | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(WAITING)
        self.failure: asyncio.Future[StoreError] = loop.create_future()
        """Done once the thread died: nothing is written any more."""
        self._thread = threading.Thread(target=self._work, name="store")
        self._thread.start()

    async def run(self, operation: Callable[[sqlite3.Connection], T], then: Callable[[T], None] | None = None) -> T:
        """The operation's answer, once it is on disk. It goes on if this call is cancelled.

        `then` gets it first, in the loop's thread and in the order of the commits, also if this call was cancelled: for
        who keeps in memory what is on disk. It must not raise.
        Raises StorageFull, StoreError, and what the operation raises: then it has changed nothing."""
        async with self._room:
            if self.failure.done():
                raise self.failure.result()
            order: _Order[T] = _Order(operation, self._loop.create_future(), then)
            self._orders.put(order)
            return await order.answer

    async def close(self) -> None:
        """Commits what waits, then ends."""
        self._orders.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._db.close()

    def _work(self) -> None:
        batch: list[_Order[Any]] = []
        try:
            self._serve(batch)
        except BaseException as error:
            log.critical("%s is not written any more", self._path, exc_info=error)
            self._loop.call_soon_threadsafe(self._fail, batch)

    def _serve(self, batch: list[_Order[Any]]) -> None:
        """`batch`: where those are that are being written."""
        while (order := self._orders.get()) is not None:
            batch[:], ends = [order], False
            while len(batch) < BATCH and not self._orders.empty() and not ends:
                if (another := self._orders.get()) is None:
                    ends = True
                else:
                    batch.append(another)
            self._commit(batch)
            self._loop.call_soon_threadsafe(_answer, batch.copy())
            if ends:
                return

    def _fail(self, batch: list[_Order[Any]]) -> None:
        """In the loop's thread, so that no order slips in between."""
        failure = StoreError(f"{self._path} can not be written any more: start the server again")
        self.failure.set_result(failure)
        while not self._orders.empty():
            if (order := self._orders.get()) is not None:
                batch.append(order)
        for order in batch:
            order.error = failure
        _answer(batch)

    def _commit(self, batch: list[_Order[Any]]) -> None:
        """All that succeed alone, in one transaction; where that as a whole fails, nothing of it happened."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            if len(batch) == 1:  # the usual case: no savepoint, each statement is a wait for the interpreter's lock
                batch[0].result = batch[0].operation(self._db)
            else:
                for order in batch:
                    self._attempt(order)
            self._db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it is, who awaits an order gets it
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            for order in batch:
                order.error = order.error or self._ours(error)

    def _attempt(self, order: _Order[Any]) -> None:
        self._db.execute("SAVEPOINT one")
        try:
            order.result = order.operation(self._db)
        except Exception as error:  # handed to the caller, who awaits it
            if isinstance(error, sqlite3.Error) and not self._db.in_transaction:
                raise  # a full disk undoes the whole transaction, sqlite.org/lang_transaction.html
            order.error = self._ours(error)
            self._db.execute("ROLLBACK TO one")
        self._db.execute("RELEASE one")

    def _ours(self, error: Exception) -> Exception:
        return translated(error, self._path) if isinstance(error, sqlite3.Error) else error


def _answer(batch: list[_Order[Any]]) -> None:
    for order in batch:
        if order.error is None and order.then is not None:
            order.then(order.result)
        if order.answer.done():  # cancelled, or answered before the thread died
            continue
        if order.error is not None:
            order.answer.set_exception(order.error)
        else:
            order.answer.set_result(order.result)
