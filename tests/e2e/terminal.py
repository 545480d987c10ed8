"""A client at a terminal, as somebody at a keyboard meets it."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.client import argument
from tests.e2e.deadline import Deadline, patience


class Terminal:
    """A program whose stdin, stdout, stderr and controlling terminal are one pseudo-terminal (pty(7))."""

    def __init__(self, argv: Sequence[str | bytes | Path], env: Mapping[bytes, bytes], cwd: Path) -> None:
        self._ours, theirs = pty.openpty()
        self.seen = b""
        self._popen = subprocess.Popen(
            ["setsid", "--ctty", *(argument(word) for word in argv)],
            env={**env, b"TERM": b"dumb"},
            cwd=cwd,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)

    def wait_for(self, pattern: str, within: float = 15) -> str:
        """Until the screen shows what fits `pattern` (without regard to case), which is then answered; what was
        shown up to there."""
        deadline = Deadline(within, f"{pattern!r} on the screen")
        while not (found := re.search(pattern.encode(), self.seen, re.IGNORECASE)):
            assert self._read(deadline), f"it ended without {pattern!r}: {self.seen!r}"
        shown, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return shown.decode(errors="replace")

    def type(self, line: str) -> None:
        """Types a line and the return key."""
        self.press(line + "\r")

    def press(self, keys: str) -> None:
        """Types these keys alone."""
        os.write(self._ours, keys.encode())

    def interrupt(self) -> None:
        """Types Ctrl-C."""
        os.write(self._ours, b"\x03")

    def finish(self, within: float = 20) -> tuple[int, str]:
        """Its code and what the screen shows since the last wait, once it has left."""
        deadline = Deadline(within, "the end of what runs at the terminal")
        while self._read(deadline):
            pass
        code = self._popen.wait(timeout=patience(within))
        return code, self.seen.decode(errors="replace").replace("\r\n", "\n")

    def close(self) -> None:
        """Ends it, should it still be there."""
        self._popen.kill()
        self._popen.wait()
        os.close(self._ours)

    def _read(self, deadline: Deadline) -> bool:
        """Takes what is there; False once nobody has the terminal open any more."""
        ready, _, _ = select.select([self._ours], [], [], deadline.left())
        try:
            data = os.read(self._ours, 65536) if ready else b""
        except OSError:  # EIO: the other side is closed
            return False
        self.seen += data
        return bool(data) or not ready
