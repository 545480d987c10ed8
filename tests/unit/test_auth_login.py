"""Logging in with a password, and changing it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from jobrun.auth.auth import Auth
from jobrun.auth.offline import set_password_offline
from jobrun.auth.passwords import STRANGERS, Passwords, hashed
from jobrun.model.caller import Scope
from jobrun.model.errors import (
    InvalidRequest,
    LoginFailed,
    LoginThrottled,
    ScopeMissing,
)
from tests.unit.auth_ground import (
    ELSEWHERE,
    HERE,
    PASSWORD,
    Jobs,
    Times,
    admin,
    admit,
    attempt,
    first_password,
    log_in,
    reason,
    sha256,
    user,
    with_auth,
)


def test_the_first_start_makes_an_admin_whose_password_is_in_a_file(tmp_path: Path) -> None:
    """Nobody could log in to a new server; or everybody who may read a file there."""

    async def use(auth: Auth) -> None:
        assert auth.first_start
        assert auth.password_file.stat().st_mode & 0o777 == 0o600
        assert (tmp_path / "users.db").stat().st_mode & 0o777 == 0o600
        issued = await log_in(auth, "admin", first_password(auth))
        assert issued.scopes == frozenset(Scope)
        assert first_password(auth) not in (tmp_path / "audit.jsonl").read_text()

    async def again(auth: Auth) -> None:
        assert not auth.first_start
        await log_in(auth, "admin", first_password(auth))

    with_auth(tmp_path, use)
    with_auth(tmp_path, again)


def test_the_first_password_s_file_goes_with_the_password(tmp_path: Path) -> None:
    """A file would say a password that does not hold; the next admin tries it until he is throttled."""
    left = tmp_path / "admin-password"

    async def use(auth: Auth) -> None:
        first = left.read_bytes()
        await auth.logins.change_password(await admin(auth), first_password(auth), PASSWORD, HERE)
        assert not left.exists()
        left.write_bytes(first)  # as a server leaves it that is killed between the two

    async def again(auth: Auth) -> None:
        assert not left.exists()
        await log_in(auth, "admin")

    with_auth(tmp_path, use)
    with_auth(tmp_path, again)


def test_the_first_password_s_file_goes_with_the_first_admin(tmp_path: Path) -> None:
    """Each start would tell to log in by a user who is no more."""
    left = tmp_path / "admin-password"

    async def use(auth: Auth) -> None:
        boss, first = await admin(auth), left.read_bytes()
        await auth.users.create(boss, name="root", role="admin", password=PASSWORD)
        successor = admit(auth, (await log_in(auth, "root")).access_token)
        await auth.users.update(successor, "admin", disabled=True)
        assert left.exists(), "he may be let in again"
        await auth.users.remove(successor, "admin", stop_jobs=False, jobs=Jobs())
        assert not left.exists()
        left.write_bytes(first)  # as a server leaves it that is killed between the two

    async def again(auth: Auth) -> None:
        assert not left.exists()

    with_auth(tmp_path, use)
    with_auth(tmp_path, again)


def test_a_first_start_that_was_cut_is_made_again(tmp_path: Path) -> None:
    """A server killed in its first second would have a password that nobody knows."""
    (tmp_path / "admin-password").write_text("of the start before\n")

    async def use(auth: Auth) -> None:
        assert auth.first_start
        await log_in(auth, "admin", first_password(auth))

    with_auth(tmp_path, use)


BAD = ["wrong password", "", "short", "x" * 73, "x" * 5000, "with\0NUL in it", "\ud800" * 8, "é" * 1_000_000]


@pytest.mark.parametrize("password", BAD, ids=range(len(BAD)))
def test_whatever_is_wrong_is_told_in_the_same_words(tmp_path: Path, password: str) -> None:
    """A stranger would learn which users there are."""

    async def use(auth: Auth) -> None:
        await user(auth, "ann")
        await auth.users.update(await admin(auth), "ann", disabled=True)
        told = set()
        for name, given in [("ann", PASSWORD), ("admin", password), ("nobody", password), (password, password)]:
            with pytest.raises(LoginFailed) as failure:
                await attempt(auth, name, given)
            told.add(str(failure.value))
        assert told == {"wrong user or password"}

    with_auth(tmp_path, use)


def test_an_unknown_user_takes_as_long() -> None:
    """A stranger with a stopwatch would learn which users there are. Measured in processor time, as others are busy."""

    async def main() -> None:
        work = Passwords(9)
        known = hashed(b"the right one", 9)

        async def took(password: str, password_hash: bytes | None) -> float:
            best = 1.0
            for _ in range(5):
                before = time.process_time()
                assert not await work.fits(password, password_hash)
                best = min(best, time.process_time() - before)
            return best

        right = await took("a wrong one", known)
        for password, password_hash in (("a wrong one", None), ("x" * 5000, known), ("", known), ("a\0b c d e", None)):
            assert 0.5 < await took(password, password_hash) / right < 2
        await work.close()

    asyncio.run(main())


def test_one_form_of_a_letter_is_as_good_as_another(tmp_path: Path) -> None:
    """A password set on a Mac would not work from a Linux keyboard."""

    async def use(auth: Auth) -> None:
        await auth.users.create(await admin(auth), name="ann", role="", password="caf\u00e9 au lait")
        await log_in(auth, "ann", "cafe\u0301 au lait")

    with_auth(tmp_path, use)


def test_guesses_from_one_address_are_few_and_lock_nobody_else_out(tmp_path: Path) -> None:
    """All short passwords in an afternoon; or a colleague who can not log in because somebody else guesses."""
    times = Times()

    async def use(auth: Auth) -> None:
        await user(auth, "ann")
        outcomes = [await reason(attempt(auth, "ann", f"guess number {n}")) for n in range(40)]
        assert outcomes == ["LOGIN_FAILED"] * 5 + ["LOGIN_THROTTLED"] * 35
        assert await reason(attempt(auth, "ann", PASSWORD)) == "LOGIN_THROTTLED"
        assert await reason(attempt(auth, "ann", PASSWORD, ELSEWHERE)) == "ok"
        times.turn(5)
        assert await reason(attempt(auth, "ann", PASSWORD)) == "ok"
        lines = [event for event in await auth.audit.events(1000) if event.outcome == "LOGIN_THROTTLED"]
        assert [line.count for line in lines] == [1, 35]

    with_auth(tmp_path, use, times)


def test_who_knows_his_password_is_never_throttled(tmp_path: Path) -> None:
    """A script that logs in for each of its calls."""

    async def use(auth: Auth) -> None:
        await user(auth, "ann")
        for _ in range(60):
            await attempt(auth, "ann", PASSWORD)

    with_auth(tmp_path, use, Times())


def test_logins_at_once_are_few(tmp_path: Path) -> None:
    """Sixty strangers at once would keep the machine busy for a quarter of a minute, and honest users out."""

    async def use(auth: Auth) -> None:
        calls = [reason(attempt(auth, f"u{n}", "guess guess", f"192.0.2.{n}")) for n in range(60)]
        outcomes = await asyncio.gather(*calls)
        assert outcomes.count("LOGIN_FAILED") == STRANGERS + 1
        assert outcomes.count("LOGIN_THROTTLED") == 60 - STRANGERS - 1
        assert await reason(attempt(auth, "admin", first_password(auth))) == "ok"

    with_auth(tmp_path, use)


def test_a_flood_of_logins_leaves_room_for_an_admin(tmp_path: Path) -> None:
    """He could not disable whom he sees attacked."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        flood = [
            asyncio.ensure_future(reason(attempt(auth, f"u{n}", "guess guess", f"192.0.2.{n}"))) for n in range(60)
        ]
        await asyncio.sleep(0)
        await auth.users.create(boss, name="ann", role="", password=PASSWORD)
        await asyncio.gather(*flood)

    with_auth(tmp_path, use)


