"""The issuer's clock."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.auth.auth import Auth
from jobrun.auth.clock import IssuerClock
from tests.unit.auth_ground import DAY_S, Times, admin, create_token, with_auth

SECOND = 10**9


@given(st.lists(st.tuples(st.sampled_from(["pass", "jump", "restart"]), st.integers(-400 * DAY_S, 400 * DAY_S))))
def test_it_never_goes_back_and_never_stands_still(steps: list[tuple[str, int]]) -> None:
    """Expired tokens would be good again, or none would ever expire."""
    times = Times()
    clock = IssuerClock(0, times.clocks())
    for what, seconds in steps:
        before = clock.now_ns()
        if what == "pass":
            times.turn(abs(seconds))
        elif what == "jump":
            times.wall += seconds * SECOND
        else:
            clock = IssuerClock(before, times.clocks())
        passed = abs(seconds) * SECOND if what == "pass" else 0
        assert clock.now_ns() >= max(before + passed, times.wall)


def test_a_clock_that_goes_far_ahead_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Every session and token ends in one moment, and nobody knows why."""
    times = Times()
    with caplog.at_level(logging.WARNING):
        clock = IssuerClock(times.wall - 30 * DAY_S * SECOND, times.clocks())
        clock.now_ns()
        times.turn(30 * DAY_S)
        clock.now_ns()
        assert not caplog.records, "no server ran; or the machine slept"
        times.wall += 365 * DAY_S * SECOND
        for _ in range(3):
            clock.now_ns()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["the clock went 31536000 s ahead"]


def remedy() -> str:
    """What SECURITY.md says to give to SQLite."""
    _, _, rest = (Path(__file__).parents[2] / "SECURITY.md").read_text().partition('sqlite3 users.db "')
    return rest.partition('"')[0]


def test_a_clock_that_was_far_ahead_is_undone_as_the_page_says(tmp_path: Path) -> None:
    """One wrong answer of a time server, and all machine tokens are lost, and all dates wrong until that time comes."""
    years_ns, now_ns = 10 * 365 * DAY_S * SECOND, time.time_ns()
    times = Times()
    times.wall = now_ns

    async def before(auth: Auth) -> None:
        boss = await admin(auth)
        for name in ("kept", "revoked"):
            await create_token(auth, boss, name=name)
        await auth.machine_tokens.revoke(boss, "revoked")

    async def ahead(auth: Auth) -> None:
        await auth.keep_up()
        await create_token(auth, await admin(auth), name="of-a-time-to-come")

    async def again(auth: Auth) -> None:
        assert auth.clock.now_ns() < now_ns + DAY_S * SECOND
        assert not auth.store.people.sessions
        boss = await admin(auth)
        held, _ = auth.machine_tokens.list(boss, all_users=True, page=100)
        assert [token.name for token in held] == ["kept"]

    with_auth(tmp_path, before, times)
    times.wall += years_ns
    with_auth(tmp_path, ahead, times)
    times.wall = now_ns
    with contextlib.closing(sqlite3.connect(tmp_path / "users.db")) as db:
        db.executescript(remedy())
    with_auth(tmp_path, again, times)


def test_a_clock_far_behind_the_record_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Tokens that end early, and nobody knows why."""
    times = Times()
    with caplog.at_level(logging.WARNING):
        IssuerClock(times.wall + 30 * SECOND, times.clocks())
        assert not caplog.records
        IssuerClock(times.wall + DAY_S * SECOND, times.clocks())
    assert "86400 s behind" in caplog.text
