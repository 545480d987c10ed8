"""What is another user's: to everybody else it is not there, and nothing tells the difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from tests.attack.caller import Caller, Refused, attempt, refused
from tests.attack.victim import Victim

NOT_FOUND, DENIED = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED
ONE_JOB: dict[str, Callable[[str], Any]] = {
    "GetStatus": lambda job: job_service_pb2.GetStatusRequest(job_id=job),
    "Watch": lambda job: job_service_pb2.WatchRequest(job_id=job),
    "Logs": lambda job: job_service_pb2.LogsRequest(job_id=job, follow=True),
    "Stop": lambda job: job_service_pb2.StopRequest(job_id=job),
    "Remove": lambda job: job_service_pb2.RemoveRequest(job_id=job),
}
"""Every method that takes the id of a job; the test below holds it to the proto."""
EVERY = [job_service_pb2.JOB_STATE_RUNNING, job_service_pb2.JOB_STATE_FINISHED, job_service_pb2.JOB_STATE_QUEUED]


@pytest.fixture(scope="module")
def running(ann: Caller) -> str:
    """A job of ann's that runs."""
    return ann.start("sleep", "600", name="annsjob", request_id="anns-request", env={"SECRET": b"hers"})


@pytest.fixture(scope="module")
def finished(ann: Caller) -> str:
    """A job of ann's that has finished, with output."""
    job = ann.start("echo", "hers")
    ann.finished(job)
    return job


def unlike(job: str) -> str:
    """An id of the same shape that no job has."""
    return "".join("z" if letter != "z" else "y" for letter in job)


def told_of(caller: Caller, method: str, job: str) -> Refused:
    """How a call about a job is refused."""
    return refused(getattr(caller.jobs, method), ONE_JOB[method](job))


def test_every_method_with_an_id_is_here() -> None:
    """One that comes later would be forgotten here."""
    service = job_service_pb2.DESCRIPTOR.services_by_name["JobService"]
    assert {m.name for m in service.methods if "job_id" in m.input_type.fields_by_name} == set(ONE_JOB)


@pytest.mark.parametrize("method", ONE_JOB)
def test_anothers_job_is_not_there(bob: Caller, running: str, finished: str, method: str) -> None:
    """Others would read logs, stop builds, or learn which jobs there are."""
    for job in (running, finished):
        assert told_of(bob, method, job) == told_of(bob, method, unlike(job))
        assert told_of(bob, method, job).code == NOT_FOUND


def test_the_owner_lost_nothing(ann: Caller, running: str, finished: str) -> None:
    """What was refused above would have acted all the same."""
    assert ann.job(running).WhichOneof("state") == "running"
    assert not ann.job(running).running.HasField("stopping_since")
    assert ann.job(finished).finished.exit_code == 0


def test_no_list_has_it(bob: Caller, running: str, finished: str) -> None:
    """A list by a beginning would find ids one letter at a time."""
    for filters in (
        {"id_prefix": running},
        {"id_prefix": running[:1]},
        {"id_prefix": finished, "states": EVERY},
        {"name": "annsjob", "states": EVERY},
        {"states": EVERY},
    ):
        assert not {running, finished} & set(bob.listed(**filters))


def test_a_list_of_anothers_tells_not_even_that_he_is(bob: Caller, running: str) -> None:
    """Names of users would be found by asking."""

    def asked(user: str) -> Any:
        request = job_service_pb2.ListRequest(filter=job_service_pb2.ListFilter(user=user, states=EVERY))
        return attempt(bob.jobs.List, request)

    assert asked("ann") == asked("nobody")
    assert isinstance(asked("*"), Refused)
    assert asked("*").code == DENIED


def test_anothers_page_token(ann: Caller, bob: Caller) -> None:
    """It would go on in the other's list."""
    for _ in range(3):
        ann.start("true")
    request = job_service_pb2.ListRequest(filter=job_service_pb2.ListFilter(states=EVERY), page_size=1)
    page = ann.jobs.List(request)
    assert page.next_page_token
    request.page_token = page.next_page_token
    answer = attempt(bob.jobs.List, request)
    if isinstance(answer, Refused):
        assert answer.code == grpc.StatusCode.INVALID_ARGUMENT
    else:
        assert {job.user for job in answer.jobs} <= {"bob"}


def test_anothers_request_id(ann: Caller, bob: Caller, running: str) -> None:
    """Whoever guesses a request id would be given the other's job, or keep him from starting his."""
    spec = ann.job(running).spec
    job = bob.start(*spec.argv, name="annsjob", request_id="anns-request", env={"SECRET": b"hers"})
    assert job != running
    assert bob.job(job).user == "bob"
    again = ann.start(*spec.argv, name="annsjob", request_id="anns-request", env={"SECRET": b"hers"})
    assert again == running


def test_a_viewer_sees_and_does_not_touch(vic: Caller, running: str, finished: str) -> None:
    """Who may only look would end a build."""
    assert vic.job(running).user == "ann"
    assert set(vic.listed(user="*", states=EVERY)) >= {running, finished}
    output = vic.jobs.Logs(job_service_pb2.LogsRequest(job_id=finished))
    assert b"".join(r.data for answer in output for r in answer.batch.records) == b"hers\n"
    for method in ("Stop", "Remove"):
        assert told_of(vic, method, running).code == DENIED
        assert told_of(vic, method, finished).code == DENIED
        assert told_of(vic, method, unlike(running)).code in (NOT_FOUND, DENIED)
    start = job_service_pb2.StartRequest(spec=job_pb2.JobSpec(argv=["true"]))
    assert refused(vic.jobs.Start, start).code == DENIED
    assert vic.job(running).WhichOneof("state") == "running"


def test_nobody_reads_values_of_the_environment(admin: Caller, vic: Caller, ann: Caller, running: str) -> None:
    """Whoever may see a job would have its keys."""
    for caller in (admin, vic, ann):
        assert b"hers" not in caller.job(running).spec.SerializeToString()


IDS = ["../x", "a" * 10_000, "a\0b", "%", "*", "_", "ABCDEF", "' OR 1=1 --", "\x1b[2J", "\u202e", "", " ", "a/../b"]


@pytest.mark.parametrize("method", ONE_JOB)
@pytest.mark.parametrize("job", IDS, ids=range(len(IDS)))
def test_an_id_of_any_shape(server: Victim, admin: Caller, method: str, job: str) -> None:
    """It would reach a path, a statement or a terminal; even an admin's."""
    told = told_of(admin, method, job)
    assert told.code in (NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT), told
    assert told.text.isprintable(), told.text


def test_upper_case_is_another_id(ann: Caller, running: str) -> None:
    """Two names for one job: what is checked by one would be done by the other."""
    assert told_of(ann, "GetStatus", running.upper()).code in (NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
    assert told_of(ann, "GetStatus", running + "\0").code in (NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
    assert told_of(ann, "GetStatus", f" {running}").code in (NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)
