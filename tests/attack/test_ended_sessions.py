"""Tokens that were good a moment ago: after a logout, another password, a removed user; streams that outlive them."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, auth_service_pb2, job_service_pb2
from tests.attack.caller import UNAUTHENTICATED, Caller, Refused, refusal_of, refused, until_refused
from tests.attack.victim import PASSWORD, SHORT, Victim, victim
from tests.e2e.deadline import patience

OTHER = "another fine password"
SESSION_ENDS_S = 5.0
"""How soon a stream ends after its session."""


class Reader:
    """Reads a stream in a thread: how it ends, and when."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._begun, self._end = threading.Event(), queue.Queue[Refused | None]()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def wait_begun(self) -> None:
        """Until the first answer came."""
        assert self._begun.wait(patience(10)), "nothing came"

    def end(self, within: float) -> Refused | None:
        """How it ended; None: well."""
        try:
            told = self._end.get(timeout=within)
        except queue.Empty:
            self._call.cancel()
            raise AssertionError("the stream goes on") from None
        self._thread.join()
        return told

    def _read(self) -> None:
        try:
            for _ in self._call:
                self._begun.set()
            self._end.put(None)
        except grpc.RpcError as error:
            self._end.put(refusal_of(error))


Act = Callable[[Victim, Caller, Caller], object]


def _log_out(server: Victim, admin: Caller, user: Caller) -> object:
    return user.auth.RevokeToken(auth_service_pb2.RevokeTokenRequest())


def _log_out_elsewhere(server: Victim, admin: Caller, user: Caller) -> object:
    other = server.login(user.who().username)
    return other.auth.RevokeToken(auth_service_pb2.RevokeTokenRequest(all_sessions=True))


def _change_password_elsewhere(server: Victim, admin: Caller, user: Caller) -> object:
    other = server.login(user.who().username)
    request = auth_service_pb2.ChangePasswordRequest(current_password=PASSWORD, new_password=OTHER)
    other.auth.ChangePassword(request)
    assert other.who().username, "the session that changed it goes on"
    return None


def _set_password(server: Victim, admin: Caller, user: Caller) -> object:
    request = admin_service_pb2.SetUserPasswordRequest(username=user.who().username, new_password=OTHER)
    return admin.admin.SetUserPassword(request)


def _disable(server: Victim, admin: Caller, user: Caller) -> object:
    return admin.admin.UpdateUser(admin_service_pb2.UpdateUserRequest(username=user.who().username, disabled=True))


def _remove(server: Victim, admin: Caller, user: Caller) -> object:
    request = admin_service_pb2.RemoveUserRequest(username=user.who().username, stop_jobs=True)
    return admin.admin.RemoveUser(request)


ENDS: dict[str, Act] = {
    "logged out": _log_out,
    "logged out elsewhere": _log_out_elsewhere,
    "password changed elsewhere": _change_password_elsewhere,
    "password set": _set_password,
    "disabled": _disable,
    "removed": _remove,
}


@pytest.mark.parametrize(("number", "name"), list(enumerate(ENDS)))
def test_a_session_that_was_ended(server: Victim, admin: Caller, number: int, name: str) -> None:
    """A stolen token, or one of somebody who was let go, would work until it expires; a followed log for days."""
    user_name = f"user{number}"
    admin.make_user(user_name, PASSWORD)
    user = server.login(user_name)
    job = user.start("sleep", "600")
    readers = [
        Reader(user.jobs.Watch(job_service_pb2.WatchRequest(job_id=job), timeout=patience(60))),
        Reader(user.jobs.Logs(job_service_pb2.LogsRequest(job_id=job, follow=True), timeout=patience(60))),
    ]
    readers[0].wait_begun()
    ENDS[name](server, admin, user)
    ended = time.monotonic()
    told = server.wire().stranger(user.token)
    assert (told.code, told.reason) == (UNAUTHENTICATED, "SESSION_ENDED"), told
    for reader in readers:
        cut = reader.end(patience(SESSION_ENDS_S))
        assert cut is not None or name == "removed", "it ended well"  # the job's own end may come first there
        assert cut is None or (cut.code, cut.reason) == (UNAUTHENTICATED, "SESSION_ENDED"), cut
    assert time.monotonic() - ended < patience(SESSION_ENDS_S)
    if name != "removed":
        admin.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))


def test_a_stop_under_way_ends_with_its_session(server: Victim, admin: Caller) -> None:
    """A call that waits would answer somebody who may not ask any more."""
    admin.make_user("stopper", PASSWORD)
    user = server.login("stopper")
    job = user.start("sh", "-c", "trap '' TERM; echo up; while :; do sleep 600; done")
    next(user.jobs.Logs(job_service_pb2.LogsRequest(job_id=job, follow=True)))
    stop = user.wire.jobs.Stop.future(
        job_service_pb2.StopRequest(job_id=job, grace={"seconds": 300}),
        metadata=(("authorization", f"Bearer {user.token}"),),
        timeout=patience(60),
    )
    watch = admin.jobs.Watch(job_service_pb2.WatchRequest(job_id=job))
    assert any(answer.job.running.HasField("stopping_since") for answer in watch)
    user.auth.RevokeToken(auth_service_pb2.RevokeTokenRequest())
    with pytest.raises(grpc.RpcError) as raised:
        stop.result(patience(SESSION_ENDS_S))
    assert raised.value.code() == UNAUTHENTICATED
    admin.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))


