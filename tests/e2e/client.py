"""Starting the built file, and what came of it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.deadline import Deadline, patience

BUILT = Path(os.environ.get("JOBRUN_FILE", Path(__file__).parents[2] / "dist" / "jobrun")).absolute()
"""What is tested: `build.py test` makes it first."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a finished client left."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        """stdout as text; odd bytes as surrogates."""
        return self.stdout.decode(errors="surrogateescape")

    @property
    def err(self) -> str:
        """stderr as text; odd bytes as surrogates."""
        return self.stderr.decode(errors="surrogateescape")

    def passed(self) -> Result:
        """Itself; AssertionError unless it left with 0."""
        assert self.code == 0, f"left with {self.code}: {self.err[-2000:]}"
        return self

    def refused(self, code: int) -> str:
        """Its error: AssertionError unless it left with `code`, one clear line on stderr and nothing on stdout."""
        assert self.stdout == b"", self.stdout[:500]
        return self.complained(code)

    def complained(self, code: int) -> str:
        """As refused, whatever is on stdout."""
        lines = [line for line in self.err.splitlines() if line != NO_LOGIN]
        assert self.code == code, f"left with {self.code}, not {code}: {self.err[-2000:]}"
        assert len(lines) == 1, f"not one line: {self.err!r}"
        assert lines[0].startswith("jobrun: "), lines[0]
        assert len(lines[0]) < 600, f"no clear line: {lines[0]!r}"
        assert "Traceback" not in lines[0]
        assert lines[0].isprintable(), f"raw control characters: {lines[0]!r}"
        return lines[0]


NO_LOGIN = "jobrun: no login: running on this machine"
"""What a client says that had to start a private server."""


class Client:
    """A running client, in a session of its own."""

    def __init__(
        self,
        argv: Sequence[str | bytes | Path],
        env: Mapping[bytes, bytes],
        cwd: Path,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
    ) -> None:
        self._popen = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True
        )
        self._out = b""

    @property
    def pid(self) -> int:
        """Its process id, also its group."""
        return self._popen.pid

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self._popen.send_signal(number)

    def running(self) -> bool:
        """Whether it has not left yet."""
        return self._popen.poll() is None

    def read_until(self, text: bytes, within: float = 10) -> bytes:
        """All of stdout so far, once it holds `text`."""
        deadline = Deadline(within, f"{text!r} on stdout, where {self._out[-200:]!r} is")
        while text not in self._out:
            self._out += self._read(deadline)
        return self._out

    def read_to(self, count: int, within: float = 10) -> None:
        """Until `count` bytes of stdout have come in all."""
        deadline = Deadline(within, f"{count} bytes on stdout")
        while len(self._out) < count:
            self._out += self._read(deadline)

    def read_error_line(self, within: float = 10) -> bytes:
        """The next line of stderr."""
        assert self._popen.stderr is not None
        deadline, line = Deadline(within, "a line on stderr"), b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._popen.stderr], [], [], deadline.left())
            byte = os.read(self._popen.stderr.fileno(), 1) if ready else b""
            assert byte or not ready, f"stderr ended with {line!r}"
            line += byte
        return line

    def close_stdout(self) -> None:
        """The reader of its stdout goes away."""
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def finish(self, within: float = 20) -> Result:
        """Its result, once it has left."""
        try:
            rest, err = self._popen.communicate(timeout=patience(within))
        except subprocess.TimeoutExpired:
            self.end()
            raise
        return Result(self._popen.returncode, self._out + (rest or b""), err)

    def finish_unread(self, within: float = 20) -> Result:
        """As finish, where its stdout was closed."""
        assert self._popen.stderr is not None
        self._popen.wait(timeout=patience(within))
        return Result(self._popen.returncode, self._out, self._popen.stderr.read())

    def kill_after(self, seconds: float) -> None:
        """SIGKILL after so many seconds, unless it has left by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=seconds)
        self.end()

    def end(self) -> None:
        """Kills it, should it still be there."""
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdout, self._popen.stderr):
            if stream is not None:
                stream.close()

    def _read(self, deadline: Deadline) -> bytes:
        assert self._popen.stdout is not None
        fd = self._popen.stdout.fileno()
        ready, _, _ = select.select([fd], [], [], deadline.left())
        data = os.read(fd, 1 << 20) if ready else b""
        assert data or not ready, f"stdout ended; it held {self._out[-500:]!r}"
        return data


def argument(word: str | bytes | Path) -> bytes:
    """A word of a command line as execve(2) takes it."""
    return os.fsencode(word)
