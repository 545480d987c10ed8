"""Sessions: how they go on, and how they end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobrun.auth.auth import Auth
from jobrun.auth.sessions import Issued
from jobrun.auth.throttle import REFRESHES
from jobrun.model.errors import InvalidRequest, LoginThrottled, RefreshFailed, SessionEnded
from jobrun.store.users_writes import MOST_SESSIONS
from tests.unit.auth_ground import (
    DAY_S,
    ELSEWHERE,
    HERE,
    LIFETIMES,
    Times,
    admit,
    first_password,
    go_on,
    lives,
    log_in,
    refused_to_go_on,
    sha256,
    user,
    with_auth,
)


def test_a_session_goes_on_and_an_answer_that_was_lost_can_be_asked_for_again(tmp_path: Path) -> None:
    """A laptop that sleeps between request and answer would be logged out."""
    times = Times()

    async def use(auth: Auth) -> None:
        session = (await log_in(auth, "admin", first_password(auth))).session_id
        await go_on(auth, session, "r0", "r1")
        times.turn(13 * DAY_S)
        again = await go_on(auth, session, "r0", "r1")
        assert admit(auth, again.access_token).session == session
        await go_on(auth, session, "r1", "r2")

    with_auth(tmp_path, use, times)


@pytest.mark.parametrize("first", ["owner", "thief"])
def test_two_holders_of_one_refresh_token_end_the_session(tmp_path: Path, first: str) -> None:
    """A stolen file would be good for 90 days beside its owner."""

    async def use(auth: Auth) -> None:
        session = (await log_in(auth, "admin", first_password(auth))).session_id
        winner = await go_on(auth, session, "r0", f"{first}'s next")
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await refused_to_go_on(go_on(auth, session, "r0", "the other's next"))
        assert ended == [session]
        with pytest.raises(SessionEnded):
            admit(auth, winner.access_token)
        await refused_to_go_on(go_on(auth, session, f"{first}'s next", "x"))
        (reuse,) = [event for event in await auth.audit.events(100) if event.action == "refresh_reuse"]
        assert (reuse.user, reuse.target, reuse.address) == ("admin", session, HERE)

    with_auth(tmp_path, use)


def test_a_thief_who_is_generations_ahead_is_noticed(tmp_path: Path) -> None:
    """He would refresh twice before his victim comes back, and go on for 90 days."""

    async def use(auth: Auth) -> None:
        session = (await log_in(auth, "admin", first_password(auth))).session_id
        for number in range(12):
            await go_on(auth, session, f"r{number}", f"r{number + 1}")
        for number in range(11):
            await refused_to_go_on(go_on(auth, session, f"r{number}", f"r{number + 1}"))  # as it was: nothing ends
        assert lives(auth, session)
        await refused_to_go_on(go_on(auth, session, "r3", "the owner's next"))
        assert not lives(auth, session)
        (reuse,) = [event for event in await auth.audit.events(100) if event.action == "refresh_reuse"]
        assert (reuse.user, reuse.target) == ("admin", session)

    with_auth(tmp_path, use)


def test_another_sessions_used_token_ends_nothing(tmp_path: Path) -> None:
    """Whoever ended his own session would end any other with it."""

    async def use(auth: Auth) -> None:
        password = first_password(auth)
        one = (await log_in(auth, "admin", password, refresh="a0")).session_id
        other = (await log_in(auth, "admin", password, refresh="b0")).session_id
        for number in range(3):
            await go_on(auth, one, f"a{number}", f"a{number + 1}")
            await go_on(auth, other, f"b{number}", f"b{number + 1}")
        await refused_to_go_on(go_on(auth, one, "b0", "x"))
        assert lives(auth, one)
        assert lives(auth, other)

    with_auth(tmp_path, use)


def test_a_client_that_refreshes_without_end(tmp_path: Path) -> None:
    """One with a fault, or a malicious one, would fill disk and record; a lost answer that is asked for again, too."""
    times = Times()

    async def use(auth: Auth) -> None:
        session = (await log_in(auth, "admin", first_password(auth))).session_id
        other = (await log_in(auth, "admin", first_password(auth), refresh="o0")).session_id
        await go_on(auth, session, "r0", "r1")
        writes = auth.store._writer._db.total_changes
        record = (tmp_path / "audit.jsonl").stat().st_size
        for _ in range(18):
            await go_on(auth, session, "r0", "r1")
        assert auth.store._writer._db.total_changes == writes
        assert (tmp_path / "audit.jsonl").stat().st_size == record
        await go_on(auth, session, "r1", "r2")
        with pytest.raises(LoginThrottled):
            await go_on(auth, session, "r2", "r3")
        assert await go_on(auth, other, "o0", "o1")
        times.turn(LIFETIMES.access_token_s)
        for number in range(2, 2 + REFRESHES[0]):
            await go_on(auth, session, f"r{number}", f"r{number + 1}")

    with_auth(tmp_path, use, times)


def test_two_refreshes_at_once(tmp_path: Path) -> None:
    """Two processes with one file ask for the same at once; a thief in the same moment must not get through."""

    async def use(auth: Auth) -> None:
        session = (await log_in(auth, "admin", first_password(auth))).session_id
        same = await asyncio.gather(*(go_on(auth, session, "r0", "r1") for _ in range(8)))
        assert {one.session_id for one in same} == {session}
        differing = (go_on(auth, session, "r1", f"next {number}") for number in range(2))
        outcomes = await asyncio.gather(*differing, return_exceptions=True)
        assert not lives(auth, session)
        assert [type(one) for one in outcomes].count(RefreshFailed) >= 1

    with_auth(tmp_path, use)


def test_a_wrong_secret_ends_nothing_and_is_throttled(tmp_path: Path) -> None:
    """The id of a session is in every access token: whoever saw one could log its owner out."""

    async def use(auth: Auth) -> None:
        session = (await log_in(auth, "admin", first_password(auth))).session_id
        await go_on(auth, session, "r0", "r1")
        await go_on(auth, session, "r1", "r2")
        await refused_to_go_on(go_on(auth, session, "r0", "r1"))
        throttled = 0
        for number in range(1000):
            with pytest.raises((RefreshFailed, LoginThrottled)) as failure:
                await go_on(auth, session, f"guess {number}", "x")
            throttled += failure.type is LoginThrottled
        assert throttled >= 970
        elsewhere = auth.logins.refresh(
            session_id=session, refresh_token="r2", next_sha256=sha256("r3"), scope="", address=ELSEWHERE
        )
        assert (await elsewhere).session_id == session
        assert len(await auth.audit.events(1000)) < 20

    with_auth(tmp_path, use)


def test_what_can_be_no_refresh_is_refused(tmp_path: Path) -> None:
    """A client with a fault would log itself out, or never rotate."""

    async def use(auth: Auth) -> None:
        session = (await log_in(auth, "admin", first_password(auth))).session_id
        for following in (b"", b"x" * 31, b"x" * 33, sha256("r0")):
            with pytest.raises(InvalidRequest, match="next_refresh_token_sha256"):
                await auth.logins.refresh(
                    session_id=session, refresh_token="r0", next_sha256=following, scope="", address=HERE
                )
        with pytest.raises(InvalidRequest, match="scope"):
            await auth.logins.refresh(
                session_id=session, refresh_token="r0", next_sha256=sha256("r1"), scope="admin", address=HERE
            )
        for name in ("", "x", "\ud800", session + "x", "a" * 100_000):
            await refused_to_go_on(go_on(auth, name, "r0", "r1"))
        await refused_to_go_on(go_on(auth, session, "\ud800", "r1"))
        assert lives(auth, session)

    with_auth(tmp_path, use)


def test_a_session_without_a_refresh_token_ends_with_its_access_token(tmp_path: Path) -> None:
    """A script that logs in for one call would leave a session for 90 days."""
    times = Times()

    async def use(auth: Auth) -> None:
        issued = await log_in(auth, "admin", first_password(auth), refresh="")
        assert issued.expires_in_s == 600
        times.turn(599)
        admit(auth, issued.access_token)
        await refused_to_go_on(go_on(auth, issued.session_id, "", "r1"))
        times.turn(2)
        await auth.keep_up()
        assert not lives(auth, issued.session_id)

    with_auth(tmp_path, use, times)


def test_a_session_ends_when_idle_and_in_the_end(tmp_path: Path) -> None:
    """A lost laptop would be logged in for ever."""
    times = Times()

    async def use(auth: Auth) -> None:
        idle = (await log_in(auth, "admin", first_password(auth), refresh="i")).session_id
        busy = (await log_in(auth, "admin", first_password(auth))).session_id
        for day in range(1, 90):
            times.turn(DAY_S)
            issued = await go_on(auth, busy, f"r{day - 1}", f"r{day}")
            assert issued.session_expires_ns == min(times.wall + 14 * DAY_S * 10**9, Times().wall + 90 * DAY_S * 10**9)
        await refused_to_go_on(go_on(auth, idle, "i", "i1"))
        assert lives(auth, busy)
        times.turn(DAY_S)
        await refused_to_go_on(go_on(auth, busy, "r89", "r90"))
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await auth.keep_up()
        assert sorted(ended) == sorted([idle, busy])

    with_auth(tmp_path, use, times)


def test_a_user_has_a_bound_of_sessions(tmp_path: Path) -> None:
    """A pipeline that logs in each minute would fill the server's memory; or its user would be locked out."""
    times = Times()

    async def use(auth: Auth) -> None:
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        made = []
        for _ in range(MOST_SESSIONS + 2):
            made.append((await log_in(auth, "admin", first_password(auth))).session_id)
            times.turn(1)
        assert ended == made[:2]
        assert auth.users.list()[0].sessions == MOST_SESSIONS

    with_auth(tmp_path, use, times)


