"""A job's output to our stdout and stderr as it comes, and the words about how it ended; for run and attach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from jobrun.cli.exit_codes import exit_code
from jobrun.cli.options import FILES, Option, Parsed
from jobrun.cli.output import STDERR, STDOUT, OutputFailed, say, write_all
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.model.amounts import counted
from jobrun.wire.gen.jobrun.v1 import job_pb2 as wire
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as service

if TYPE_CHECKING:
    from jobrun.client.calls import Calls

RESULT = Option("--result", "write the finished job there, as JSON", "FILE", takes=FILES)
DESCRIPTORS = {service.OUTPUT_STREAM_STDOUT: STDOUT, service.OUTPUT_STREAM_STDERR: STDERR}


def show_to_the_end(calls: Calls, job: wire.Job, parsed: Parsed) -> int:
    """All of the job's output, from the beginning to its end; answers with the exit code. Raises Refusal, BrokenOutput,
    OutputFailed."""
    gap = False
    for response in calls.logs(service.LogsRequest(job_id=job.id, cursor=0, follow=True)):
        event = response.WhichOneof("event")
        if event == "batch":
            write_records(response.batch.records)
        elif event == "gap":
            gap = True
            say_gap(job.id, response.gap.dropped_bytes)
        elif event == "end":
            return _finish(calls, job, response.end.job, parsed, gap=gap)
    raise Refusal(f"job {job.id}: its output ended without its end: see jobrun status {job.id}")


def _finish(calls: Calls, started: wire.Job, finished: wire.Job, parsed: Parsed, *, gap: bool) -> int:
    """Words on stderr where the end needs some, --result, the exit code."""
    if (words := end_in_words(finished, started.spec)) is not None:
        say(words)
    write_result(calls, parsed, [finished.id])
    return exit_code(finished, gap=gap)


def write_result(calls: Calls, parsed: Parsed, job_ids: Iterable[str]) -> None:
    """--result, where it was given: a line for each job, asked for whole, as a stream's last message has no spec."""
    if (name := parsed.text(RESULT.key)) is not None:
        from jobrun.cli.files import write_file
        from jobrun.cli.jsontext import to_json

        write_file(RESULT.key, name, "".join(to_json(calls.status(job_id)) for job_id in job_ids))


def write_records(records: Iterable[service.LogRecord]) -> None:
    """The bytes as they are, in their order; neighbours of one stream in one write."""
    stream, chunks = service.OUTPUT_STREAM_STDOUT, list[bytes]()
    for record in records:
        if record.stream != stream:
            _write(stream, chunks)
            stream, chunks = record.stream, []
        chunks.append(record.data)
    _write(stream, chunks)


def _write(stream: service.OutputStream, chunks: list[bytes]) -> None:
    if chunks:
        write_all(DESCRIPTORS[stream], chunks[0] if len(chunks) == 1 else b"".join(chunks))


def say_gap(job_id: str, dropped: int) -> None:
    """One line for a gap in the output."""
    why = f"--log-limit, or a full disk: see jobrun status {job_id}"
    say(f"job {job_id}: {counted(dropped, 'byte')} of its output missing here: {why}")


def say_waiting(job: wire.Job) -> None:
    """One line for a job that waits in the queue."""
    if job.HasField("queued"):
        say(f"job {job.id} waits: {job.queued.detail or 'for free slots'}")


def say_goes_on(job_id: str, why: Refusal | OutputFailed) -> None:
    """One line for a client that leaves a job behind. Without a login nothing is known of it: a removed user's may be
    stopped, and he logs in no more."""
    if isinstance(why, LoginNeeded):
        say(f"{why}: job {job_id} is not stopped by that: jobrun attach {job_id}, once logged in")
    else:
        say(f"{why}: job {job_id} goes on: jobrun attach {job_id}")


def end_in_words(job: wire.Job, spec: wire.JobSpec) -> str | None:
    """One line for an end that the job's own output can not explain; None for the others. `spec` is the job's, which
    `job` may lack."""
    end = job.finished
    if end.survivors:
        return f"job {job.id}: {end.survivors} of its processes could not be killed: {end.detail}"
    if end.reason == wire.END_REASON_START_FAILED:
        return f"cannot run {spec.argv[0] if spec.argv else job.id}: {end.detail or 'the server does not say why'}"
    if end.reason in (wire.END_REASON_EXITED, wire.END_REASON_SIGNALED, wire.END_REASON_STOPPED):
        return None
    word = wire.EndReason.Name(end.reason).removeprefix("END_REASON_")
    return f"job {job.id}: {word}: {end.detail or 'the server does not say more'}"
