"""`status`."""

from __future__ import annotations

from collections.abc import Iterator

from jobrun.cli.command import Command
from jobrun.cli.ids import find_job
from jobrun.cli.options import JOBS, Parsed
from jobrun.cli.output import put
from jobrun.cli.render import (
    NONE,
    command_text,
    duration_ns,
    limit_text,
    rough_size,
    runtime_text,
    set_limits,
    signal_name,
    state_word,
    time_text,
)
from jobrun.cli.session import JSON, SERVER_OPTIONS, open_calls, target_of
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.words import one_id
from jobrun.config.environment import Environment
from jobrun.model.amounts import counted, exact_duration
from jobrun.model.shown import escape
from jobrun.wire.gen.jobrun.v1 import job_pb2 as wire

ISOLATION = {
    wire.ISOLATION_UNSPECIFIED: "none: this {server} isolates nothing",
    wire.ISOLATION_NONE: "none: this {server} isolates nothing",
    wire.ISOLATION_PARTIAL: "partial: Landlock and seccomp alone",
    wire.ISOLATION_MEDIUM: "medium: a uid of its own, Landlock, seccomp",
    wire.ISOLATION_STRONG: "strong: namespaces, Landlock, seccomp",
}

TOLD_BY_ERRORS = frozenset({"memory_bytes", "address_space_bytes", "open_files"})
"""Limits that a process meets as ENOMEM or EMFILE: setrlimit(2)."""


def status(parsed: Parsed, environment: Environment) -> int:
    """Shows one job."""
    leave_on_signals()
    word = one_id(parsed)
    calls = open_calls(parsed, environment)
    job = calls.status(find_job(calls, word).id)
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put(to_json(job))
    else:
        put(status_text(job, private=target_of(parsed, environment).takes_surroundings))
    return 0


def status_text(job: wire.Job, *, private: bool) -> str:
    """Aligned text, with a last paragraph that says why it waits, or why it ended as it did. `private`: the job is on
    a private server."""
    lines = [
        f"{name:<10}  {value}\n" for name, value in (*_rows(job, private=private), *_limits(job), *_usage(job)) if value
    ]
    return "".join(lines) + f"\n{escape(why(job))}\n"


def _rows(job: wire.Job, *, private: bool) -> Iterator[tuple[str, str]]:
    yield "id", job.id
    yield "name", escape(job.spec.name)
    yield "state", state_word(job)
    yield "user", escape(f"{job.user} (as {job.unix_user})" if job.unix_user else job.user)
    yield "token", escape(job.token_name)
    yield "command", command_text(job)
    yield "folder", escape(job.spec.cwd)
    yield "created", time_text(job.created_at)
    started = job.finished if job.HasField("finished") else job.running
    yield "started", time_text(started.started_at) if started.HasField("started_at") else ""
    yield "finished", time_text(job.finished.finished_at) if job.finished.HasField("finished_at") else ""
    yield "pid", str(job.running.pid or "")
    yield "slots", str(job.spec.slots) if job.spec.HasField("slots") else ""
    yield "grace", exact_duration(duration_ns(job.spec.grace)) if job.spec.HasField("grace") else ""
    yield "variables", escape(_names(job))
    server = "private server" if private else "server"
    yield "isolation", ISOLATION.get(job.isolation, str(job.isolation)).format(server=server)


def _names(job: wire.Job) -> str:
    names = sorted({*job.spec.env, *job.spec.secret_env})
    return f"{len(names)} variables" if len(names) > 8 else " ".join(names)


def _limits(job: wire.Job) -> Iterator[tuple[str, str]]:
    enforcers = {int(row.kind): row.by for row in job.enforcements}
    title = "limits"
    for limit in set_limits(job):
        asked, holds = limit_text(job.spec.limits, limit), limit_text(job.effective_limits, limit)
        by = ", ".join(_enforcer(number) for number in enforcers.get(limit.kind, ())) or NONE
        yield title, f"{limit.flag:<16} asked {asked:<8} effective {holds:<8} enforced by {by}"
        title = ""
    if not title:
        return
    yield title, "none"


def _enforcer(number: wire.Enforcement) -> str:
    return wire.Enforcement.Name(number).removeprefix("ENFORCEMENT_").lower()


def _usage(job: wire.Job) -> Iterator[tuple[str, str]]:
    usage = job.usage
    if not job.HasField("usage"):
        return
    cpu = f"{duration_ns(usage.user_cpu) / 1e9:.2f}s user, {duration_ns(usage.system_cpu) / 1e9:.2f}s system"
    yield "runtime", runtime_text(job)
    yield "cpu", cpu
    yield "memory", f"{rough_size(usage.peak_memory_bytes)} at its highest"
    yield "output", f"{counted(usage.output_bytes, 'byte')}, {usage.output_dropped_bytes} of them dropped"


def why(job: wire.Job) -> str:
    """One sentence or two: why the job is where it is, with the evidence."""
    if job.HasField("queued"):
        return f"It waits: {job.queued.detail or 'for free slots'} ({job.queued.ahead} of the same user ahead of it)."
    if job.HasField("finished"):
        return _why_finished(job.finished) + _perhaps(job)
    if job.running.HasField("stopping_since"):
        return f"It is being stopped since {time_text(job.running.stopping_since)}; after the grace comes KILL."
    return "It runs." if job.HasField("running") else "It was taken from the queue; its program does not run yet."


def _why_finished(end: wire.Finished) -> str:
    words = [f"It ended: {wire.EndReason.Name(end.reason).removeprefix('END_REASON_')}"]
    if end.stopped_by:
        words.append(f"by {end.stopped_by}")
    if end.WhichOneof("outcome") == "exit_code":
        words.append(f"with exit code {end.exit_code}")
    elif end.WhichOneof("outcome") == "signal":
        words.append(f"by signal {signal_name(end.signal)}")
    text = " ".join(words) + (f": {end.detail.rstrip('.')}." if end.detail else ".")
    if end.survivors:
        text += f" {end.survivors} of its processes could not be killed."
    return text


def _perhaps(job: wire.Job) -> str:
    """The kernel tells a program of these limits by an error, and nobody sees what it makes of that."""
    end = job.finished
    failed = end.reason == wire.END_REASON_SIGNALED or (end.reason == wire.END_REASON_EXITED and end.exit_code != 0)
    limits = [limit for limit in set_limits(job) if limit.field in TOLD_BY_ERRORS]
    if not failed or not limits:
        return ""
    met = ", ".join(f"{limit.flag} {limit_text(job.effective_limits, limit)}" for limit in limits)
    return f" Whether its program met {met} as an error is for its output to say."


COMMANDS = (
    Command(
        name="status",
        summary="show one job: state, limits, usage, and why it waits or ended",
        words="ID",
        takes=JOBS,
        description="The last paragraph says why it is queued, or why it ended as it did, with the evidence.",
        options=(JSON, *SERVER_OPTIONS),
        run=status,
        example="jobrun status @last",
    ),
)