def test_a_server_that_ends_waits_for_no_removal(nobodys_cache: Path) -> None:
    """A job that will not end would keep a server from ending for its grace; or its user would be let in again."""
    with victim(nobodys_cache) as own:
        admin, request = own.admin(), admin_service_pb2.RemoveUserRequest(username="ann", stop_jobs=True)
        admin.make_user("ann", PASSWORD)
        ann = own.login("ann")
        job = ann.start("sh", "-c", "trap '' TERM; echo up; while :; do sleep 600; done", grace={"seconds": 3600})
        next(ann.jobs.Logs(job_service_pb2.LogsRequest(job_id=job, follow=True)))
        removal = admin.wire.admin.RemoveUser.future(request, metadata=(("authorization", f"Bearer {admin.token}"),))
        watch = admin.jobs.Watch(job_service_pb2.WatchRequest(job_id=job))
        assert any(answer.job.running.HasField("stopping_since") for answer in watch)
        with contextlib.closing(own.process()) as process:
            process.signal(signal.SIGTERM)
        assert own.wait(within=10) == 0, own.log()
        with pytest.raises(grpc.RpcError) as raised:
            removal.result(patience(5))
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        own.start_again()
        admin = own.admin()
        users = admin.admin.ListUsers(admin_service_pb2.ListUsersRequest()).users
        assert [user.username for user in users if user.disabled] == ["ann"]
        admin.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))
        admin.admin.RemoveUser(request)


def test_a_name_that_was_removed_is_not_given_again(admin: Caller) -> None:
    """The next of that name would own the last one's jobs."""
    admin.make_user("gone", PASSWORD)
    admin.admin.RemoveUser(admin_service_pb2.RemoveUserRequest(username="gone"))
    request = admin_service_pb2.CreateUserRequest(username="gone", password=PASSWORD)
    assert refused(admin.admin.CreateUser, request).reason == "USER_EXISTS"


def test_a_changed_role_acts_at_once(server: Victim, admin: Caller) -> None:
    """An admin who is none any more could make himself one again."""
    admin.make_user("fallen", PASSWORD, "admin")
    fallen = server.login("fallen")
    fallen.admin.ListUsers(admin_service_pb2.ListUsersRequest())
    token = server.caller(fallen.make_token("robot", scope="admin jobs:run jobs:read").secret)
    admin.admin.UpdateUser(admin_service_pb2.UpdateUserRequest(username="fallen", role="user"))
    request = admin_service_pb2.UpdateUserRequest(username="fallen", role="admin")
    for caller in (fallen, token):
        assert refused(caller.admin.UpdateUser, request).code == grpc.StatusCode.PERMISSION_DENIED
        assert "admin" not in caller.who().scope.split()


@pytest.fixture(scope="module")
def short(nobodys_cache: Path) -> Iterator[Victim]:
    """A server whose access tokens live 3 s."""
    with victim(nobodys_cache, config=SHORT) as running:
        yield running


@pytest.fixture(scope="module")
def early(short: Victim) -> Caller:
    """A session there, without refresh."""
    return short.admin()


def test_a_stream_ends_with_its_token_and_goes_on_with_the_next(short: Victim, early: Caller) -> None:
    """A token stolen once would follow a log for ever; or an honest follower would miss lines, or see them twice."""
    job = early.start("sh", "-c", "for i in $(seq 40); do echo $i; sleep 0.1; done")
    got, cursor, cuts, token = b"", 0, 0, early
    while True:
        begun = time.monotonic()
        request = job_service_pb2.LogsRequest(job_id=job, follow=True, cursor=cursor)
        stream = token.jobs.Logs(request, timeout=patience(20))
        try:
            for answer in stream:
                got += b"".join(record.data for record in answer.batch.records)
                cursor = answer.next_cursor or cursor
            break
        except grpc.RpcError as error:
            told = refusal_of(error)
        assert (told.code, told.reason) == (UNAUTHENTICATED, "TOKEN_EXPIRED"), told
        assert time.monotonic() - begun < 3 + patience(1)
        cuts += 1
        token = short.admin()
    assert got == b"".join(b"%d\n" % n for n in range(1, 41))
    assert cuts >= 1


def test_an_expired_token_is_told_from_a_bad_one(early: Caller) -> None:
    """A client could not know that it may refresh."""
    told = until_refused(early.who, "the token to expire")
    assert (told.code, told.reason) in ((UNAUTHENTICATED, "TOKEN_EXPIRED"), (UNAUTHENTICATED, "SESSION_ENDED"))
    with pytest.raises(grpc.RpcError):
        early.start("true")
