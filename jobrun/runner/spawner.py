"""The spawner: forks a supervisor a job. It has one thread, no grpc and an empty environment, and outlives the server
until its last child is gone: as a subreaper it gets what a killed supervisor leaves, and kills it."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal itself imports enum
import gc
import os
import resource
import select

from jobrun.runner import tree
from jobrun.runner.claim import boot_id
from jobrun.runner.supervisor import rehearse, supervise
from jobrun.runner.syscalls import Syscalls
from jobrun.runner.wake import set_dispositions, wake_on

MOST_MESSAGE = 256
"""Bytes of one dispatch: "ID ATTEMPT"."""


def main(sock: int, data: str, open_files: int) -> None:
    """Serve dispatches from a SOCK_SEQPACKET socket until its other end is closed and no child is left. `open_files`:
    the soft RLIMIT_NOFILE of jobs, 0: as it is."""
    if open_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    os.umask(0o077)
    os.chdir("/")  # supervisors outlive the server: its folder may be of a disk that somebody wants to take away
    os.set_inheritable(sock, False)  # noqa: FBT003  # its only form
    os.set_blocking(sock, False)
    syscalls = Syscalls()
    syscalls.become_subreaper()
    syscalls.restore_libc_signals()
    set_dispositions()
    spawner = Spawner(sock, data, syscalls)
    spawner.rehearse()
    gc.collect()
    gc.freeze()
    gc.disable()  # what is frozen is never written to, so supervisors share it
    spawner.serve()


class Spawner:
    """`sock` is where dispatches come from, `data` the server's data folder."""

    def __init__(self, sock: int, data: str, syscalls: Syscalls) -> None:
        self._sock, self._data, self._syscalls = sock, data, syscalls
        self._boot_id = boot_id()
        self._wake = wake_on(_signal.SIGCHLD)
        self._supervisors: set[int] = set()
        self._open = True

    def rehearse(self) -> None:
        """Before `serve`. A machine that has no file in memory to give costs each supervisor some time."""
        try:
            rehearse(self._boot_id, self._syscalls)
        except OSError as error:
            os.write(2, f"no rehearsal: {error.strerror}\n".encode())

    def serve(self) -> None:
        """Until the server's end is closed and every child is gone."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while self._open or self._supervisors or self._has_children():
            ready = [fd for fd, _ in poll.poll()]
            if self._wake in ready:
                self._reap()
            if self._sock in ready and not self._receive():
                poll.unregister(self._sock)
                self._open = False

    def _receive(self) -> bool:
        try:
            message = os.read(self._sock, MOST_MESSAGE)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        if not message:
            return False
        job_id, attempt = message.split()
        try:
            pid = os.fork()
        except OSError as error:  # no process to be had now: the server sends it again
            _say(f"no supervisor for {job_id.decode()}: {error.strerror}")
            return True
        if pid == 0:
            self._become_supervisor(job_id.decode(), int(attempt))
        self._supervisors.add(pid)
        return True

    def _become_supervisor(self, job_id: str, attempt: int) -> None:
        code = 1
        try:
            os.close(self._wake)
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
            supervise(self._data, job_id, attempt, self._sock, self._boot_id, self._syscalls)
            code = 0
        except Exception as error:  # noqa: BLE001  # the last thing that it says
            line = error.__traceback__.tb_lineno if error.__traceback__ else 0
            _say(f"supervisor of {job_id}: {error!r} ({line})")
        finally:
            os._exit(code)

    def _reap(self) -> None:
        os.read(self._wake, 4096)
        orphans = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if not pid:
                break
            orphans |= status != 0 or pid not in self._supervisors
            self._supervisors.discard(pid)
        if orphans:
            self._kill_orphans()

    def _kill_orphans(self) -> None:
        """Children that are no supervisors: what killed ones left. They are ours to reap, so their pids are theirs."""
        for pid in tree.children("self"):
            if pid not in self._supervisors:
                tree.send(pid, os.getpid(), _signal.SIGKILL)

    def _has_children(self) -> bool:
        return any(True for _ in tree.children("self"))


def _say(line: str) -> None:
    """To the server's log, by way of stderr, which is its pipe. Without a server nobody would read it."""
    try:
        os.write(2, f"{line}\n".encode())
    except (BlockingIOError, BrokenPipeError):
        return
