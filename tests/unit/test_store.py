"""jobs.db: what is on record, and what a failure leaves of it."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
import time
from pathlib import Path

import pytest

from jobrun.model.errors import StorageFull, StoreError
from jobrun.model.job import JobSpec
from jobrun.model.lifecycle import IllegalTransition, State
from jobrun.store import jobs as store_jobs
from jobrun.store import schema, spec_text, statements
from jobrun.store.database import open_for_writing
from jobrun.store.jobs import IdTaken, JobStore, Request, StateChanged
from jobrun.store.writer import Writer
from tests.unit.store_ground import END, SPEC, USAGE, job, with_store


def test_what_is_on_record_comes_back_whole(tmp_path: Path) -> None:
    """`status` after a restart would tell something else than before it."""

    async def use(store: JobStore) -> None:
        await store.add(job("aaaaaaaa"), None)
        await store.dispatched("aaaaaaaa")
        await store.finished("aaaaaaaa", State.STARTING, END, USAGE)

    async def look(store: JobStore) -> None:
        found = store.job("aaaaaaaa")
        assert found is not None
        assert found.job == dataclasses.replace(
            job("aaaaaaaa"), state=State.FINISHED, end=END, usage=USAGE, started_ns=5
        )
        assert store.unfinished() == []

    with_store(tmp_path, use)
    with_store(tmp_path, look)


def test_a_state_changes_once(tmp_path: Path) -> None:
    """Two ends for one job: the second one would overwrite what was told already."""

    async def use(store: JobStore) -> None:
        await store.add(job("aaaaaaaa"), None)
        with pytest.raises(StateChanged):
            await store.finished("aaaaaaaa", State.STARTING, END, None)
        await store.finished("aaaaaaaa", State.QUEUED, END, None)
        with pytest.raises(StateChanged):
            await store.finished("aaaaaaaa", State.QUEUED, END, None)
        with pytest.raises(IllegalTransition):
            await store.finished("aaaaaaaa", State.FINISHED, END, None)
        with pytest.raises(StateChanged):
            await store.dispatched("aaaaaaaa")

    with_store(tmp_path, use)


def test_one_that_fails_harms_no_other_of_its_commit(tmp_path: Path) -> None:
    """One client's bad request would undo the accepted jobs of all others."""

    async def use(store: JobStore) -> None:
        await store.add(job("taken222"), None)
        writes = [store.add(job(f"{number:08}"), None) for number in range(20)]
        results = await asyncio.gather(store.add(job("taken222"), None), *writes, return_exceptions=True)
        assert isinstance(results[0], IdTaken)
        assert results[1:] == list(range(2, 22))
        assert len(store.ids()) == 21

    with_store(tmp_path, use)


