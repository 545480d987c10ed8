"""What ends while it is under way: its token's time is over, its session has ended, there is too much of it."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from jobrun.api.calls import OF_A_USER, OF_AN_ADDRESS
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, auth_service_pb2, token_service_pb2
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import (
    GetStatusRequest,
    ListRequest,
    LogsRequest,
    StopRequest,
    WatchRequest,
)
from tests.api.login import Actor, LoginServer, serving_users
from tests.api.refusals import refused, taken_apart
from tests.api.source_server import WITHIN_S

AT_ONCE_S = 5.0
"""What an end may take to reach who is under way; a good one takes none of it."""


@pytest.fixture(scope="module")
def hasty() -> Iterator[LoginServer]:
    """One whose access tokens are good for three seconds at most."""
    with serving_users(access_token_s=3) as server:
        yield server


@pytest.fixture
def sleeper(office: LoginServer) -> Actor:
    """A user of one test, with a name of his own."""
    return office.hire(f"u{secrets.token_hex(4)}", "user")


class OneAnswer:
    """A call with one answer that is waited for. gRPC's own has a `__next__` as well, which asks for a second message
    while the first one is under way: call error 8."""

    def __init__(self, future: Any) -> None:
        self.result = future.result


def under_way(actor: Actor) -> list[Any]:
    """Calls that last, each begun: two streams and a Stop of a job that does not listen."""
    job_id = actor.start("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done").id
    logs = actor.jobs.Logs(LogsRequest(job_id=job_id, follow=True), timeout=WITHIN_S)
    assert next(logs).batch.records
    watch = actor.jobs.Watch(WatchRequest(job_id=job_id), timeout=WITHIN_S)
    next(watch)
    stop = StopRequest(job_id=job_id)
    stop.grace.FromSeconds(3600)
    stopping = OneAnswer(actor.jobs.Stop.future(stop, timeout=WITHIN_S))
    for answer in watch:
        if answer.job.running.HasField("stopping_since"):
            break
    return [logs, watch, stopping]


def ends(calls: list[Any]) -> set[tuple[grpc.StatusCode, str]]:
    """How they end, all of them by themselves."""
    return {_end(call) for call in calls}


def _end(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        list(call) if hasattr(call, "__next__") else call.result()
    told = taken_apart(caught.value)
    return told.code, told.reason


ENDED = {(grpc.StatusCode.UNAUTHENTICATED, "SESSION_ENDED")}


def within(calls: list[Any], end: Callable[[], Any]) -> set[tuple[grpc.StatusCode, str]]:
    """How they end by what `end` does, which has to be at once."""
    began = time.monotonic()
    end()
    how = ends(calls)
    assert time.monotonic() - began < AT_ONCE_S
    return how


def test_a_stream_ends_with_its_token(hasty: LoginServer) -> None:
    """A token that was stolen from a log would follow jobs for weeks."""
    user = hasty.hire("brief", "user")
    began = time.monotonic()
    assert ends(under_way(user)) == {(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")}
    assert time.monotonic() - began < 3 + AT_ONCE_S
    assert refused(user.jobs.List, ListRequest()).code is grpc.StatusCode.UNAUTHENTICATED
    assert "Traceback" not in (hasty.data / "server.log").read_text()


def removal(server: LoginServer, admin: Actor, user: Actor) -> tuple[str, OneAnswer]:
    """The job of `user` that does not listen, and the call of `admin` that waits for its end."""
    job_id = user.start("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done").id
    logs = user.jobs.Logs(LogsRequest(job_id=job_id, follow=True), timeout=WITHIN_S)
    assert next(logs).batch.records
    watch = server.log_in("admin").jobs.Watch(WatchRequest(job_id=job_id), timeout=WITHIN_S)
    next(watch)
    remove = admin_service_pb2.RemoveUserRequest(username=user.name, stop_jobs=True)
    removing = OneAnswer(admin.admin.RemoveUser.future(remove, timeout=WITHIN_S))
    for answer in watch:
        if answer.job.running.HasField("stopping_since"):
            break
    return job_id, removing


def test_a_removal_outlasts_its_token(hasty: LoginServer) -> None:
    """An admin who removes a user whose jobs take their time would be told, by a second try, that there is no such
    user."""
    machine = hasty.machine(hasty.log_in("admin"), "killer", all_jobs=True)
    asleep = machine.start("sleep", "300")
    user, admin = hasty.hire("leaver", "user"), hasty.log_in("admin")
    watch = admin.jobs.Watch(WatchRequest(job_id=asleep.id), timeout=WITHIN_S)
    job_id, removing = removal(hasty, admin, user)
    assert ends([watch]) == {(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")}
    machine.stop(job_id)
    removing.result()


def test_a_removal_ends_with_its_session(office: LoginServer, sleeper: Actor) -> None:
    """Who logs out would wait on, in the name of a session that is none."""
    admin = office.log_in("admin")
    job_id, removing = removal(office, admin, sleeper)
    revoke = auth_service_pb2.RevokeTokenRequest()
    assert within([removing], lambda: admin.auth.RevokeToken(revoke, timeout=WITHIN_S)) == ENDED
    office.admin.stop(job_id)


def test_a_machine_token_outlasts_sessions(hasty: LoginServer) -> None:
    """A pipeline of an hour would be cut every ten minutes, with nothing to refresh by."""
    user = hasty.hire("steady", "user")
    machine = hasty.machine(user, "long")
    job_id = machine.start("sleep", "300").id
    watch = machine.jobs.Watch(WatchRequest(job_id=job_id), timeout=WITHIN_S)
    next(watch)
    his = user.jobs.Watch(WatchRequest(job_id=job_id), timeout=WITHIN_S)
    assert ends([his]) == {(grpc.StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED")}
    assert watch.is_active()
    machine.stop(job_id)
    assert list(watch)[-1].job.HasField("finished")


def test_logout_cuts_at_once(office: LoginServer, sleeper: Actor) -> None:
    """Somebody who logs out at a machine that is not his would leave his output running over its screen."""
    other = office.log_in(sleeper.name)
    goes_on = under_way(other)
    revoke = auth_service_pb2.RevokeTokenRequest()
    assert within(under_way(sleeper), lambda: sleeper.auth.RevokeToken(revoke, timeout=WITHIN_S)) == ENDED
    assert all(call.is_active() for call in goes_on[:2])
    revoke.all_sessions = True
    assert within(goes_on, lambda: other.auth.RevokeToken(revoke, timeout=WITHIN_S)) == ENDED


def test_a_changed_password_cuts_the_other_sessions(office: LoginServer, sleeper: Actor) -> None:
    """Who changes his password because it is known would go on being watched."""
    thief = office.log_in(sleeper.name)
    change = auth_service_pb2.ChangePasswordRequest(current_password="s3cr3t-of-the-user", new_password="another one")
    mine = under_way(sleeper)
    theirs = under_way(thief)
    sleeper.auth.ChangePassword(change, timeout=WITHIN_S)
    assert ends(theirs) == ENDED
    assert all(call.is_active() for call in mine[:2])


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "viewer"}])
def test_what_an_admin_takes_away_is_gone_at_once(office: LoginServer, sleeper: Actor, change: dict[str, Any]) -> None:
    """Somebody who was shut out would stay in for as long as he keeps a stream open."""
    machine = office.machine(sleeper, "m")
    calls = under_way(sleeper) + under_way(machine)
    request = admin_service_pb2.UpdateUserRequest(username=sleeper.name, **change)
    assert within(calls, lambda: office.admin.admin.UpdateUser(request, timeout=WITHIN_S)) == ENDED


def test_a_revoked_machine_token_is_cut_at_once(office: LoginServer, sleeper: Actor) -> None:
    """A token that leaked would be good until its last stream ends."""
    machine = office.machine(sleeper, "leaked")
    revoke = token_service_pb2.RevokeMachineTokenRequest(token="leaked")
    calls = under_way(machine)
    assert within(calls, lambda: sleeper.tokens.RevokeMachineToken(revoke, timeout=WITHIN_S)) == ENDED
    assert refused(machine.jobs.List, ListRequest()).reason == "SESSION_ENDED"


def test_a_request_that_never_comes_ends_with_its_session(office: LoginServer, sleeper: Actor) -> None:
    """A call that was let in, and held back, would start a job after its user was shut out."""
    held_back = threading.Event()
    made: Any = sleeper.channel.stream_unary("/jobrun.v1.JobService/Start")
    started = OneAnswer(made.future(_after(held_back), timeout=WITHIN_S))
    office.log_in(sleeper.name).jobs.List(ListRequest(), timeout=WITHIN_S)
    revoke = auth_service_pb2.RevokeTokenRequest()
    assert within([started], lambda: sleeper.auth.RevokeToken(revoke, timeout=WITHIN_S)) == ENDED
    held_back.set()


def test_a_strangers_request_that_never_comes_is_not_waited_for(office: LoginServer) -> None:
    """Without a token, and without a byte more, he would hold the calls of his address, and all logins from there."""
    held_back = threading.Event()
    made: Any = office.nobody.channel.stream_unary("/jobrun.v1.AuthService/IssueToken")
    asked = OneAnswer(made.future(_after(held_back), timeout=WITHIN_S))
    assert ends([asked]) == {(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")}
    held_back.set()


def _after(event: threading.Event) -> Iterator[bytes]:
    """A request that does not come before `event` does."""
    event.wait(WITHIN_S)
    yield b""


def test_one_user_can_not_take_all(office: LoginServer, sleeper: Actor) -> None:
    """A loop in one user's script would leave no room for anybody else, nor for himself to end it."""
    other = office.hire("patient", "user")
    job_id = sleeper.start("sleep", "300").id
    watches = [sleeper.jobs.Watch(WatchRequest(job_id=job_id), timeout=WITHIN_S) for _ in range(OF_A_USER)]
    for watch in watches:
        next(watch)
    one_more = refused(sleeper.jobs.GetStatus, GetStatusRequest(job_id=job_id))
    assert (one_more.code, one_more.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS")
    assert one_more.retry_s is not None
    assert other.finished("/bin/true").finished.exit_code == 0
    office.admin.stop(job_id)
    for watch in watches:
        assert list(watch)[-1].job.HasField("finished")
    assert sleeper.list() == {job_id}


def test_strangers_can_not_take_all(office: LoginServer) -> None:
    """Open health checks without end would fill the server's memory without a token, or keep out who logs in behind the
    same address."""
    made: Any = office.nobody.channel.unary_stream("/grpc.health.v1.Health/Watch")
    watches = [made(b"", timeout=WITHIN_S) for _ in range(OF_AN_ADDRESS)]
    for watch in watches:
        next(watch)
    assert refused(made, b"").reason == "TOO_MANY_CALLS"
    assert office.log_in("admin").list() == set()
    for watch in watches:
        watch.cancel()
