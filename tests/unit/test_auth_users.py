"""Users: made, changed, removed; and what becomes of what they have under way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jobrun.auth.auth import Auth
from jobrun.model.caller import Role, Scope
from jobrun.model.errors import (
    InvalidRequest,
    LastAdmin,
    LoginFailed,
    RefreshFailed,
    ScopeMissing,
    SessionEnded,
    TooMany,
    UserExists,
    UserNotFound,
)
from jobrun.store.users_writes import MOST_USERS
from tests.unit.auth_ground import PASSWORD, Jobs, admin, admit, create_token, go_on, log_in, user, with_auth

START, LIST_USERS = "/jobrun.v1.JobService/Start", "/jobrun.v1.AdminService/ListUsers"


def test_users_come_back_as_they_were_made(tmp_path: Path) -> None:
    """`user list` after a restart would tell something else than before it."""
    seen = []

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        made = await auth.users.create(boss, name="vera", role="viewer", password=PASSWORD, ceilings={"cpus": 2})
        assert (made.role, made.ceilings, made.disabled, made.sessions) == (Role.VIEWER, {"cpus": 2}, False, 0)
        assert (await auth.users.create(boss, name="ann", role="", password=PASSWORD)).role is Role.USER
        changed = await auth.users.update(boss, "ann", role="viewer", ceilings={"cpus": 1, "timeout": 5})
        assert (changed.role, changed.ceilings) == (Role.VIEWER, {"cpus": 1, "timeout": 5})
        assert (await auth.users.update(boss, "ann", disabled=True)).disabled
        changed = await auth.users.update(boss, "ann", disabled=False, ceilings={"cpus": None, "processes": 7})
        assert changed.ceilings == {"timeout": 5, "processes": 7}
        await create_token(auth, admit(auth, (await log_in(auth, "vera")).access_token))
        seen.append(auth.users.list())
        assert [one.name for one in seen[0]] == ["admin", "ann", "vera"]
        assert (seen[0][2].sessions, seen[0][2].machine_tokens) == (1, 1)

    async def again(auth: Auth) -> None:
        assert auth.users.list() == seen[0]

    with_auth(tmp_path, use)
    with_auth(tmp_path, again)


@pytest.mark.parametrize("name", ["", "Ann", "1a", "-a", "a" * 33, "a b", "a\n", "ä", "a/b", "..", "a\x1b[2J"])
def test_what_can_be_no_name_is_refused(tmp_path: Path, name: str) -> None:
    """It would move the cursor of whoever lists users, or be part of a path."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        with pytest.raises(InvalidRequest, match="username"):
            await auth.users.create(boss, name=name, role="", password=PASSWORD)
        with pytest.raises(UserNotFound):
            await auth.users.update(boss, name, disabled=True)
        with pytest.raises(UserNotFound):
            await auth.users.set_password(boss, name, PASSWORD)
        with pytest.raises(UserNotFound):
            await auth.users.remove(boss, name, stop_jobs=True, jobs=Jobs())

    with_auth(tmp_path, use)


def test_what_can_be_no_user_is_refused(tmp_path: Path) -> None:
    """A role with a typing error would be some other role."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        with pytest.raises(InvalidRequest, match="role"):
            await auth.users.create(boss, name="ann", role="root", password=PASSWORD)
        with pytest.raises(InvalidRequest, match="role"):
            await auth.users.update(boss, "admin", role="")
        for password in ("", "short", "x" * 73, "nul\0nul\0"):
            with pytest.raises(InvalidRequest, match="password"):
                await auth.users.create(boss, name="ann", role="", password=password)
        with pytest.raises(UserExists):
            await auth.users.create(boss, name="admin", role="", password=PASSWORD)
        assert [one.name for one in auth.users.list()] == ["admin"]

    with_auth(tmp_path, use)


def test_two_users_of_one_name_at_once(tmp_path: Path) -> None:
    """Two admins would each think that his password holds."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        both = (auth.users.create(boss, name="ann", role="", password=f"{PASSWORD} {n}") for n in range(2))
        outcomes = await asyncio.gather(*both, return_exceptions=True)
        assert sum(isinstance(outcome, UserExists) for outcome in outcomes) == 1
        await log_in(auth, "ann", f"{PASSWORD} {0 if isinstance(outcomes[1], UserExists) else 1}")

    with_auth(tmp_path, use)


