"""`run` and `start`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobrun.cli.codes import BROKEN_PIPE, OURS
from jobrun.cli.command import Command
from jobrun.cli.files import check_can_write, write_file
from jobrun.cli.interruption import Interruption
from jobrun.cli.options import PROGRAM, Parsed
from jobrun.cli.output import BrokenOutput, OutputFailed, put
from jobrun.cli.session import JSON, RECONNECT, SERVER_OPTIONS, open_calls, target_of
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.spec import SPEC_OPTIONS, build_request
from jobrun.cli.streaming import RESULT, say_goes_on, say_waiting, show_to_the_end
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.wire.gen.jobrun.v1.job_pb2 import Job
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import StopRequest

if TYPE_CHECKING:
    from jobrun.client.calls import Calls

ID_FILE = "--id-file"
"""What a shell says of a program that SIGPIPE ended."""


def run(parsed: Parsed, environment: Environment) -> int:
    """Starts a job, shows its output, waits, and leaves as it did."""
    interruption = Interruption()
    check_can_write(RESULT.key, parsed.text(RESULT.key))
    check_can_write(ID_FILE, parsed.text(ID_FILE))
    request = build_request(parsed, environment, private=target_of(parsed, environment).takes_surroundings)
    calls = open_calls(parsed, environment, reconnect=True)
    job = calls.start(request, interruption.sending)
    interruption.started(calls, job.id)
    _write_id(parsed, job.id)
    say_waiting(job)
    return _show(calls, job, parsed)


def _show(calls: Calls, job: Job, parsed: Parsed) -> int:
    from jobrun.client.errors import LostConnection, NoServer

    try:
        return show_to_the_end(calls, job, parsed)
    except BrokenOutput:
        return _stop_unread(calls, job.id)
    except (LostConnection, NoServer, LoginNeeded, OutputFailed) as error:
        say_goes_on(job.id, error)
        return OURS


def _stop_unread(calls: Calls, job_id: str) -> int:
    """Nobody reads the output: stops the job, and prints nothing, not even that it could not be stopped."""
    try:
        calls.stop(StopRequest(job_id=job_id))
    except Refusal:
        return BROKEN_PIPE
    return BROKEN_PIPE


def start(parsed: Parsed, environment: Environment) -> int:
    """Starts a job and prints its id."""
    leave_on_signals()
    check_can_write(ID_FILE, parsed.text(ID_FILE))
    request = build_request(parsed, environment, private=target_of(parsed, environment).takes_surroundings)
    job = open_calls(parsed, environment).start(request)
    _write_id(parsed, job.id)
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put(to_json(job))
    else:
        put(f"{job.id}\n")
    return 0


def _write_id(parsed: Parsed, job_id: str) -> None:
    if (name := parsed.text(ID_FILE)) is None:
        return
    try:
        write_file(ID_FILE, name, f"{job_id}\n")
    except Refusal as refusal:
        raise Refusal(f"{refusal}: job {job_id} goes on: jobrun attach {job_id}") from refusal


RUN = Command(
    name="run",
    summary="run a program as a job: its output streams back, its exit code becomes yours",
    words="PROGRAM [ARGUMENT...]",
    takes=PROGRAM,
    description="Starts a job, streams its stdout to stdout and its stderr to stderr, and waits. Options end at the\n"
    "first word that is none. Ctrl-C stops the job; a lost connection or a closed terminal leaves it running:\n"
    'find it again by "jobrun list", go on with "jobrun attach ID". Exits as the program did; 128+N if signal N\n'
    "ended it; 124 after --timeout; 127 program not found; 126 not executable; 125 for all that is jobrun's own.\n"
    "A shell drops variables whose names it cannot hold (exported bash functions): they reach the job only where\n"
    "jobrun is started as `python3 jobrun`.",
    options=(*SPEC_OPTIONS, RECONNECT, RESULT, *SERVER_OPTIONS),
    run=run,
    example="jobrun run --timeout 10m --memory 2G make -j4",
)
START = Command(
    name="start",
    summary="start a job and print its id",
    words="PROGRAM [ARGUMENT...]",
    takes=PROGRAM,
    description="As run, but leaves once the job is on record.",
    options=(*SPEC_OPTIONS, JSON, *SERVER_OPTIONS),
    run=start,
    example="id=$(jobrun start ./nightly.sh); jobrun wait $id",
)
COMMANDS = (RUN, START)
