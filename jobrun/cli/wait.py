"""`wait`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from jobrun.cli.codes import OURS
from jobrun.cli.command import Command
from jobrun.cli.exit_codes import exit_code
from jobrun.cli.files import check_can_write
from jobrun.cli.ids import find_job
from jobrun.cli.options import JOBS, Option, Parsed
from jobrun.cli.output import put, say
from jobrun.cli.session import JSON, RECONNECT, SERVER_OPTIONS, open_calls
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.streaming import RESULT, write_result
from jobrun.cli.words import some_ids
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.config.numbers import parse_duration
from jobrun.wire.gen.jobrun.v1.job_pb2 import Job

if TYPE_CHECKING:
    from jobrun.client.calls import Calls


def wait(parsed: Parsed, environment: Environment) -> int:
    """Waits until all jobs have finished; leaves as the last named one did."""
    leave_on_signals()
    words = some_ids(parsed)
    check_can_write(RESULT.key, parsed.text(RESULT.key))
    timeout = parsed.number("--timeout")
    until = None if timeout is None else time.monotonic() + timeout / 1e9
    calls = open_calls(parsed, environment, reconnect=True)
    finished: list[str] = []
    code = 0
    for word in words:
        try:
            job = _wait_for(calls, word, until)
        except Refusal as refusal:
            say(str(refusal))
            code = OURS
            continue
        if job is None:
            say(f"wait: {word} has not finished within --timeout")
            return OURS
        _print(parsed, job)
        finished.append(job.id)
        code = exit_code(job)
    write_result(calls, parsed, finished)
    return code


def _wait_for(calls: Calls, word: str, until: float | None) -> Job | None:
    """The job once it has finished; None where that takes too long."""
    from jobrun.client.errors import LostConnection, NoServer

    job = find_job(calls, word)
    try:
        is_over = job.HasField("finished") or calls.wait(job.id, until=until)
        return calls.status(job.id) if is_over else None
    except (LostConnection, NoServer, LoginNeeded) as error:
        raise Refusal(f"{error}: job {job.id} goes on: jobrun attach {job.id}") from error


def _print(parsed: Parsed, job: Job) -> None:
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put(to_json(job))


COMMANDS = (
    Command(
        name="wait",
        summary="wait until jobs have finished",
        words="ID...",
        takes=JOBS,
        many=True,
        description="Prints nothing without --json. Exits as the last named job did, with the codes of run;\n"
        "125 once --timeout is over.",
        options=(
            Option("--timeout", "wait no longer than this", "DUR", parse_duration),
            JSON,
            RECONNECT,
            RESULT,
            *SERVER_OPTIONS,
        ),
        run=wait,
        example="jobrun wait --timeout 1h @last",
    ),
)
