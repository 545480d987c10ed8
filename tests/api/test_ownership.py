"""Whose job is whose: another's is the same as none, byte for byte."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, job_pb2
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import (
    JOB_STATE_FINISHED,
    GetStatusRequest,
    ListFilter,
    ListRequest,
    LogsRequest,
    RemoveRequest,
    StartRequest,
    StopRequest,
    WatchRequest,
)
from tests.api.login import Actor, LoginServer
from tests.api.refusals import refused, told
from tests.api.source_server import WITHIN_S

NO_JOB = "22222222"


@pytest.fixture(scope="module")
def ann(office: LoginServer) -> Actor:
    """A user."""
    return office.hire("ann", "user")


@pytest.fixture(scope="module")
def bob(office: LoginServer) -> Actor:
    """Another one."""
    return office.hire("bob", "user")


@pytest.fixture(scope="module")
def eve(office: LoginServer) -> Actor:
    """A viewer."""
    return office.hire("eve", "viewer")


def about(actor: Actor, job_id: str) -> list[tuple[Callable[..., Any], Any]]:
    """Every call that names a job."""
    return [
        (actor.jobs.GetStatus, GetStatusRequest(job_id=job_id)),
        (actor.jobs.Watch, WatchRequest(job_id=job_id)),
        (actor.jobs.Logs, LogsRequest(job_id=job_id)),
        (actor.jobs.Logs, LogsRequest(job_id=job_id, follow=True, cursor=17)),
        (actor.jobs.Stop, StopRequest(job_id=job_id)),
        (actor.jobs.Remove, RemoveRequest(job_id=job_id)),
    ]


@contextlib.contextmanager
def one_of_each(actor: Actor) -> Iterator[tuple[str, str]]:
    """A running job and a finished one."""
    runs, done = actor.start("sleep", "300").id, actor.finished("/bin/true").id
    yield runs, done
    assert not actor.stop(runs).finished.survivors


def test_anothers_job_is_none(ann: Actor, bob: Actor) -> None:
    """Who tries ids would learn which there are, or read, stop and remove what is not his."""
    with one_of_each(ann) as theirs:
        for (call, nothing), *others in zip(
            about(bob, NO_JOB), *(about(bob, job_id) for job_id in theirs), strict=True
        ):
            expected = told(call, nothing)
            assert expected[0] is grpc.StatusCode.NOT_FOUND
            assert [told(*other) for other in others] == [expected, expected]
        for job_id in theirs:
            assert bob.list(id_prefix=job_id) == set()
            assert job_id not in bob.list()
            assert ann.jobs.GetStatus(GetStatusRequest(job_id=job_id), timeout=WITHIN_S).job.user == "ann"


@pytest.mark.parametrize("whose", ["*", "ann", "nosuchuser"])
def test_a_user_lists_his_own_alone(ann: Actor, bob: Actor, whose: str) -> None:
    """Lists would show others' commands; and another answer for a user that is none would tell who there is."""
    request = ListRequest(filter=ListFilter(user=whose))
    code, details, _ = told(bob.jobs.List, request)
    assert (code, details) == (grpc.StatusCode.PERMISSION_DENIED, "bob may see no jobs of others")


def test_a_page_token_is_its_users_own(ann: Actor, bob: Actor) -> None:
    """A list would go on at a place that its reader never saw."""
    for _ in range(2):
        ann.finished("/bin/true")
    every = ListFilter(states=[JOB_STATE_FINISHED])
    token = ann.jobs.List(ListRequest(filter=every, page_size=1), timeout=WITHIN_S).next_page_token
    assert token
    assert refused(bob.jobs.List, ListRequest(filter=every, page_token=token)).fields == ["page_token"]


def test_request_ids_are_each_users_own(ann: Actor, bob: Actor) -> None:
    """A user would get another's job, or learn what he asked for."""
    first = ann.start("/bin/true", request_id="same")
    second = bob.start("/bin/false", request_id="same")
    assert first.id != second.id
    assert ann.start("/bin/true", request_id="same").id == first.id


def test_a_viewer_looks_and_touches_nothing(ann: Actor, eve: Actor) -> None:
    """A role that was made to look could stop other people's work."""
    with one_of_each(ann) as theirs:
        assert eve.list(user="*") >= set(theirs)
        for job_id in theirs:
            assert eve.jobs.GetStatus(GetStatusRequest(job_id=job_id), timeout=WITHIN_S).job.user == "ann"
            for call, request in about(eve, job_id)[-2:]:
                assert refused(call, request).code is grpc.StatusCode.PERMISSION_DENIED
        start = StartRequest(spec=job_pb2.JobSpec(argv=["/bin/true"]))
        assert refused(eve.jobs.Start, start).code is grpc.StatusCode.PERMISSION_DENIED


def test_an_admin_has_all(office: LoginServer, ann: Actor) -> None:
    """Nobody could stop what a user left behind."""
    job_id = ann.start("sleep", "300").id
    assert job_id in office.admin.list(user="*")
    assert job_id in office.admin.list(user="ann")
    assert job_id not in office.admin.list()
    assert office.admin.stop(job_id).finished.stopped_by == "admin"
    office.admin.jobs.Remove(RemoveRequest(job_id=job_id), timeout=WITHIN_S)


