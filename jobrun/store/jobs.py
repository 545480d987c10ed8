"""Jobs on record: accepted, queued, dispatched, finished, removed. The one place where a job's state is written."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobrun.model.errors import StoreError
from jobrun.model.job import End, Job, Usage
from jobrun.model.job_filter import JobFilter
from jobrun.model.lifecycle import Event, State, advance
from jobrun.store import rows, spec_text, statements
from jobrun.store.database import explained, open_for_reading, open_for_writing
from jobrun.store.rows import StoredJob
from jobrun.store.writer import Writer

SCAN = 2000
"""Jobs that one list looks at: what it costs others, about 5 ms, stays the same however many there are."""
PAGE_CHARACTERS = 2 << 20
"""Of specs on one page: one may have 1 MiB, and an answer must stay below 4."""
FIRST_SEQ = (1 << 63) - 1
"""Above every place in the order of creation."""
REMEMBER_NS = 30 * 86_400 * 10**9
"""How long a removed job's request_id is known."""


class StateChanged(Exception):
    """A job was not in the state that it was seen in; a fault of ours, as one thread decides."""


class IdTaken(Exception):
    """A new job's random id is that of a job whose file is gone: as good as never."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What makes a Start idempotent: the caller's id, and the keyed hash of all that was asked."""

    id: str
    hash: bytes


@dataclasses.dataclass(frozen=True)
class Page:
    """Jobs, newest first; `more_before`: where the next page begins, None at the end."""

    jobs: list[StoredJob]
    more_before: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Keep:
    """How much of finished jobs is kept, for one user."""

    oldest_ns: int
    most: int
    most_bytes: int