def test_a_write_that_fails_half_way_has_changed_nothing(tmp_path: Path) -> None:
    """A job would be removed and still refuse its request_id, or the other way round."""
    path = tmp_path / "jobs.db"

    def half(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM meta")
        raise ValueError("half way")

    def count(db: sqlite3.Connection) -> int:
        return int(db.execute("SELECT count(*) FROM meta").fetchone()[0])

    async def use() -> None:
        writer = Writer(open_for_writing(path), path, asyncio.get_running_loop())
        with pytest.raises(ValueError, match="half way"):
            await writer.run(half)  # a commit of its own
        failed, left = await asyncio.gather(writer.run(half), writer.run(count), return_exceptions=True)
        assert isinstance(failed, ValueError)
        assert left == 1
        await writer.close()

    asyncio.run(use())


def test_a_full_disk_is_told_and_forgotten_once_there_is_room(tmp_path: Path) -> None:
    """One full disk would need a restart of the server."""
    path = tmp_path / "jobs.db"

    async def use() -> None:
        db = open_for_writing(path)
        (pages,) = db.execute("PRAGMA page_count").fetchone()
        db.execute(f"PRAGMA max_page_count = {pages}")
        writer = Writer(db, path, asyncio.get_running_loop())

        def fill(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO meta VALUES ('big', zeroblob(1000000))")

        def small(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO meta VALUES ('small', x'00')")

        results = await asyncio.gather(*(writer.run(fill) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [StorageFull] * 3
        await writer.run(small)
        await writer.close()

    asyncio.run(use())


def test_migrations_leave_one_schema_and_are_made_once(tmp_path: Path) -> None:
    """An upgraded database would differ from a new one, and fail years later."""
    first = open_for_writing(tmp_path / "jobs.db")
    before = first.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
    first.close()
    again = open_for_writing(tmp_path / "jobs.db")
    assert again.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall() == before
    assert again.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert again.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    again.close()


def test_a_migration_that_is_cut_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server killed in its first second could never start again."""
    cut = (*schema.MIGRATIONS, ("CREATE TABLE half (a)", "no SQL"))
    monkeypatch.setattr(schema, "MIGRATIONS", cut)
    with pytest.raises(StoreError):
        open_for_writing(tmp_path / "jobs.db")
    monkeypatch.setattr(schema, "MIGRATIONS", cut[:-1])
    db = open_for_writing(tmp_path / "jobs.db")
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone() == (0,)
    db.close()


def test_data_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """It would be written over in a form that the newer one does not understand."""
    db = open_for_writing(tmp_path / "jobs.db")
    db.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(StoreError, match="newer jobrun"):
        open_for_writing(tmp_path / "jobs.db")


def test_the_tables_hold_the_lifecycle(tmp_path: Path) -> None:
    """A fault of ours would put a finished job without an end on record."""
    db = open_for_writing(tmp_path / "jobs.db")
    columns = ("a", "u", "", "", "", "", 1)
    for state in (State.RUNNING, State.FINISHED, 0):
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            db.execute(statements.INSERT_JOB, (*columns, int(state), "", "", None, None))
    db.execute(statements.INSERT_JOB, (*columns, int(State.QUEUED), "", "", None, None))
    db.close()


def test_requests_are_remembered_beyond_their_job(tmp_path: Path) -> None:
    """A late retry would run a removed job again."""
    now = time.time_ns()

    async def use(store: JobStore) -> None:
        await store.add(job("aaaaaaaa"), Request("r", b"hash"))
        assert store.job_of_request("ann", "", "r") == ("aaaaaaaa", b"hash")
        assert store.job_of_request("bob", "", "r") is None
        assert not await store.remove("aaaaaaaa", now), "it has not finished"
        assert not store.was_removed("ann", "", "r", now)
        await store.finished("aaaaaaaa", State.QUEUED, END, None)
        assert await store.remove("aaaaaaaa", now)
        assert store.was_removed("ann", "", "r", now)
        assert not store.was_removed("ann", "", "r", now + store_jobs.REMEMBER_NS + 1)
        await store.forget_requests(now + store_jobs.REMEMBER_NS + 1)
        assert not store.was_removed("ann", "", "r", now)

    with_store(tmp_path, use)


def test_a_writer_that_dies_is_told_to_all(tmp_path: Path) -> None:
    """Every later start and every end of a job would wait for ever, without a word."""
    path = tmp_path / "jobs.db"

    def stuck(db: sqlite3.Connection) -> None:
        deny = {True: sqlite3.SQLITE_DENY, False: sqlite3.SQLITE_OK}
        db.set_authorizer(lambda _action, what, *_: deny[what == "ROLLBACK"])
        raise ValueError("and its rollback fails too")

    async def use() -> None:
        writer = Writer(open_for_writing(path), path, asyncio.get_running_loop())
        first = await asyncio.wait_for(asyncio.gather(writer.run(stuck), return_exceptions=True), 30)
        waiting = [writer.run(lambda db: db.execute("DELETE FROM meta").rowcount) for _ in range(3)]
        later = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 30)
        assert [type(error) for error in (*first, *later)] == [StoreError] * 4
        assert writer.failure.done()
        await writer.close()

    asyncio.run(use())


@pytest.mark.parametrize("spec", [SPEC, JobSpec(argv=("a", "", "\n"), cwd="/ü", has_stdin=True)])
def test_a_spec_survives_as_text(spec: JobSpec) -> None:
    """A queued job would start as another one after a restart."""
    assert spec_text.decode(spec_text.encode(spec)) == spec


def test_a_spec_that_is_none_is_an_error() -> None:
    """A field of a newer version would be dropped without a word."""
    with pytest.raises(ValueError, match="no spec"):
        spec_text.decode('{"argv":["a"],"surprise":1}')
