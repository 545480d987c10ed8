"""jobs.db: what is on record, and what a failure leaves of it."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jobrun.model.errors import StorageFull, StoreError
from jobrun.model.job import End, Job, JobSpec, StartFailure, Usage
from jobrun.model.job_filter import JobFilter
from jobrun.model.lifecycle import EndReason, IllegalTransition, StartStep, State
from jobrun.store import jobs as store_jobs
from jobrun.store import schema, spec_text, statements
from jobrun.store.database import open_for_writing
from jobrun.store.jobs import IdTaken, JobStore, Keep, Request, StateChanged
from jobrun.store.writer import Writer

SPEC = JobSpec(argv=("echo", "ü"), name="n", env_names=("A",), limits={"cpus": 2}, slots=3, asked=frozenset({"slots"}))
END = End(
    reason=EndReason.START_FAILED,
    started_ns=5,
    finished_ns=9,
    detail="no such program",
    start_failure=StartFailure(step=StartStep.EXEC, errno=2, path="/x"),
)
USAGE = Usage(user_cpu_ns=1, system_cpu_ns=2, peak_memory_bytes=3, output_bytes=4, output_dropped_bytes=1, elapsed_ns=6)
EVERY = frozenset(State)


def job(job_id: str, *, user: str = "ann", token: str = "", state: State = State.QUEUED, spec: JobSpec = SPEC) -> Job:
    return Job(
        id=job_id,
        user=user,
        machine_token=token,
        spec=spec,
        limits={"cpus": 2, "log_bytes": 9},
        created_ns=7,
        state=state,
        unix_user="u",
    )


def with_store(path: Path, use: Callable[[JobStore], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        async with opened(path) as store:
            await use(store)

    asyncio.run(main())


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[JobStore]:
    store = JobStore(path / "jobs.db", asyncio.get_running_loop())
    try:
        yield store
    finally:
        await store.close()


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


def test_a_filtered_list_reaches_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies behind many jobs that do not fit would never be found."""
    monkeypatch.setattr(store_jobs, "SCAN", 5)
    wanted = JobFilter(user="ann", states=EVERY, name="rare")

    async def use(store: JobStore) -> None:
        rare = dataclasses.replace(SPEC, name="rare")
        for number in range(23):
            await store.add(job(f"{number:08}", spec=rare if number in (1, 12) else SPEC), None)
        page = store.find(wanted, 3, None)
        found, pages = [one.job.id for one in page.jobs], 1
        while page.more_before is not None:
            page = store.find(wanted, 3, page.more_before)
            found += [one.job.id for one in page.jobs]
            pages += 1
        assert found == ["00000012", "00000001"]
        assert pages == 5

    with_store(tmp_path, use)


