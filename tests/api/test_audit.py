"""The audit record is complete: every call that changes something, done and refused, by the access table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.message import Message

from jobrun.auth.access import ACCESS, Need
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2 as admin
from jobrun.wire.gen.jobrun.v1 import auth_service_pb2 as auth
from jobrun.wire.gen.jobrun.v1 import job_pb2
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as job
from jobrun.wire.gen.jobrun.v1 import token_service_pb2 as token
from tests.api.login import PASSWORD, Actor, LoginServer, serving_users
from tests.api.refusals import taken_apart
from tests.api.source_server import WITHIN_S
from tests.api.test_access import call

V1 = "/jobrun.v1."
LOOKS = {
    *(name for name, need in ACCESS.items() if need in (Need.OPEN, Need.ANY, Need.READ)),
    *(f"{V1}AdminService/{name}" for name in ("ListUsers", "ListAuditEvents")),
    f"{V1}TokenService/ListMachineTokens",
}
"""What changes nothing, and logins, which have tests of their own: only their refusals are on record."""


class Deed(NamedTuple):
    """A call, and the line that it must leave."""

    method: str
    request: Message
    action: str
    target: str = ""
    outcome: str = "ok"


NO_JOB = "aaaaaaaa"
START = job.StartRequest(spec=job_pb2.JobSpec(argv=("true",)))
HIRE = admin.CreateUserRequest(username="vic", password=PASSWORD)
REMOVE = admin.RemoveUserRequest(username="vic")
DEMOTE, NOBODY = (admin.UpdateUserRequest(username=name, role="viewer") for name in ("vic", "nobody"))
PASSWORDS = [
    admin.SetUserPasswordRequest(username=name, new_password=new)
    for name, new in (("vic", PASSWORD), ("nobody", PASSWORD), ("vic", "short"))
]
CHANGE = auth.ChangePasswordRequest(current_password="not this one", new_password=PASSWORD)
MAKE = token.CreateMachineTokenRequest(name="ci")
END = token.RevokeMachineTokenRequest(token="ci")
DEEDS = [
    Deed("Admin/CreateUser", HIRE, "user.create", "vic role=user"),
    Deed("Admin/CreateUser", HIRE, "user.create", "vic role=user", "USER_EXISTS"),
    Deed("Admin/CreateUser", admin.CreateUserRequest(), "call", "AdminService/CreateUser", "INVALID_REQUEST"),
    Deed("Admin/UpdateUser", DEMOTE, "user.set", "vic role=viewer"),
    Deed("Admin/UpdateUser", NOBODY, "user.set", "nobody role=viewer", "USER_NOT_FOUND"),
    Deed("Admin/SetUserPassword", PASSWORDS[0], "user.password", "vic"),
    Deed("Admin/SetUserPassword", PASSWORDS[1], "user.password", "nobody", "USER_NOT_FOUND"),
    Deed("Admin/SetUserPassword", PASSWORDS[2], "call", "AdminService/SetUserPassword", "INVALID_REQUEST"),
    Deed("Admin/RemoveUser", REMOVE, "user.remove", "vic"),
    Deed("Admin/RemoveUser", REMOVE, "user.remove", "vic", "USER_NOT_FOUND"),
    Deed("Token/CreateMachineToken", MAKE, "token.create"),
    Deed("Token/CreateMachineToken", MAKE, "token.create", outcome="MACHINE_TOKEN_EXISTS"),
    Deed("Token/RevokeMachineToken", END, "token.revoke"),
    Deed("Token/RevokeMachineToken", END, "token.revoke", outcome="MACHINE_TOKEN_NOT_FOUND"),
    Deed("Job/Start", START, "job.start"),
    Deed("Job/Start", job.StartRequest(), "job.start", outcome="INVALID_REQUEST"),
    Deed("Job/Stop", job.StopRequest(job_id=NO_JOB), "job.stop", NO_JOB, "JOB_NOT_FOUND"),
    Deed("Job/Remove", job.RemoveRequest(job_id=NO_JOB), "job.remove", NO_JOB, "JOB_NOT_FOUND"),
    Deed("Auth/ChangePassword", CHANGE, "password", outcome="LOGIN_FAILED"),
    Deed("Auth/RevokeToken", auth.RevokeTokenRequest(), "logout"),
    Deed("Auth/RevokeToken", auth.RevokeTokenRequest(), "call", "AuthService/RevokeToken", "SESSION_ENDED"),
]
"""In this order. Targets that are made by the server are left out."""


@pytest.fixture(scope="module")
def office() -> Iterator[LoginServer]:
    """A server whose users the tests of this module share."""
    with serving_users() as server:
        yield server


def full(method: str) -> str:
    """As the table has it."""
    service, _, name = method.partition("/")
    return f"{V1}{service}Service/{name}"


def outcome_of(actor: Actor, deed: Deed) -> str:
    """Calls it."""
    method: Any = actor.channel.unary_unary(full(deed.method))
    try:
        method(deed.request.SerializeToString(), timeout=WITHIN_S)
    except grpc.RpcError as error:
        return taken_apart(error).reason
    return "ok"


def newest(office: LoginServer, most: int, user: str) -> list[admin.AuditEvent]:
    """What `user` did, oldest first."""
    asked = admin.ListAuditEventsRequest(page_size=most, username=user)
    return list(office.admin.admin.ListAuditEvents(asked, timeout=WITHIN_S).events)


def test_the_deeds_are_all_that_the_table_lets_anybody_do() -> None:
    """A new call that changes something would be tested for no line, and nobody know who made it."""
    assert {full(deed.method) for deed in DEEDS} == set(ACCESS) - LOOKS


def test_every_deed_has_its_line(office: LoginServer) -> None:
    """After a break-in an admin would not see what was done, or tried: a password that was set, a user who was made."""
    office.hire("boss", "admin")
    actor = office.log_in("boss")
    for deed in DEEDS:
        assert outcome_of(actor, deed) == deed.outcome, deed
        line = newest(office, 1, "boss")[0]
        assert (line.action, line.outcome, line.address) == (deed.action, deed.outcome, "127.0.0.1"), (deed, line)
        assert not deed.target or line.target == deed.target, (deed, line)


@pytest.mark.parametrize("need", [Need.SESSION, Need.READ, Need.RUN, Need.ADMIN])
def test_every_call_that_one_may_not_make_has_its_line(office: LoginServer, need: Need) -> None:
    """Somebody who tries what he may not do would not be seen."""
    name = f"may-not-{need.name.lower()}"
    actor = office.hire(name, {Need.READ: "admin", Need.RUN: "viewer"}.get(need, "user"))
    if need is Need.READ:
        actor = office.log_in(name, scope="admin")
    elif need is Need.SESSION:
        actor = office.machine(actor, "ci")
    refused = [method for method, needed in ACCESS.items() if needed is need]
    for method in refused:
        answer = call(actor, method)
        assert answer is not None
        assert answer.reason == "SCOPE_MISSING", method
    lines = [(line.action, line.target) for line in newest(office, 100, name) if line.outcome == "SCOPE_MISSING"]
    assert sorted(lines) == sorted(("call", method.removeprefix(V1)) for method in refused)
