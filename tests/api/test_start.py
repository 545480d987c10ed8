"""Start: once, and only what is understood."""

from __future__ import annotations

import sqlite3
from typing import Any

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from tests.api.refusals import refused
from tests.api.source_server import WITHIN_S, Server

SHELL = ("/bin/sh", "-c")


def start_request(request_id: str = "", **spec: object) -> job_service_pb2.StartRequest:
    spec.setdefault("argv", ["/bin/true"])
    spec.setdefault("cwd", "/")
    asked = job_pb2.JobSpec(**spec)  # type: ignore[arg-type]  # by the field's name
    return job_service_pb2.StartRequest(spec=asked, request_id=request_id)


def test_a_job_runs_and_its_end_is_told(private: Server) -> None:
    """Without this nothing else matters: output, exit code, times, what it was started with."""
    job = private.start(*SHELL, "echo out; exit 3", name="one")
    assert private.output(job.id) == b"out\n"
    ended = private.jobs.GetStatus(job_service_pb2.GetStatusRequest(job_id=job.id), timeout=WITHIN_S).job
    assert ended.finished.reason == job_pb2.END_REASON_EXITED
    assert ended.finished.exit_code == 3
    assert ended.finished.started_at.ToNanoseconds() >= job.created_at.ToNanoseconds()
    assert (ended.spec.name, ended.user, ended.usage.output_bytes) == ("one", "ann", 4)
    assert dict(ended.spec.env) == {"PATH": b""}


def test_the_same_request_runs_once(private: Server) -> None:
    """A retry after a lost answer would run the user's command twice."""
    first = private.start("/bin/true", request_id="once")
    again = private.start("/bin/true", request_id="once")
    assert again.id == first.id


def test_the_same_request_at_the_same_time_runs_once(private: Server) -> None:
    """A client that retries while its first call is still being written would run the command twice."""
    slow_disk = sqlite3.connect(private.data / "jobs.db", isolation_level=None)
    slow_disk.execute("BEGIN IMMEDIATE")
    asked = [private.jobs.Start.future(start_request("at-once"), timeout=WITHIN_S) for _ in range(8)]
    private.jobs.List(job_service_pb2.ListRequest(), timeout=WITHIN_S)  # came behind them, and is answered
    slow_disk.execute("ROLLBACK")
    slow_disk.close()
    assert len({future.result().job.id for future in asked}) == 1


def test_a_request_id_for_another_wish_is_refused(private: Server) -> None:
    """Whoever reuses an id by mistake would believe that his command ran, with his other value of a variable."""
    private.start("/bin/true", request_id="mine", env={"A": b"1"})
    other = start_request("mine", env={"A": b"2"})
    assert refused(private.jobs.Start, other).code is grpc.StatusCode.ALREADY_EXISTS


def test_the_request_of_a_removed_job_is_not_run_again(private: Server) -> None:
    """A late retry would run the command a second time after its job was removed."""
    job = private.start("/bin/true", request_id="gone")
    private.finished(job.id)
    private.jobs.Remove(job_service_pb2.RemoveRequest(job_id=job.id), timeout=WITHIN_S)
    again = refused(private.jobs.Start, start_request("gone", env={"PATH": b"/usr/bin:/bin"}))
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "REQUEST_ID_REMOVED")


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (b"\x0a\x11\x0a\x09/bin/true\x2a\x01/" + b"\xf8\x07\x01", "spec.#127"),
        (b"\x0a\x0f\x0a\x09/bin/true\x32\x02\x70\x01", "spec.limits.#14"),
        (b"\x0a\x0d\x0a\x09/bin/true\x48\x09", "spec.network"),
        (b"\xa0\x06\x01", "#100"),
    ],
)
def test_a_wish_that_is_not_understood_is_refused(private: Server, message: bytes, place: str) -> None:
    """A limit that a newer client knows would silently not hold."""
    method: Any = private.channel.unary_unary("/jobrun.v1.JobService/Start")
    answer = refused(method, message)
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [place])


@pytest.mark.parametrize("method", ["GetStatus", "Stop", "Remove", "List", "Watch", "Logs"])
def test_no_request_is_understood_in_part(private: Server, method: str) -> None:
    """A stop that a newer client wants otherwise would happen as the older server likes."""
    stream = method in ("Watch", "Logs")
    made = private.channel.unary_stream if stream else private.channel.unary_unary
    answer = refused(made(f"/jobrun.v1.JobService/{method}"), b"\xa0\x06\x01")
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["#100"])


def test_bytes_that_are_no_text_are_refused(private: Server) -> None:
    """INTERNAL would send the user to the server's log for his own typing error."""
    method: Any = private.channel.unary_unary("/jobrun.v1.JobService/Start")
    assert refused(method, b"\x0a\x04\x0a\x02\xff\xfe").code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"argv": []}, "spec.argv"),
        ({"cwd": "here"}, "spec.cwd"),
        ({"slots": 0}, "spec.slots"),
        ({"limits": job_pb2.Limits(processes=0)}, "spec.limits.processes"),
        ({"limits": job_pb2.Limits(cpus=10_000)}, "spec.limits.cpus"),
        ({"env": {"A=B": b""}}, "spec.env"),
    ],
)
def test_the_error_names_the_field(private: Server, spec: dict[str, object], field: str) -> None:
    """A program that made the request could not tell its user which option to change."""
    answer = refused(private.jobs.Start, start_request("", **spec))
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, [field])
    assert (answer.reason, answer.domain) == ("INVALID_REQUEST", "jobrun")


@pytest.mark.parametrize("spec", [{"network": job_pb2.NETWORK_NONE}, {"secret_env": {"TOKEN": b"12345678"}}])
def test_what_can_not_be_held_is_refused(private: Server, spec: dict[str, object]) -> None:
    """A job would run with a network that its user believes it has not, or show his secret."""
    assert refused(private.jobs.Start, start_request("", **spec)).code is grpc.StatusCode.FAILED_PRECONDITION


def test_a_message_that_is_too_big_is_refused(private: Server) -> None:
    """Whoever can connect could fill the server's memory."""
    answer = refused(private.jobs.Start, start_request(stdin=b"x" * (5 << 20)))
    assert answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED
