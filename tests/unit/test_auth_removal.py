"""Removing a user: what becomes of what he has under way."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from jobrun.auth.auth import Auth
from jobrun.model.errors import (
    LoginFailed,
    RefreshFailed,
    SessionEnded,
    TokenInvalid,
    UserExists,
    UserHasJobs,
    UserNotFound,
)
from tests.unit.auth_ground import PASSWORD, Jobs, admin, admit, create_token, go_on, log_in, user, with_auth


def test_a_name_is_never_used_again(tmp_path: Path) -> None:
    """The new one would own the jobs of the old one."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        boss = await admin(auth)
        await auth.users.remove(boss, "ann", stop_jobs=False, jobs=Jobs())
        with pytest.raises(UserExists):
            await auth.users.create(boss, name="ann", role="", password=PASSWORD)
        with pytest.raises(UserNotFound):
            await auth.users.remove(boss, "ann", stop_jobs=False, jobs=Jobs())
        with pytest.raises(LoginFailed):
            await log_in(auth, "ann")
        with pytest.raises(RefreshFailed):
            await go_on(auth, ann.session, "r0", "r1")

    with_auth(tmp_path, use)


def test_a_removed_user_is_out_at_once(tmp_path: Path) -> None:
    """Who was dismissed would work on until his token ends: with a machine token, a year."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        live = (await log_in(auth, "ann")).access_token
        made, secret = await create_token(auth, ann)
        boss = await admin(auth)
        ended: list[str] = []
        auth.gate.on_ended = ended.append
        await auth.users.remove(boss, "ann", stop_jobs=False, jobs=Jobs())
        assert {ann.session, made.id} < set(ended)
        with pytest.raises(SessionEnded):
            admit(auth, live)
        with pytest.raises(TokenInvalid):
            admit(auth, secret)

    with_auth(tmp_path, use)


def test_a_user_with_unfinished_jobs_is_removed_only_with_them(tmp_path: Path) -> None:
    """His jobs would run on with nobody who may stop them but an admin who does not know of them."""

    async def use(auth: Auth) -> None:
        await user(auth, "ann")
        boss = await admin(auth)
        jobs = Jobs("a", "b")
        with pytest.raises(UserHasJobs, match="2 unfinished"):
            await auth.users.remove(boss, "ann", stop_jobs=False, jobs=jobs)
        await log_in(auth, "ann")
        await auth.users.remove(boss, "ann", stop_jobs=True, jobs=jobs)
        assert (jobs.ids, {*jobs.stopped_by}) == ([], {"admin"})

    with_auth(tmp_path, use)


def test_a_job_that_begins_while_its_user_is_removed_is_stopped(tmp_path: Path) -> None:
    """A call that was let in a moment before would leave one behind."""

    async def use(auth: Auth) -> None:
        await user(auth, "ann")
        jobs = Jobs(accepting=["c"])
        await auth.users.remove(await admin(auth), "ann", stop_jobs=False, jobs=jobs)
        assert (jobs.accepting, jobs.stopped_by) == ([], ["admin"])

    with_auth(tmp_path, use)


def test_each_step_of_a_removal_is_on_record(tmp_path: Path) -> None:
    """Where the server dies while jobs are stopped, nobody could say who shut the user out, and who stopped what."""

    async def use(auth: Auth) -> None:
        await user(auth, "ann")
        await auth.users.remove(await admin(auth), "ann", stop_jobs=True, jobs=Jobs("a", "b"))
        assert [(event.user, event.action, event.target) for event in await auth.audit.events(4)] == [
            ("admin", "user.set", "ann disabled=true"),
            ("admin", "job.stop", "a"),
            ("admin", "job.stop", "b"),
            ("admin", "user.remove", "ann"),
        ]

    with_auth(tmp_path, use)


def test_a_removal_that_is_asked_for_again_goes_on(tmp_path: Path) -> None:
    """Who left it and asks again would read "no such user" where both succeed."""

    async def use(auth: Auth) -> None:
        await user(auth, "ann")
        boss, jobs = await admin(auth), Jobs("a")
        jobs.may_stop.clear()
        first = asyncio.ensure_future(auth.users.remove(boss, "ann", stop_jobs=True, jobs=jobs))
        await jobs.asked.wait()
        jobs.asked.clear()
        second = asyncio.ensure_future(auth.users.remove(boss, "ann", stop_jobs=True, jobs=jobs))
        await jobs.asked.wait()
        jobs.may_stop.set()
        assert [*await asyncio.gather(first, second)] == [None, None]
        with pytest.raises(UserNotFound):
            await auth.users.remove(boss, "ann", stop_jobs=True, jobs=jobs)

    with_auth(tmp_path, use)


def test_nobody_is_let_in_while_his_jobs_are_stopped_and_a_cut_removal_goes_on(tmp_path: Path) -> None:
    """He would start others meanwhile; or the admin's lost connection would leave him half removed."""

    async def use(auth: Auth) -> None:
        ann = await user(auth, "ann")
        boss = await admin(auth)
        jobs = Jobs("a")
        jobs.may_stop.clear()
        removal = asyncio.ensure_future(auth.users.remove(boss, "ann", stop_jobs=True, jobs=jobs))
        await jobs.asked.wait()
        out = ann.session not in auth.store.people.sessions
        with contextlib.suppress(LoginFailed):
            await log_in(auth, "ann")
            out = False
        removal.cancel()
        await asyncio.gather(removal, return_exceptions=True)
        jobs.may_stop.set()
        await auth.desk.kept.finish()
        assert out
        assert [one.name for one in auth.users.list()] == ["admin"]
        assert (await auth.audit.events(1))[0].action == "user.remove"

    with_auth(tmp_path, use)
