"""exit-codes.md: what a script may test for."""

from __future__ import annotations

import errno
import signal

from jobrun.cli.exit_codes import OF_JOBS, OF_OTHERS, exit_code
from jobrun.wire.gen.jobrun.v1.job_pb2 import (
    START_STEP_EXEC,
    START_STEP_LIMITS,
    EndReason,
    Finished,
    Job,
    StartFailure,
)
from reference.markdown import code, page, paragraph, section, table

OUTCOMES = (
    ("left with 0", Finished(exit_code=0)),
    ("left with 3", Finished(exit_code=3)),
    ("ended by TERM", Finished(signal=signal.SIGTERM)),
)
FAILURES = (
    ("the program, or its interpreter, is not there", StartFailure(step=START_STEP_EXEC, errno=errno.ENOENT)),
    ("the program can not be executed", StartFailure(step=START_STEP_EXEC, errno=errno.EACCES)),
    ("anything before it", StartFailure(step=START_STEP_LIMITS, errno=errno.EPERM)),
)
SCRIPT = """\
A program's own code can be any of these. Where that matters, `--result FILE` has the end reason:
`jobrun run --result end.json -- ./test; jq -r .finished.reason end.json`.
"""
NO_PROCESS = frozenset({"START_FAILED", "LOST"})
"""Reasons that go with no end of a process."""
BY_ITSELF = frozenset({"EXITED", "SIGNALED"})
"""Reasons of which each goes with some outcomes alone."""


def exits_page() -> str:
    """The page."""
    reasons = [name.removeprefix("END_REASON_") for name in EndReason.keys()[1:]]
    itself = ("by itself: " + ", ".join(map(code, sorted(BY_ITSELF))), *_codes("EXITED"))
    ends = [(code(reason), *_codes(reason)) for reason in reasons if reason not in NO_PROCESS | BY_ITSELF]
    failures = [(text, _of("START_FAILED", Finished(start_failure=failure))) for text, failure in FAILURES]
    lost = (f"nothing is known of its end: {code('LOST')}", _of("LOST", Finished()))
    outcomes = [f"first process {text}" for text, _ in OUTCOMES]
    return page(
        "Exit codes",
        section("run, attach and wait", table(("code", "meaning"), OF_JOBS), paragraph(SCRIPT)),
        section("By end reason", table(("reason", *outcomes), [itself, *ends])),
        section("START_FAILED and LOST", table(("what failed", "code"), [*failures, lost])),
        section("All other commands", table(("code", "meaning"), OF_OTHERS)),
        section(
            "Signals",
            paragraph("A command that INT, TERM or HUP ends leaves with 128+N, one whose stdout is closed with 141."),
        ),
    )


def _codes(reason: str) -> tuple[str, ...]:
    return tuple(_of(reason, end) for _, end in OUTCOMES)


def _of(reason: str, end: Finished) -> str:
    finished = Finished(reason=f"END_REASON_{reason}")
    finished.MergeFrom(end)
    return str(exit_code(Job(finished=finished)))
