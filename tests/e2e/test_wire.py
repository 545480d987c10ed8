"""The same by gRPC alone: what a program in another language relies on, and what it may get wrong."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from tests.e2e import wire
from tests.e2e.deadline import patience
from tests.e2e.home import Home


@pytest.fixture
def stub(warm: Home) -> Iterator[wire.Stub]:
    """The private server's JobService."""
    with wire.job_service(warm.address) as service:
        yield service


def unknown_field(message: bytes, number: int = 2000) -> bytes:
    """The message with a field that nobody knows: a varint of 1."""
    tag = number << 3
    return message + bytes([tag & 0x7F | 0x80, tag >> 7]) + b"\x01"


def nested(number: int, inner: bytes) -> bytes:
    """A message field with this number."""
    return bytes([number << 3 | 2, len(inner)]) + inner


EVERY_STATE = [
    job_service_pb2.JOB_STATE_QUEUED,
    job_service_pb2.JOB_STATE_STARTING,
    job_service_pb2.JOB_STATE_RUNNING,
    job_service_pb2.JOB_STATE_FINISHED,
]
SPEC = job_pb2.JobSpec(argv=["true"], cwd="/").SerializeToString()
UNKNOWN = {
    "in Start": unknown_field(nested(1, SPEC)),
    "in JobSpec": nested(1, unknown_field(SPEC)),
    "in Limits": nested(1, SPEC + nested(6, unknown_field(b""))),
    "in a Duration": nested(1, SPEC + nested(6, nested(8, b"\x08\x05" + unknown_field(b"")))),
    "in an entry of env": nested(1, SPEC + nested(3, unknown_field(b"\x0a\x01A\x12\x01x"))),
    "enum value": nested(1, SPEC + b"\x48\x07"),
}


@pytest.mark.parametrize("body", UNKNOWN.values(), ids=UNKNOWN)
def test_a_wish_that_is_not_understood_is_never_dropped(warm: Home, body: bytes) -> None:
    """A newer client's limit would be left out in silence by an older server."""
    before = warm.jobrun("list", "-a", "-q").passed().out
    with grpc.insecure_channel(warm.address) as channel:
        start = channel.unary_unary("/jobrun.v1.JobService/Start", lambda raw: raw, lambda raw: raw)
        code, text, info = wire.refusal(start, body)
    assert code == grpc.StatusCode.INVALID_ARGUMENT, text
    assert info.domain == "jobrun"
    assert warm.jobrun("list", "-a", "-q").passed().out == before


WRONG = {
    "no argv": job_pb2.JobSpec(),
    "NUL in argv": job_pb2.JobSpec(argv=["echo", "a\0b"]),
    "NUL in cwd": job_pb2.JobSpec(argv=["true"], cwd="/tmp\0x"),
    "NUL in name": job_pb2.JobSpec(argv=["true"], cwd="/", name="a\0b"),
    "NUL in a value": job_pb2.JobSpec(argv=["true"], cwd="/", env={"A": b"x\0y"}),
    "NUL in a variable": job_pb2.JobSpec(argv=["true"], cwd="/", env={"A\0B": b"x"}),
    "= in a variable": job_pb2.JobSpec(argv=["true"], cwd="/", env={"A=B": b"x"}),
    "variable without name": job_pb2.JobSpec(argv=["true"], cwd="/", env={"": b"x"}),
    "argument of 128 KiB": job_pb2.JobSpec(argv=["true", "x" * 131_072]),
    "more than 1 MiB in all": job_pb2.JobSpec(argv=["true", *["x" * 100_000] * 11]),
    "stdin over 1 MiB": job_pb2.JobSpec(argv=["true"], cwd="/", stdin=b"x" * (1 << 20) + b"x"),
    "name of 129": job_pb2.JobSpec(argv=["true"], cwd="/", name="x" * 129),
    "slots of 0": job_pb2.JobSpec(argv=["true"], cwd="/", slots=0),
    "umask beyond 0777": job_pb2.JobSpec(argv=["true"], cwd="/", umask=0o1000),
    "limit of 0": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(memory_bytes=0)),
    "processes of 0": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(processes=0)),
    "absurd size": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(memory_bytes=2**64 - 1)),
    "absurd count": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(open_files=2**32 - 1)),
    "small log": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(log_bytes=1000)),
    "more CPUs than there are": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(cpus=100_000)),
    "negative timeout": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(timeout={"seconds": -1})),
    "timeout of 0": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(timeout={"seconds": 0})),
    "absurd timeout": job_pb2.JobSpec(argv=["true"], cwd="/", limits=job_pb2.Limits(timeout={"seconds": 2**62})),
    "mixed signs": job_pb2.JobSpec(argv=["true"], cwd="/", grace={"seconds": 1, "nanos": -1}),
    "absurd nanos": job_pb2.JobSpec(argv=["true"], cwd="/", grace={"seconds": 1, "nanos": 2**31 - 1}),
    "negative grace": job_pb2.JobSpec(argv=["true"], cwd="/", grace={"seconds": -1}),
}


