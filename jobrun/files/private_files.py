"""Files that are this user's alone: keys, the certificate, the first password. Written whole, read only where no other
user could have had a hand in them."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from pathlib import Path

from jobrun.files.data_folder import raise_storage
from jobrun.model.errors import StoreError

SCRATCH = re.compile(r"\..+\.[0-9a-f]{16}")


def write_private(path: Path, data: bytes) -> None:
    """Puts `data` in the place of what is there, at once and for good: whoever looks, also after a power cut, finds
    the old file or the new one. 0600. StorageFull, OSError."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # as SCRATCH has it
    try:
        _write_new(scratch, data)
        scratch.rename(path)
    except OSError as error:
        with contextlib.suppress(FileNotFoundError):
            scratch.unlink()
        raise_storage(error)
    sync_folder(path.parent)


def read_private(path: Path, most: int) -> bytes:
    """The whole file. FileNotFoundError where there is none; StoreError for one that another user could have read or
    put there, or of more than `most` bytes."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        what = "is a symlink" if path.is_symlink() else error.strerror
        raise StoreError(f"{path}: {what}: put the file itself there, or a backup") from error
    try:
        _refuse_shared(path, os.fstat(fd))
        data = os.read(fd, most + 1)
    finally:
        os.close(fd)
    if len(data) > most:
        raise StoreError(f"{path} has more than {most} bytes: put a backup back")
    return data


def sweep_scratch(folder: Path) -> None:
    """Removes what `write_private` left where it was killed: it may hold a key. Another process that writes there at
    this very moment is told that its file has gone. OSError."""
    for path in folder.iterdir():
        if SCRATCH.fullmatch(path.name):
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Names in it outlast a power cut from here on, fsync(2)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _write_new(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)


def _refuse_shared(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise StoreError(f"{path} is no regular file: put a backup back")
    if found.st_uid != os.geteuid():
        raise StoreError(f"{path} belongs to uid {found.st_uid}: it must be this user's own: put a backup back")
    if found.st_mode & 0o077:
        mode = f"{stat.S_IMODE(found.st_mode):04o}"
        raise StoreError(f"{path} has mode {mode}, others could have read it: make new ones, or chmod 600 it")
