"""Between a row of jobs and the model."""

from __future__ import annotations

import dataclasses
from typing import Any

from jobrun.model.job import End, Job, StartFailure, Usage
from jobrun.model.lifecycle import EndReason, StartStep, State
from jobrun.store import spec_text

_USED = tuple(field.name for field in dataclasses.fields(Usage))
"""The last columns, in their order."""


SPEC = 8
"""Which column has the spec's text."""


@dataclasses.dataclass(frozen=True)
class StoredJob:
    """A job on record, and its place in the order of creation."""

    seq: int
    job: Job


def job_of(row: tuple[Any, ...]) -> StoredJob:
    """From statements.JOB_COLUMNS. Of a job that is STARTING nobody knows here whether it runs already."""
    seq, job_id, user, machine_token, token_name, unix_user, created_ns, state, spec, limits, *ended = row
    end, usage = _end_of(ended) if State(state) is State.FINISHED else (None, None)
    job = Job(
        id=job_id,
        user=user,
        machine_token=machine_token,
        token_name=token_name,
        unix_user=unix_user,
        created_ns=created_ns,
        state=State(state),
        spec=spec_text.decode(spec),
        limits=spec_text.decode_limits(limits),
        started_ns=end.started_ns if end else 0,
        end=end,
        usage=usage,
    )
    return StoredJob(seq, job)


def _end_of(columns: list[Any]) -> tuple[End, Usage | None]:
    reason, exit_code, signal, started_ns, finished_ns, detail, stopped_by, step, errno, path, survivors = columns[:11]
    end = End(
        reason=EndReason(reason),
        exit_code=exit_code,
        signal=signal,
        started_ns=started_ns,
        finished_ns=finished_ns,
        detail=detail,
        stopped_by=stopped_by,
        start_failure=None if step is None else StartFailure(step=StartStep(step), errno=errno, path=path),
        survivors=survivors,
    )
    used = columns[11:]
    return end, None if used[0] is None else Usage(**dict(zip(_USED, used, strict=True)))


def end_columns(end: End, usage: Usage | None) -> tuple[Any, ...]:
    """What statements.SET_FINISHED takes after the state."""
    failure = end.start_failure
    failed = (None, None, None) if failure is None else (int(failure.step), failure.errno, failure.path)
    used = [None if usage is None else getattr(usage, name) for name in _USED]
    return (
        int(end.reason),
        end.exit_code,
        end.signal,
        end.started_ns,
        end.finished_ns,
        end.detail,
        end.stopped_by,
        *failed,
        end.survivors,
        *used,
    )
