"""`attach`."""

from __future__ import annotations

from jobrun.cli.codes import OURS
from jobrun.cli.command import Command
from jobrun.cli.files import check_can_write
from jobrun.cli.ids import find_job
from jobrun.cli.options import JOBS, Parsed
from jobrun.cli.output import OutputFailed
from jobrun.cli.session import RECONNECT, SERVER_OPTIONS, open_calls
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.streaming import RESULT, say_goes_on, say_waiting, show_to_the_end
from jobrun.cli.words import one_id
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded


def attach(parsed: Parsed, environment: Environment) -> int:
    """Shows a job's output from the beginning, waits, and leaves as it did."""
    leave_on_signals()
    word = one_id(parsed)
    check_can_write(RESULT.key, parsed.text(RESULT.key))
    calls = open_calls(parsed, environment, reconnect=True)
    from jobrun.client.errors import LostConnection, NoServer

    job = find_job(calls, word)
    say_waiting(job)
    try:
        return show_to_the_end(calls, job, parsed)
    except (LostConnection, NoServer, LoginNeeded, OutputFailed) as error:
        say_goes_on(job.id, error)
        return OURS


COMMANDS = (
    Command(
        name="attach",
        summary="follow a job from the beginning, then exit as it did",
        words="ID",
        takes=JOBS,
        description="Shows all of the job's output, then what comes. It only looks: Ctrl-C ends this command alone.\n"
        "Exits as run does.",
        options=(RECONNECT, RESULT, *SERVER_OPTIONS),
        run=attach,
        example="jobrun attach @last",
    ),
)
