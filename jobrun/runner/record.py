"""The exit record, as a supervisor or a judge writes it; jobs/local_engine.py reads it."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from jobrun.jobfile.layout import Slot
    from jobrun.runner.ending import Verdict

MOST_TEXT = 1500
"""Bytes of a detail: with a path it has to fit the exit record's page."""


def exit_record(verdict: Verdict, slot: Slot, log_end: int) -> dict[bytes, int | bytes | str]:
    """What every end has. `log_end`: the cursor behind the last frame."""
    return {
        b"reason": verdict.reason,
        b"detail": verdict.detail.encode("utf-8", "backslashreplace")[:MOST_TEXT],
        b"started_ns": slot.started_ns,
        b"finished_ns": max(time.time_ns(), slot.started_ns),
        b"end": log_end,
    }
