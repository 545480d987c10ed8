"""How a supervisor waits, and what it tells while it goes on."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import pytest

from jobrun.jobs.orders import StopOrder
from jobrun.model.lifecycle import EndReason
from jobrun.runner import ending
from tests.unit.engine_machine import Machine, converse

PTRACE_SEIZE = 0x4206
LONGEST_NS = 366 * 86_400 * 10**9
"""The highest duration that is no mistake: more milliseconds than poll(2) takes."""


@pytest.mark.parametrize("limits", [{}, {"timeout": LONGEST_NS}, {"cpu_time": LONGEST_NS}], ids=str)
def test_the_longest_durations_are_waited_for(tmp_path: Path, limits: dict[str, int]) -> None:
    """A job with a time limit of a month would be killed by its own supervisor's end, and be LOST."""

    async def body(one: Machine) -> None:
        one.start("a", "sh", "-c", "trap '' TERM; echo; sleep 300 & wait", limits=limits, grace_ns=LONGEST_NS)
        await one.output("a", lines=1)
        one.engine.stop("a", StopOrder(signal=15, grace_ns=LONGEST_NS, by="me"))
        one.engine.stop("a", StopOrder(signal=9, grace_ns=LONGEST_NS, by="me"))
        seen = await one.ended("a")
        assert seen.end is not None
        assert (seen.end.reason, seen.end.signal) == (EndReason.STOPPED, 9)

    converse(tmp_path, body)


def test_what_ignores_the_signal_of_a_stop_gets_term_once_the_first_process_has_ended(tmp_path: Path) -> None:
    """What a shell has in the background ignores INT: each Ctrl-C would take the whole grace."""

    async def body(one: Machine) -> None:
        script = "trap 'exit 3' INT; sh -c 'trap \"exit 4\" TERM; echo; while :; do sleep 0.05; done' & wait"
        one.start("a", "sh", "-c", script)
        await one.output("a", lines=1)
        one.engine.stop("a", StopOrder(signal=2, grace_ns=LONGEST_NS, by="me"))
        seen = await one.ended("a")
        assert seen.end is not None
        assert (seen.end.reason, seen.end.exit_code) == (EndReason.STOPPED, 3)

    converse(tmp_path, body)


def seize(pid: int) -> None:
    """Trace it, as ptrace(2) has it: nobody else can wait for its end before this thread has."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_SEIZE, pid, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")


def test_an_end_with_survivors_is_told_at_once(tmp_path: Path) -> None:
    """Whoever waits would hear of the end seconds after it, with the next look at all jobs."""

    async def body(one: Machine) -> None:
        one.start("a", "sleep", "300")
        pid = (await one.running("a")).pid
        seize(pid)
        one.engine.stop("a", StopOrder(signal=0, grace_ns=0, by="me"))
        seen = await one.ended("a")
        assert seen.end is not None
        assert (seen.end.reason, seen.end.survivors) == (EndReason.STOPPED, 1)
        supervisor = one.supervisor("a")
        assert supervisor, "it goes on killing"
        os.waitpid(pid, 0)
        await one.until(lambda: not one.supervisor("a"))

    converse(tmp_path, body)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (4095, "4095 bytes"), (1 << 20, "1 MiB"), (3 << 19, "1.5 MiB"), (5 << 30, "5120 MiB")],
)
def test_sizes_in_the_evidence(count: int, text: str) -> None:
    """A small limit would be told as 0 MiB, or as 9.5e-07."""
    assert ending.size(count) == text
