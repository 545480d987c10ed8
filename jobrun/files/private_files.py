"""Files that are this user's alone, a server's keys and a client's sessions: written whole or not at all, read only
where no other user could have had a hand in them.

Paths are text. Only small modules in here: a `run` that is already warm reads its session by this."""

from __future__ import annotations

import contextlib
import os
import stat

SCRATCH_PREFIX = ".new-"
"""Of the file that is written before it takes the place of another."""


class NotPrivate(Exception):
    """Says what is wrong with a file. `shared`: nothing but its mode, which chmod(1) mends."""

    def __init__(self, wrong: str, *, shared: bool = False) -> None:
        super().__init__(wrong)
        self.shared = shared


def read_private(path: str, most: int) -> bytes:
    """The whole file. FileNotFoundError where there is none; NotPrivate for one that another user could have read or
    put there, that can not be opened, or that has more than `most` bytes; OSError where reading fails."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotPrivate("is a symlink" if os.path.islink(path) else error.strerror or "cannot be opened") from error
    try:
        _check(os.fstat(descriptor))
        content = _read(descriptor, most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:
        raise NotPrivate(f"has more than {most} bytes")
    return content


def _read(descriptor: int, most: int) -> bytes:
    content = b""
    while len(content) < most and (chunk := os.read(descriptor, most - len(content))):
        content += chunk
    return content


def _check(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise NotPrivate("is no regular file")
    if found.st_uid != os.geteuid():
        raise NotPrivate(f"belongs to uid {found.st_uid}")
    if found.st_mode & 0o077:
        raise NotPrivate(f"others may use it (mode {stat.S_IMODE(found.st_mode):04o})", shared=True)


def write_private(path: str, content: bytes) -> None:
    """Puts `content` in the place of what is there (0600), at once and for good: whoever looks, also after a power cut,
    finds the old file or the new one. Its folder exists. OSError, which leaves the old one."""
    folder = os.path.dirname(path)
    scratch = os.path.join(folder, f"{SCRATCH_PREFIX}{os.urandom(8).hex()}")
    try:
        _write_new(scratch, content)
        os.rename(scratch, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(scratch)
        raise
    sync_folder(folder)


def _write_new(path: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: str) -> None:
    """Names in it outlast a power cut from here on, fsync(2). OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_scratch(folder: str) -> None:
    """Removes what `write_private` left where it was killed: it may hold a key. Another process that writes there at
    this very moment is told that its file has gone. OSError."""
    for name in os.listdir(folder):
        if name.startswith(SCRATCH_PREFIX):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, name))
