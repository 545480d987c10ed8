"""Opens a database: pragmas, migrations, and what is said of one that can not be used."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from jobrun.model.errors import StorageFull, StoreError
from jobrun.store import schema

BUSY_S = 5.0
"""A reader may meet the moment in which a log of writes is recovered; nobody else holds this database for longer."""


def open_for_writing(
    path: Path, steps: schema.Steps | None = None, *, from_outside: bool = False
) -> sqlite3.Connection:
    """The one connection that writes; brings the file to the newest version. For any one thread at a time.

    `steps`: those of its tables; None: of jobs.db. `from_outside`: a server, maybe of another version, may have it
    open: it stays at the version that it has, and an older one is refused.

    Raises StoreError (damaged, newer, not readable) and StorageFull."""
    with explained(path):
        # Its -wal and -shm take this file's mode, sqlite.org/wal.html
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        _refuse_foreign(path)
        db = _connect(path)
        try:
            _prepare(db, path)
            bring = schema.refuse_older if from_outside else schema.migrate
            bring(db, schema.MIGRATIONS if steps is None else steps)
        except BaseException:
            db.close()
            raise
        return db


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that can not write; sees what was committed when a statement begins."""
    with explained(path):
        db = _connect(path)
        db.execute("PRAGMA query_only = 1")
        return db


def _refuse_foreign(path: Path) -> None:
    """Raises StoreError where another user made a part of it: SQLite takes whatever a -wal says. Ours become 0600."""
    for name in (str(path), f"{path}-wal", f"{path}-shm"):
        with contextlib.suppress(FileNotFoundError):
            found = os.lstat(name)
            if found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode):
                raise StoreError(f"{name} is not this user's own file: put a backup back, or move it away")
            if found.st_mode & 0o077:
                os.chmod(name, 0o600)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)


def _prepare(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, verdict)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns errors of SQLite and of the file system into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}: give this user the right to write it") from error


def translated(error: sqlite3.Error, path: Path) -> Exception:
    """What `error` means here; itself where it is a fault of ours."""
    text = str(error)
    if "disk is full" in text or ("disk I/O error" in text and is_full(path)):
        return no_room(path)
    if isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError:
        return _damaged(path, text)
    return error


def no_room(path: Path) -> StorageFull:
    """One text for all reasons."""
    return StorageFull(f"no room on the file system of {path.parent}: make some there")


def _damaged(path: Path, what: str) -> StoreError:
    return StoreError(f"{path} can not be used ({' '.join(what.split())}): put a backup back, or move it away")


def is_full(path: Path) -> bool:
    """Whether its file system is, or as good as. SQLite calls it an I/O error where it can not grow its -shm file."""
    room = os.statvfs(path.parent)
    no_blocks = room.f_blocks > 0 and room.f_bavail * room.f_frsize < (1 << 20)  # 0: it tells no size
    return no_blocks or (room.f_files > 0 and room.f_favail == 0)
