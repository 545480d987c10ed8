"""Users that another process changed, in a file that can not be read."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobrun.api import login
from jobrun.api.login import Login
from jobrun.api.tls import ReloadingCertificate
from jobrun.auth import certificate
from jobrun.auth.auth import Auth
from jobrun.model.caller import Role
from jobrun.model.errors import StoreError
from tests.unit.auth_ground import with_auth

WITHIN_S = 60.0
WORDS = "until these can be read"


@pytest.fixture
def users(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's, once there are users."""
    db = sqlite3.connect(tmp_path / "users.db", isolation_level=None)
    yield db
    db.close()


def reloading(auth: Auth, folder: Path) -> tuple[asyncio.Event, asyncio.Task[None]]:
    """SIGHUP, which has come, and what a server does at each."""
    files = certificate.own_files(folder / "tls.pem")
    certificate.make(files.certificate)
    hangup = asyncio.Event()
    hangup.set()
    served = Login(auth, ReloadingCertificate(files, lambda _: None))
    return hangup, asyncio.get_running_loop().create_task(served.reload_for_ever(hangup))


async def until(is_so: Callable[[], bool]) -> None:
    async def wait() -> None:
        while not is_so():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(wait(), WITHIN_S)


async def until_said(caplog: pytest.LogCaptureFixture, more: int) -> None:
    """So many lines more that users could not be read."""
    before = caplog.text.count(WORDS)
    await until(lambda: caplog.text.count(WORDS) >= before + more)


def damage(users: sqlite3.Connection) -> None:
    users.execute("UPDATE users SET ceilings = 'half'")


def test_users_that_are_never_read_again_end_the_server(
    tmp_path: Path, users: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody who was shut out on disk, as a lost password is, would stay in for ever."""
    monkeypatch.setattr(login, "RELOAD_AGAIN_S", 0.01)
    monkeypatch.setattr(login, "UNREAD_S", 0.5)

    async def use(auth: Auth) -> None:
        damage(users)
        _, reload = reloading(auth, tmp_path)
        await until_said(caplog, 2)
        with pytest.raises(StoreError, match="could not be read"):
            await asyncio.wait_for(reload, WITHIN_S)

    with_auth(tmp_path, use)


def test_users_that_are_read_again_in_time(
    tmp_path: Path, users: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A backup that was put back would not help: the server ends all the same."""
    monkeypatch.setattr(login, "RELOAD_AGAIN_S", 0.01)

    async def use(auth: Auth) -> None:
        ((kept,),) = users.execute("SELECT ceilings FROM users")
        damage(users)
        began = time.monotonic()
        hangup, reload = reloading(auth, tmp_path)
        await until_said(caplog, 2)
        users.execute("UPDATE users SET ceilings = ?, role = 'viewer'", (kept,))
        await until(lambda: auth.store.people.accounts["admin"].role is Role.VIEWER)
        monkeypatch.setattr(login, "UNREAD_S", (time.monotonic() - began) / 2)  # over, had it not been read meanwhile
        damage(users)
        hangup.set()
        await until_said(caplog, 1)
        reload.cancel()

    with_auth(tmp_path, use)
