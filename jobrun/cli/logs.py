"""`logs`."""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING

from jobrun.cli.command import Command
from jobrun.cli.ids import find_job
from jobrun.cli.options import JOBS, Option, Parsed
from jobrun.cli.output import put, write_all
from jobrun.cli.session import JSON, RECONNECT, SERVER_OPTIONS, open_calls
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.stamps import LineStamper
from jobrun.cli.streaming import DESCRIPTORS, say_gap, say_goes_on, say_waiting, write_records
from jobrun.cli.times import parse_since
from jobrun.cli.words import one_id
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.config.numbers import parse_count
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as wire

if TYPE_CHECKING:
    from collections.abc import Callable

CURSOR_MOST = (1 << 53) - 1
FOLLOW, STAMPED, LINES = "--follow", "--timestamps", "--lines"
STARTS = (LINES, "--since", "--cursor")
STREAM_NAMES = {wire.OUTPUT_STREAM_STDOUT: "stdout", wire.OUTPUT_STREAM_STDERR: "stderr"}


def logs(parsed: Parsed, environment: Environment) -> int:
    """Shows a job's output so far, or to its end."""
    leave_on_signals()
    word = one_id(parsed)
    if parsed.flag(STAMPED) and parsed.flag(JSON.key):
        raise parsed.usage_error("-t and --json exclude each other: JSON has a time in each record")
    show = _printer(parsed)
    request = _request(parsed)
    calls = open_calls(parsed, environment, reconnect=parsed.flag(FOLLOW))
    from jobrun.client.errors import LostConnection, NoServer

    job = find_job(calls, word)
    request.job_id = job.id
    if request.follow:
        say_waiting(job)
    ended = False
    try:
        for response in calls.logs(request):
            show(request, response)
            ended = response.HasField("end")
    except (LostConnection, NoServer, LoginNeeded) as error:
        if not request.follow:
            raise
        say_goes_on(request.job_id, error)
        return error.code
    if job.HasField("finished") and not ended:
        raise Refusal(f"job {job.id}: its output ends without its end: its file may be damaged")
    return 0


def parse_lines(text: str) -> int:
    """A count of lines; 0 means none of what is stored."""
    return parse_count(text, least=0)


def parse_cursor(text: str) -> int:
    """A position in the output, as an earlier answer gave it."""
    return parse_count(text, least=0, most=CURSOR_MOST)


def _request(parsed: Parsed) -> wire.LogsRequest:
    given = [option for option in STARTS if parsed.given(option)]
    if len(given) > 1:
        raise parsed.usage_error(f"{given[0]} and {given[1]} exclude each other: both say where to begin")
    request = wire.LogsRequest(follow=parsed.flag(FOLLOW), streams=_streams(parsed))
    if (lines := parsed.number(LINES)) is not None:
        request.tail_lines = lines
    elif (since := parsed.number("--since")) is not None:
        request.since.FromNanoseconds(since)
    else:
        request.cursor = parsed.number("--cursor") or 0
    return request


def _streams(parsed: Parsed) -> list[wire.OutputStream]:
    return [stream for stream, name in STREAM_NAMES.items() if parsed.flag(f"--{name}")]


def _printer(parsed: Parsed) -> Callable[[wire.LogsRequest, wire.LogsResponse], None]:
    if parsed.flag(JSON.key):
        return _show_json
    stampers = {stream: LineStamper() for stream in STREAM_NAMES} if parsed.flag(STAMPED) else {}
    return functools.partial(_show, stampers)


def _show(
    stampers: dict[wire.OutputStream, LineStamper], request: wire.LogsRequest, response: wire.LogsResponse
) -> None:
    if response.HasField("gap"):
        for stream, stamper in stampers.items():
            write_all(DESCRIPTORS[stream], stamper.break_line())
        say_gap(request.job_id, response.gap.dropped_bytes)
    for record in response.batch.records if stampers else ():
        record.data = stampers[record.stream].stamp(record.data, record.time_unix_nano)
    write_records(response.batch.records)


def _show_json(request: wire.LogsRequest, response: wire.LogsResponse) -> None:
    """One line a record, with the cursor behind it."""
    from jobrun.cli.jsontext import dump

    if response.HasField("gap"):
        put(dump({"gap_bytes": response.gap.dropped_bytes, "cursor": response.next_cursor}))
        say_gap(request.job_id, response.gap.dropped_bytes)
    put("".join(_json_line(record) for record in response.batch.records))


def _json_line(record: wire.LogRecord) -> str:
    from jobrun.cli.jsontext import dump

    data = base64.b64encode(record.data).decode()
    stream = STREAM_NAMES[record.stream]
    return dump({"time": _utc(record.time_unix_nano), "stream": stream, "data": data, "cursor": record.next_cursor})


def _utc(time_ns: int) -> str:
    """As protobuf prints a Timestamp."""
    from google.protobuf.timestamp_pb2 import Timestamp

    stamp = Timestamp()
    stamp.FromNanoseconds(time_ns)
    return stamp.ToJsonString()


COMMANDS = (
    Command(
        name="logs",
        summary="show a job's output so far, or follow it",
        words="ID",
        takes=JOBS,
        description="The job's stdout goes to stdout, its stderr to stderr, byte for byte. Gaps are told on stderr.\n"
        "Ctrl-C ends this command alone. A cursor is a position that an earlier answer gave (--json), 0 the beginning.",
        options=(
            Option(f"-f {FOLLOW}", "go on to the end of the output"),
            Option(f"-n {LINES}", "the last N lines of the chosen streams; 0: none", "N", parse_lines),
            Option(f"-t {STAMPED}", "a time before each line"),
            Option("--since", "from this time on", "TIME", parse_since),
            Option("--cursor", "from this position on", "N", parse_cursor),
            Option("--stdout", "stdout alone"),
            Option("--stderr", "stderr alone"),
            JSON,
            RECONNECT,
            *SERVER_OPTIONS,
        ),
        run=logs,
        example="jobrun logs -f -n 10 @last",
    ),
)
