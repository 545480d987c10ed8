"""FIFOs by which a job and a test wait for each other, so that no test sleeps."""

from __future__ import annotations

import os
import select
import shlex
from pathlib import Path

from tests.e2e.deadline import Deadline


class Gate:
    """A FIFO that a job opens and keeps open. What it writes is an event; its end-of-file proves that no process
    holds it any more, so that all of the job is dead."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o666)
        os.chmod(path, 0o666)
        self.path = path
        self.got = b""
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    @property
    def hold(self) -> str:
        """Shell text: open the gate as descriptor 9, which every child inherits, and say so."""
        return f"exec 9>{shlex.quote(str(self.path))}; echo up >&9; "

    def wait_for(self, text: bytes, within: float = 10) -> None:
        """Until the job has written `text`, which is then taken out of what was written."""
        deadline = Deadline(within, f"{text!r} at the gate, which has {self.got[-200:]!r}")
        while text not in self.got:
            self._poll(deadline)
            self._read()
        self.got = self.got.split(text, 1)[1]

    def wait_opened(self, within: float = 10) -> None:
        """Until the job holds the gate."""
        self.wait_for(b"up\n", within)

    def wait_released(self, within: float = 10) -> None:
        """Until no process holds the gate; at once where none ever did."""
        deadline = Deadline(within, "all processes of the job to be gone")
        while not self._read():
            self._poll(deadline)

    def held(self) -> bool:
        """Whether some process holds the gate now."""
        return not self._read()

    def close(self) -> None:
        """The test's end."""
        os.close(self._fd)

    def _poll(self, deadline: Deadline) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        poll.poll(deadline.left_ms())

    def _read(self) -> bool:
        """Takes what is there; True at the end-of-file."""
        try:
            while data := os.read(self._fd, 65536):
                self.got += data
        except BlockingIOError:
            return False
        return True


class Latch:
    """A FIFO that a job waits at until the test opens it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path, 0o666)
        os.chmod(path, 0o666)
        self.path = path
        self._fd = -1

    @property
    def wait(self) -> str:
        """Shell text: wait until the test opens the latch."""
        return f"read -r _ <{shlex.quote(str(self.path))}; "

    def open(self, waiters: int = 1) -> None:
        """Lets up to `waiters` shells pass, those that come later too."""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(self._fd, b"\n" * waiters)

    def close(self) -> None:
        """The test's end."""
        if self._fd >= 0:
            os.close(self._fd)