def test_logout_ends_one_or_all_at_once(tmp_path: Path) -> None:
    """`logout` on a borrowed machine would leave its token good for ten minutes."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        others = [(await log_in(auth, "ann")) for _ in range(2)]
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await auth.logins.revoke(ann, all_sessions=False)
        assert ended == [ann.session]
        await auth.logins.revoke(ann, all_sessions=False)
        admit(auth, others[0].access_token)
        await auth.logins.revoke(admit(auth, others[0].access_token), all_sessions=True)
        assert sorted(ended[1:]) == sorted(one.session_id for one in others)
        for one in others:
            with pytest.raises(SessionEnded):
                admit(auth, one.access_token)
            await refused_to_go_on(go_on(auth, one.session_id, "r0", "r1"))

    with_auth(tmp_path, use)


def test_sessions_outlive_the_server(tmp_path: Path) -> None:
    """Every update of the server would log everybody out."""
    kept: list[Issued] = []

    async def use(auth: Auth) -> None:
        kept.append(await log_in(auth, "admin", first_password(auth)))
        await go_on(auth, kept[0].session_id, "r0", "r1")

    async def again(auth: Auth) -> None:
        admit(auth, kept[0].access_token)
        await go_on(auth, kept[0].session_id, "r0", "r1")
        await refused_to_go_on(go_on(auth, kept[0].session_id, "r0", "thief's"))

    async def after(auth: Auth) -> None:
        with pytest.raises(SessionEnded):
            admit(auth, kept[0].access_token)

    for part in (use, again, after):
        with_auth(tmp_path, part)
