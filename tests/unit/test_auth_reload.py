"""Users that another process changed, in a file that can not be read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobrun.api import login
from jobrun.api.login import Login
from jobrun.api.tls import ReloadingCertificate
from jobrun.auth import certificate
from jobrun.auth.auth import Auth
from jobrun.model.errors import StoreError
from tests.unit.auth_ground import with_auth

WITHIN_S = 60.0


@pytest.fixture
def users(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another process's, once there are users."""
    db = sqlite3.connect(tmp_path / "users.db", isolation_level=None)
    yield db
    db.close()


def reloading(auth: Auth, folder: Path) -> asyncio.Task[None]:
    """What a server does at a SIGHUP, which has come."""
    files = certificate.own_files(folder / "tls.pem")
    certificate.make(files.certificate)
    hangup = asyncio.Event()
    hangup.set()
    served = Login(auth, ReloadingCertificate(files, lambda _: None))
    return asyncio.get_running_loop().create_task(served.reload_for_ever(hangup))


async def until_said(caplog: pytest.LogCaptureFixture, times: int) -> None:
    async def said() -> None:
        while caplog.text.count("until these can be read") < times:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(said(), WITHIN_S)


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
        reload = reloading(auth, tmp_path)
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
        reload = reloading(auth, tmp_path)
        await until_said(caplog, 2)
        users.execute("UPDATE users SET ceilings = ?", (kept,))
        users.execute("UPDATE users SET role = 'viewer'")

        async def seen() -> None:
            while auth.store.people.accounts["admin"].role.value != "viewer":
                await asyncio.sleep(0.01)

        await asyncio.wait_for(seen(), WITHIN_S)
        assert not reload.done()
        reload.cancel()

    with_auth(tmp_path, use)
