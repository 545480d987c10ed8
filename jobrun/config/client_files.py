"""A client's small files, and what is said where one can not be used; and the locks of such."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator

from jobrun.config.errors import Refusal
from jobrun.files.private_files import NotPrivate, read_private, write_private

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


def read_file(path: str) -> str | None:
    """What the file holds, None where there is none. Raises FileRefused."""
    try:
        return read_private(path, MOST).decode("ascii")
    except FileNotFoundError:
        return None
    except NotPrivate as error:
        raise FileRefused(path, str(error), f"chmod 600 {path}" if error.shared else "move it away") from error
    except UnicodeDecodeError as error:
        raise FileRefused(path, "is damaged", "move it away") from error


def write_file(path: str, text: str) -> None:
    """Makes the file anew, durable before this returns. Its folder exists. Raises FileRefused."""
    try:
        write_private(path, text.encode("ascii"))
    except OSError as error:
        wrong = f"cannot be written: {error.strerror}"
        raise FileRefused(path, wrong, "mend that, or set JOBRUN_CONFIG_DIR") from error


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
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(PAUSE_S)
        except OSError as error:  # a file system without locks
            raise FileRefused(path, f"cannot be locked: {error.strerror}", otherwise) from error
        else:
            return True
