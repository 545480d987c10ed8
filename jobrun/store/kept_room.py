"""Room on the disk that a database has before it is written: what takes rights away is put on record on a full disk.

SQLite's log of writes goes round in the blocks that it has, for as long as the database takes what is in it: so the
database has free pages, and the log as many blocks as it uses, and as many again. That holds where a file system writes
in place (ext4, XFS, tmpfs), not where it copies (btrfs, ZFS)."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path
from typing import Final

from jobrun.files.room import keep_room

log = logging.getLogger(__name__)

LOG_BYTES: Final = 8 << 20
"""Of the log of writes: SQLite begins it anew at 4 MiB, sqlite.org/wal.html."""
FREE_PAGES: Final = 256
"""Of 4 KiB in a database: 4,000 sessions or machine tokens."""


def keep_database_room(db: sqlite3.Connection, path: Path) -> None:
    """For the connection that writes, before it does. Where there is no room, the log says so."""
    try:
        _keep_free_pages(db)
        _keep_log(Path(f"{path}-wal"))
    except (sqlite3.Error, OSError) as error:  # a server without it is better than none
        log.warning("no room is kept for a full disk, on which nobody could be shut out then: %s", error)


def _keep_free_pages(db: sqlite3.Connection) -> None:
    (free,) = db.execute("PRAGMA freelist_count").fetchone()
    if free >= FREE_PAGES:
        return
    db.execute("DROP TABLE IF EXISTS filler")  # of a server that was killed here
    db.execute("CREATE TABLE filler AS SELECT randomblob(4096 * ?) AS bytes", (2 * FREE_PAGES,))
    db.execute("DROP TABLE filler")
    db.execute("PRAGMA wal_checkpoint")  # only now they are the database's


def _keep_log(path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        keep_room(fd, 0, LOG_BYTES)
    finally:
        os.close(fd)