@pytest.mark.parametrize("owner", ["ann", "admin"])
def test_a_narrow_machine_token_has_what_it_started(office: LoginServer, ann: Actor, owner: str) -> None:
    """A token in a pipeline, once stolen, would open all that its user ever ran; an admin's the whole server."""
    session = ann if owner == "ann" else office.admin
    narrow, other = (office.machine(session, f"{owner}-{name}") for name in ("narrow", "other"))
    with one_of_each(narrow) as own, one_of_each(session) as his, one_of_each(other) as others:
        for job_id in (*his, *others):
            for (call, nothing), seen in zip(about(narrow, NO_JOB), about(narrow, job_id), strict=True):
                assert told(*seen) == told(call, nothing)
            assert narrow.list(id_prefix=job_id) == set()
        assert narrow.list() == set(own)
        assert session.list() >= {*own, *his, *others}
        if owner == "admin":
            assert narrow.list(user="*") == set(own)
            assert narrow.list(user="ann") == set()


def test_a_narrow_machine_token_meets_no_other_request(office: LoginServer, ann: Actor) -> None:
    """It would get a job by its request_id that it must not see, or learn from a refusal that there is one."""
    narrow, other = office.machine(ann, "requests"), office.machine(ann, "other-requests", all_jobs=True)
    started = [actor.start("/bin/true", request_id="mine").id for actor in (ann, narrow, other)]
    assert len(set(started)) == 3
    assert narrow.start("/bin/true", request_id="mine").id == started[1]
    list(narrow.jobs.Watch(WatchRequest(job_id=started[1]), timeout=WITHIN_S))
    narrow.jobs.Remove(RemoveRequest(job_id=started[1]), timeout=WITHIN_S)
    again = StartRequest(spec=job_pb2.JobSpec(argv=["/bin/true"]), request_id="mine")
    assert refused(narrow.jobs.Start, again).reason == "REQUEST_ID_REMOVED"
    assert ann.start("/bin/true", request_id="mine").id == started[0]


def test_a_wide_machine_token_has_what_its_user_has(office: LoginServer, ann: Actor, bob: Actor) -> None:
    """`--all-jobs` would do nothing, or open other users' jobs."""
    wide = office.machine(ann, "wide", all_jobs=True)
    with one_of_each(ann) as his, one_of_each(bob) as others:
        assert wide.list() >= set(his)
        assert wide.stop(his[0]).finished.stopped_by == "ann"
        for job_id in others:
            assert refused(wide.jobs.GetStatus, GetStatusRequest(job_id=job_id)).code is grpc.StatusCode.NOT_FOUND


def test_a_removed_users_jobs_stop(office: LoginServer) -> None:
    """Work of somebody who has left would go on for ever, and nobody would be told."""
    gone = office.hire("gone", "user")
    job_id = gone.start("sleep", "300").id
    remove = admin_service_pb2.RemoveUserRequest(username="gone")
    assert refused(office.admin.admin.RemoveUser, remove).reason == "USER_HAS_JOBS"
    remove.stop_jobs = True
    office.admin.admin.RemoveUser(remove, timeout=WITHIN_S)
    job = office.admin.jobs.GetStatus(GetStatusRequest(job_id=job_id), timeout=WITHIN_S).job
    assert (job.user, job.finished.reason, job.finished.stopped_by) == ("gone", job_pb2.END_REASON_STOPPED, "admin")
    assert refused(gone.jobs.List, ListRequest()).reason == "SESSION_ENDED"


def test_a_ceiling_holds_whether_asked_or_not(office: LoginServer) -> None:
    """A user would get round his ceiling by not asking at all, or by asking for more."""
    ceilings = job_pb2.Limits(open_files=77, memory_bytes=1 << 30)
    low = office.hire("low", "user", ceilings)
    above = job_pb2.JobSpec(argv=["/bin/true"], limits=job_pb2.Limits(open_files=78))
    answer = refused(low.jobs.Start, StartRequest(spec=above))
    assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["spec.limits.open_files"])
    assert "ceiling of 77" in answer.text
    job = low.finished("/bin/sh", "-c", "ulimit -n")
    assert not job.spec.HasField("limits")
    assert (job.effective_limits.open_files, job.effective_limits.memory_bytes) == (77, 1 << 30)
    assert output(low, job.id) == b"77\n"
    narrowed = low.start("/bin/true", limits=job_pb2.Limits(open_files=70))
    assert (narrowed.spec.limits.open_files, narrowed.effective_limits.open_files) == (70, 70)
    refusal = refused(office.admin.admin.CreateUser, bad_ceiling())
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["ceilings.open_files"])


def output(actor: Actor, job_id: str) -> bytes:
    """What a finished job said."""
    events = actor.jobs.Logs(LogsRequest(job_id=job_id), timeout=WITHIN_S)
    return b"".join(record.data for event in events for record in event.batch.records)


def bad_ceiling() -> admin_service_pb2.CreateUserRequest:
    """With fewer open files than a job can have."""
    return admin_service_pb2.CreateUserRequest(
        username="none", password="long enough", ceilings=job_pb2.Limits(open_files=3)
    )
