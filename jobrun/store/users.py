"""users.db: users, sessions, machine tokens. All of it is in memory too, and changes there once it is on disk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from jobrun.model.caller import Role
from jobrun.model.errors import StoreError
from jobrun.model.user import MachineToken
from jobrun.store import users_writes as writes
from jobrun.store.database import explained, is_full, no_room, open_for_writing
from jobrun.store.kept_room import keep_database_room
from jobrun.store.users_memory import People
from jobrun.store.users_rows import Account, read_account, read_all
from jobrun.store.users_schema import USER_STEPS
from jobrun.store.users_writes import NewSession, Rotation, Turn
from jobrun.store.writer import Writer

T = TypeVar("T")


class UserStore:
    """Writes go through one thread; what they changed is on disk and in `people` when they are answered, and in
    neither if they raise. All raise StorageFull and StoreError. A cancelled one goes on.

    On a full disk there is room left (see kept_room): for what takes rights away, and for sessions of admins who do
    that and those that go on. What gives somebody more is refused, so that it does not take that room."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        """Opens or makes the database. Raises StoreError, StorageFull."""
        self._path = path
        db = open_for_writing(path, USER_STEPS)
        try:
            with explained(path):
                self.meta: Mapping[str, str] = writes.meta(db)
                """Of when it was opened; see `found`."""
                self.people = People(self._all(db))
            keep_database_room(db, path)
            self._writer = Writer(db, path, loop)
        except BaseException:
            db.close()
            raise

    async def close(self) -> None:
        """Commits what waits."""
        await self._writer.close()

    async def failed(self) -> StoreError:
        """Waits until nothing can be written any more."""
        return await asyncio.shield(self._writer.failure)

    async def found(self, facts: Mapping[str, str], admin: str, password_hash: bytes, now_ns: int) -> None:
        """The first start: meta is `facts` and the time, and there is one admin."""
        await self._change(admin, lambda db: writes.found(db, facts, admin, password_hash, now_ns))
        self.meta = facts

    async def reload(self) -> None:
        """Memory says again what the disk says, whoever wrote there."""
        await self._writer.run(self._all, self.people.replace)

    async def add_user(
        self, name: str, role: Role, password_hash: bytes, ceilings: Mapping[str, int], now_ns: int
    ) -> None:
        """Raises UserExists, TooMany."""
        self._check_room()
        await self._change(name, lambda db: writes.add_user(db, name, role, password_hash, ceilings, now_ns))

    async def change_user(
        self,
        name: str,
        *,
        role: Role | None = None,
        disabled: bool | None = None,
        ceilings: Mapping[str, int | None] | None = None,
    ) -> None:
        """What is not None; a ceiling that is None ends; to disable ends sessions. Raises UserNotFound, LastAdmin."""
        await self._change(
            name, lambda db: writes.change_user(db, name, role=role, disabled=disabled, ceilings=ceilings)
        )

    async def set_password(self, name: str, password_hash: bytes) -> None:
        """All his sessions end. Raises UserNotFound."""
        await self._change(name, lambda db: writes.set_password(db, name, password_hash))

    async def change_password(self, name: str, session: str, old: bytes, new: bytes) -> bool:
        """All his sessions but that one end. False: `old` is not his password hash any more, or the session not his."""
        return await self._change(name, lambda db: writes.change_password(db, name, session, old, new))

    async def remove_user(self, name: str, now_ns: int) -> None:
        """With sessions and machine tokens. Raises UserNotFound, LastAdmin."""
        await self._change(name, lambda db: writes.remove_user(db, name, now_ns))

    async def begin_session(self, new: NewSession) -> bool:
        """False: the user has gone, is disabled, or has another password by now."""
        account = self.people.accounts.get(new.user)
        if account is None or account.role is not Role.ADMIN:
            self._check_room()
        return await self._change(new.user, lambda db: writes.begin_session(db, new))

    async def rotate(self, user: str, turn: Turn) -> Rotation:
        """Goes on with a session of `user`, or ends it."""
        return await self._change(user, lambda db: writes.rotate(db, turn))

    async def end_session(self, user: str, session: str) -> None:
        """One of `user`."""
        await self._change(user, lambda db: writes.end_session(db, session))

    async def end_sessions(self, user: str) -> None:
        """All of `user`."""
        await self._change(user, lambda db: writes.end_sessions(db, user))

    async def add_token(self, token: MachineToken, secret: bytes) -> None:
        """`secret`: its SHA-256. Raises MachineTokenExists, TooMany, UserNotFound."""
        self._check_room()
        await self._change(token.user, lambda db: writes.add_token(db, token, secret))

    async def end_token(self, token: str, user: str, now_ns: int) -> bool:
        """False: it had ended."""
        return await self._change(user, lambda db: writes.end_token(db, token, user, now_ns))

    async def sweep(self, now_ns: int, used: Mapping[str, int]) -> None:
        """Ends what has expired; notes the time, and when machine tokens were used."""

        def operation(db: sqlite3.Connection) -> dict[str, Account | None]:
            return {name: self._account(db, name) for name in writes.sweep(db, now_ns, used)}

        await self._writer.run(operation, self._put)

    async def _change(self, name: str, operation: Callable[[sqlite3.Connection], T]) -> T:
        """One user's; read again in the same transaction, so that memory can not differ."""

        def whole(db: sqlite3.Connection) -> tuple[T, dict[str, Account | None]]:
            return operation(db), {name: self._account(db, name)}

        return (await self._writer.run(whole, lambda done: self._put(done[1])))[0]

    def _check_room(self) -> None:
        if is_full(self._path):
            raise no_room(self._path)

    def _put(self, changed: Mapping[str, Account | None]) -> None:
        for name, account in changed.items():
            self.people.put(name, account)

    def _account(self, db: sqlite3.Connection, name: str) -> Account | None:
        try:
            return read_account(db, name)
        except (ValueError, TypeError) as error:
            raise self._damaged() from error

    def _all(self, db: sqlite3.Connection) -> list[Account]:
        try:
            return read_all(db)
        except (ValueError, TypeError) as error:
            raise self._damaged() from error

    def _damaged(self) -> StoreError:
        return unknown_content(self._path)


def unknown_content(path: Path) -> StoreError:
    """Values that no version up to this one writes."""
    return StoreError(f"{path} has what this version does not know: put a backup back, or use a newer one")


def users_meta(path: Path) -> Mapping[str, str]:
    """For another process than the server. Raises StoreError, StorageFull."""
    with explained(path), contextlib.closing(open_for_writing(path, USER_STEPS, from_outside=True)) as db:
        return writes.meta(db)


def set_password_alone(path: Path, name: str, password_hash: bytes) -> None:
    """`UserStore.set_password` from another process than the server. Raises UserNotFound, StoreError, StorageFull."""
    with explained(path), contextlib.closing(open_for_writing(path, USER_STEPS, from_outside=True)) as db:
        db.execute("BEGIN IMMEDIATE")
        writes.set_password(db, name, password_hash)
        db.execute("COMMIT")  # what is not committed is undone by closing


def accounts_alone(path: Path) -> list[Account]:
    """All users, for another process than the server. Raises StoreError, StorageFull."""
    with explained(path), contextlib.closing(open_for_writing(path, USER_STEPS, from_outside=True)) as db:
        try:
            return read_all(db)
        except (ValueError, TypeError) as error:
            raise unknown_content(path) from error
