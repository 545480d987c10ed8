"""`rm`."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from jobrun.cli.command import Command
from jobrun.cli.ids import find_job
from jobrun.cli.listing import pages_of
from jobrun.cli.options import JOBS, Option, Parsed
from jobrun.cli.session import SERVER_OPTIONS, open_calls
from jobrun.cli.several import try_all
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.words import no_words, some_ids
from jobrun.config.environment import Environment
from jobrun.config.errors import NoSuchThing
from jobrun.config.numbers import parse_duration
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as wire
from jobrun.wire.gen.jobrun.v1.job_pb2 import Job

if TYPE_CHECKING:
    from jobrun.client.calls import Calls


def remove(parsed: Parsed, environment: Environment) -> int:
    """Forgets finished jobs and their output."""
    leave_on_signals()
    if parsed.given("--older") and not parsed.flag("--finished"):
        raise parsed.usage_error("--older: goes with --finished")
    calls = open_calls(parsed, environment)
    if parsed.flag("--finished"):
        no_words(parsed)
        return try_all(_finished(calls, parsed.number("--older") or 0), functools.partial(_forget, calls))
    return try_all(some_ids(parsed), functools.partial(_remove, parsed, calls))


def _remove(parsed: Parsed, calls: Calls, word: str) -> int:
    job = find_job(calls, word)
    if parsed.flag("--force") and not job.HasField("finished"):
        calls.stop(wire.StopRequest(job_id=job.id))
    calls.remove(job.id)
    return 0


def _forget(calls: Calls, job_id: str) -> int:
    """As _remove; one that retention or another client took meanwhile is gone as was wished."""
    try:
        calls.remove(job_id)
    except NoSuchThing:
        return 0
    return 0


def _finished(calls: Calls, older_ns: int) -> list[str]:
    """Ids of the own jobs that finished longer ago than `older_ns`."""
    before = time.time_ns() - older_ns
    wanted = wire.ListFilter(states=[wire.JOB_STATE_FINISHED])
    jobs = (job for page in pages_of(calls, wire.ListRequest(filter=wanted), None) for job in page)
    return [job.id for job in jobs if older_ns == 0 or _finished_ns(job) <= before]


def _finished_ns(job: Job) -> int:
    stamp = job.finished.finished_at
    return stamp.seconds * 10**9 + stamp.nanos


COMMANDS = (
    Command(
        name="rm",
        summary="forget finished jobs and their output",
        words="ID... | --finished",
        takes=JOBS,
        many=True,
        description="A job that has not finished is refused, unless -f stops it first. Of several IDs all are tried;\n"
        "the exit code is that of the first failure.",
        options=(
            Option("-f --force", "stop it first"),
            Option("--finished", "all own jobs that have finished"),
            Option("--older", "with --finished: those that finished longer ago than this", "DUR", parse_duration),
            *SERVER_OPTIONS,
        ),
        run=remove,
        example="jobrun rm --finished --older 1d",
    ),
)
