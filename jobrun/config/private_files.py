"""Small files that are this user's alone: written whole or not at all, read only where nobody else can have written or
read them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator

from jobrun.config.errors import Refusal

MOST = 1 << 20
"""Bytes of such a file: some hundred known servers. What is longer was not written by this program."""

LOCK_S = 30.0
"""Seconds to wait for a lock: who has it makes one call to a server, of 20 s at most, and writes two small files. One
that was stopped (Ctrl-Z) in the middle has it until it goes on."""
QUIET_S = 2.0
"""Seconds of a wait that nobody needs to be told of."""
PAUSE_S = 0.02
"""Between two looks at a lock that another has: flock(2) itself would wait for ever."""


class FileRefused(Refusal):
    """The file can not be trusted, or not be used; `path` is its name."""

    def __init__(self, path: str, wrong: str, do: str) -> None:
        super().__init__(f"{path}: {wrong}: {do}")
        self.path, self.wrong, self.do = path, wrong, do


def read_private(path: str) -> str | None:
    """What the file holds, None where there is none. Raises FileRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        wrong = "is a symlink" if os.path.islink(path) else error.strerror or "cannot be opened"
        raise FileRefused(path, wrong, "move it away") from error
    try:
        _check(path, os.fstat(descriptor))
        return _read(descriptor).decode("ascii")
    except UnicodeDecodeError as error:
        raise FileRefused(path, "is damaged", "move it away") from error
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    content = b""
    while len(content) < MOST and (chunk := os.read(descriptor, MOST - len(content))):
        content += chunk
    return content


def _check(path: str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise FileRefused(path, "is no regular file", "move it away")
    if found.st_uid != os.geteuid():
        raise FileRefused(path, f"belongs to uid {found.st_uid}", "move it away")
    if found.st_mode & 0o077:
        raise FileRefused(path, f"others may use it (mode {stat.S_IMODE(found.st_mode):o})", f"chmod 600 {path}")
    if found.st_size > MOST:
        raise FileRefused(path, "is too long to be ours", "move it away")


def write_private(path: str, text: str) -> None:
    """Makes the file anew (0600), durable before this returns: a reader sees the old content or the new one. Its folder
    exists. Raises FileRefused."""
    aside = os.path.join(os.path.dirname(path), f".new-{os.urandom(8).hex()}")
    try:
        _write(aside, text)
        os.rename(aside, path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise FileRefused(
            path, f"cannot be written: {error.strerror}", "mend that, or set JOBRUN_CONFIG_DIR"
        ) from error


def _write(path: str, text: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(text.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(
    path: str,
    wait_s: float = LOCK_S,
    otherwise: str = "set JOBRUN_CONFIG_DIR",
    on_wait: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Holds the lock file `path`, which is made where it is not there and never renamed; waits for who has it, `wait_s`
    seconds at most; `on_wait` is called once where that takes long. The kernel frees it at any end. Raises FileRefused;
    `otherwise`: what names another place."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FileRefused(path, f"cannot be locked: {error.strerror}", f"mend that, or {otherwise}") from error
    try:
        if not _take(descriptor, path, min(wait_s, QUIET_S), otherwise):
            on_wait()
            if not _take(descriptor, path, wait_s - QUIET_S, otherwise):
                do = f"go on with it by fg, or end it: fuser {path}"
                raise FileRefused(path, "another jobrun has it locked, is it stopped?", do)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: str, wait_s: float, otherwise: str) -> bool:
    """Whether the lock could be had within `wait_s` seconds."""
    never, until = threading.Event(), time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            never.wait(PAUSE_S)
        except OSError as error:  # a file system without locks
            raise FileRefused(path, f"cannot be locked: {error.strerror}", otherwise) from error
        else:
            return True
