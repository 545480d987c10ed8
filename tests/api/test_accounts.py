"""Users and machine tokens on the wire, what is on the audit record, and servers that have none of it."""

from __future__ import annotations

import os
import signal
import sqlite3
import ssl
import time
from typing import Any

import grpc
import pytest
from google.protobuf import field_mask_pb2

from jobrun.client import accounts
from jobrun.client.access import MachineAccess
from jobrun.client.connection import Connection
from jobrun.client.tls_routes import known_route
from jobrun.config.address import Address
from jobrun.config.environment import Environment
from jobrun.config.known_servers import pinned_server
from jobrun.config.token_string import MachineLogin
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, auth_service_pb2, job_pb2, token_service_pb2
from jobrun.wire.gen.jobrun.v1.auth_service_pb2_grpc import AuthServiceStub
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import (
    GetStatusRequest,
    ListFilter,
    ListRequest,
    LogsRequest,
    RemoveRequest,
    StartRequest,
    WatchRequest,
)
from tests.api.login import LoginServer, serving_users
from tests.api.refusals import refused, taken_apart
from tests.api.source_server import WITHIN_S, Server
from tests.api.test_access import methods
from tests.api.test_trouble import failing


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


def test_a_list_of_tokens_has_pages(office: LoginServer) -> None:
    """A thousand users' tokens do not fit into a message: an admin would be told RESOURCE_EXHAUSTED, and no token."""
    user = office.hire("many", "user")
    for number in range(5):
        user.tokens.CreateMachineToken(token_service_pb2.CreateMachineTokenRequest(name=f"t{number}"), timeout=WITHIN_S)
    names, request = list[str](), token_service_pb2.ListMachineTokensRequest(page_size=2)
    while not names or request.page_token:
        page = user.tokens.ListMachineTokens(request, timeout=WITHIN_S)
        assert len(page.tokens) <= 2
        names += [token.name for token in page.tokens]
        request.page_token = page.next_page_token
    assert names == ["t4", "t3", "t2", "t1", "t0"]
    request.page_token = user.tokens.ListMachineTokens(request, timeout=WITHIN_S).next_page_token
    other = token_service_pb2.ListMachineTokensRequest(all_users=True, page_token=request.page_token)
    assert refused(user.tokens.ListMachineTokens, other).reason == "INVALID_REQUEST"
    assert refused(office.admin.tokens.ListMachineTokens, request).reason == "INVALID_REQUEST"


