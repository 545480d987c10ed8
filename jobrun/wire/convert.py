"""Between the wire and the model, both ways: the one place that knows both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from jobrun.limits import LIMITS, NANOSECONDS
from jobrun.model.errors import InvalidRequest, NotEnforceable
from jobrun.model.job import End, Job, JobSpec, Secrets, Usage
from jobrun.model.job_filter import JobFilter
from jobrun.model.lifecycle import EndReason, State
from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from jobrun.wire.times import duration, duration_ns, timestamp, timestamp_ns

Number = TypeVar("Number", State, EndReason)

ENFORCED_BY: Mapping[str, tuple[int, ...]] = {limit.field: limit.enforced_by for limit in LIMITS}
KIND: Mapping[str, int] = {limit.field: limit.kind for limit in LIMITS}


def spec_from_wire(spec: job_pb2.JobSpec) -> tuple[JobSpec, Secrets]:
    """What is asked for, apart from the values that no answer ever shows. Bounds are jobs.spec_checks' matter.

    Raises InvalidRequest for what is no duration, NotEnforceable for a network that can not be had."""
    if spec.network == job_pb2.NETWORK_NONE:
        raise NotEnforceable("spec.network: a network of its own is not in this version")
    env, secret_env = dict(spec.env), dict(spec.secret_env)
    asked = frozenset(name for name in ("slots", "grace", "umask") if spec.HasField(name))
    if spec.network:
        asked |= {"network"}
    more = {}
    if "slots" in asked:
        more["slots"] = spec.slots
    if "grace" in asked:
        more["grace_ns"] = duration_ns(spec.grace, "spec.grace")
    if "umask" in asked:
        more["umask"] = spec.umask
    converted = JobSpec(
        argv=tuple(spec.argv),
        name=spec.name,
        env_names=tuple(sorted(env)),
        secret_env_names=tuple(sorted(secret_env)),
        cwd=spec.cwd,
        limits=limits_from_wire(spec.limits, "spec.limits") if spec.HasField("limits") else {},
        asked=asked,
        has_stdin=bool(spec.stdin),
        **more,
    )
    return converted, Secrets(env, secret_env, spec.stdin)


def limits_from_wire(limits: job_pb2.Limits, place: str) -> dict[str, int]:
    """By field; those that are set, 0 too. `place`: the message's own path. Raises InvalidRequest."""
    found = {}
    for limit in LIMITS:
        if limits.HasField(limit.field):
            value = getattr(limits, limit.field)
            found[limit.field] = duration_ns(value, f"{place}.{limit.field}") if limit.unit == NANOSECONDS else value
    return found


def filter_from_wire(wanted: job_service_pb2.ListFilter, caller: str) -> JobFilter:
    """What `wanted` means for this caller. Raises InvalidRequest."""
    states = _numbers(State, wanted.states, "filter.states")
    reasons = _numbers(EndReason, wanted.reasons, "filter.reasons")
    every = bool(reasons or wanted.id_prefix)
    return JobFilter(
        user=None if wanted.user == "*" else wanted.user or caller,
        states=states or (frozenset(State) if every else frozenset(State) - {State.FINISHED}),
        name=wanted.name,
        reasons=reasons,
        created_from_ns=_time(wanted, "created_after"),
        created_before_ns=_time(wanted, "created_before"),
        id_prefix=wanted.id_prefix,
    )


def _numbers(kind: type[Number], values: Iterable[int], field: str) -> frozenset[Number]:
    found = frozenset(values)
    if unknown := found.difference(kind):
        raise InvalidRequest(field, f"{min(unknown)} is none that this server knows")
    return frozenset(map(kind, found))


def _time(wanted: job_service_pb2.ListFilter, field: str) -> int:
    return timestamp_ns(getattr(wanted, field), f"filter.{field}") if wanted.HasField(field) else 0