class JobStore:
    """Writes go through one thread and are on disk when answered; reads are quick and for the loop's thread."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        """Opens or makes the database. Raises StoreError, StorageFull."""
        self._path = path
        db = open_for_writing(path)
        try:
            self._db = open_for_reading(path)
        except BaseException:
            db.close()
            raise
        self._writer = Writer(db, path, loop)
        self.request_key: bytes = self._one(statements.REQUEST_KEY)[0]

    async def close(self) -> None:
        """What was asked for is written first."""
        await self._writer.close()
        self._db.close()

    async def failed(self) -> StoreError:
        """Returns once nothing can be written any more; else never."""
        return await asyncio.shield(self._writer.failure)

    # writes

    async def add(self, job: Job, request: Request | None) -> int:
        """Put a new job on record as it stands, QUEUED or STARTING. Answers its place in the order of creation."""
        spec = spec_text.encode(job.spec)
        asked = (request.id, request.hash) if request else (None, None)
        owner, stands = (
            (job.user, job.machine_token, job.token_name),
            (job.spec.name, job.unix_user, job.created_ns, int(job.state)),
        )
        columns = (job.id, *owner, *stands, spec, spec_text.encode_limits(job.limits), *asked)
        return await self._writer.run(lambda db: _insert(db, columns))

    async def dispatched(self, job_id: str) -> None:
        """From the queue to its start."""
        await self._writer.run(lambda db: _advance(db, job_id, State.QUEUED, Event.DISPATCHED))

    async def finished(self, job_id: str, before: State, end: End, usage: Usage | None) -> None:
        """How it ended; `before` is the state on record, QUEUED or STARTING."""
        columns = rows.end_columns(end, usage)
        await self._writer.run(lambda db: _advance(db, job_id, before, Event.ENDED, columns))

    async def remove(self, job_id: str, now_ns: int) -> bool:
        """Forget a finished job, but not that its request was seen. False where there is none."""
        return await self._writer.run(lambda db: _remove(db, job_id, now_ns))

    async def forget_requests(self, now_ns: int) -> None:
        """Of jobs that were removed long ago."""
        await self._writer.run(lambda db: db.execute(statements.FORGET_REQUESTS, (now_ns - REMEMBER_NS,)).rowcount)

    # reads

    async def expired(self, user: str, keep: Keep, most: int) -> list[str]:
        """Ids of finished jobs that go, oldest first. In a thread of its own, as it looks at all of them."""
        asked = {"user": user, "most_ids": most, **dataclasses.asdict(keep)}
        return await asyncio.to_thread(self._expired, asked)

    def _expired(self, asked: dict[str, Any]) -> list[str]:
        with explained(self._path), contextlib.closing(open_for_reading(self._path)) as db:
            return [row[0] for row in db.execute(statements.EXPIRED, asked)]

    def job(self, job_id: str) -> StoredJob | None:
        """The job of that id."""
        found = self._rows(statements.JOB, (job_id,))
        return rows.job_of(found[0]) if found else None

    def unfinished(self) -> list[StoredJob]:
        """All that are queued or dispatched, in the order of creation."""
        return [rows.job_of(row) for row in self._rows(statements.UNFINISHED)]

    def ids(self) -> set[str]:
        """Of every job on record."""
        return {row[0] for row in self._rows(statements.IDS)}

    def job_of_request(self, user: str, machine_token: str, request_id: str) -> tuple[str, bytes] | None:
        """The job that a request made, and the hash of what was asked then."""
        found = self._rows(statements.JOB_OF_REQUEST, (user, machine_token, request_id))
        return (found[0][0], found[0][1]) if found else None

    def was_removed(self, user: str, machine_token: str, request_id: str, now_ns: int) -> bool:
        """Whether the job that a request made was removed not long ago."""
        asked = (user, machine_token, request_id, now_ns - REMEMBER_NS)
        return bool(self._rows(statements.REMOVED_REQUEST, asked))

    def find(self, wanted: JobFilter, page: int, before: int | None) -> Page:
        """At most `page` jobs below `before` in the order of creation, None: from the newest on; may be none and have a
        next page still.

        RUNNING is no state on record: ask for STARTING, and look."""
        scan, asked = _scan(wanted), _asked(wanted, page, FIRST_SEQ if before is None else before)
        jobs, is_full = self._listed(scan, asked, page)
        if is_full:
            return Page(jobs, jobs[-1].seq)
        count, last = self._one(statements.SCAN_ENDS[scan], asked)
        return Page(jobs, last if count == SCAN else None)

    def _listed(self, scan: str, asked: dict[str, Any], page: int) -> tuple[list[StoredJob], bool]:
        """Row by row, so that no more than a page is ever in memory. True: the page is full."""
        jobs, size = [], 0
        with explained(self._path), contextlib.closing(self._db.execute(statements.LISTS[scan], asked)) as found:
            for row in found:
                jobs.append(rows.job_of(row))
                size += len(row[rows.SPEC])
                if len(jobs) == page or size >= PAGE_CHARACTERS:
                    return jobs, True
        return jobs, False

    def finished_users(self) -> list[str]:
        """Who has finished jobs."""
        return [row[0] for row in self._rows(statements.FINISHED_USERS)]

    def _rows(self, statement: str, asked: tuple[Any, ...] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
        with explained(self._path):
            return self._db.execute(statement, asked).fetchall()

    def _one(self, statement: str, asked: tuple[Any, ...] | Mapping[str, Any] = ()) -> tuple[Any, ...]:
        return self._rows(statement, asked)[0]


def _insert(db: sqlite3.Connection, columns: tuple[Any, ...]) -> int:
    try:
        seq = db.execute(statements.INSERT_JOB, columns).lastrowid
    except sqlite3.IntegrityError as error:
        if "jobs.id" in str(error):
            raise IdTaken from error
        raise
    assert seq is not None
    return seq


def _advance(
    db: sqlite3.Connection, job_id: str, before: State, event: Event, columns: tuple[Any, ...] | None = None
) -> None:
    """The one way a job's state changes on record. Raises IllegalTransition, StateChanged."""
    after = advance(before, event)
    if columns is None:
        changed = db.execute(statements.SET_STATE, (int(after), job_id, int(before)))
    else:
        changed = db.execute(statements.SET_FINISHED, (int(after), *columns, job_id, int(before)))
    if changed.rowcount != 1:
        raise StateChanged(f"job {job_id} is not {before.name} on record")


def _remove(db: sqlite3.Connection, job_id: str, now_ns: int) -> bool:
    db.execute(statements.REMEMBER_REQUEST, (now_ns, job_id))
    return db.execute(statements.DELETE_FINISHED, (job_id,)).rowcount == 1


def _scan(wanted: JobFilter) -> str:
    whose = "all" if wanted.user is None else "own"
    if wanted.id_prefix:
        return f"{whose}_prefix"
    return whose if State.FINISHED in wanted.states else f"{whose}_unfinished"


def _asked(wanted: JobFilter, page: int, before: int) -> dict[str, Any]:
    return {
        "user": wanted.user,
        "machine_token": wanted.machine_token,
        "before": before,
        "scan": SCAN,
        "page": page,
        "prefix": wanted.id_prefix,
        "prefix_end": wanted.id_prefix + "\U0010ffff",
        "name": wanted.name,
        "states": sum(1 << state for state in wanted.states),
        "reasons": sum(1 << reason for reason in wanted.reasons),
        "created_from": wanted.created_from_ns,
        "created_before": wanted.created_before_ns,
    }
