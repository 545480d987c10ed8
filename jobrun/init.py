"""PID 1 of a container, where the server was started as that: the kernel gives it every orphan, no default signal
handler, and nobody outlives it. So the server is its child: one waits for all, the other for its own children only."""

from __future__ import annotations

import os
import signal

PASSED_ON: dict[int, int] = {
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGINT: signal.SIGINT,
    signal.SIGQUIT: signal.SIGTERM,  # some engines and images stop by it; the server would die of it, and its jobs too
    signal.SIGHUP: signal.SIGHUP,
}
"""What PID 1 may be sent by people and container engines, and what the server gets of it; others mean nothing to it."""


def become_init() -> None:
    """Returns in a new child, which is to be the server. This process stays behind as PID 1 until that child has
    ended, and leaves with its code (128 + N for signal N). Before any thread is started. OSError where no process can
    be had.

    As signal(7) has it: a blocked signal waits to be asked for, whatever its disposition, for PID 1 too."""
    every = signal.valid_signals()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, the kernel would reap by itself, and no code be left
    before = signal.pthread_sigmask(signal.SIG_SETMASK, every)
    server = os.fork()
    if not server:
        os.setsid()  # Ctrl-C at a container's terminal comes once, by way of PID 1
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while (status := _reap(server)) is None:
        meant = PASSED_ON.get(signal.sigwait(every))
        if meant is not None:
            os.kill(server, meant)
    os._exit(status)


def _reap(server: int) -> int | None:
    """All that have ended; the server's code if it is among them."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)  # the server is a child until it was seen here
        if pid == server:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
        if not pid:
            return None
