"""Machine tokens: made of thin air, narrow ones that reach for more, and those whose time is over."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import (
    admin_service_pb2,
    auth_service_pb2,
    job_pb2,
    job_service_pb2,
    token_service_pb2,
)
from tests.attack.caller import UNAUTHENTICATED, Caller, Refused, attempt, refused, until_refused
from tests.attack.test_others_things import EVERY, ONE_JOB, told_of, unlike
from tests.attack.victim import Victim

DENIED = grpc.StatusCode.PERMISSION_DENIED


@pytest.fixture(scope="module")
def secret(ann: Caller) -> str:
    """A token of ann's, as made by default: for the jobs that it starts."""
    return ann.make_token("narrow").secret


@pytest.fixture(scope="module")
def narrow(server: Victim, secret: str) -> Caller:
    """Who holds it."""
    return server.caller(secret)


@pytest.fixture(scope="module")
def almighty(server: Victim, admin: Caller) -> Caller:
    """Who holds a token of the admin's with every scope."""
    return server.caller(admin.make_token("almighty", scope="admin jobs:read jobs:run", all_jobs=True).secret)


def turned(letter: str) -> str:
    """Another letter of base64url."""
    return "A" if letter != "A" else "Q"


def test_it_works(narrow: Caller) -> None:
    """What follows would prove nothing."""
    assert narrow.who().username == "ann"
    assert narrow.who().scope == "jobs:run"
    assert narrow.job(narrow.start("true")).token_name == "narrow"


@pytest.mark.parametrize("place", range(5, 59, 6))
def test_one_letter_changed(server: Victim, secret: str, place: int) -> None:
    """A token would be guessed piece by piece."""
    told = server.wire().stranger(secret[:place] + turned(secret[place]) + secret[place + 1 :])
    assert (told.code, told.reason) == (UNAUTHENTICATED, "TOKEN_INVALID"), told


MADE: dict[str, Callable[[str, str], str]] = {
    "id of another": lambda word, other: ".".join((*other.split(".")[:2], word.split(".")[2])),
    "unknown id": lambda word, other: ".".join(("jrt1", "zzzzzzzzzz", word.split(".")[2])),
    "no secret": lambda word, other: ".".join((*word.split(".")[:2], "")),
    "two parts": lambda word, other: word.rpartition(".")[0],
    "cut": lambda word, other: word[:-1],
    "longer": lambda word, other: word + "A",
    "padding": lambda word, other: word + "=",
    "another version": lambda word, other: word.replace("jrt1.", "jrt2.", 1),
    "no version": lambda word, other: word.removeprefix("jrt1."),
    "upper case": lambda word, other: word.upper(),
    "10 kB": lambda word, other: word + "A" * 5000,
    "id of a path": lambda word, other: f"jrt1.../../x.{word.split('.')[2]}",
    "id with %": lambda word, other: f"jrt1.%.{word.split('.')[2]}",
}


@pytest.mark.parametrize("name", MADE)
def test_a_made_up_token(server: Victim, ann: Caller, secret: str, name: str) -> None:
    """Somebody who knows how tokens look would make one that is let in, or end the server by it."""
    other = ann.make_token(f"other-{[*MADE].index(name)}")
    told = server.wire().stranger(MADE[name](secret, other.secret))
    assert (told.code, told.reason) == (UNAUTHENTICATED, "TOKEN_INVALID"), told
    ann.tokens.RevokeMachineToken(token_service_pb2.RevokeMachineTokenRequest(token=other.token.id))


def test_revoked(server: Victim, ann: Caller) -> None:
    """A token found in a public log would go on."""
    made = ann.make_token("lost")
    holder = server.caller(made.secret)
    job = holder.start("sleep", "600")
    watch = holder.jobs.Watch(job_service_pb2.WatchRequest(job_id=job), timeout=60)
    next(watch)
    ann.tokens.RevokeMachineToken(token_service_pb2.RevokeMachineTokenRequest(token="lost"))
    told = server.wire().stranger(made.secret)
    assert told.code == UNAUTHENTICATED, told
    with pytest.raises(grpc.RpcError) as raised:
        list(watch)
    assert raised.value.code() == UNAUTHENTICATED
    ann.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))


