"""`list`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from jobrun.cli.command import Command
from jobrun.cli.ids import EVERY_STATE, EVERYBODY
from jobrun.cli.options import Option, Parsed
from jobrun.cli.output import STDERR, put, say
from jobrun.cli.render import NONE, command_text, runtime_text, state_word, time_text
from jobrun.cli.session import JSON, NO_START, SERVER_OPTIONS, open_calls
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.words import no_words
from jobrun.config.environment import Environment
from jobrun.config.numbers import parse_count
from jobrun.model.shown import escape
from jobrun.wire.gen.jobrun.v1 import job_pb2
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as wire

if TYPE_CHECKING:
    from jobrun.client.calls import Calls

Number = TypeVar("Number", "wire.JobState", "job_pb2.EndReason")  # quoted: no types at run time, which 3.10 refuses

PAGE = 100
"""Jobs asked for at a time: the first are shown soon, and nobody keeps all of them in memory."""
HEADER = ("ID", "NAME", "STATE", "USER", "CREATED", "RUNTIME", "COMMAND")
STATES = {wire.JobState.Name(state).removeprefix("JOB_STATE_").lower(): state for state in EVERY_STATE}
REASONS = {
    "exited": job_pb2.END_REASON_EXITED,
    "signaled": job_pb2.END_REASON_SIGNALED,
    "stopped": job_pb2.END_REASON_STOPPED,
    "timeout": job_pb2.END_REASON_TIMEOUT,
    "cpu_limit": job_pb2.END_REASON_CPU_LIMIT,
    "memory_limit": job_pb2.END_REASON_MEMORY_LIMIT,
    "file_size_limit": job_pb2.END_REASON_FILE_SIZE_LIMIT,
    "process_limit": job_pb2.END_REASON_PROCESS_LIMIT,
    "start_failed": job_pb2.END_REASON_START_FAILED,
    "lost": job_pb2.END_REASON_LOST,
}
"""Every EndReason by the word that --filter takes; a test holds the two together."""
OFFERS = (*(f"state={word}" for word in STATES), *(f"reason={word}" for word in REASONS))


def list_jobs(parsed: Parsed, environment: Environment) -> int:
    """Shows jobs, page by page as they come."""
    leave_on_signals()
    no_words(parsed)
    if parsed.flag("--quiet") and parsed.flag(JSON.key):
        raise parsed.usage_error("-q and --json exclude each other")
    request = wire.ListRequest(filter=build_filter(parsed))
    calls = open_calls(parsed, environment)
    pages = pages_of(calls, request, parsed.number("--number"))
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        for page in pages:
            put("".join(to_json(job) for job in page))
    elif parsed.flag("--quiet"):
        for page in pages:
            put("".join(f"{job.id}\n" for job in page))
    else:
        _put_table(parsed, pages)
    return 0


def pages_of(calls: Calls, request: wire.ListRequest, most: int | None) -> Iterator[list[job_pb2.Job]]:
    """Pages with at most `most` jobs in all, none of them empty. `request` is changed to ask for the next one."""
    left = most
    while left is None or left > 0:
        request.page_size = PAGE if left is None else min(PAGE, left)
        page = calls.list(request)
        jobs = list(page.jobs)[:left]
        if jobs:
            yield jobs
        if left is not None:
            left -= len(jobs)
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token


def build_filter(parsed: Parsed) -> wire.ListFilter:
    """From -a, --all-users and --filter. Raises UsageError."""
    wanted = wire.ListFilter()
    if parsed.flag("--all-users"):
        wanted.user = EVERYBODY
    for word in parsed.texts("--filter"):
        _add_filter(parsed, wanted, word)
    if parsed.flag("--all") and not wanted.states:
        wanted.states.extend(EVERY_STATE)
    return wanted


def _add_filter(parsed: Parsed, wanted: wire.ListFilter, word: str) -> None:
    key, _, value = word.partition("=")
    if key == "state":
        wanted.states.append(_of(parsed, STATES, key, value))
    elif key == "reason":
        wanted.reasons.append(_of(parsed, REASONS, key, value))
    elif key in ("name", "user") and value:
        setattr(wanted, key, value)
    else:
        raise parsed.usage_error(f"--filter: {word}: give state=, name=, user= or reason= and a value")


def _of(parsed: Parsed, known: Mapping[str, Number], key: str, value: str) -> Number:
    number = known.get(value.lower().replace("-", "_"))
    if number is None:
        raise parsed.usage_error(f"--filter: {key}={value}: one of {' '.join(known)}")
    return number


def _put_table(parsed: Parsed, pages: Iterator[list[job_pb2.Job]]) -> None:
    widths = [len(word) for word in HEADER[:-1]]
    header = [HEADER]
    for page in pages:
        rows = header + [_row(job) for job in page]
        header = []
        widths = [max(width, *(len(row[at]) for row in rows)) for at, width in enumerate(widths)]
        put("".join(_line(row, widths) for row in rows))
    if header:
        put(_line(HEADER, widths))
        _say_none(parsed)


def _say_none(parsed: Parsed) -> None:
    """At a terminal: a header alone leaves one in doubt, and a script reads stdout."""
    if os.isatty(STDERR):
        every = parsed.flag("--all") or parsed.given("--filter")
        say("no jobs" if every else "no job is under way: jobrun list -a shows those that have finished")


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
    return "  ".join([*cells, row[-1]]) + "\n"


def _row(job: job_pb2.Job) -> tuple[str, ...]:
    name, user = escape(job.spec.name) or NONE, escape(job.user)
    return job.id, name, state_word(job), user, time_text(job.created_at), runtime_text(job), command_text(job)


COMMANDS = (
    Command(
        name="list",
        summary="show jobs, newest first",
        words="",
        description="Your own jobs that have not finished; -a shows finished ones too. Several --filter must all fit;\n"
        "several states, or several reasons, are alternatives. States: " + ", ".join(STATES) + ".\n"
        "Reasons: " + ", ".join(REASONS) + ".",
        options=(
            Option("-a --all", "jobs in every state"),
            Option("-n --number", "at most N jobs", "N", parse_count),
            Option("--all-users", "the jobs of all users that you may see"),
            Option("-q --quiet", "ids alone"),
            Option(
                "--filter", "state, name, user or reason, such as state=running", "KEY=VALUE", offers=OFFERS, many=True
            ),
            NO_START,
            JSON,
            *SERVER_OPTIONS,
        ),
        run=list_jobs,
        example="jobrun list -a --filter reason=timeout",
    ),
)
