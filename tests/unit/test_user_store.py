"""users.db: what is on record, that memory says the same, and what a failure leaves of both."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from jobrun.model.caller import Role, Scope
from jobrun.model.errors import StorageFull, StoreError, UserExists
from jobrun.model.user import MachineToken
from jobrun.store.database import open_for_writing
from jobrun.store.users import UserStore, set_password_alone
from jobrun.store.users_memory import People
from jobrun.store.users_rows import read_all
from jobrun.store.users_schema import USER_STEPS
from jobrun.store.users_writes import MOST_USED, NewSession, Rotation, Turn

NOW = 1_800_000_000 * 10**9
LATER = NOW + 10**15


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[UserStore]:
    store = UserStore(path / "users.db", asyncio.get_running_loop())
    try:
        yield store
    finally:
        await store.close()


def with_store(path: Path, use: Callable[[UserStore], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with opened(path) as store:
            await use(store)

    asyncio.run(main())


def new_session(session_id: str, user: str = "ann", password_hash: bytes = b"hash") -> NewSession:
    return NewSession(
        id=session_id,
        user=user,
        password_hash=password_hash,
        scopes=frozenset(Scope),
        client_name="test",
        current=bytes(32),
        created_ns=NOW,
        expires_ns=LATER,
        ends_ns=LATER,
    )


def new_token(token_id: str, user: str = "ann") -> MachineToken:
    return MachineToken(
        id=token_id,
        name=token_id,
        user=user,
        scopes=frozenset({Scope.JOBS_RUN}),
        all_jobs=True,
        created_ns=NOW,
        expires_ns=LATER,
        ceilings={"cpus": 1},
    )


async def ann(store: UserStore) -> None:
    await store.add_user("ann", Role.USER, b"hash", {"timeout": 5}, NOW)
    await store.begin_session(new_session("s1"))
    await store.add_token(new_token("t1"), bytes(32))


def on_disk(path: Path) -> People:
    with closing(open_for_writing(path / "users.db", USER_STEPS)) as db:
        return People(read_all(db))


def same(store: UserStore, path: Path) -> bool:
    disk = on_disk(path)
    return (store.people.accounts, store.people.sessions, store.people.tokens) == (
        disk.accounts,
        disk.sessions,
        disk.tokens,
    )


def test_what_is_on_record_comes_back_whole(tmp_path: Path) -> None:
    """After a restart a narrowed token would be a wide one, or a ceiling would be gone."""

    async def use(store: UserStore) -> None:
        await ann(store)
        assert same(store, tmp_path)

    async def again(store: UserStore) -> None:
        account = store.people.accounts["ann"]
        assert (account.role, account.password_hash, account.ceilings) == (Role.USER, b"hash", {"timeout": 5})
        assert store.people.sessions["s1"].scopes == frozenset(Scope)
        assert store.people.tokens["t1"].token == new_token("t1")

    with_store(tmp_path, use)
    with_store(tmp_path, again)


def test_a_write_that_fails_leaves_memory_as_the_disk_is(tmp_path: Path) -> None:
    """A user who is gone from memory alone comes back with the next start; one who is there alone is lost with it."""

    async def use(store: UserStore) -> None:
        await ann(store)
        before = dict(store.people.accounts)
        ended: list[str] = []
        store.people.on_ended = ended.append
        await store._writer.run(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone())
        for number in range(1000):
            try:
                await store.add_user(f"u{number}", Role.USER, b"x" * 4000, {}, NOW)
            except StorageFull:
                break
        else:
            raise AssertionError("it was never full")
        assert same(store, tmp_path)
        with pytest.raises(UserExists):
            await store.add_user("ann", Role.USER, b"x", {}, NOW)
        assert store.people.accounts["ann"] is before["ann"]
        assert ended == []

    with_store(tmp_path, use)


def test_a_write_whose_caller_left_is_in_memory_too(tmp_path: Path) -> None:
    """A session that was ended on disk alone would live on until the next start."""

    async def use(store: UserStore) -> None:
        await ann(store)
        ended: list[str] = []
        store.people.on_ended = ended.append
        call = asyncio.ensure_future(store.end_sessions("ann"))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert call.cancelled()
        await store.add_user("bob", Role.USER, b"x", {}, NOW)
        assert ended == ["s1"]
        assert same(store, tmp_path)

    with_store(tmp_path, use)


def test_writes_at_once_are_in_memory_as_on_disk(tmp_path: Path) -> None:
    """Two changes of one user in one commit: memory would keep the older of them."""

    async def use(store: UserStore) -> None:
        await ann(store)
        work: list[Coroutine[Any, Any, Any]] = []
        for number in range(50):
            work.append(store.begin_session(new_session(f"n{number}")))
            work.append(store.change_user("ann", ceilings={"cpus": number + 1}))
            work.append(store.add_user(f"u{number // 2}", Role.USER, b"x", {}, NOW))
            work.append(
                store.rotate(
                    "ann", Turn(session="s1", came=bytes(32), following=bytes([number]) * 32, now_ns=NOW, idle_ns=1)
                )
            )
            if number % 10 == 9:
                work.append(store.end_session("ann", f"n{number - 5}"))
        outcomes = await asyncio.gather(*work, return_exceptions=True)
        assert sum(isinstance(outcome, UserExists) for outcome in outcomes) == 25
        assert store.people.accounts["ann"].ceilings == {"cpus": 50, "timeout": 5}
        assert same(store, tmp_path)

    with_store(tmp_path, use)


def test_what_is_known_of_used_refresh_tokens_is_bounded_and_goes_with_the_session(tmp_path: Path) -> None:
    """A session of 90 days would take megabytes; one that has ended would leave them for ever."""

    def number(n: int) -> bytes:
        return n.to_bytes(32, "big")

    async def use(store: UserStore) -> None:
        await ann(store)
        await store.begin_session(new_session("s2"))

        def turn(came: int, following: int, session: str = "s1") -> Turn:
            return Turn(session=session, came=number(came), following=number(following), now_ns=NOW, idle_ns=LATER)

        for n in range(3):
            await store.rotate("ann", turn(n, n + 1, "s2"))
        many = [store.rotate("ann", turn(n, n + 1)) for n in range(MOST_USED + 10)]
        assert set(await asyncio.gather(*many)) == {Rotation.DONE}
        count = "SELECT count(*) FROM used_refresh_tokens WHERE session = ?"
        db = store._writer._db
        assert db.execute(count, ("s1",)).fetchone() == (MOST_USED,)
        assert await store.rotate("ann", turn(3, 99999)) is Rotation.REFUSED, "forgotten"
        assert await store.rotate("ann", turn(20, 21)) is Rotation.REFUSED, "as it was"
        assert await store.rotate("ann", turn(MOST_USED + 8, MOST_USED + 9)) is Rotation.REFUSED
        assert await store.rotate("ann", turn(20, 22)) is Rotation.REUSED
        assert db.execute(count, ("s1",)).fetchone() == (0,)
        assert db.execute(count, ("s2",)).fetchone() == (2,)
        await store.sweep(LATER + LATER, {})
        assert db.execute(count, ("s2",)).fetchone() == (0,)

    with_store(tmp_path, use)


def test_what_another_process_wrote_counts_before_and_after_it_is_told(tmp_path: Path) -> None:
    """`server passwd`: a session that was ended there would go on here."""

    async def use(store: UserStore) -> None:
        await ann(store)
        await store.add_user("bob", Role.USER, b"hash", {}, NOW)
        await store.begin_session(new_session("s2", "bob"))
        set_password_alone(tmp_path / "users.db", "ann", b"another")
        assert "s1" in store.people.sessions
        turn = Turn(session="s1", came=bytes(32), following=b"x" * 32, now_ns=NOW, idle_ns=10)
        ended: list[str] = []
        store.people.on_ended = ended.append
        assert await store.rotate("ann", turn) is Rotation.REFUSED
        assert not await store.begin_session(new_session("s3"))
        assert not await store.change_password("ann", "s1", b"hash", b"third")
        assert ended == ["s1"]
        set_password_alone(tmp_path / "users.db", "bob", b"another")
        await store.reload()
        assert ended == ["s1", "s2"]
        assert same(store, tmp_path)
        assert store.people.accounts["bob"].password_hash == b"another"

    with_store(tmp_path, use)


def test_another_process_leaves_an_older_database_as_it_is(tmp_path: Path) -> None:
    """`server passwd` of a newer version would change the tables under the server that has them open."""
    path = tmp_path / "users.db"
    path.touch()
    with pytest.raises(StoreError, match="older jobrun"):
        set_password_alone(path, "ann", b"another")
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)


def test_the_time_on_record_never_goes_back(tmp_path: Path) -> None:
    """A clock that was put back would be believed after the next start."""

    async def use(store: UserStore) -> None:
        await store.found({"server_id": "x", "latest_ns": "5"}, "admin", b"hash", NOW)
        await store.sweep(NOW + 7, {})
        await store.sweep(NOW + 3, {})

    async def again(store: UserStore) -> None:
        assert store.meta["latest_ns"] == str(NOW + 7)

    with_store(tmp_path, use)
    with_store(tmp_path, again)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE users SET ceilings = 'x'",
        "UPDATE sessions SET scopes = 'jobs:fly'",
        "UPDATE machine_tokens SET scopes = 'root'",
        f"PRAGMA user_version = {len(USER_STEPS) + 1}",
        "DROP TABLE sessions",
    ],
)
def test_a_database_that_can_not_be_right_is_refused(tmp_path: Path, damage: str) -> None:
    """A server would start with some of its users, or take a scope that it does not know for all."""

    async def use(store: UserStore) -> None:
        await ann(store)

    async def nothing(store: UserStore) -> None:
        raise AssertionError("it opened")

    with_store(tmp_path, use)
    with closing(sqlite3.connect(tmp_path / "users.db")) as db, db:
        db.execute(damage)
    with pytest.raises(StoreError):
        with_store(tmp_path, nothing)


def test_damage_that_is_met_later_changes_nothing(tmp_path: Path) -> None:
    """A reload of half a database would end the sessions of the other half."""

    async def use(store: UserStore) -> None:
        await ann(store)
        with closing(sqlite3.connect(tmp_path / "users.db")) as db, db:
            db.execute("UPDATE machine_tokens SET scopes = 'root'")
        with pytest.raises(StoreError):
            await store.reload()
        assert store.people.sessions.keys() == {"s1"}
        with pytest.raises(StoreError):
            await store.end_sessions("ann")
        assert store.people.sessions.keys() == {"s1"}

    with_store(tmp_path, use)


def test_a_symlink_in_the_place_of_the_database_is_refused(tmp_path: Path) -> None:
    """It would be written wherever somebody else likes."""
    (tmp_path / "users.db").symlink_to(tmp_path / "elsewhere")

    async def nothing(store: UserStore) -> None:
        raise AssertionError("it opened")

    with pytest.raises(StoreError):
        with_store(tmp_path, nothing)
    assert not (tmp_path / "elsewhere").exists()
