"""The engine and a program that can not be read for a while, as on a file server that is gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobrun.jobs.orders import StopOrder
from jobrun.model.lifecycle import EndReason
from tests.unit.engine_machine import DEADLINE_S, Machine, converse

F_SETSIG = 10
"""fcntl(2): not in Python 3.10's module."""


@contextlib.contextmanager
def hanging(program: Path) -> Iterator[None]:
    """Whoever opens the file waits, as for a file server that is gone: by a lease, fcntl(2), for 45 s at most."""
    fd = os.open(program, os.O_RDONLY)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGURG])
    try:
        fcntl.fcntl(fd, F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(fd)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGURG])


@pytest.mark.parametrize("grace_ns", [0, 10**8])
def test_a_start_that_hangs_can_be_stopped(tmp_path: Path, grace_ns: int) -> None:
    """`stop`, and Ctrl-C at `run`, would hang with it for as long as a file server is away."""
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)

    async def body(one: Machine) -> None:
        with hanging(program):
            one.start("a", str(program))
            assert signal.sigtimedwait([signal.SIGURG], DEADLINE_S) is not None, "it is being executed"
            one.engine.stop("a", StopOrder(signal=15, grace_ns=grace_ns, by="me"))
            end = (seen := await one.ended("a")).end
        assert end is not None
        assert (end.reason, end.stopped_by, end.survivors, seen.started_ns) == (EndReason.STOPPED, "me", 0, 0)

    (tmp_path / "data").mkdir()
    converse(tmp_path / "data", body)


def test_a_start_that_hangs_for_a_while_gets_its_stop_then(tmp_path: Path) -> None:
    """The stop of a job whose file server comes back within the grace would be lost."""
    program = tmp_path / "program"
    shutil.copy("/bin/sleep", program)

    async def body(one: Machine) -> None:
        with hanging(program):
            one.start("a", str(program), "300")
            assert signal.sigtimedwait([signal.SIGURG], DEADLINE_S) is not None, "it is being executed"
            one.engine.stop("a", StopOrder(signal=2, grace_ns=10**12, by="me"))
        end = (await one.ended("a")).end
        assert end is not None
        assert (end.reason, end.signal) == (EndReason.STOPPED, 2)

    (tmp_path / "data").mkdir()
    converse(tmp_path / "data", body)