def test_a_page_has_an_end_in_bytes(tmp_path: Path) -> None:
    """A list of jobs with long command lines would take a GB of the server's memory, and stop it for seconds."""
    long = dataclasses.replace(SPEC, argv=("x" * (store_jobs.PAGE_CHARACTERS // 2),))

    async def use(store: JobStore) -> None:
        for number in range(5):
            await store.add(job(f"{number:08}", spec=long), None)
        pages: list[list[int]] = []
        before: int | None = None
        while not pages or before is not None:
            page = store.find(JobFilter(user="ann", states=EVERY), 1000, before)
            pages.append([one.seq for one in page.jobs])
            before = page.more_before
        assert pages == [[5, 4], [3, 2], [1]]

    with_store(tmp_path, use)


def test_a_list_sorts_no_rows(tmp_path: Path) -> None:
    """SQLite would copy 2,000 command lines to sort them, before the first one of a page is seen."""
    db = open_for_writing(tmp_path / "jobs.db")
    for scan, statement in statements.LISTS.items():
        names = ("user", "before", "scan", "page", "prefix", "prefix_end", "name", "states", "reasons", "machine_token")
        asked = dict.fromkeys((*names, "created_from", "created_before"), 1)
        plan = [(row[1], row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {statement}", asked)]
        assert [step for parent, step in plan if not parent and "TEMP B-TREE" in step] == [], scan
    db.close()


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


def test_machine_tokens_keep_apart(tmp_path: Path) -> None:
    """A narrow token would see what its user, or another token of his, runs; and meet their requests."""

    async def use(store: JobStore) -> None:
        for job_id, token in (("aaaaaaaa", ""), ("aaaaaaab", "t1"), ("aaaaaaac", "t2")):
            await store.add(job(job_id, token=token), Request("r", job_id.encode()))
        for prefix in ("", "aaaa"):
            own = store.find(JobFilter(user="ann", machine_token="t1", states=EVERY, id_prefix=prefix), 10, None)
            assert [(one.job.id, one.job.machine_token) for one in own.jobs] == [("aaaaaaab", "t1")]
        assert store.job_of_request("ann", "t1", "r") == ("aaaaaaab", b"aaaaaaab")
        await store.finished("aaaaaaab", State.QUEUED, END, None)
        assert await store.remove("aaaaaaab", 5)
        assert store.was_removed("ann", "t1", "r", 6)
        assert not store.was_removed("ann", "", "r", 6)

    with_store(tmp_path, use)


def test_lists_keep_users_apart(tmp_path: Path) -> None:
    """One user would see another's commands."""

    async def use(store: JobStore) -> None:
        await store.add(job("aaaaaaaa", user="ann"), None)
        await store.add(job("aaaaaaab", user="bob"), None)
        for prefix in ("", "aaaa"):
            own = store.find(JobFilter(user="bob", states=EVERY, id_prefix=prefix), 10, None)
            assert [one.job.id for one in own.jobs] == ["aaaaaaab"]
            everybody = store.find(JobFilter(user=None, states=EVERY, id_prefix=prefix), 10, None)
            assert len(everybody.jobs) == 2
        failed = JobFilter(user=None, states=EVERY, reasons=frozenset({EndReason.START_FAILED}))
        assert store.find(failed, 10, None).jobs == []
        await store.finished("aaaaaaaa", State.QUEUED, END, None)
        assert [one.job.id for one in store.find(failed, 10, None).jobs] == ["aaaaaaaa"]

    with_store(tmp_path, use)


@pytest.mark.parametrize(
    ("keep", "gone"),
    [
        (Keep(oldest_ns=0, most=100, most_bytes=1 << 40), []),
        (Keep(oldest_ns=12, most=100, most_bytes=1 << 40), ["00000000", "00000001"]),
        (Keep(oldest_ns=0, most=2, most_bytes=1 << 40), ["00000000", "00000001", "00000002"]),
        (Keep(oldest_ns=0, most=100, most_bytes=2 * (16384 + 3)), ["00000000", "00000001", "00000002"]),
    ],
)
def test_the_oldest_go_first(tmp_path: Path, keep: Keep, gone: list[str]) -> None:
    """Retention would throw away yesterday's log and keep last month's."""

    async def use(store: JobStore) -> None:
        for number in range(5):
            await store.add(job(f"{number:08}"), None)
            end = dataclasses.replace(END, finished_ns=10 + number)
            await store.finished(f"{number:08}", State.QUEUED, end, USAGE)
        await store.add(job("99999999"), None)
        assert await store.expired("ann", keep, 100) == gone
        assert store.finished_users() == ["ann"]

    with_store(tmp_path, use)


@pytest.mark.parametrize("spec", [SPEC, JobSpec(argv=("a", "", "\n"), cwd="/ü", has_stdin=True)])
def test_a_spec_survives_as_text(spec: JobSpec) -> None:
    """A queued job would start as another one after a restart."""
    assert spec_text.decode(spec_text.encode(spec)) == spec


def test_a_spec_that_is_none_is_an_error() -> None:
    """A field of a newer version would be dropped without a word."""
    with pytest.raises(ValueError, match="no spec"):
        spec_text.decode('{"argv":["a"],"surprise":1}')
