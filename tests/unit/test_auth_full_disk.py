"""A full disk: who must be kept out is kept out, and it is on record. On a file system of its own, really full."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobrun.auth import audit_file
from jobrun.auth.audit import Audit
from jobrun.auth.auth import Auth
from jobrun.auth.clock import Clocks
from jobrun.model.errors import SessionEnded
from tests.unit.auth_ground import (
    HERE,
    PASSWORD,
    Jobs,
    admin,
    admit,
    create_token,
    first_password,
    go_on,
    log_in,
    reason,
    with_auth,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system: needs root")


@pytest.fixture
def size() -> str:
    """Of the file system."""
    return "24m"


@pytest.fixture
def disk(tmp_path: Path, size: str) -> Iterator[Path]:
    """A tmpfs."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> None:
    """To the last byte, as a job would that writes on and on."""
    for block in (1 << 16, 1):
        with contextlib.suppress(OSError), open(disk / "filler", "ab", buffering=0) as file:
            while file.write(bytes(block)):
                pass


def test_what_takes_rights_away_is_done_and_on_record(disk: Path) -> None:
    """A thief fills the disk by a job, and nobody can shut him out: no token, session or user can be ended."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        for name in ("ann", "bob", "eve"):
            await auth.users.create(boss, name=name, role="user", password=PASSWORD)
        ann = admit(auth, (await log_in(auth, "ann")).access_token)
        thief = (await log_in(auth, "ann")).access_token
        token, secret = await create_token(auth, ann)
        fill(disk)
        await auth.machine_tokens.revoke(boss, token.id)
        await auth.logins.change_password(ann, PASSWORD, "another password", HERE)
        await auth.users.set_password(boss, "bob", "another password")
        await auth.users.update(boss, "bob", disabled=True)
        await auth.users.remove(boss, "eve", stop_jobs=False, jobs=Jobs())
        await auth.logins.revoke(ann, all_sessions=True)
        for text in (thief, secret):
            with pytest.raises(SessionEnded):
                admit(auth, text)
        told = [event.action for event in await auth.audit.events(1000) if event.action != "call"][-6:]
        assert told == ["token.revoke", "password", "user.password", "user.set", "user.remove", "logout"]

    async def again(auth: Auth) -> None:
        people = auth.store.people
        assert [(one.name, one.disabled) for one in auth.users.list()] == [
            ("admin", False),
            ("ann", False),
            ("bob", True),
        ]
        assert [one.ended for one in people.tokens.values()] == [True]
        assert [one.user for one in people.sessions.values()] == ["admin"]

    with_auth(disk, use)
    (disk / "filler").unlink()
    with_auth(disk, again)


def test_it_goes_on_for_as_long_as_the_disk_is_full(disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Room that is given up once is taken by whoever fills the disk: the second thief could not be shut out. Nor could
    anybody, where an admin's own session can not go on, or he can not log in."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        await auth.users.create(boss, name="ann", role="user", password=PASSWORD)
        session = (await log_in(auth, "ann")).session_id
        fill(disk)
        for number in range(1500):
            await auth.users.update(boss, "ann", disabled=bool(number % 2))
            fill(disk)
        for _ in range(100):
            boss = admit(auth, (await log_in(auth, "admin", first_password(auth))).access_token)
            await auth.keep_up()
        assert boss.user == "admin"
        assert await reason(go_on(auth, session, "r0", "r1")) == "REFRESH_FAILED"
        assert len(await auth.audit.events(1000, user="admin")) == 1000

    with_auth(disk, use)
    assert not caplog.records


def test_nobody_gets_more_on_a_full_disk(disk: Path) -> None:
    """Whoever has an account would use up the room that is kept for shutting him out."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        await auth.users.create(boss, name="ann", role="user", password=PASSWORD)
        session = (await log_in(auth, "ann")).session_id
        fill(disk)
        for more in (
            log_in(auth, "ann"),
            auth.users.create(boss, name="bob", role="user", password=PASSWORD),
            create_token(auth, boss),
        ):
            assert await reason(more) == "STORAGE_FULL"
        assert await reason(go_on(auth, session, "r0", "r1")) == "ok", "who is in stays in"
        (disk / "filler").unlink()
        assert await reason(log_in(auth, "ann")) == "ok"

    with_auth(disk, use)


@pytest.mark.parametrize("size", ["0"])
def test_a_file_system_that_tells_no_size_is_not_full(disk: Path) -> None:
    """Nobody but admins could ever log in there."""

    async def use(auth: Auth) -> None:
        await auth.users.create(await admin(auth), name="ann", role="user", password=PASSWORD)
        assert await reason(log_in(auth, "ann")) == "ok"

    with_auth(disk, use)


def test_a_full_record_goes_on_in_the_room_that_it_has(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put aside on a full disk, it would have no room for what is decided then; or each try leaves a descriptor."""
    audit = Audit(disk / "a", Clocks())
    audit.note("ann", HERE, "login")
    monkeypatch.setattr(audit_file, "MOST_BYTES", 1)
    fill(disk)
    had = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        audit.note("ann", HERE, "logout")
        audit.keep_up()
    assert len(os.listdir("/proc/self/fd")) == had
    (disk / "filler").unlink()
    audit.note("ann", HERE, "login")
    told = asyncio.run(audit.events(100))
    assert [event.action for event in told] == ["login", *["logout"] * 20, "login"]
    audit.close()
