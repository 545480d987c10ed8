"""Passwords: bcrypt, in one thread, with the same work for whoever is asked about."""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

import bcrypt

from jobrun.model.errors import InvalidRequest, LoginThrottled
from jobrun.model.letters import random_letters

T = TypeVar("T")

LEAST_COST: Final = 11
MOST_COST: Final = 16
"""On a machine that is fast enough for more, an attacker's is too; but one login must not take seconds elsewhere."""
LEAST_NS: Final = 150 * 10**6
"""One guess takes so much of a processor's time, at least."""
LEAST, MOST = 8, 72
"""Bytes of a password in NFC: bcrypt looks at no more, and refuses more."""
MOST_CHARACTERS: Final = 1024
"""Nothing longer can become 72 bytes in NFC; to normalise megabytes would hold everybody up."""
STRANGERS: Final = 8
"""Logins that may wait for the thread, a second or two of work; more are refused at once."""
KNOWN: Final = 16
"""The same for who is logged in: a flood of logins leaves room for an admin."""


def normalised(password: str) -> bytes:
    """What bcrypt gets. Raises ValueError with a text for people."""
    if len(password) > MOST_CHARACTERS:
        raise ValueError(f"has more than {MOST} bytes")
    data = unicodedata.normalize("NFC", password).encode()
    if not LEAST <= len(data) <= MOST:
        raise ValueError(f"must have {LEAST} to {MOST} bytes, has {len(data)}")
    if 0 in data:
        raise ValueError("has a NUL byte")
    return data


def checked(field: str, password: str) -> bytes:
    """A new password, as bcrypt gets it. Raises InvalidRequest."""
    try:
        return normalised(password)
    except UnicodeEncodeError:
        raise InvalidRequest(field, "is no Unicode text") from None
    except ValueError as error:
        raise InvalidRequest(field, str(error)) from None


def hashed(password: bytes, cost: int) -> bytes:
    """Takes its time: 150 ms or more."""
    return bcrypt.hashpw(password, bcrypt.gensalt(cost))


def measured_cost() -> int:
    """bcrypt's least cost that takes LEAST_NS of this machine; each is twice the one before. Takes half a second."""
    cost = LEAST_COST
    while cost < MOST_COST and _work_ns(cost) < LEAST_NS:
        cost += 1
    return cost


def readable_password() -> str:
    """A random one that is typed without mistakes: 98 bits."""
    return "-".join(random_letters(5) for _ in range(4))


class Passwords:
    """All work with passwords of one server."""

    def __init__(self, cost: int) -> None:
        self.cost = cost
        self._nobodys = b"$2b$%02d$" % cost + b"." * 53
        """The hash of no password: it takes the same work to find that out."""
        self._thread = ThreadPoolExecutor(1, "passwords")
        self._waiting = 0

    def check_room(self) -> None:
        """Raises LoginThrottled where a login would have to wait too long."""
        self._check_room(STRANGERS)

    async def fits(self, password: str, password_hash: bytes | None) -> bool:
        """Whether it is the one. None: there is no such user; that takes as long. Raises LoginThrottled."""
        self.check_room()
        try:
            data, possible = normalised(password), password_hash is not None
        except ValueError:
            data, possible = b"impossible", False
        return await self._work(lambda: bcrypt.checkpw(data, password_hash or self._nobodys)) and possible

    async def hash(self, password: bytes) -> bytes:
        """Of one that `checked` let pass. Raises LoginThrottled."""
        self._check_room(KNOWN)
        return await self._work(lambda: hashed(password, self.cost))

    async def close(self) -> None:
        """What waits is not done any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    def _check_room(self, most: int) -> None:
        if self._waiting > most:  # one of them is being worked on
            raise LoginThrottled("too many logins at once: try again in a few seconds")

    async def _work(self, task: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        work = self._thread.submit(task)
        self._waiting += 1  # until it is done: a caller who leaves does not stop it

        def done(_: Future[T]) -> None:
            loop.call_soon_threadsafe(self._one_less)

        work.add_done_callback(done)
        return await asyncio.wrap_future(work)

    def _one_less(self) -> None:
        self._waiting -= 1


def _work_ns(cost: int) -> int:
    before = time.thread_time_ns()
    hashed(b"measure", cost)
    return time.thread_time_ns() - before
