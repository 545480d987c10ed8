"""The exit code of run, attach and wait for a job that has finished (docs/reference/exit-codes.md), as one function."""

from __future__ import annotations

import errno

from jobrun.cli.codes import OURS
from jobrun.wire.gen.jobrun.v1 import job_pb2 as wire

TIMEOUT, NOT_EXECUTABLE, NOT_FOUND = 124, 126, 127
SIGNALLED = 128
"""Plus the signal's number."""
STOPPED, LIMITED = SIGNALLED + 15, SIGNALLED + 9
"""For a job that was stopped, or ended for a limit, and left with 0 or never ran."""

OF_JOBS = (
    ("0-255", "the program's own"),
    ("128+N", "signal N ended it"),
    (f"{TIMEOUT}", "--timeout ended it"),
    (
        f"{OURS}",
        "all that is jobrun's own: usage, no server, no login, no such job, not allowed, output that is missing",
    ),
    (f"{NOT_EXECUTABLE}", "the program could not be executed"),
    (f"{NOT_FOUND}", "the program was not found"),
    (f"{LIMITED}", "a limit ended it, and it left with 0"),
    (f"{STOPPED}", "it was stopped, and left with 0 or never ran"),
)
"""Of run, attach and wait."""
OF_OTHERS = (
    ("0", "done"),
    ("1", "refused or failed"),
    ("2", "usage"),
    ("3", "no such job, user or token"),
    ("4", "login needed (a wrong password at login: 1)"),
)
"""Of all other commands, start too."""

LIMIT_REASONS = frozenset(
    {
        wire.END_REASON_CPU_LIMIT,
        wire.END_REASON_MEMORY_LIMIT,
        wire.END_REASON_FILE_SIZE_LIMIT,
        wire.END_REASON_PROCESS_LIMIT,
    }
)


def exit_code(job: wire.Job, *, gap: bool = False) -> int:
    """The code for a finished job; `gap`: its reader met a gap in the output, so that 0 would be a lie."""
    code = _code(job.finished)
    return OURS if gap and code == 0 else code


def _code(end: wire.Finished) -> int:
    own = _own_code(end)
    if end.reason == wire.END_REASON_TIMEOUT:
        return TIMEOUT
    if end.reason == wire.END_REASON_START_FAILED:
        return _start_code(end.start_failure)
    if end.reason == wire.END_REASON_LOST:
        return OURS
    if end.reason == wire.END_REASON_STOPPED:
        return own or STOPPED
    if end.reason in LIMIT_REASONS:
        return own or LIMITED
    return OURS if own is None else own


def _own_code(end: wire.Finished) -> int | None:
    """What a shell would say of the first process; None where its end is not known."""
    outcome = end.WhichOneof("outcome")
    if outcome == "exit_code":
        return end.exit_code
    return SIGNALLED + end.signal if outcome == "signal" else None


def _start_code(failure: wire.StartFailure) -> int:
    if failure.step != wire.START_STEP_EXEC:
        return OURS
    return NOT_FOUND if failure.errno == errno.ENOENT else NOT_EXECUTABLE
