"""The calls that a server is busy with: how many, whose, since when none; and the one way in which a call is cut: when
the server ends, when its token expires, when its session ends."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import math
from collections.abc import Iterator

from jobrun.auth.clock import since_boot_ns
from jobrun.model.caller import Caller
from jobrun.model.errors import InvalidRequest, JobrunError, SessionEnded, ShuttingDown, TokenExpired, TooManyCalls

OF_A_USER = 512
"""At once: each may hold some 100 KiB and a turn among the writers; a dashboard that follows hundreds of jobs fits."""
OF_AN_ADDRESS = 64
"""At once of each open method, where no token says who it is: logins and health checks are short, and several people
share an address. By method, so that health checks that watch without end are in no login's way."""

LOOK_S = 60.0
"""How often a call looks whether its token has expired: the loop's clock stands still while the machine sleeps."""


def since_boot_s() -> float:
    """As since_boot_ns, in the loop's unit."""
    return since_boot_ns() / 1e9


class Call:
    """One that is under way: it waits for its request, then it goes on or finishes. It can be cut until it has to
    finish. It has one timer at most, as each costs some microseconds."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        task: asyncio.Task[object],
        caller: Caller | None,
        seconds_left: float | None,
    ) -> None:
        self._loop, self._task, self._caller = loop, task, caller
        self.reason: JobrunError | None = None
        """Why it was cut."""
        self._expires_at = None if seconds_left is None else since_boot_s() + seconds_left
        self._timer: asyncio.TimerHandle | None = None
        self._can_be_cut = True

    def awaits_request(self, within_s: float) -> None:
        """It is cut where its request is not here then, or its token has expired."""
        if self._expires_at is not None and self._expires_at < since_boot_s() + within_s:
            self.goes_on()
        else:
            self._timer = self._loop.call_later(within_s, self._cut_late, within_s)

    def goes_on(self) -> None:
        """From here on it is cut when its token expires."""
        self.stop_timer()
        if self._expires_at is not None:
            self._look_again(self._expires_at - since_boot_s())

    def must_finish(self) -> None:
        """From here on it is short, and changes things: it is not cut any more."""
        self.stop_timer()
        self._can_be_cut = False

    def stop_timer(self) -> None:
        """By nothing but what others do it is cut from here on."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cut(self, reason: JobrunError) -> None:
        """Its caller is told the first reason."""
        if self._can_be_cut and self.reason is None:
            self.reason = reason
            self._task.cancel()

    def _cut_late(self, within_s: float) -> None:
        self.cut(InvalidRequest("request", f"did not come within {within_s:g} s"))

    def cut_if_of(self, admission: str) -> None:
        """Where it was let in for that session or machine token."""
        if self._caller is None or admission != (self._caller.session or self._caller.machine_token):
            return
        if self._caller.machine_token:
            self.cut(SessionEnded("the token has ended, or may do less now: use another one"))
        else:
            self.cut(SessionEnded("the session has ended, or may do less now: log in again"))

    def _look_again(self, left_s: float) -> None:
        self._timer = self._loop.call_later(min(left_s, LOOK_S), self._look)

    def _look(self) -> None:
        assert self._expires_at is not None, "there is a timer"
        left_s = self._expires_at - since_boot_s()
        if left_s > 0:
            self._look_again(left_s)
        else:
            self.cut(TokenExpired("the token has expired"))


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
        who, most = _counted_as(caller)
        if self._of[who] >= most:
            raise TooManyCalls(f"{most} calls are under way for you already: wait for one to end")
        call = Call(self._loop, task, None if isinstance(caller, str) else caller, seconds_left)
        self._of[who] += 1
        self._calls.add(call)
        try:
            yield call
        except asyncio.CancelledError:
            if call.reason is not None:
                raise call.reason from None
            raise
        finally:
            call.stop_timer()
            self._end(call, who)

    def _end(self, call: Call, who: str) -> None:
        self._of[who] -= 1
        if not self._of[who]:
            del self._of[who]
        self._calls.discard(call)
        if not self._calls:
            self.idle_since = self._loop.time()

    def end_admission(self, admission: str) -> None:
        """A session or machine token has ended, or may do less now: its calls end."""
        for call in self._calls:
            call.cut_if_of(admission)

    def drain(self) -> None:
        """Take no more, and cut those that wait: their callers go on at the next server."""
        self._draining = True
        for call in self._calls:
            call.cut(ShuttingDown(_ENDS))


def _counted_as(caller: Caller | str) -> tuple[str, float]:
    """Who is counted together, and how many calls he may have. No user's name has a blank."""
    if isinstance(caller, str):
        return caller, OF_AN_ADDRESS
    has_login = caller.session or caller.machine_token
    return caller.user, OF_A_USER if has_login else math.inf  # without: all are one, and in nobody's way


_ENDS = "the server is shutting down: ask again"