def test_callers_who_leave_do_not_make_room(tmp_path: Path) -> None:
    """To ask and hang up would be the way round the queue: the work is there all the same."""

    async def use(auth: Auth) -> None:
        calls = [asyncio.ensure_future(attempt(auth, f"u{n}", "guess guess", f"192.0.2.{n}")) for n in range(9)]
        await asyncio.sleep(0)
        calls[0].cancel()
        assert await reason(attempt(auth, "admin", first_password(auth))) == "LOGIN_THROTTLED"
        await asyncio.gather(*calls, return_exceptions=True)
        assert await reason(attempt(auth, "admin", first_password(auth))) == "ok"

    with_auth(tmp_path, use)


@pytest.mark.parametrize("meanwhile", ["removed", "disabled", "another password", "all of it outside"])
def test_who_is_removed_while_his_password_is_looked_at_does_not_get_in(tmp_path: Path, meanwhile: str) -> None:
    """A session for a user who is gone: nobody would ever end it."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        await auth.users.create(boss, name="ann", role="", password=PASSWORD)
        account = auth.store.people.accounts["ann"]
        if meanwhile == "removed":
            await auth.users.remove(boss, "ann", stop_jobs=False, jobs=Jobs())
        elif meanwhile == "disabled":
            await auth.users.update(boss, "ann", disabled=True)
        elif meanwhile == "another password":
            await auth.users.set_password(boss, "ann", "another password")
        else:  # memory does not know it yet
            await asyncio.to_thread(set_password_offline, tmp_path, "ann", "another password")
        with pytest.raises(LoginFailed):  # what follows the work with the password, with what was found before it
            await auth.logins._begin(account, frozenset(Scope), "", None, HERE)
        assert not any(session.user == "ann" for session in auth.store.people.sessions.values())

    with_auth(tmp_path, use)


def test_a_login_that_is_cut_is_on_record_all_the_same(tmp_path: Path) -> None:
    """To hang up at the right moment would keep a login off the audit record."""

    async def use(auth: Auth) -> None:
        account = auth.store.people.accounts["admin"]
        call = asyncio.ensure_future(auth.desk.kept.run(auth.logins._begin(account, frozenset(Scope), "", None, HERE)))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert call.cancelled()
        await auth.desk.kept.finish()
        (session,) = auth.store.people.sessions
        assert (await auth.audit.events(1))[0].target == session

    with_auth(tmp_path, use)


def test_scopes_are_narrowed_at_login(tmp_path: Path) -> None:
    """A token for a dashboard could start jobs."""

    async def use(auth: Auth) -> None:
        await user(auth, "ann")
        assert (await log_in(auth, "ann", scope="jobs:read")).scopes == {Scope.JOBS_READ}
        assert (await log_in(auth, "ann")).scopes == {Scope.JOBS_READ, Scope.JOBS_RUN}
        assert (await log_in(auth, "ann", scope=" admin  jobs:read ")).scopes == {Scope.JOBS_READ}
        with pytest.raises(ScopeMissing):
            await log_in(auth, "ann", scope="admin")
        with pytest.raises(LoginFailed):
            await log_in(auth, "ann", "not her password", scope="admin")
        with pytest.raises(InvalidRequest, match="scope"):
            await log_in(auth, "ann", scope="root")
        with pytest.raises(InvalidRequest, match="client_name"):
            await auth.logins.password(
                username="ann", password=PASSWORD, refresh_sha256=b"", scope="", client_name="x" * 65, address=HERE
            )
        with pytest.raises(InvalidRequest, match="refresh_token_sha256"):
            await auth.logins.password(
                username="ann", password=PASSWORD, refresh_sha256=b"x", scope="", client_name="", address=HERE
            )

    with_auth(tmp_path, use)


def test_nothing_secret_is_shown_by_what_is_handed_round(tmp_path: Path) -> None:
    """One log line with a repr, and tokens and hashes are in a file that many read."""

    async def use(auth: Auth) -> None:
        issued = await log_in(auth, "admin", first_password(auth))
        account = auth.store.people.accounts["admin"]
        session = auth.store.people.sessions[issued.session_id]
        shown = f"{issued!r} {account!r} {session!r} {auth!r}"
        for secret in (issued.access_token, repr(account.password_hash), repr(sha256("r0"))):
            assert secret not in shown

    with_auth(tmp_path, use)


def test_throttled_ones_are_told_when_they_are(tmp_path: Path) -> None:
    """A user would take it for a wrong password, and have it reset."""

    async def use(auth: Auth) -> None:
        for n in range(5):
            await reason(attempt(auth, "ann", f"guess number {n}"))
        with pytest.raises(LoginThrottled, match="try again in a few seconds"):
            await attempt(auth, "ann", "guess once more")

    with_auth(tmp_path, use, Times())


def test_names_that_can_be_none_are_counted_as_one(tmp_path: Path) -> None:
    """A stranger would fill the server's memory with names of 4 MiB, each remembered by the throttle."""

    async def use(auth: Auth) -> None:
        outcomes = [await reason(attempt(auth, f"No Name {n}", "guess guess")) for n in range(7)]
        assert outcomes == ["LOGIN_FAILED"] * 5 + ["LOGIN_THROTTLED"] * 2
        assert await reason(attempt(auth, "admin", first_password(auth))) == "ok"

    with_auth(tmp_path, use, Times())
