"""Users and machine tokens on the wire, what is on the audit record, and servers that have none of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2

from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, auth_service_pb2, job_pb2, token_service_pb2
from jobrun.wire.gen.jobrun.v1.auth_service_pb2_grpc import AuthServiceStub
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import RemoveRequest, StartRequest
from tests.api.conftest import WITHIN_S, Server
from tests.api.login import LoginServer, serving_users
from tests.api.refusals import refused
from tests.api.test_access import methods
from tests.api.test_trouble import failing


@pytest.fixture(scope="module")
def office() -> Iterator[LoginServer]:
    """A server whose users the tests of this module share."""
    with serving_users() as server:
        yield server


def test_without_login_everybody_is_its_owner(private: Server) -> None:
    """`whoami` would fail, or a token would be asked for where none exists."""
    answer = AuthServiceStub(private.channel).WhoAmI(auth_service_pb2.WhoAmIRequest(), timeout=WITHIN_S)
    assert (answer.username, answer.role, answer.scope) == ("ann", "admin", "jobs:read jobs:run admin")
    assert not answer.HasField("expires_at")
    assert not answer.HasField("session_expires_at")


@pytest.mark.parametrize(
    "name", sorted(name for name in methods() if name.startswith("/jobrun.") and "/jobrun.v1.JobService/" not in name)
)
def test_without_login_there_are_no_users(private: Server, name: str) -> None:
    """INTERNAL would send the user to the server's log for something that is as it should be."""
    if name.endswith("WhoAmI"):
        return
    made: Any = private.channel.unary_unary(name)
    answer = refused(made, b"")
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_LOGIN_HERE")


def test_who_one_is(office: LoginServer) -> None:
    """`whoami` would tell another end than the one that comes."""
    user = office.hire("ann", "user")
    now = time.time()
    asked = auth_service_pb2.WhoAmIRequest()
    mine = user.auth.WhoAmI(asked, timeout=WITHIN_S)
    assert (mine.username, mine.role, mine.scope) == ("ann", "user", "jobs:read jobs:run")
    assert 590 < mine.expires_at.ToSeconds() - now < 610
    assert mine.HasField("session_expires_at")
    machine = office.machine(user, "m", scope="jobs:read").auth.WhoAmI(asked, timeout=WITHIN_S)
    assert (machine.username, machine.scope) == ("ann", "jobs:read")
    assert 89 < (machine.expires_at.ToSeconds() - now) / 86_400 < 91
    assert not machine.HasField("session_expires_at")


def test_a_user_as_it_stands(office: LoginServer) -> None:
    """`user list` would show other ceilings than those that hold."""
    office.hire("bob", "viewer", job_pb2.Limits(open_files=77))
    change = admin_service_pb2.UpdateUserRequest(username="bob", role="user", ceilings=job_pb2.Limits(cpus=3))
    user = office.admin.admin.UpdateUser(change, timeout=WITHIN_S).user
    assert (user.username, user.role, user.disabled, user.sessions) == ("bob", "user", False, 1)
    assert user.ceilings == job_pb2.Limits(cpus=3)
    none = admin_service_pb2.UpdateUserRequest(username="bob", disabled=True, ceilings=job_pb2.Limits())
    user = office.admin.admin.UpdateUser(none, timeout=WITHIN_S).user
    assert (user.role, user.disabled, user.sessions) == ("user", True, 0)
    assert not user.ceilings.ListFields()
    users = office.admin.admin.ListUsers(admin_service_pb2.ListUsersRequest(), timeout=WITHIN_S).users
    assert [one for one in users if one.username == "bob"] == [user]


