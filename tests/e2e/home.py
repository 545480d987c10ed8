"""A user of jobrun: a HOME, and the private server that belongs to it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.e2e import processes
from tests.e2e.client import BUILT, Client, Result, argument
from tests.e2e.deadline import patience
from tests.e2e.gate import Gate, Latch

Words = str | bytes | Path


class Home:
    """A fresh HOME with short paths, and jobrun in it."""

    def __init__(self, cache: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="jr-", dir="/tmp"))
        self.work = self._folder("w")
        self.state = self._folder("s")
        self.runtime = self._folder("r")
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder("h")),
            "XDG_STATE_HOME": str(self.state),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "XDG_CONFIG_HOME": str(self._folder("c")),
            "JOBRUN_CACHE": str(cache),
            "LANG": "C.UTF-8",
            "PWD": str(self.work),
        }
        self._clients: list[Client] = []
        self._fifos: list[Gate | Latch] = []

    def jobrun(
        self,
        *words: Words,
        stdin: bytes | int = subprocess.DEVNULL,
        env: Mapping[str, str | bytes | None] | None = None,
        cwd: Path | None = None,
        within: float = 20,
        umask: int = -1,
    ) -> Result:
        """Runs jobrun to its end. `stdin` is its bytes or a descriptor; `env` is added, None takes a name away."""
        source: dict[str, Any] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
        done = subprocess.run(
            [str(BUILT), *words],
            env=self.environment(env),
            cwd=cwd or self.work,
            capture_output=True,
            timeout=patience(within),
            umask=umask,
            check=False,
            **source,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def client(
        self,
        *words: Words,
        env: Mapping[str, str | bytes | None] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
    ) -> Client:
        """Starts jobrun and lets it run."""
        return self.command(str(BUILT), *words, env=env, stdin=stdin, stdout=stdout)

    def command(
        self,
        *words: Words,
        env: Mapping[str, str | bytes | None] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
    ) -> Client:
        """Starts any command in this home and lets it run."""
        client = Client([argument(w) for w in words], self.environment(env), self.work, stdin, stdout)
        self._clients.append(client)
        return client

    def shell(self, script: str, *, within: float = 20, **env: str) -> Result:
        """Runs a script of /bin/sh to its end, in which `jobrun` is the built file."""
        client = self.command("/bin/sh", "-c", f'jobrun() {{ "$JR" "$@"; }}\n{script}', env={"JR": str(BUILT), **env})
        return client.finish(within)

    def start(self, *words: Words, **more: Any) -> str:
        """Starts a job: its id."""
        return self.jobrun("start", *words, **more).passed().out.strip()

    def status(self, job: str) -> dict[str, Any]:
        """The job as JSON has it."""
        found: dict[str, Any] = json.loads(self.jobrun("status", "--json", job).passed().stdout)
        return found

    def wait(self, job: str, within: float = 20) -> int:
        """Waits for a job: the code that `wait` leaves with."""
        return self.jobrun("wait", job, within=within).code

    def end(self, job: str, within: float = 20) -> dict[str, Any]:
        """How a job ended (Finished as JSON), once it has."""
        self.wait(job, within)
        finished: dict[str, Any] = self.status(job)["finished"]
        return finished

    def environment(self, more: Mapping[str, str | bytes | None] | None = None) -> dict[bytes, bytes]:
        """The environment of a command."""
        merged: dict[str, str | bytes | None] = {**self.env, **(more or {})}
        return {os.fsencode(k): os.fsencode(v) for k, v in merged.items() if v is not None}

    def gate(self) -> Gate:
        """A new gate."""
        gate = Gate(self.root / f"gate{len(self._fifos)}")
        self._fifos.append(gate)
        return gate

    def latch(self) -> Latch:
        """A new latch."""
        latch = Latch(self.root / f"latch{len(self._fifos)}")
        self._fifos.append(latch)
        return latch

    def script(self, name: str, text: str) -> Path:
        """An executable file in the working folder."""
        path = self.work / name
        path.write_bytes(text.encode())
        path.chmod(0o755)
        return path

    @property
    def data(self) -> Path:
        """Data folder of the private server, which must have been there once."""
        folders = self._data_folders()
        assert len(folders) == 1, f"one data folder, not {folders}"
        return folders[0]

    @property
    def address(self) -> str:
        """The private server's socket as `unix:PATH`."""
        sockets = list(self.runtime.glob("jobrun/*.sock"))
        assert len(sockets) == 1, f"one socket, not {sockets}"
        return f"unix:{sockets[0]}"

    def server_pid(self) -> int:
        """Pid of the private server; 0 without one."""
        return next(iter(self.server_pids()), 0)

    def server_pids(self) -> list[int]:
        """Pids of all private servers of this home: a build without a release version has its own."""
        holders = (processes.lock_holder(folder / "lock") for folder in self._data_folders())
        return [pid for pid in holders if pid]

    def server(self) -> processes.Process:
        """The private server, which must be there."""
        pid = self.server_pid()
        assert pid, "no private server"
        return processes.Process(pid)

    def kill_server(self) -> None:
        """SIGKILL to the private server, as a crash would end it, and until it is gone."""
        with contextlib.closing(self.server()) as server:
            server.kill()

    def end_server(self) -> None:
        """SIGTERM to the private server and until it is gone; its jobs go on."""
        with contextlib.closing(self.server()) as server:
            server.signal(signal.SIGTERM)
            server.wait()

    def close(self) -> None:
        """Ends everything of this home. AssertionError if a process would not go."""
        for client in self._clients:
            client.end()
        for fifo in self._fifos:
            fifo.close()
        if processes.touching(self.root):
            self._end_all()
        left = self._left()
        shutil.rmtree(self.root)
        assert not left, f"processes that would not go: {left}"

    def _end_all(self) -> None:
        self.jobrun("stop", "--all", "--grace", "0s")
        for pid in self.server_pids():
            family = processes.opened([pid, *processes.descendants(pid)])
            family[0].signal(signal.SIGTERM)
            for process in family:
                _wait_or_kill(process)

    def _data_folders(self) -> list[Path]:
        homes = (self.state, Path(self.env["HOME"]) / ".local/state")
        return [folder for state in homes for folder in state.glob("jobrun/private*")]

    def _left(self) -> list[str]:
        """What is still there a while after the end; killed then."""
        left = []
        for process in processes.opened(processes.touching(self.root)):
            command = processes.cmdline(process.pid)
            if not _wait_or_kill(process):
                left.append(command)
        return left

    def _folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(mode=0o700)
        return path


def _wait_or_kill(process: processes.Process) -> bool:
    """Whether it ended by itself."""
    with contextlib.closing(process):
        try:
            process.wait(within=3)
        except AssertionError:
            process.kill()
            return False
    return True


@contextlib.contextmanager
def new_home(cache: Path) -> Iterator[Home]:
    """A home that is taken down at the end."""
    home = Home(cache)
    try:
        yield home
    finally:
        home.close()