@pytest.mark.parametrize("spec", WRONG.values(), ids=WRONG)
def test_a_spec_that_can_not_be_right(stub: wire.Stub, spec: job_pb2.JobSpec) -> None:
    """A program's mistake would start another job than was meant, or end the server."""
    code, text, info = wire.refusal(stub.Start, job_service_pb2.StartRequest(spec=spec))
    assert code == grpc.StatusCode.INVALID_ARGUMENT, text
    assert (info.domain, info.reason) == ("jobrun", "INVALID_REQUEST")


@pytest.mark.parametrize("request_id", ["a b", "x" * 65, "a/b", "\N{CROISSANT}", "a\n"])
def test_a_request_id_of_another_shape(stub: wire.Stub, request_id: str) -> None:
    """A program would believe that its retries are one job, and they would not be."""
    code, _, _ = wire.refusal(stub.Start, wire.start_request("true", request_id=request_id))
    assert code == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["GetStatus", "Stop", "Watch", "Logs", "Remove"])
@pytest.mark.parametrize("job_id", ["", "zzzzzz", "../jobs.db", "a\0b", "x" * 10_000, "%s"])
def test_no_such_job(stub: wire.Stub, method: str, job_id: str) -> None:
    """A made-up id would reach a file that is no job."""
    request = getattr(job_service_pb2, f"{method}Request")(job_id=job_id)
    code, _, info = wire.refusal(getattr(stub, method), request)
    assert code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
    assert info.domain == "jobrun"


def test_only_the_whole_id_counts(stub: wire.Stub) -> None:
    """`Stop` of a beginning would hit the wrong job once a second one begins so."""
    job = stub.Start(wire.start_request("true")).job.id
    code, _, info = wire.refusal(stub.GetStatus, job_service_pb2.GetStatusRequest(job_id=job[:-1]))
    assert (code, info.reason) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    listed = stub.List(job_service_pb2.ListRequest(filter=job_service_pb2.ListFilter(id_prefix=job[:-1]))).jobs
    assert job in [found.id for found in listed]


@pytest.mark.parametrize("signal", [0, -1, 65, 2**31 - 1])
def test_a_signal_that_there_is_not(stub: wire.Stub, signal: int) -> None:
    """kill(2) with 0 or a negative number means something else."""
    job = stub.Start(wire.start_request("sleep", "300")).job.id
    code, _, _ = wire.refusal(stub.Stop, job_service_pb2.StopRequest(job_id=job, signal=signal))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    stub.Stop(job_service_pb2.StopRequest(job_id=job, grace={"seconds": 0}), timeout=patience(10))


def test_a_page_token_that_is_none(stub: wire.Stub) -> None:
    """A list would begin anywhere."""
    for _ in range(3):
        stub.Start(wire.start_request("true"))
    every = job_service_pb2.ListFilter(states=EVERY_STATE)
    page = stub.List(job_service_pb2.ListRequest(filter=every, page_size=1))
    assert page.next_page_token
    for token, filters in ((page.next_page_token + "x", every), ("1", every), (page.next_page_token, None)):
        request = job_service_pb2.ListRequest(filter=filters, page_size=1, page_token=token)
        code, _, _ = wire.refusal(stub.List, request)
        assert code == grpc.StatusCode.INVALID_ARGUMENT


