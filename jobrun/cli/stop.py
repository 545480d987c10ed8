"""`stop`."""

from __future__ import annotations

import functools
import signal
from typing import TYPE_CHECKING

from jobrun.cli.command import Command
from jobrun.cli.ids import find_job
from jobrun.cli.listing import pages_of
from jobrun.cli.options import JOBS, Option, Parsed
from jobrun.cli.output import put, say
from jobrun.cli.render import finished_word
from jobrun.cli.session import JSON, SERVER_OPTIONS, open_calls
from jobrun.cli.several import try_all
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.words import no_words, some_ids
from jobrun.config.environment import Environment
from jobrun.config.numbers import parse_grace
from jobrun.model.shown import escape
from jobrun.wire.gen.jobrun.v1 import job_pb2
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as wire

if TYPE_CHECKING:
    from jobrun.client.calls import Calls

AT_ONCE = 32
"""Stops under way at a time: their graces run side by side, and the server is not flooded."""
SIGNALS_MOST = 64
SIGNALS = tuple(known.name.removeprefix("SIG") for known in signal.Signals)


def stop(parsed: Parsed, environment: Environment) -> int:
    """Stops jobs and says how each ended; 1 where a process outlived its KILL."""
    leave_on_signals()
    calls = open_calls(parsed, environment)
    words = _words(parsed, calls)
    if len(words) <= 1:
        return try_all(words, functools.partial(_stop_one, parsed, calls))
    return _stop_side_by_side(parsed, calls, words)


def _words(parsed: Parsed, calls: Calls) -> list[str]:
    if not parsed.flag("--all"):
        return list(some_ids(parsed))
    no_words(parsed)
    return [job.id for page in pages_of(calls, wire.ListRequest(), None) for job in page]


def _stop_side_by_side(parsed: Parsed, calls: Calls, words: list[str]) -> int:
    """Threads, as each call lasts as long as its job's grace. Answers are told in the order of the words."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(words))) as pool:
        stops = {word: pool.submit(_call, parsed, calls.again(), word) for word in dict.fromkeys(words)}
        return try_all(words, lambda word: _tell(parsed, stops[word].result()))


def _stop_one(parsed: Parsed, calls: Calls, word: str) -> int:
    return _tell(parsed, _call(parsed, calls, word))


def _call(parsed: Parsed, calls: Calls, word: str) -> job_pb2.Job:
    request = wire.StopRequest(job_id=find_job(calls, word).id)
    if (number := parsed.number("--signal")) is not None:
        request.signal = number
    if (grace := parsed.number("--grace")) is not None:
        request.grace.FromNanoseconds(grace)
    return calls.stop(request)


def _tell(parsed: Parsed, job: job_pb2.Job) -> int:
    end = job.finished
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put(to_json(job))
    else:
        why = f" by {end.stopped_by}" if end.stopped_by else f": {end.detail}" if end.detail else ""
        put(escape(f"{job.id}  {finished_word(end)}{why}") + "\n")
    if end.survivors:
        say(f"job {job.id}: {end.survivors} of its processes could not be killed")
        return 1
    return 0


def parse_signal(text: str) -> int:
    """A signal's number from its name (TERM, SIGTERM, RTMIN+1) or number, 1 to 64. Raises ValueError with the end of a
    sentence."""
    name, plus, offset = text.upper().removeprefix("SIG").partition("+")
    if text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= SIGNALS_MOST:
        return int(text)
    try:
        number = int(signal.Signals["SIG" + name])
    except KeyError:
        raise ValueError(f"{text or 'an empty text'} is no signal: a name such as INT, or 1 to 64") from None
    if not plus:
        return number
    if name != "RTMIN" or not (offset.isascii() and offset.isdigit()) or number + int(offset[:3]) > SIGNALS_MOST:
        raise ValueError(f"{text} is no signal: a name such as INT, or 1 to 64")
    return number + int(offset[:3])


COMMANDS = (
    Command(
        name="stop",
        summary="stop jobs: a signal to the whole tree, the grace, then KILL",
        words="ID... | --all",
        takes=JOBS,
        many=True,
        description="Answers when each has finished, and says how. Stopping a finished job just says how it ended.\n"
        "Another stop of the same job sends a signal only if it names one, and may only shorten the grace.\n"
        "Of several IDs all are tried; the exit code is that of the first failure.",
        options=(
            Option("-s --signal", "another first signal than TERM, by name or number", "SIGNAL", parse_signal, SIGNALS),
            Option("--grace", "from the signal to KILL (the job's own); 0s: KILL at once", "DUR", parse_grace),
            Option("--all", "all own jobs"),
            JSON,
            *SERVER_OPTIONS,
        ),
        run=stop,
        example="jobrun stop -s INT --grace 1m @last",
    ),
)
