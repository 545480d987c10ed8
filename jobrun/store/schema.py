"""The tables of jobs.db, as the steps that made them. A step that was released is never changed: add another."""

from __future__ import annotations

import sqlite3
from typing import Final, TypeAlias

from jobrun.model.errors import StoreError

Steps: TypeAlias = tuple[tuple[str, ...], ...]
"""The steps from an empty database to the newest version, each some statements."""

MIGRATIONS: Final[Steps] = (
    (
        "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL) STRICT",
        # The key of the hashes of whole requests: they cover values of the environment, so nobody may guess them.
        "INSERT INTO meta (key, value) VALUES ('request_key', randomblob(32))",
        # state is 1 QUEUED, 2 STARTING (dispatched: whether it runs is asked of its file) or 4 FINISHED, see
        # model.lifecycle. A row is FINISHED if and only if it says how it ended.
        """
        CREATE TABLE jobs (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            user TEXT NOT NULL,
            name TEXT NOT NULL,
            unix_user TEXT NOT NULL,
            created_ns INTEGER NOT NULL,
            state INTEGER NOT NULL CHECK (state IN (1, 2, 4)),
            spec TEXT NOT NULL,
            machine_token TEXT NOT NULL,
            token_name TEXT NOT NULL,
            limits TEXT NOT NULL,
            request_id TEXT,
            request_hash BLOB,
            reason INTEGER CHECK (reason BETWEEN 1 AND 10),
            exit_code INTEGER CHECK (exit_code BETWEEN 0 AND 255),
            signal INTEGER CHECK (signal BETWEEN 1 AND 64),
            started_ns INTEGER,
            finished_ns INTEGER,
            detail TEXT,
            stopped_by TEXT,
            failed_step INTEGER CHECK (failed_step BETWEEN 1 AND 4),
            failed_errno INTEGER,
            failed_path TEXT,
            survivors INTEGER CHECK (survivors >= 0),
            user_cpu_ns INTEGER,
            system_cpu_ns INTEGER,
            peak_memory_bytes INTEGER,
            output_bytes INTEGER,
            output_dropped_bytes INTEGER,
            elapsed_ns INTEGER,
            CHECK ((state = 4) = (reason IS NOT NULL)),
            CHECK ((state = 4) = (finished_ns IS NOT NULL)),
            CHECK (exit_code IS NULL OR signal IS NULL),
            CHECK ((failed_step IS NULL) = (failed_errno IS NULL)),
            CHECK ((request_id IS NULL) = (request_hash IS NULL))
        ) STRICT
        """,
        # By machine token too: one that sees its own jobs alone would else meet those of others by their request_id.
        "CREATE UNIQUE INDEX jobs_request ON jobs (user, machine_token, request_id) WHERE request_id IS NOT NULL",
        "CREATE INDEX jobs_user ON jobs (user, seq)",
        "CREATE INDEX jobs_unfinished ON jobs (user, seq) WHERE state <> 4",
        "CREATE INDEX jobs_finished ON jobs (user, finished_ns) WHERE state = 4",
        # So that a retried Start of a removed job is not run again.
        """
        CREATE TABLE removed_requests (
            user TEXT NOT NULL,
            machine_token TEXT NOT NULL,
            request_id TEXT NOT NULL,
            removed_ns INTEGER NOT NULL,
            PRIMARY KEY (user, machine_token, request_id)
        ) STRICT
        """,
        "CREATE INDEX removed_requests_age ON removed_requests (removed_ns)",
    ),
)

STRICT_SINCE = (3, 37, 0)
"""The SQLite that knows STRICT tables; a distribution's Python 3.11 may stand on an older one."""


def migrate(db: sqlite3.Connection, steps: Steps) -> None:
    """Bring `db` to the newest version, each step in a transaction of its own: one that is cut leaves nothing.

    Raises StoreError where a newer jobrun wrote it."""
    found = _version(db, steps)
    for version, statements in enumerate(steps[found:], found + 1):
        _apply(db, version, statements)


def refuse_older(db: sqlite3.Connection, steps: Steps) -> None:
    """Raises StoreError where an older jobrun wrote it, which `migrate` would change, or a newer one."""
    found = _version(db, steps)
    if found < len(steps):
        raise StoreError(
            f"the data was written by an older jobrun (format {found}, this one has {len(steps)}):"
            " use that one, or first start a server of this version there"
        )


def _version(db: sqlite3.Connection, steps: Steps) -> int:
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > len(steps):
        raise StoreError(
            f"the data was written by a newer jobrun (format {found}, this one knows {len(steps)}):"
            " use that one, or another data folder"
        )
    return int(found)


def _apply(db: sqlite3.Connection, version: int, statements: tuple[str, ...]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:  # not executescript: it would commit first
            db.execute(_as_known(statement))
        db.execute(f"PRAGMA user_version = {version}")  # takes no parameter; rolls back with the rest
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _as_known(statement: str) -> str:
    if sqlite3.sqlite_version_info >= STRICT_SINCE:
        return statement
    return statement.rstrip().removesuffix("STRICT")
