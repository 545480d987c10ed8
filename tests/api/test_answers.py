"""What an answer says, and what it must not say: to a program that knows no more than proto/."""

from __future__ import annotations

import pytest

from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import ListFilter, ListRequest, LogsRequest, LogsResponse, WatchRequest
from tests.api.refusals import refused
from tests.api.source_server import WITHIN_S, Server

WROTE_BOTH = ("/bin/sh", "-c", "echo one; echo two >&2")


def read(server: Server, request: LogsRequest) -> list[LogsResponse]:
    """All answers of one reading."""
    return list(server.jobs.Logs(request, timeout=WITHIN_S))


@pytest.mark.parametrize("follow", [False, True])
def test_a_reading_without_a_record_ends_where_the_log_ends(private: Server, *, follow: bool) -> None:
    """Whoever asks again from there would read everything that he did not want, or had already."""
    job = private.start(*WROTE_BOTH)
    whole = read(private, LogsRequest(job_id=job.id, follow=True))
    end = whole[-1].next_cursor
    assert end
    for start in (LogsRequest(tail_lines=0), LogsRequest(since={"seconds": 1 << 33}), LogsRequest(cursor=end)):
        start.job_id, start.follow = job.id, follow
        answers = read(private, start)  # one more may say where it begins
        assert [answer.WhichOneof("event") for answer in answers][-1:] == ["end"]
        assert {answer.next_cursor for answer in answers} == {end}
        assert not [answer for answer in answers if answer.batch.records]


def test_every_batch_has_a_record(private: Server) -> None:
    """The protocol says so: a program that looks at the first one would fall over a stream that it did not choose."""
    job = private.start("/bin/sh", "-c", "echo one; echo one")
    private.finished(job.id)
    chosen = LogsRequest(job_id=job.id, streams=[job_service_pb2.OUTPUT_STREAM_STDERR], follow=True)
    (only,) = read(private, chosen)
    assert (only.WhichOneof("event"), only.next_cursor) == (
        "end",
        read(private, LogsRequest(job_id=job.id))[-1].next_cursor,
    )


def test_the_umask_is_told_to_nobody(private: Server) -> None:
    """A program whose proto/ has no such field would refuse every job of a private server."""
    started = private.start("sleep", "300", umask=0o27)
    status = job_service_pb2.GetStatusRequest(job_id=started.id)
    answers = [started, private.jobs.GetStatus(status, timeout=WITHIN_S).job]
    answers += private.jobs.List(ListRequest(), timeout=WITHIN_S).jobs
    answers.append(next(private.jobs.Watch(WatchRequest(job_id=started.id), timeout=WITHIN_S)).job)
    answers.append(private.stop(started.id))
    assert len(answers) >= 5
    assert not any(job.spec.HasField("umask") for job in answers)


def test_a_list_has_no_environment(private: Server) -> None:
    """A page of jobs would be full of names that nobody asked for; whoever wants them asks for the job."""
    started = private.start("sleep", "300", env={"PATH": b"/usr/bin:/bin", "TOKEN": b"1"})
    listed = {job.id: job for job in private.jobs.List(ListRequest(), timeout=WITHIN_S).jobs}
    assert listed[started.id].spec.argv == ["sleep", "300"]
    assert not listed[started.id].spec.env
    status = job_service_pb2.GetStatusRequest(job_id=started.id)
    assert set(private.jobs.GetStatus(status, timeout=WITHIN_S).job.spec.env) == {"PATH", "TOKEN"}
    private.stop(started.id)


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (ListFilter(states=[job_service_pb2.JOB_STATE_UNSPECIFIED]), "filter.states"),
        (ListFilter(states=[77]), "filter.states"),  # type: ignore[list-item]  # of a newer client
        (ListFilter(reasons=[job_pb2.END_REASON_UNSPECIFIED]), "filter.reasons"),
    ],
    ids=str,
)
def test_a_filter_that_is_not_known(private: Server, wanted: ListFilter, field: str) -> None:
    """An error in the words of a programming language says nothing to whoever made the request."""
    answer = refused(private.jobs.List, ListRequest(filter=wanted))
    assert answer.fields == [field]
    assert field in answer.text
    assert "State" not in answer.text
    assert "EndReason" not in answer.text
