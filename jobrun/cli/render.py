"""A job in words: its state, times, sizes; the same in every command."""

from __future__ import annotations

import shlex
import signal
import time

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jobrun.limits import LIMITS, NANOSECONDS, Limit
from jobrun.model.amounts import SIZE_UNITS, amount
from jobrun.model.shown import escape
from jobrun.wire.gen.jobrun.v1 import job_pb2 as wire

NONE = "-"
"""What a table shows where there is nothing."""


def state_word(job: wire.Job) -> str:
    """`queued`, `running`; of a finished job its reason with code or signal: `exited 1`, `signaled SIGKILL`."""
    state = job.WhichOneof("state") or "unknown"
    if state == "running" and job.running.HasField("stopping_since"):
        return "stopping"
    return finished_word(job.finished) if state == "finished" else state


def finished_word(end: wire.Finished) -> str:
    """The reason in lower case, and the exit code or signal of the first process."""
    reason = wire.EndReason.Name(end.reason).removeprefix("END_REASON_").lower().replace("_", " ")
    outcome = end.WhichOneof("outcome")
    if outcome is None:
        return reason
    return f"{reason} {end.exit_code if outcome == 'exit_code' else _signal_word(end.signal)}"


def _signal_word(number: int) -> str:
    """Not like an exit code: SIGKILL; `signal 40` where it has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def command_text(job: wire.Job) -> str:
    """The command as one would type it, escaped."""
    return escape(shlex.join(job.spec.argv))


def time_text(stamp: Timestamp) -> str:
    """Local time with its offset, to the second."""
    local = time.localtime(stamp.seconds)
    return time.strftime("%Y-%m-%d %H:%M:%S%z", local)


def runtime_text(job: wire.Job) -> str:
    """How long it ran or runs, by a clock that never jumps; by the wall clocks where the server does not say."""
    if job.usage.HasField("elapsed"):
        return span_text(duration_ns(job.usage.elapsed))
    if not job.running.HasField("started_at"):
        return NONE
    started = job.running.started_at
    return span_text(max(0, time.time_ns() - started.seconds * 10**9 - started.nanos))


def duration_ns(duration: Duration) -> int:
    """Nanoseconds."""
    return duration.seconds * 10**9 + duration.nanos


def span_text(nanoseconds: int) -> str:
    """A rough span for people: `0.3s`, `2m05s`, `3h07m`, `2d04h`."""
    seconds = nanoseconds / 1e9
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def rough_size(size: int) -> str:
    """A size for people: `3.2M`."""
    for shift, unit in SIZE_UNITS:
        if size >= 1 << shift:
            return f"{size / (1 << shift):.1f}{unit}"
    return f"{size}"


def limit_text(limits: wire.Limits, limit: Limit) -> str:
    """One limit's value as its option takes it; `-` where it is not set."""
    if not limits.HasField(limit.field):
        return NONE
    value = getattr(limits, limit.field)
    return amount(duration_ns(value) if limit.unit == NANOSECONDS else value, limit.unit)


def set_limits(job: wire.Job) -> list[Limit]:
    """The limits that hold for the job, or were asked for."""
    both = (job.effective_limits, job.spec.limits)
    return [limit for limit in LIMITS if any(limits.HasField(limit.field) for limits in both)]


def signal_name(number: int) -> str:
    """`9 (KILL)`; a number alone where it has no name."""
    try:
        return f"{number} ({signal.Signals(number).name.removeprefix('SIG')})"
    except ValueError:
        return str(number)
