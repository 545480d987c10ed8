"""The server's end of its spawner: starts it, sends it dispatches, replaces it when it dies.

It is a fresh interpreter, started by posix_spawn(3) with an environment of its own: nothing of the server's threads,
keys or descriptors is in it. Not even its stderr: who reads that, such as ssh(1) or tee(1), would wait for all jobs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

ENVIRONMENT = {"LD_BIND_NOW": "1"}
"""ld.so(8): symbols are looked up once, and not by each of the processes that are forked. No job sees it."""

MOST_MESSAGE = 256
"""Bytes of an id."""
MOST_WORDS = 4096
"""Bytes of stderr taken at once; what does not fit into a pipe is lost."""


class SpawnerProcess:
    """`data`: the data folder, absolute."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._socket: socket.socket | None = None
        self._pid = 0
        self.words = -1
        """Readable when the spawner or a supervisor said something on its stderr, and once the last of them is gone."""
        self.pidfd = -1
        """Readable once the spawner has died. Its socket may stay open in a supervisor whose start hangs."""
        self.open_files = 0
        """Soft RLIMIT_NOFILE for a spawner that is started from now on; 0: as it is."""

    @property
    def is_connected(self) -> bool:
        """There is one, as far as is known."""
        return self._socket is not None

    @property
    def fd(self) -> int:
        """Readable when a supervisor told something."""
        return self._connected().fileno()

    def start(self) -> None:
        """OSError where no process or descriptor can be had: nothing stays open then, and what was spawned ends."""
        with contextlib.ExitStack() as undo:
            ours, its = map(undo.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            ours.setblocking(False)  # noqa: FBT003  # its only form
            words, stderr = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            undo.callback(os.close, words)
            try:
                self._pid = self._spawn(its, stderr)
            finally:
                os.close(stderr)
            self.pidfd = os.pidfd_open(self._pid)
            undo.pop_all()
        its.close()
        self._socket, self.words = ours, words

    def _spawn(self, sock: socket.socket, stderr: int) -> int:
        sock.set_inheritable(True)
        tree = Path(__file__).parents[2]
        argv = [
            sys.executable,
            "-I",
            "-S",
            str(tree / "jobrun/runner/__main__.py"),
            str(tree),
            str(sock.fileno()),
            str(self._data),
            str(self.open_files),
        ]
        files = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1)]
        every = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
        return os.posix_spawn(
            sys.executable,
            argv,
            ENVIRONMENT,
            file_actions=[*files, (os.POSIX_SPAWN_DUP2, stderr, 2)],
            setsid=True,
            setsigmask=[],
            setsigdef=every,
        )

    def send(self, job_id: str, attempt: int) -> None:
        """A hint that may get lost with the spawner: whoever judges the job sends another."""
        if self._socket is None:
            return
        try:
            self._socket.send(f"{job_id} {attempt}".encode())
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            return

    def receive(self) -> list[str]:
        """Ids of jobs that were just executed."""
        found = []
        try:
            while message := self._connected().recv(MOST_MESSAGE):
                found.append(message.decode())
        except (BlockingIOError, ConnectionResetError):
            return found
        return found

    def receive_words(self) -> bytes:
        """What was said on stderr; nothing where there is nothing more to come."""
        try:
            return os.read(self.words, MOST_WORDS)
        except BlockingIOError:
            return b""

    def restart(self) -> None:
        """In the place of one that died."""
        self.close()
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0
        self.start()

    def close(self) -> None:
        """The spawner ends once its last supervisor has."""
        if self._socket is not None:
            self._socket.close()
            os.close(self.pidfd)
            os.close(self.words)
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("the spawner was not started")
        return self._socket
