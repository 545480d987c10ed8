"""`doctor`: what this machine can enforce and isolate, and what is missing."""

from __future__ import annotations

import ctypes
import os
import platform
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from jobrun.cli.command import Command
from jobrun.cli.options import Parsed
from jobrun.cli.output import put
from jobrun.cli.session import JSON
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.words import no_words
from jobrun.config.environment import Environment
from jobrun.config.errors import Refusal
from jobrun.config.paths import file_system, make_place, private_build, private_place
from jobrun.limits import BY_AFFINITY, BY_CGROUP, BY_RLIMIT, BY_SUPERVISOR, LIMITS
from jobrun.model.shown import escape

ENFORCERS = {
    BY_RLIMIT: "setrlimit (each process)",
    BY_CGROUP: "cgroup (whole tree)",
    BY_SUPERVISOR: "the supervisor (whole tree)",
    BY_AFFINITY: "sched_setaffinity",
}
PUNCH_HOLE_KEEP_SIZE = 0x03
"""FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE of fallocate(2)."""
BLOCK = 4096


class Finding(NamedTuple):
    """One row: what was looked at, what was found, and why or what follows."""

    check: str
    result: str
    reason: str


def doctor(parsed: Parsed, environment: Environment) -> int:
    """Shows what this machine can do."""
    leave_on_signals()
    no_words(parsed)
    rows = list(findings(environment))
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import dump

        put("".join(dump(row._asdict()) for row in rows))
        return 0
    first, second = (max(len(row[at]) for row in rows) for at in (0, 1))
    put("".join(escape(f"{row.check:<{first}}  {row.result:<{second}}  {row.reason}".rstrip()) + "\n" for row in rows))
    return 0


def findings(environment: Environment) -> Iterator[Finding]:
    """All rows, in the order in which they are shown."""
    yield Finding("python", platform.python_version(), os.path.realpath(os.readlink("/proc/self/exe")))
    yield Finding("kernel", platform.release(), platform.machine())
    for limit in LIMITS:
        by = " and ".join(ENFORCERS[number] for number in limit.enforced_by)
        yield Finding(limit.flag, "enforced" if by else "refused", f"by {by}" if by else "nothing here holds it")
    yield Finding("isolation", "none", "the private server isolates nothing: its jobs have all of your rights")
    yield Finding("tree", "usual", "a job built to escape may outlive its supervisor: nothing here holds it for sure")
    yield _pidfd()
    yield from _data_folder(environment)


def _pidfd() -> Finding:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        return Finding("pidfd", "missing", f"{error.strerror}: jobs cannot be stopped: needs Linux 5.4")
    return Finding("pidfd", "yes", "signals reach the very process that was meant")


def _data_folder(environment: Environment) -> Iterator[Finding]:
    from jobrun.version import BUILD, VERSION

    try:
        folder = make_place(private_place(environment, private_build(VERSION, BUILD))).data
    except Refusal as refusal:
        yield Finding("data folder", "refused", str(refusal))
        return
    yield Finding("data folder", file_system(folder) or "unknown", folder)
    yield _punch_hole(folder)


def _punch_hole(folder: str) -> Finding:
    """Tries fallocate(2) on a file there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(2 * BLOCK))
        file.flush()
        size = ctypes.c_int64
        if libc.fallocate(file.fileno(), PUNCH_HOLE_KEEP_SIZE, size(0), size(BLOCK)) == 0:
            return Finding("PUNCH_HOLE", "yes", "of output over --log-limit the beginning and the end are kept")
        reason = os.strerror(ctypes.get_errno())
    return Finding("PUNCH_HOLE", "missing", f"{reason}: of output over --log-limit only the first half is kept")


COMMANDS = (
    Command(
        name="doctor",
        summary="show what this machine can enforce and isolate, and what is missing",
        words="",
        description="Looks at this machine as the private server of this user would use it.",
        options=(JSON,),
        run=doctor,
        example="jobrun doctor",
    ),
)
