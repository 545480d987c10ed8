"""What an admin does with users."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeVar

from jobrun.auth import scopes as scope_words
from jobrun.auth.audit import target_with
from jobrun.auth.clock import IssuerClock
from jobrun.auth.desk import Desk
from jobrun.auth.passwords import checked
from jobrun.model.amounts import counted
from jobrun.model.caller import NO_CEILINGS, Caller, Role
from jobrun.model.errors import InvalidRequest, JobrunError, UserHasJobs, UserNotFound
from jobrun.model.user import User, is_user_name
from jobrun.store.users_rows import Account

T = TypeVar("T")
NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


class UserJobs(Protocol):
    """What is asked of who has the jobs, where a user is removed."""

    def unfinished(self, user: str) -> list[str]:
        """Ids of his jobs that have not finished, but for those that are being put on record."""

    async def stop_all(self, user: str, by: str, stopping: Callable[[str], None]) -> None:
        """Stop them all within a grace of seconds, told as stopped by `by`, those too that are being put on record.
        `stopping` is called with the id of each; returns once they have finished."""


class Users:
    """Every change is on disk, and acts on sessions and machine tokens, when it is answered; all may raise
    StorageFull. That the caller may is decided at the gate."""

    def __init__(self, desk: Desk, clock: IssuerClock) -> None:
        self._desk, self._clock, self._people = desk, clock, desk.store.people

    def list(self) -> list[User]:
        """All, by name."""
        now_ns = self._clock.now_ns()
        return [_told(account, now_ns) for _, account in sorted(self._people.accounts.items())]

    async def create(
        self, caller: Caller, *, name: str, role: str, password: str, ceilings: Mapping[str, int] = NO_CEILINGS
    ) -> User:
        """`role`: empty is "user". Raises UserExists, TooMany, LoginThrottled, InvalidRequest (username, role,
        password)."""
        if not is_user_name(name):
            raise InvalidRequest("username", "must be a-z or _, then up to 31 of a-z 0-9 . _ -")
        given = scope_words.role_of(role) if role else Role.USER
        adding = self._create(name, given, checked("password", password), ceilings)
        await self._decide(caller, "user.create", name, adding, {"role": given.value, **ceilings})
        return self._one(name)

    async def update(
        self,
        caller: Caller,
        name: str,
        *,
        role: str | None = None,
        disabled: bool | None = None,
        ceilings: Mapping[str, int | None] | None = None,
    ) -> User:
        """Changes what is not None; a ceiling that is None ends.

        Raises UserNotFound, LastAdmin, InvalidRequest (role)."""
        given = None if role is None else scope_words.role_of(role)
        changing = self._desk.store.change_user(name, role=given, disabled=disabled, ceilings=ceilings)
        changes = {"role": given and given.value, "disabled": disabled}
        told = {what: value for what, value in changes.items() if value is not None}
        await self._decide(caller, "user.set", name, changing, {**told, **(ceilings or {})})
        return self._one(name)

    async def set_password(self, caller: Caller, name: str, new: str) -> None:
        """All sessions of that user end. Raises UserNotFound, LoginThrottled, InvalidRequest (new_password)."""
        work = self._set_password(name, checked("new_password", new))
        await self._decide(caller, "user.password", name, work)

    async def remove(self, caller: Caller, name: str, *, stop_jobs: bool, jobs: UserJobs) -> None:
        """Raises UserNotFound, LastAdmin, UserHasJobs (without `stop_jobs`), and what stopping raises: then the user is
        disabled, and it can be asked again. Each step is on record when it is taken: he is disabled, each of his jobs
        is stopped, he is removed."""
        await self._decide(caller, "user.remove", name, self._remove(caller, name, jobs, stop_jobs=stop_jobs))

    async def _remove(self, caller: Caller, name: str, jobs: UserJobs, *, stop_jobs: bool) -> None:
        user = self._one(name)

        def stopping(job_id: str) -> None:
            self._desk.audit.note(caller, "", "job.stop", job_id)

        if stop_jobs:
            if not user.disabled:  # before, so that he starts no other one meanwhile
                await self.update(caller, name, disabled=True)
            await jobs.stop_all(name, caller.user, stopping)
        elif unfinished := jobs.unfinished(name):
            count = counted(len(unfinished), "unfinished job")
            raise UserHasJobs(f"{name} has {count}: wait for the end, or say --stop-jobs")
        with contextlib.suppress(UserNotFound):  # another call has removed him meanwhile
            await self._desk.store.remove_user(name, self._clock.now_ns())
        self._desk.forget_first_password(name)
        await jobs.stop_all(name, caller.user, stopping)  # of calls that were let in before; there can be no others

    async def _create(self, name: str, role: Role, password: bytes, ceilings: Mapping[str, int]) -> None:
        password_hash = await self._desk.passwords.hash(password)
        await self._desk.store.add_user(name, role, password_hash, ceilings, self._clock.now_ns())

    async def _set_password(self, name: str, password: bytes) -> None:
        self._one(name)
        await self._desk.store.set_password(name, await self._desk.passwords.hash(password))
        self._desk.forget_first_password(name)

    async def _decide(
        self,
        caller: Caller,
        action: str,
        name: str,
        work: Coroutine[Any, Any, T],
        given: Mapping[str, object] = NOTHING,
    ) -> T:
        target = target_with(name if is_user_name(name) else "", given)
        return await self._desk.kept.run(self._on_record(caller, action, target, work))

    async def _on_record(self, caller: Caller, action: str, target: str, work: Coroutine[Any, Any, T]) -> T:
        try:
            done = await work
        except JobrunError as error:
            self._desk.audit.note(caller, "", action, target, error.reason)
            raise
        self._desk.audit.note(caller, "", action, target)
        return done

    def _one(self, name: str) -> User:
        account = self._people.accounts.get(name)
        if account is None:
            raise UserNotFound
        return _told(account, self._clock.now_ns())


def _told(account: Account, now_ns: int) -> User:
    return User(
        name=account.name,
        role=account.role,
        created_ns=account.created_ns,
        disabled=account.disabled,
        sessions=sum(session.expires_ns > now_ns for session in account.sessions.values()),
        machine_tokens=sum(not one.ended and one.token.expires_ns > now_ns for one in account.tokens.values()),
        ceilings=account.ceilings,
    )
