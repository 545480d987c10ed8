"""Another password: by who has it, by an admin, from outside the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobrun.auth.auth import Auth
from jobrun.auth.offline import set_password_offline
from jobrun.model.errors import InvalidRequest, LoginFailed, SessionEnded, UserNotFound
from tests.unit.auth_ground import (
    ELSEWHERE,
    HERE,
    PASSWORD,
    Times,
    admit,
    attempt,
    create_token,
    first_password,
    go_on,
    log_in,
    reason,
    user,
    with_auth,
)


def test_a_changed_password_ends_the_other_sessions_and_no_machine_token(tmp_path: Path) -> None:
    """Whoever stole the old one would stay in; or every pipeline would stop."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        other = await log_in(auth, "ann")
        _, machine = await create_token(auth, ann)
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await auth.logins.change_password(ann, PASSWORD, "another password", HERE)
        assert ended == [other.session_id]
        with pytest.raises(SessionEnded):
            admit(auth, other.access_token)
        admit(auth, machine)
        await go_on(auth, ann.session, "r0", "r1")
        assert await reason(attempt(auth, "ann", PASSWORD)) == "LOGIN_FAILED"
        await log_in(auth, "ann", "another password")

    with_auth(tmp_path, use)


def test_a_password_is_changed_only_by_who_knows_it(tmp_path: Path) -> None:
    """A session left open on a screen would be an account lost."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        outcomes = [await reason(auth.logins.change_password(ann, f"guess {n}", "x" * 8, HERE)) for n in range(7)]
        assert outcomes == ["LOGIN_FAILED"] * 5 + ["LOGIN_THROTTLED"] * 2
        assert await reason(attempt(auth, "ann", PASSWORD, ELSEWHERE)) == "ok"

    with_auth(tmp_path, use, Times())


@pytest.mark.parametrize("new", ["", "seven77", "x" * 73, "é" * 37, "nul\0nul\0nul", "\ud800" * 8, PASSWORD])
def test_what_can_be_no_password_is_refused_when_it_is_set(tmp_path: Path, new: str) -> None:
    """It would be cut somewhere, or never work again; and "changed" to the same one is not changed."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        with pytest.raises(InvalidRequest, match="new_password"):
            await auth.logins.change_password(ann, PASSWORD, new, HERE)
        await log_in(auth, "ann")

    with_auth(tmp_path, use)


@pytest.mark.parametrize("new", ["eight888", "x" * 72, "é" * 36, "with blanks and ünïcödé"])
def test_what_can_be_a_password_works(tmp_path: Path, new: str) -> None:
    """A user would be locked out by his own choice."""

    async def use(auth: Auth) -> None:
        await auth.logins.change_password(await user(auth, "ann"), PASSWORD, new, HERE)
        await log_in(auth, "ann", new)

    with_auth(tmp_path, use)


def test_two_changes_at_once_leave_one_password(tmp_path: Path) -> None:
    """Both would be told that theirs holds."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        new = ["password one", "password two"]
        changes = [reason(auth.logins.change_password(ann, PASSWORD, one, HERE)) for one in new]
        outcomes = await asyncio.gather(*changes)
        assert sorted(outcomes) == ["LOGIN_FAILED", "ok"]
        await log_in(auth, "ann", new[outcomes.index("ok")])

    with_auth(tmp_path, use)


def test_a_password_set_from_outside_acts_on_a_server_that_runs(tmp_path: Path) -> None:
    """`server passwd`, for who has forgotten his: whoever knows the old one must be out at once."""

    async def use(auth: Auth) -> None:
        first = first_password(auth)
        old = await log_in(auth, "admin", first)
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await asyncio.to_thread(set_password_offline, tmp_path, "admin", PASSWORD)
        with pytest.raises(LoginFailed):  # even before it is told
            await attempt(auth, "admin", first)
        await auth.reload()
        assert ended == [old.session_id]
        with pytest.raises(SessionEnded):
            admit(auth, old.access_token)
        await log_in(auth, "admin")
        assert not auth.password_file.exists()
        with pytest.raises(UserNotFound):
            await asyncio.to_thread(set_password_offline, tmp_path, "nobody", PASSWORD)
        with pytest.raises(InvalidRequest):
            await asyncio.to_thread(set_password_offline, tmp_path, "admin", "short")
        events = [event for event in await auth.audit.events(100) if event.action == "user.password"]
        assert [(event.user, event.address, event.target) for event in events] == [("", "local", "admin")]

    with_auth(tmp_path, use)