def test_a_mask_says_which_ceilings_change(office: LoginServer) -> None:
    """A program would have to read all ceilings to change one, and undo what another changed meanwhile."""
    office.hire("mia", "user", job_pb2.Limits(open_files=77, cpus=3))

    def change(ceilings: job_pb2.Limits, *paths: str) -> admin_service_pb2.UpdateUserRequest:
        mask = field_mask_pb2.FieldMask(paths=paths)
        return admin_service_pb2.UpdateUserRequest(username="mia", ceilings=ceilings, ceilings_mask=mask)

    update = office.admin.admin.UpdateUser
    user = update(change(job_pb2.Limits(processes=9), "cpus", "processes"), timeout=WITHIN_S).user
    assert user.ceilings == job_pb2.Limits(open_files=77, processes=9)
    for wrong in (change(job_pb2.Limits(), "memory"), change(job_pb2.Limits(cpus=1), "processes")):
        answer = refused(update, wrong)
        assert (answer.code, answer.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["ceilings_mask"])


def test_a_machine_token_is_shown_once(office: LoginServer) -> None:
    """Who reads the list of tokens could use them."""
    user = office.hire("eve", "user")
    create = token_service_pb2.CreateMachineTokenRequest(name="ci", expires_in=3600, ceilings=job_pb2.Limits(cpus=1))
    made = user.tokens.CreateMachineToken(create, timeout=WITHIN_S)
    listed = user.tokens.ListMachineTokens(token_service_pb2.ListMachineTokensRequest(), timeout=WITHIN_S)
    assert list(listed.tokens) == [made.token]
    assert (made.token.name, made.token.username, made.token.scope) == ("ci", "eve", "jobs:run")
    assert made.token.expires_at.ToSeconds() - made.token.created_at.ToSeconds() == 3600
    assert made.token.ceilings == job_pb2.Limits(cpus=1)
    assert made.secret.encode() not in listed.SerializeToString()
    revoke = token_service_pb2.RevokeMachineTokenRequest(token=made.token.id)
    assert user.tokens.RevokeMachineToken(revoke, timeout=WITHIN_S).token.id == made.token.id


def test_what_was_done_is_on_record(office: LoginServer) -> None:
    """Nobody could tell afterwards who ran something, who removed it, and who tried to."""
    user = office.hire("doer", "user")
    job = user.finished("/bin/true")
    user.stop(job.id)
    remove = RemoveRequest(job_id=job.id)
    user.jobs.Remove(remove, timeout=WITHIN_S)
    assert refused(user.jobs.Remove, remove).reason == "JOB_NOT_FOUND"
    assert refused(user.jobs.Start, StartRequest()).reason == "INVALID_REQUEST"
    assert refused(user.admin.ListUsers, admin_service_pb2.ListUsersRequest()).reason == "SCOPE_MISSING"
    asked = admin_service_pb2.ListAuditEventsRequest(username="doer")
    events = office.admin.admin.ListAuditEvents(asked, timeout=WITHIN_S).events
    seen = [(event.action, event.target, event.outcome) for event in events if event.action.startswith(("job", "call"))]
    assert seen == [
        ("job.start", job.id, "ok"),
        ("job.stop", job.id, "ok"),
        ("job.remove", job.id, "ok"),
        ("job.remove", job.id, "JOB_NOT_FOUND"),
        ("job.start", "", "INVALID_REQUEST"),
        ("call", "AdminService/ListUsers", "SCOPE_MISSING"),
    ]
    assert {event.address for event in events} == {"127.0.0.1"}
    newest = admin_service_pb2.ListAuditEventsRequest(page_size=1)
    assert len(office.admin.admin.ListAuditEvents(newest, timeout=WITHIN_S).events) == 1


def test_a_fault_tells_nothing_of_the_request(office: LoginServer) -> None:
    """A value of the environment, or a token, would be in the server's log for everybody who reads it."""
    user, secret = office.hire("victim", "user"), "s3cr3t-of-the-job"
    spec = job_pb2.JobSpec(argv=["/bin/true", secret], env={"TOKEN": secret.encode()})
    with failing(office.data, "INSERT ON jobs", "no such thing was thought of"):
        answer = refused(user.jobs.Start, StartRequest(spec=spec))
    log = (office.data / "server.log").read_text()
    assert answer.code is grpc.StatusCode.INTERNAL
    assert f"{answer.text.split(':')[0].removeprefix('internal error, ')} in /jobrun.v1.JobService/Start" in log
    assert "sqlite3.IntegrityError: no such thing was thought of" in log
    assert secret not in log
    assert user.token not in log
