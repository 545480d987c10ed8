"""Who may call what: every method of every service, by everybody."""

from __future__ import annotations

import importlib
import pkgutil
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]  # no stubs, as the next one
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]

import jobrun.wire.gen.jobrun.v1 as generated
from jobrun.wire.gen.jobrun.v1 import auth_service_pb2
from tests.api.login import Actor, LoginServer, serving_users
from tests.api.refusals import Refused, refused, taken_apart
from tests.api.source_server import WITHIN_S

V1 = "/jobrun.v1."
OPEN = {f"{V1}AuthService/IssueToken", *(f"/grpc.health.v1.Health/{name}" for name in ("Check", "Watch", "List"))}
SESSION = {
    *(f"{V1}AuthService/{name}" for name in ("RevokeToken", "ChangePassword")),
    *(f"{V1}TokenService/{name}MachineToken" for name in ("Create", "Revoke")),
    f"{V1}TokenService/ListMachineTokens",
}
ANY = {f"{V1}AuthService/WhoAmI", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}
READ = {f"{V1}JobService/{name}" for name in ("GetStatus", "Watch", "Logs", "List")}
RUN = {f"{V1}JobService/{name}" for name in ("Start", "Stop", "Remove")}
ADMIN = {
    f"{V1}AdminService/{name}"
    for name in ("CreateUser", "ListUsers", "UpdateUser", "SetUserPassword", "RemoveUser", "ListAuditEvents")
}
MACHINE = OPEN | ANY
ALLOWED = {
    "viewer": MACHINE | SESSION | READ,
    "user": MACHINE | SESSION | READ | RUN,
    "admin": MACHINE | SESSION | READ | RUN | ADMIN,
    "user, session jobs:read": MACHINE | SESSION | READ,
    "admin, session jobs:run": MACHINE | SESSION | READ | RUN,
    "admin, session admin": MACHINE | SESSION | ADMIN,
    "user's machine": MACHINE | READ | RUN,
    "user's machine jobs:read": MACHINE | READ,
    "admin's machine": MACHINE | READ | RUN,
    "admin's machine admin": MACHINE | ADMIN,
    "viewer's machine": MACHINE | READ,
}
"""By who has which token."""


@pytest.fixture(scope="module")
def office() -> Iterator[LoginServer]:
    """A server whose users the tests of this module share."""
    with serving_users() as server:
        for role in ("viewer", "user"):
            server.hire(role, role)
        yield server


def methods() -> dict[str, MethodDescriptor]:
    """All that are served, from their descriptors; a new service comes in by itself."""
    files = [
        importlib.import_module(f"{generated.__name__}.{module.name}").DESCRIPTOR
        for module in pkgutil.iter_modules(generated.__path__)
        if module.name.endswith("_pb2")
    ]
    services = [
        service
        for file in (*files, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
    ]
    return {f"/{service.full_name}/{method.name}": method for service in services for method in service.methods}


def call(actor: Actor, name: str, data: bytes = b"") -> Refused | None:
    """Calls it with `data` for a request. None: it answered."""
    method = methods()[name]
    if method.client_streaming:
        made: Any = actor.channel.stream_stream(name)
        return _asked(made, iter([data]))
    made = actor.channel.unary_stream(name) if method.server_streaming else actor.channel.unary_unary(name)
    return _asked(made, data)


def _asked(made: Any, request: Any) -> Refused | None:
    try:
        answer = made(request, timeout=WITHIN_S)
        if hasattr(answer, "__next__"):
            next(answer, None)  # some of them have no end
            answer.cancel()
    except grpc.RpcError as error:
        return taken_apart(error)
    return None


def test_the_table_has_every_method() -> None:
    """A new method would be tested for nobody."""
    assert set(methods()) == OPEN | SESSION | ANY | READ | RUN | ADMIN


@pytest.mark.parametrize("name", sorted(methods()))
@pytest.mark.parametrize("token", [None, "eyJhbGciOiJub25lIn0.e30.", "jrt1.aaaaaaaaaa.x"])
def test_without_a_token_nothing_is_answered(office: LoginServer, name: str, token: str | None) -> None:
    """Whoever reaches the port would get in. What he sends is not even looked at: there is no such message."""
    answer = call(Actor(office, token=token or ""), name, b"\xff" * 10)
    if name in OPEN:
        assert answer is None or answer.reason == "INVALID_REQUEST"
        return
    assert answer is not None
    assert answer.code is grpc.StatusCode.UNAUTHENTICATED
    assert answer.reason == ("TOKEN_INVALID" if token else "TOKEN_MISSING")


def test_what_comes_without_a_token_is_not_read(office: LoginServer) -> None:
    """Strangers would fill the server's memory with 4 MiB a call. It is refused before its request has come."""
    refused_already = threading.Event()

    def held_back() -> Iterator[bytes]:
        refused_already.wait(WITHIN_S)
        yield b""

    made: Any = Actor(office).channel.stream_unary(f"{V1}JobService/Start")
    answer = refused(made, held_back())
    refused_already.set()
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


def test_two_tokens_are_none(office: LoginServer) -> None:
    """A proxy in between would look at one of them, the server at the other."""
    metadata = (("authorization", f"Bearer {office.admin.token}"),) * 2

    def ask(request: Any, timeout: float) -> Any:
        return office.nobody.auth.WhoAmI(request, timeout=timeout, metadata=metadata)

    answer = refused(ask, auth_service_pb2.WhoAmIRequest())
    assert (answer.code, answer.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING")


@pytest.mark.parametrize("who", sorted(ALLOWED))
def test_the_access_table_holds(office: LoginServer, who: str) -> None:
    """A role or a scope would allow more than its owner was told, or less."""
    actor = _actor(office, who)
    for name in sorted(methods(), key=lambda name: name.endswith("RevokeToken")):  # that one last: it ends the session
        answer = call(actor, name)
        if name in ALLOWED[who]:
            assert answer is None or answer.reason in UNHARMED or name.endswith("Health/List"), (who, name, answer)
        else:
            assert answer is not None, (who, name)
            assert (answer.code, answer.reason) == (grpc.StatusCode.PERMISSION_DENIED, "SCOPE_MISSING"), (who, name)


UNHARMED = {"INVALID_REQUEST", "JOB_NOT_FOUND", "USER_NOT_FOUND", "MACHINE_TOKEN_NOT_FOUND", "LOGIN_FAILED"}
"""What an empty request meets behind the gate."""


def _actor(office: LoginServer, who: str) -> Actor:
    role, _, more = who.partition(", session ")
    owner, machine, scope = role.partition("'s machine")
    session = office.log_in(owner, scope=more)
    name = f"of-{owner}-{scope.strip().replace(':', '-')}"
    return office.machine(session, name, scope=scope.strip()) if machine else session


def test_a_method_that_does_not_exist(office: LoginServer) -> None:
    """A newer client would take its absence for a fault, or hang."""
    made: Any = office.nobody.channel.unary_unary(f"{V1}JobService/Upload")
    assert refused(made, b"").code is grpc.StatusCode.UNIMPLEMENTED