def job_to_wire(job: Job, *, spec: bool = True) -> job_pb2.Job:
    """As it stands; `spec` False: without the part that never changes."""
    wire = job_pb2.Job(
        id=job.id,
        user=job.user,
        created_at=timestamp(job.created_ns),
        effective_limits=limits_to_wire(job.limits),
        unix_user=job.unix_user,
        token_name=job.token_name,
        isolation=job_pb2.ISOLATION_NONE,
        enforcements=[
            job_pb2.LimitEnforcement(kind=KIND[field], by=ENFORCED_BY[field])  # type: ignore[arg-type]  # its numbers
            for field in ENFORCED_BY
            if field in job.limits
        ],
    )
    if spec:
        wire.spec.CopyFrom(spec_to_wire(job.spec))
    if job.usage is not None:
        wire.usage.CopyFrom(usage_to_wire(job.usage))
    _set_state(wire, job)
    return wire


def listed_job_to_wire(job: Job) -> job_pb2.Job:
    """As it stands, without the names of its environment."""
    wire = job_to_wire(job)
    wire.spec.ClearField("env")
    wire.spec.ClearField("secret_env")
    return wire


def spec_to_wire(spec: JobSpec) -> job_pb2.JobSpec:
    """As it was asked for; values of the environment, stdin and umask left out."""
    wire = job_pb2.JobSpec(
        argv=spec.argv,
        name=spec.name,
        env=dict.fromkeys(spec.env_names, b""),
        secret_env=dict.fromkeys(spec.secret_env_names, b""),
        cwd=spec.cwd,
    )
    if spec.limits:
        wire.limits.CopyFrom(limits_to_wire(spec.limits))
    if "slots" in spec.asked:
        wire.slots = spec.slots
    if "grace" in spec.asked:
        wire.grace.CopyFrom(duration(spec.grace_ns))
    if "network" in spec.asked:
        wire.network = job_pb2.NETWORK_HOST
    return wire


def limits_to_wire(limits: Mapping[str, int]) -> job_pb2.Limits:
    """From numbers by field."""
    wire = job_pb2.Limits()
    for limit in LIMITS:
        if limit.field not in limits:
            continue
        value = limits[limit.field]
        if limit.unit == NANOSECONDS:
            getattr(wire, limit.field).CopyFrom(duration(value))
        else:
            setattr(wire, limit.field, value)
    return wire


def usage_to_wire(usage: Usage) -> job_pb2.Usage:
    """So far, or in all."""
    return job_pb2.Usage(
        user_cpu=duration(usage.user_cpu_ns),
        system_cpu=duration(usage.system_cpu_ns),
        peak_memory_bytes=usage.peak_memory_bytes,
        output_bytes=usage.output_bytes,
        output_dropped_bytes=usage.output_dropped_bytes,
        elapsed=duration(usage.elapsed_ns),
    )


def _set_state(wire: job_pb2.Job, job: Job) -> None:
    if job.state is State.QUEUED:
        wire.queued.CopyFrom(job_pb2.Queued(ahead=job.ahead, detail=job.waits_for))
    elif job.state is State.STARTING:
        wire.starting.SetInParent()
    elif job.state is State.RUNNING:
        wire.running.started_at.CopyFrom(timestamp(job.started_ns))
        wire.running.pid = job.pid
        if job.stopping_since_ns:
            wire.running.stopping_since.CopyFrom(timestamp(job.stopping_since_ns))
    else:
        assert job.end is not None, "a finished job has its end"
        wire.finished.CopyFrom(end_to_wire(job.end))


def end_to_wire(end: End) -> job_pb2.Finished:
    """How it ended."""
    wire = job_pb2.Finished(
        reason=int(end.reason),  # type: ignore[arg-type]  # the same numbers
        finished_at=timestamp(end.finished_ns),
        detail=end.detail,
        stopped_by=end.stopped_by,
        survivors=end.survivors,
    )
    if end.exit_code is not None:
        wire.exit_code = end.exit_code
    if end.signal is not None:
        wire.signal = end.signal
    if end.started_ns:
        wire.started_at.CopyFrom(timestamp(end.started_ns))
    if (failure := end.start_failure) is not None:
        step = int(failure.step)
        wire.start_failure.CopyFrom(job_pb2.StartFailure(step=step, errno=failure.errno, path=failure.path))  # type: ignore[arg-type]  # the same numbers
    return wire