def test_expired(server: Victim, ann: Caller) -> None:
    """A pipeline of last year would still have the keys."""
    holder = server.caller(ann.make_token("short", expires_in=1).secret)
    told = until_refused(holder.who, "the token to expire")
    assert told.code == UNAUTHENTICATED, told


@pytest.mark.parametrize("seconds", [366 * 86400 + 1, 2**63, 2**64 - 1])
def test_for_ever(ann: Caller, seconds: int) -> None:
    """A token without an end is never cleaned up."""
    request = token_service_pb2.CreateMachineTokenRequest(name="for-ever", expires_in=seconds)
    assert refused(ann.tokens.CreateMachineToken, request).code == grpc.StatusCode.INVALID_ARGUMENT


def test_used_by_many_at_once(server: Victim, secret: str) -> None:
    """A matrix of builds would fail at random."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        names = list(pool.map(lambda _: server.wire().who(secret).username, range(48)))
    assert names == ["ann"] * 48


@pytest.mark.parametrize("method", ONE_JOB)
def test_its_own_users_other_jobs_are_not_there(ann: Caller, narrow: Caller, method: str) -> None:
    """One leaked pipeline token would read and stop all that its user runs."""
    job = ann.start("sleep", "600")
    assert told_of(narrow, method, job) == told_of(narrow, method, unlike(job))
    assert told_of(narrow, method, job).code == grpc.StatusCode.NOT_FOUND
    assert not ann.job(job).running.HasField("stopping_since")
    assert job not in narrow.listed(states=EVERY)
    assert job not in narrow.listed(id_prefix=job[:2])
    assert job not in narrow.listed(user="ann", id_prefix=job)
    ann.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))


def test_two_narrow_tokens_of_one_user(server: Victim, ann: Caller, narrow: Caller) -> None:
    """As above, from one pipeline to the other."""
    other = server.caller(ann.make_token("other-pipeline").secret)
    job = other.start("sleep", "600")
    assert told_of(narrow, "GetStatus", job).code == grpc.StatusCode.NOT_FOUND
    assert ann.job(job).token_name == "other-pipeline"
    ann.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))


def test_a_request_id_of_its_user(ann: Caller, narrow: Caller) -> None:
    """Whoever guesses a request id would be given a job that he may not see."""
    job = ann.start("sleep", "600", request_id="of-the-session")
    request = job_service_pb2.StartRequest(spec=job_pb2.JobSpec(argv=["sleep", "600"]), request_id="of-the-session")
    told = attempt(narrow.jobs.Start, request)
    if isinstance(told, Refused):
        assert job not in told.text
        assert job.encode() not in told.details
    else:
        assert told.job.id != job
        ann.jobs.Stop(job_service_pb2.StopRequest(job_id=told.job.id, grace={}))
    ann.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))


REFUSED_TO_MACHINES: dict[str, Callable[[Caller], tuple[Callable[..., Any], Any]]] = {
    "RevokeToken": lambda c: (c.auth.RevokeToken, auth_service_pb2.RevokeTokenRequest(all_sessions=True)),
    "ChangePassword": lambda c: (c.auth.ChangePassword, auth_service_pb2.ChangePasswordRequest()),
    "CreateMachineToken": lambda c: (
        c.tokens.CreateMachineToken,
        token_service_pb2.CreateMachineTokenRequest(name="child"),
    ),
    "ListMachineTokens": lambda c: (c.tokens.ListMachineTokens, token_service_pb2.ListMachineTokensRequest()),
    "RevokeMachineToken": lambda c: (
        c.tokens.RevokeMachineToken,
        token_service_pb2.RevokeMachineTokenRequest(token="narrow"),
    ),
}


@pytest.mark.parametrize("name", REFUSED_TO_MACHINES)
def test_what_no_machine_token_may(narrow: Caller, almighty: Caller, name: str) -> None:
    """A stolen token would make itself new ones, or lock its owner out."""
    for caller in (narrow, almighty):
        call, request = REFUSED_TO_MACHINES[name](caller)
        assert refused(call, request).code == DENIED


ADMIN_SERVICE = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"]


@pytest.mark.parametrize("method", [method.name for method in ADMIN_SERVICE.methods])
def test_administration_without_its_scope(
    narrow: Caller, ann: Caller, vic: Caller, server: Victim, admin: Caller, method: str
) -> None:
    """A user would make himself admin."""
    reading = server.caller(admin.make_token(f"reads-{method}", scope="jobs:read").secret)
    request = getattr(admin_service_pb2, f"{method}Request")()
    for caller in (narrow, ann, vic, reading):
        assert refused(getattr(caller.admin, method), request).code == DENIED


def test_a_token_for_reading_starts_nothing(server: Victim, ann: Caller) -> None:
    """A dashboard's token would run commands."""
    reading = server.caller(ann.make_token("reads", scope="jobs:read", all_jobs=True).secret)
    job = ann.start("sleep", "600")
    assert reading.job(job).id == job
    assert refused(reading.jobs.Start, job_service_pb2.StartRequest(spec=job_pb2.JobSpec(argv=["true"]))).code == DENIED
    for method in ("Stop", "Remove"):
        assert told_of(reading, method, job).code == DENIED
    ann.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))


