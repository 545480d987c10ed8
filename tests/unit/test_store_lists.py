"""Lists of jobs on record: whole, bounded, each user's own, the oldest first to go."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from jobrun.model.job_filter import JobFilter
from jobrun.model.lifecycle import EndReason, State
from jobrun.store import jobs as store_jobs
from jobrun.store import statements
from jobrun.store.database import open_for_writing
from jobrun.store.jobs import JobStore, Keep, Request
from tests.unit.store_ground import END, EVERY, SPEC, USAGE, job, with_store


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
