"""The calls that a server is busy with: how many, whose, since when none; and the one way in which a call is cut: when
the server ends, when its token expires, when its session ends."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import math
from collections.abc import Iterator

from jobrun.model.caller import Caller
from jobrun.model.errors import JobrunError, SessionEnded, ShuttingDown, TokenExpired, TooManyCalls

OF_A_USER = 512
"""At once: each may hold some 100 KiB and a turn among the writers; a dashboard that follows hundreds of jobs fits."""
OF_AN_ADDRESS = 64
"""At once of each open method, where no token says who it is: logins and health checks are short, and several people
share an address. By method, so that health checks that watch without end are in no login's way."""


class Call:
    """One that is under way. It can be cut until it has to finish."""

    def __init__(self, task: asyncio.Task[object], admission: str) -> None:
        self._task = task
        self.admission = admission
        """The id of the session or machine token that it was let in for."""
        self.reason: JobrunError | None = None
        """Why it was cut."""
        self._can_be_cut = True

    def must_finish(self) -> None:
        """From here on it is short, and changes things: it is not cut any more."""
        self._can_be_cut = False

    def cut(self, reason: JobrunError) -> None:
        """Its caller is told the first reason."""
        if self._can_be_cut and self.reason is None:
            self.reason = reason
            self._task.cancel()


class Calls:
    """For the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: set[Call] = set()
        self._of: dict[str, int] = collections.defaultdict(int)
        """By user, or by method and address where there is none."""
        self._draining = False
        self.idle_since = loop.time()
        """By the loop's clock; means nothing while there is a call."""

    @property
    def count(self) -> int:
        """Calls under way."""
        return len(self._calls)

    @contextlib.contextmanager
    def one(self, caller: Caller | str, seconds_left: float | None) -> Iterator[Call]:
        """Round each call. `caller`: where no token says who it is, what is counted as one, with a blank in it;
        `seconds_left`: until his token expires.

        Raises ShuttingDown, TooManyCalls, and why the call was cut."""
        task = asyncio.current_task()
        assert task is not None, "a call runs in a task"
        if self._draining:
            raise ShuttingDown(_ENDS)
        with self._counted(caller):
            call = Call(task, "" if isinstance(caller, str) else caller.session or caller.machine_token)
            timer = None
            if seconds_left is not None:
                timer = self._loop.call_later(seconds_left, call.cut, TokenExpired("the token has expired"))
            self._calls.add(call)
            try:
                yield call
            except asyncio.CancelledError:
                if call.reason is not None:
                    raise call.reason from None
                raise
            finally:
                if timer is not None:
                    timer.cancel()
                self._calls.discard(call)
                if not self._calls:
                    self.idle_since = self._loop.time()

    @contextlib.contextmanager
    def _counted(self, caller: Caller | str) -> Iterator[None]:
        who, most = _bound_of(caller)
        if self._of[who] >= most:
            raise TooManyCalls(f"{most} calls are under way for you already: wait for one to end")
        self._of[who] += 1
        try:
            yield
        finally:
            self._of[who] -= 1
            if not self._of[who]:
                del self._of[who]

    def end_admission(self, admission: str) -> None:
        """A session or machine token has ended, or may do less now: its calls end."""
        for call in self._calls:
            if call.admission == admission:
                call.cut(SessionEnded("the session has ended: log in again"))

    def drain(self) -> None:
        """Take no more, and cut those that wait: their callers go on at the next server."""
        self._draining = True
        for call in self._calls:
            call.cut(ShuttingDown(_ENDS))


def _bound_of(caller: Caller | str) -> tuple[str, float]:
    """Who is counted together, and how many calls he may have. No user's name has a blank."""
    if isinstance(caller, str):
        return caller, OF_AN_ADDRESS
    has_login = caller.session or caller.machine_token
    return caller.user, OF_A_USER if has_login else math.inf  # without: all are one, and he is in nobody's way


_ENDS = "the server is shutting down: ask again"