def test_a_client_reads_all_pages(office: LoginServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`token list` would show the newest alone, and nobody revokes the others."""
    user = office.hire("pager", "user")
    for number in range(3):
        office.machine(user, f"t{number}")
    host, port = office.address.rsplit(":", 1)
    der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))
    server = Address(host, int(port))
    access = MachineAccess(MachineLogin(server, "", user.token))
    connection = Connection(known_route(server, access, pinned_server(str(server), der), Environment({})))
    monkeypatch.setattr(accounts, "PAGE", 1)
    assert [token.name for token in accounts.Accounts(connection).tokens(all_users=False)] == ["t2", "t1", "t0"]
    connection.drop()


def on_record(office: LoginServer, name: str) -> list[admin_service_pb2.AuditEvent]:
    """What a user did."""
    asked = admin_service_pb2.ListAuditEventsRequest(username=name)
    return list(office.admin.admin.ListAuditEvents(asked, timeout=WITHIN_S).events)


def test_what_was_done_is_on_record(office: LoginServer) -> None:
    """Nobody could tell afterwards who ran something, who removed it, and who tried to."""
    user = office.hire("doer", "user")
    job = user.start("sleep", "300")
    user.stop(job.id)
    for _ in range(3):
        user.stop(job.id)  # which changes nothing, and is no line
    remove = RemoveRequest(job_id=job.id)
    user.jobs.Remove(remove, timeout=WITHIN_S)
    assert refused(user.jobs.Remove, remove).reason == "JOB_NOT_FOUND"
    assert refused(user.jobs.Start, StartRequest()).reason == "INVALID_REQUEST"
    assert refused(user.admin.ListUsers, admin_service_pb2.ListUsersRequest()).reason == "SCOPE_MISSING"
    events = on_record(office, "doer")
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


def test_who_tries_what_is_not_his_is_on_record(office: LoginServer) -> None:
    """Somebody who looks for other users' jobs would not be seen; or each id that he guesses would be a line;
    or whoever looks at his own would be on record as if he had tried that."""
    owner, snoop = office.hire("owner", "user"), office.hire("snoop", "user")
    job = owner.finished("/bin/true")
    for job_id in (job.id, job.id, "22222222"):
        assert refused(snoop.jobs.GetStatus, GetStatusRequest(job_id=job_id)).reason == "JOB_NOT_FOUND"
    assert refused(snoop.jobs.Logs, LogsRequest(job_id=job.id)).reason == "JOB_NOT_FOUND"
    everybody = ListRequest(filter=ListFilter(user="*"))  # so each client asks first that looks for a job's id
    assert refused(snoop.jobs.List, everybody).reason == "NOT_ALLOWED"
    revoke = token_service_pb2.RevokeMachineTokenRequest(token="not mine")
    assert refused(snoop.tokens.RevokeMachineToken, revoke).reason == "MACHINE_TOKEN_NOT_FOUND"
    seen = {(event.action, event.target, event.outcome, event.count) for event in on_record(office, "snoop")[1:]}
    assert seen == {
        ("call", "JobService/GetStatus", "JOB_NOT_FOUND", 1),
        ("call", "JobService/GetStatus", "JOB_NOT_FOUND", 2),
        ("call", "JobService/Logs", "JOB_NOT_FOUND", 1),
        ("token.revoke", "", "MACHINE_TOKEN_NOT_FOUND", 1),
    }


def test_a_start_whose_caller_left_is_on_record_with_its_job(office: LoginServer) -> None:
    """A job would run, and nobody could say by the record who started it."""
    user = office.hire("hasty", "user")
    deadline, before = time.monotonic() + WITHIN_S, set(os.listdir(office.data / "jobs"))
    slow_disk = sqlite3.connect(office.data / "jobs.db", isolation_level=None)
    slow_disk.execute("BEGIN IMMEDIATE")
    spec = job_pb2.JobSpec(argv=["/bin/true"])
    start = user.jobs.Start.future(StartRequest(spec=spec), timeout=WITHIN_S)
    while set(os.listdir(office.data / "jobs")) <= before:  # its file is made before it is put on record
        assert time.monotonic() < deadline, "it was never begun"
        user.list()
    start.cancel()
    user.list()
    slow_disk.execute("ROLLBACK")
    slow_disk.close()
    while not (started := [one for one in on_record(office, "hasty") if one.action == "job.start"]):
        assert time.monotonic() < deadline, "it is not on record"
    assert [(one.target, one.outcome) for one in started] == [(job_id, "ok") for job_id in user.list()]


def test_a_removal_that_waits_for_jobs_ends_with_the_server() -> None:
    """Whoever ends the server would wait until it loses patience; the admin would be told nothing."""
    with serving_users() as server:
        user = server.hire("leaver", "user")
        job_id = user.start("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done").id
        assert next(user.jobs.Logs(LogsRequest(job_id=job_id, follow=True), timeout=WITHIN_S)).batch.records
        watch = server.admin.jobs.Watch(WatchRequest(job_id=job_id), timeout=WITHIN_S)
        remove = admin_service_pb2.RemoveUserRequest(username="leaver", stop_jobs=True)
        removing = server.admin.admin.RemoveUser.future(remove, timeout=WITHIN_S)
        for answer in watch:
            if answer.job.running.HasField("stopping_since"):
                break
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as caught:
            removing.result()
        assert taken_apart(caught.value).reason == "SHUTTING_DOWN"
        server.gone()
        assert server.process.returncode == 0
        server.begin()


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
    assert ("call", "JobService/Start", "INTERNAL") in {
        (event.action, event.target, event.outcome) for event in on_record(office, "victim")
    }
