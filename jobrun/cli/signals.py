"""Signals at the client: blocked before gRPC makes its threads, and waited for by one thread of ours. A handler would
wait for the main thread, which sits in a write or in gRPC."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable
from typing import NoReturn

from jobrun.cli.output import say

INTERRUPTING = (signal.SIGINT, signal.SIGTERM)
"""What `run` turns into a stop of its job; SIGHUP ends it, and the job goes on."""
LEAVING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a command that only looks."""


def leave(code: int) -> NoReturn:
    """Ends the process at once, from any thread. All output is written by then; gRPC's teardown would cost 13 ms."""
    os._exit(code)


def leave_on_signals() -> None:
    """From now on INT, TERM and HUP end this process with 128+N."""
    watch_signals(LEAVING, lambda number, _: leave(128 + number))


class Leaving:
    """The same, but first `line` goes to stderr, where it is not empty: what may have been done unseen."""

    def __init__(self) -> None:
        self.line = ""
        watch_signals(LEAVING, lambda number, _: self._leave(number))

    def _leave(self, number: int) -> None:
        if self.line:
            say(self.line)
        leave(128 + number)


def watch_signals(numbers: Iterable[signal.Signals], act: Callable[[int, int], None]) -> None:
    """Calls `act` in a thread of its own for each of these signals, with its number and its sender (si_pid of
    sigaction(2); 0: the kernel, as for a key). One that is ignored stays so, as nohup(1) and shells without job control
    want it. Call before grpc is imported: its threads inherit the mask."""
    watched = {number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN}
    if not watched:
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, watched)

    def wait() -> None:
        while True:
            received = signal.sigwaitinfo(watched)
            act(received.si_signo, received.si_pid)

    threading.Thread(target=wait, name="signals", daemon=True).start()
