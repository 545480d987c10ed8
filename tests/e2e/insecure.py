"""A server without login, as a user that is not root."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.e2e.client import BUILT, Result
from tests.e2e.deadline import Deadline, patience
from tests.e2e.processes import Process, descendants, opened

NOBODY = 65534
"""A uid with no rights: root is refused without login."""

LOCAL = ("--listen", "127.0.0.1:0")
"""At a free port of this machine."""
NO_WALLS = ("--isolation", "none", *LOCAL)
"""A server that isolates nothing must say so."""


class Nobody:
    """The folders of an unprivileged user, and commands as that user."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.root = Path(tempfile.mkdtemp(prefix="jn-", dir="/tmp"))
        self.data = self.root / "data"
        own(self.root)

    def popen(
        self, *words: str | Path, stdin: int = subprocess.DEVNULL, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts jobrun as that user; `env` is added."""
        return subprocess.Popen(
            [str(BUILT), *words],
            env={**self._env(), **(env or {})},
            cwd=self.root,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            user=self._uid(),
            group=self._uid(),
            extra_groups=[] if self._uid() is not None else None,
        )

    def jobrun(self, *words: str | Path, stdin: bytes = b"", within: float = 20) -> Result:
        """Runs jobrun to its end as that user; `stdin` is all that it reads."""
        popen = self.popen(*words, stdin=subprocess.PIPE)
        try:
            out, err = popen.communicate(stdin, timeout=patience(within))
        except subprocess.TimeoutExpired:
            popen.kill()
            out, err = popen.communicate()
            raise AssertionError(f"it did not end: {out!r} {err!r}") from None
        return Result(popen.returncode, out, err)

    def start_refused(self, code: int, *more: str | Path) -> str:
        """Why a server does not start: its one line. `more` is in the place of where to listen."""
        return self.jobrun("server", "--data", self.data, *(more or LOCAL)).refused(code)

    def close(self) -> None:
        """Removes the folders."""
        shutil.rmtree(self.root)

    def _env(self) -> dict[str, str]:
        path = "/usr/local/bin:/usr/bin:/bin" if os.getuid() == 0 else os.environ["PATH"]
        return {"PATH": path, "HOME": str(self.root), "JOBRUN_CACHE": str(self.cache)}

    def _uid(self) -> int | None:
        return NOBODY if os.getuid() == 0 else None


def own(path: Path) -> None:
    """Gives a folder to that user."""
    if os.getuid() == 0:
        os.chown(path, NOBODY, NOBODY)


class InsecureServer:
    """`jobrun server --insecure`, ready."""

    def __init__(self, nobody: Nobody, *more: str) -> None:
        self.nobody = nobody
        self._popen = nobody.popen("server", "--insecure", *NO_WALLS, "--data", nobody.data, *more)
        line = self._first_line()
        assert line.startswith("ready insecure:127.0.0.1:"), line
        self.address = line.removeprefix("ready ").strip()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._popen.pid

    def stop(self) -> int:
        """SIGTERM, and until it and all that it started is gone: its code. Its jobs must have ended."""
        family = opened(descendants(self.pid))
        self._popen.send_signal(signal.SIGTERM)
        self._popen.communicate(timeout=patience(15))
        for process in family:
            with contextlib.closing(process):
                process.wait()
        return self._popen.returncode

    def kill(self) -> None:
        """SIGKILL to it and to all below it, should it still be there."""
        for process in opened(descendants(self.pid)):
            with contextlib.closing(process):
                process.kill()
        self._popen.kill()
        self._popen.communicate()

    def process(self) -> Process:
        """The server by its pidfd."""
        return Process(self.pid)

    def _first_line(self) -> str:
        assert self._popen.stdout is not None
        deadline, line = Deadline(15, "the server's ready line"), b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._popen.stdout], [], [], deadline.left())
            byte = os.read(self._popen.stdout.fileno(), 1) if ready else b""
            if ready and not byte:
                raise AssertionError(f"the server ended: {self._popen.communicate()[1].decode()}")
            line += byte
        return line.decode()


@contextlib.contextmanager
def insecure(cache: Path, *more: str) -> Iterator[InsecureServer]:
    """A server of an unprivileged user, taken down at the end."""
    nobody = Nobody(cache)
    try:
        server = InsecureServer(nobody, *more)
        try:
            yield server
        finally:
            server.kill()
    finally:
        nobody.close()