def test_a_disabled_user_is_out_at_once_and_his_machine_tokens_wait(tmp_path: Path) -> None:
    """To disable is for the moment of doubt: it must act, and must not destroy his pipelines."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        live = await log_in(auth, "ann")
        made, secret = await create_token(auth, ann)
        boss = await admin(auth)
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await auth.users.update(boss, "ann", disabled=True)
        assert {ann.session, live.session_id, made.id} == set(ended)
        for token in (live.access_token, secret):
            with pytest.raises(SessionEnded):
                admit(auth, token)
        with pytest.raises(LoginFailed):
            await log_in(auth, "ann")
        await auth.users.update(boss, "ann", disabled=False)
        assert admit(auth, secret).machine_token == made.id
        with pytest.raises(SessionEnded):
            admit(auth, live.access_token)
        with pytest.raises(RefreshFailed):
            await go_on(auth, live.session_id, "r0", "r1")
        await log_in(auth, "ann")

    with_auth(tmp_path, use)


def test_another_role_acts_at_once(tmp_path: Path) -> None:
    """A demoted admin would go on for ten minutes, and his open streams for as long as the jobs last."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann", "admin")
        live = await log_in(auth, "ann")
        made, secret = await create_token(auth, ann)
        boss = await admin(auth)
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        admit(auth, live.access_token, LIST_USERS)
        await auth.users.update(boss, "ann", role="viewer")
        assert {ann.session, live.session_id, made.id} == set(ended)
        assert admit(auth, live.access_token).scopes == {Scope.JOBS_READ}
        for token in (live.access_token, secret):
            with pytest.raises(ScopeMissing):
                admit(auth, token, START)
        ended.clear()
        await auth.users.update(boss, "ann", role="admin")
        assert ended == []
        admit(auth, live.access_token, LIST_USERS)
        admit(auth, secret, START)

    with_auth(tmp_path, use)


def test_a_password_set_by_an_admin_ends_all_sessions(tmp_path: Path) -> None:
    """It is set because somebody else knows the old one."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        _, secret = await create_token(auth, ann)
        boss = await admin(auth)
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await auth.users.set_password(boss, "ann", "another password")
        assert ann.session in ended
        with pytest.raises(LoginFailed):
            await log_in(auth, "ann")
        await log_in(auth, "ann", "another password")
        admit(auth, secret)
        assert auth.password_file.exists()
        await auth.users.set_password(boss, "admin", "another password")
        assert not auth.password_file.exists()

    with_auth(tmp_path, use)


def test_the_last_admin_stays(tmp_path: Path) -> None:
    """Nobody could ever change anything on that server again."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)

        async def all_refused() -> None:
            for change in (
                auth.users.update(boss, "admin", role="user"),
                auth.users.update(boss, "admin", disabled=True),
                auth.users.remove(boss, "admin", stop_jobs=False, jobs=Jobs()),
                auth.users.remove(boss, "admin", stop_jobs=True, jobs=Jobs("a")),
            ):
                with pytest.raises(LastAdmin):
                    await change

        await all_refused()
        await auth.users.create(boss, name="ann", role="admin", password=PASSWORD)
        await auth.users.update(boss, "ann", disabled=True)
        await all_refused()
        await auth.users.update(boss, "admin", role="admin", disabled=False)
        await auth.users.update(boss, "ann", disabled=False)
        await auth.users.update(boss, "admin", role="user")
        assert [one.role for one in auth.users.list()] == [Role.USER, Role.ADMIN]

    with_auth(tmp_path, use)


def test_two_admins_who_remove_each_other(tmp_path: Path) -> None:
    """Both at once, each the other's last admin."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        await auth.users.create(boss, name="ann", role="admin", password=PASSWORD)
        removals = (auth.users.remove(boss, name, stop_jobs=False, jobs=Jobs()) for name in ("admin", "ann"))
        outcomes = await asyncio.gather(*removals, return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastAdmin", "NoneType"]
        assert len(auth.users.list()) == 1

    with_auth(tmp_path, use)


def test_users_are_bounded(tmp_path: Path) -> None:
    """All are in memory and in one answer: that must stay below 4 MiB."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        now = auth.clock.now_ns()
        await asyncio.gather(
            *(auth.store.add_user(f"u{number}", Role.USER, b"x", {}, now) for number in range(MOST_USERS - 1))
        )
        with pytest.raises(TooMany):
            await auth.users.create(boss, name="ann", role="", password=PASSWORD)
        await auth.users.remove(boss, "u1", stop_jobs=False, jobs=Jobs())
        await auth.users.create(boss, name="ann", role="", password=PASSWORD)

    with_auth(tmp_path, use)
