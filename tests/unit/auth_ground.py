"""A login on real files, with clocks that a test turns: bcrypt at its least cost, nothing else is not as it is."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from jobrun.auth.auth import Auth, open_auth
from jobrun.auth.clock import Clocks
from jobrun.auth.sessions import Issued, Lifetimes
from jobrun.model.caller import Caller
from jobrun.model.errors import JobrunError, RefreshFailed
from jobrun.model.user import MachineToken

CHEAP = 4
"""bcrypt's least cost."""
PASSWORD = "correct horse"
HERE, ELSEWHERE = "192.0.2.1", "198.51.100.7"
DAY_S = 86_400
HOUR_NS = 3600 * 10**9
LIFETIMES = Lifetimes(access_token_s=600, session_idle_s=14 * DAY_S, session_s=90 * DAY_S)


class Times:
    """Both clocks; they stand still until a test turns them."""

    def __init__(self) -> None:
        self.wall, self.steady = 1_800_000_000 * 10**9, 5 * 10**9

    def turn(self, seconds: float) -> None:
        """Time passes."""
        self.wall += int(seconds * 10**9)
        self.steady += int(seconds * 10**9)

    def clocks(self) -> Clocks:
        """For `open_auth`."""
        return Clocks(lambda: self.wall, lambda: self.steady)


@contextlib.asynccontextmanager
async def opened(folder: Path, times: Times | None = None, lifetimes: Lifetimes = LIFETIMES) -> AsyncIterator[Auth]:
    """Login in `folder`, closed at the end."""
    auth = await open_auth(
        folder,
        asyncio.get_running_loop(),
        lifetimes,
        cost=CHEAP,
        clocks=times.clocks() if times else None,
    )
    try:
        yield auth
    finally:
        await auth.close()


def with_auth(folder: Path, use: Callable[[Auth], Coroutine[Any, Any, None]], times: Times | None = None) -> None:
    """Runs `use` with a login in `folder`."""

    async def main() -> None:
        async with opened(folder, times) as auth:
            await use(auth)

    asyncio.run(main())


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def first_password(auth: Auth) -> str:
    return auth.password_file.read_text().strip()


async def log_in(auth: Auth, user: str, password: str = PASSWORD, *, scope: str = "", refresh: str = "r0") -> Issued:
    return await auth.logins.password(
        username=user,
        password=password,
        refresh_sha256=sha256(refresh) if refresh else b"",
        scope=scope,
        client_name="test",
        address=HERE,
    )


async def go_on(auth: Auth, session: str, token: str, following: str) -> Issued:
    return await auth.logins.refresh(
        session_id=session, refresh_token=token, next_sha256=sha256(following), scope="", address=HERE
    )


def admit(auth: Auth, token: str, method: str = "/jobrun.v1.AuthService/WhoAmI") -> Caller:
    """Who the gate takes the bearer of `token` for."""
    caller = auth.gate.admit(method, (("authorization", f"Bearer {token}"),), f"ipv4:{HERE}:4711")
    assert caller is not None
    return caller


async def admin(auth: Auth) -> Caller:
    """The first admin, logged in."""
    return admit(auth, (await log_in(auth, "admin", first_password(auth))).access_token)


async def user(auth: Auth, name: str, role: str = "user") -> Caller:
    """A new user, logged in."""
    boss = await admin(auth)
    await auth.users.create(boss, name=name, role=role, password=PASSWORD)
    return admit(auth, (await log_in(auth, name)).access_token)


async def create_token(auth: Auth, caller: Caller, **changed: Any) -> tuple[MachineToken, str]:
    """A machine token of the caller's, narrow but for `changed`, and its text."""
    wishes: dict[str, Any] = {"name": "ci", "scope": "", "expires_in_s": 0, "all_jobs": False, **changed}
    return await auth.machine_tokens.create(caller, **wishes)


def listed_tokens(auth: Auth, caller: Caller, *, all_users: bool = False) -> list[MachineToken]:
    """Those that he sees."""
    return auth.machine_tokens.list(caller, all_users=all_users, page=1000)[0]


def lives(auth: Auth, session: str) -> bool:
    """Whether a session does."""
    return session in auth.store.people.sessions


async def refused_to_go_on(refresh: Coroutine[Any, Any, Issued]) -> None:
    """In the one text that tells nothing."""
    with pytest.raises(RefreshFailed) as failure:
        await refresh
    assert str(failure.value) == "the session does not go on: log in again"


async def reason(call: Coroutine[Any, Any, Any]) -> str:
    """Why it was refused; "ok" if it was not."""
    try:
        await call
    except JobrunError as error:
        return error.reason
    return "ok"


def attempt(auth: Auth, name: str, password: str, address: str = HERE) -> Coroutine[Any, Any, Issued]:
    return auth.logins.password(
        username=name, password=password, refresh_sha256=b"", scope="", client_name="", address=address
    )


class Jobs:
    """One user's jobs, as the service tells of them; those `accepting` are being put on record, and on no list yet."""

    def __init__(self, *ids: str, accepting: Sequence[str] = ()) -> None:
        self.ids, self.accepting = [*ids], [*accepting]
        self.stopped_by: list[str] = []
        self.asked, self.may_stop = asyncio.Event(), asyncio.Event()
        self.may_stop.set()

    def unfinished(self, user: str) -> list[str]:
        return [*self.ids]

    async def stop_all(self, user: str, by: str, stopping: Callable[[str], None]) -> None:
        self.stopped_by.append(by)
        for job_id in self.ids:
            stopping(job_id)
        self.asked.set()
        await self.may_stop.wait()
        self.ids, self.accepting = [], []