def test_pages_have_every_job_once(stub: wire.Stub) -> None:
    """A program that walks the pages would miss jobs, or see some twice."""
    mine = [stub.Start(wire.start_request("true", name="paged")).job.id for _ in range(7)]
    token, seen = "", []
    while True:
        filters = job_service_pb2.ListFilter(name="paged", states=EVERY_STATE)
        page = stub.List(job_service_pb2.ListRequest(filter=filters, page_size=2, page_token=token))
        seen += [job.id for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert seen == mine[::-1]


def test_a_message_over_4_mib(stub: wire.Stub) -> None:
    """A large message would take the server's memory."""
    spec = job_pb2.JobSpec(argv=["true"], cwd="/", env={f"K{n}": b"x" * 100_000 for n in range(50)})
    code, _, _ = wire.refusal(stub.Start, job_service_pb2.StartRequest(spec=spec))
    assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


def test_watch_ends_with_the_end(stub: wire.Stub) -> None:
    """A program would have to poll."""
    job = stub.Start(wire.start_request("sh", "-c", "exit 9")).job.id
    answers = list(stub.Watch(job_service_pb2.WatchRequest(job_id=job), timeout=patience(10)))
    assert answers[-1].job.finished.exit_code == 9
    assert [list(answer.job.spec.argv) for answer in answers[1:]] == [[]] * (len(answers) - 1)
    again = list(stub.Watch(job_service_pb2.WatchRequest(job_id=job), timeout=patience(10)))
    assert len(again) == 1


def test_what_only_the_caller_knows_is_never_returned(stub: wire.Stub) -> None:
    """Values and stdin would be readable by whoever may see the job."""
    request = wire.start_request("true", env={"A": b"secret-value"}, secret_env={}, stdin=b"secret-stdin")
    job = stub.Start(request).job
    found = stub.GetStatus(job_service_pb2.GetStatusRequest(job_id=job.id)).job
    for answer in (job, found, wire.finished(stub, job.id)):
        assert b"secret" not in answer.SerializeToString()
        assert dict(answer.spec.env).keys() <= {"A"}


def test_200_jobs_at_once_have_their_own_output(stub: wire.Stub) -> None:
    """Under load one job's output would turn up in another's."""
    script = "echo out $N; echo err $N >&2; exit $((N % 7))"
    calls = []
    for n in range(200):
        env = {"PATH": b"/usr/bin:/bin", "N": b"%d" % n}
        calls.append(stub.Start.future(wire.start_request("sh", "-c", script, env=env), timeout=patience(30)))
    for n, call in enumerate(calls):
        job = call.result().job.id
        assert sorted(wire.output(stub, job).splitlines()) == [b"err %d" % n, b"out %d" % n]
        assert wire.finished(stub, job).finished.exit_code == n % 7


def test_garbage_on_the_socket(warm: Home) -> None:
    """Whoever can reach the socket could end the server by noise."""
    server = warm.server_pid()
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 100_000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000):
        with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
            client.connect(warm.address.removeprefix("unix:"))
            client.sendall(noise)
    assert warm.jobrun("run", "echo", "hi").passed().out == "hi\n"
    assert warm.server_pid() == server


def test_a_method_that_there_is_not(warm: Home) -> None:
    """A newer program could not tell an older server from a broken one."""
    with grpc.insecure_channel(warm.address) as channel:
        call = channel.unary_unary("/jobrun.v1.JobService/Frobnicate", lambda raw: raw, lambda raw: raw)
        assert wire.refusal(call, b"")[0] == grpc.StatusCode.UNIMPLEMENTED


def test_health_is_open(warm: Home) -> None:
    """A service manager could not ask whether the server is well."""
    with grpc.insecure_channel(warm.address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", lambda raw: raw, lambda raw: raw)
        assert check(b"", timeout=patience(10)) == b"\x08\x01"