@pytest.mark.parametrize("scope", ["admin", "jobs:run admin", "root", "jobs:*", "*", "JOBS:RUN", "jobs:run,admin"])
def test_a_scope_that_he_has_not(server: Victim, ann: Caller, scope: str) -> None:
    """Whoever asks would be given."""
    request = token_service_pb2.CreateMachineTokenRequest(name="greedy", scope=scope)
    told = refused(ann.tokens.CreateMachineToken, request)
    assert told.code in (DENIED, grpc.StatusCode.INVALID_ARGUMENT), told


def test_a_narrow_session_makes_no_wider_token(server: Victim, ann: Caller) -> None:
    """A session for reading would write itself a pass."""
    reading = server.login("ann", scope="jobs:read")
    assert refused(reading.jobs.Start, job_service_pb2.StartRequest(spec=job_pb2.JobSpec(argv=["true"]))).code == DENIED
    request = token_service_pb2.CreateMachineTokenRequest(name="wider", scope="jobs:run")
    assert refused(reading.tokens.CreateMachineToken, request).code == DENIED


def test_a_session_of_an_admin_for_jobs_alone(server: Victim) -> None:
    """A session that was made narrow would still let its thief make users."""
    jobs_only = server.login("admin", server.admin_password, scope="jobs:run")
    assert refused(jobs_only.admin.ListUsers, admin_service_pb2.ListUsersRequest()).code == DENIED


def test_anothers_machine_token(ann: Caller, bob: Caller) -> None:
    """Others would end one's pipelines, or learn of them."""
    made = ann.make_token("anns-own")
    for word in (made.token.id, "anns-own"):
        request = token_service_pb2.RevokeMachineTokenRequest(token=word)
        unknown = token_service_pb2.RevokeMachineTokenRequest(token=unlike(word))
        assert refused(bob.tokens.RevokeMachineToken, request) == refused(bob.tokens.RevokeMachineToken, unknown)
    assert not bob.tokens.ListMachineTokens(token_service_pb2.ListMachineTokensRequest()).tokens
    told = attempt(bob.tokens.ListMachineTokens, token_service_pb2.ListMachineTokensRequest(all_users=True))
    assert isinstance(told, Refused)
    assert told.code == DENIED


def test_ceilings_hold(server: Victim, ann: Caller) -> None:
    """A token made for small jobs would take the whole machine."""
    small = server.caller(ann.make_token("small", ceilings=job_pb2.Limits(memory_bytes=1 << 26)).secret)
    big = job_pb2.JobSpec(argv=["true"], limits=job_pb2.Limits(memory_bytes=1 << 30))
    told = refused(small.jobs.Start, job_service_pb2.StartRequest(spec=big))
    assert told.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "67108864" in told.text or "64M" in told.text, told.text
    assert small.job(small.start("true")).effective_limits.memory_bytes == 1 << 26


def test_secrets_are_stored_nowhere(server: Victim, secret: str) -> None:
    """Whoever reads a backup would have every token."""
    assert secret.rpartition(".")[2].encode() not in server.records()
