"""The door itself: every method without a token, and tokens that are handed over in another way than the one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]  # no stubs
from grpc_reflection.v1alpha import reflection_pb2  # type: ignore[import-untyped]  # no stubs

from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, auth_service_pb2, job_service_pb2, token_service_pb2
from tests.attack import http2
from tests.attack.caller import UNAUTHENTICATED, Caller, Metadata, Refused, bearer, refusal_of, refused
from tests.attack.victim import Victim
from tests.e2e.deadline import patience

FILES = [
    admin_service_pb2.DESCRIPTOR,
    auth_service_pb2.DESCRIPTOR,
    job_service_pb2.DESCRIPTOR,
    token_service_pb2.DESCRIPTOR,
    health_pb2.DESCRIPTOR,
    reflection_pb2.DESCRIPTOR,
]
ISSUE = "/jobrun.v1.AuthService/IssueToken"
OPEN = {ISSUE}
"""With the health service all that needs no token."""


def services() -> Iterator[ServiceDescriptor]:
    """Every service that there is."""
    for file in FILES:
        yield from file.services_by_name.values()


def methods() -> dict[str, MethodDescriptor]:
    """Every method that there is, by path."""
    return {f"/{service.full_name}/{method.name}": method for service in services() for method in service.methods}


CLOSED = [path for path in methods() if path not in OPEN and not path.startswith("/grpc.health.v1.")]


def knock(channel: Any, path: str, body: bytes, metadata: Metadata) -> Refused | list[bytes]:
    """What a method answers; a stream is read to its end."""
    method, limit = methods()[path], patience(10)
    try:
        if method.client_streaming:
            return list(channel.stream_stream(path)(iter([body]), metadata=tuple(metadata), timeout=limit))
        if method.server_streaming:
            return list(channel.unary_stream(path)(body, metadata=tuple(metadata), timeout=limit))
        return [channel.unary_unary(path)(body, metadata=tuple(metadata), timeout=limit)]
    except grpc.RpcError as error:
        return refusal_of(error)


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("body", [b"", b"\xff" * 100], ids=["empty", "garbage"])
def test_without_a_token(server: Victim, path: str, body: bytes) -> None:
    """One method that was forgotten is a way in for everybody; one that reads what strangers send is half a way."""
    told = knock(server.wire().channel, path, body, ())
    assert isinstance(told, Refused), "it answered a stranger"
    assert (told.code, told.reason) == (UNAUTHENTICATED, "TOKEN_MISSING"), told


@pytest.mark.parametrize("path", ["/jobrun.v1.JobService/Frobnicate", "/no.such.Service/Method", "/", "/x"])
def test_a_method_that_there_is_not(server: Victim, path: str) -> None:
    """A method that is built later would be open to strangers from the first."""
    told = server.wire().bytes_call(path, b"")
    assert isinstance(told, Refused)
    assert told.code in (UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED), told


def test_all_services_are_walked(server: Victim, admin: Caller) -> None:
    """A service that these tests do not know would go untested."""
    request = reflection_pb2.ServerReflectionRequest(list_services="*").SerializeToString()
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    answers = knock(server.wire().channel, path, request, bearer(admin.token))
    assert isinstance(answers, list)
    served = reflection_pb2.ServerReflectionResponse.FromString(answers[0]).list_services_response.service
    assert {service.name for service in served} == {service.full_name for service in services()}


def test_health_is_open(server: Victim) -> None:
    """A balancer could not ask."""
    assert server.wire().bytes_call("/grpc.health.v1.Health/Check", b"") == b"\x08\x01"


HANDED: dict[str, object] = {
    "nothing behind Bearer": [("authorization", "Bearer ")],
    "Bearer alone": [("authorization", "Bearer")],
    "no scheme": [("authorization", "{}")],
    "lower case": [("authorization", "bearer {}")],
    "upper case": [("authorization", "BEARER {}")],
    "Basic": [("authorization", "Basic {}")],
    "two blanks": [("authorization", "Bearer  {}")],
    "a tab": [("authorization", "Bearer\t{}")],
    "another word behind it": [("authorization", "Bearer {} x")],
    "quoted": [("authorization", 'Bearer "{}"')],
    "two in one entry": [("authorization", "Bearer {}, Bearer {}")],
    "the same twice": [("authorization", "Bearer {}"), ("authorization", "Bearer {}")],
    "a bad one first": [("authorization", "Bearer x"), ("authorization", "Bearer {}")],
    "a bad one behind": [("authorization", "Bearer {}"), ("authorization", "Bearer x")],
    "an empty one behind": [("authorization", "Bearer {}"), ("authorization", "")],
    "another header": [("x-authorization", "Bearer {}")],
    "a cookie": [("cookie", "access_token={}")],
    "a proxy's": [("proxy-authorization", "Bearer {}")],
    "forwarded": [("x-forwarded-user", "admin"), ("x-forwarded-for", "127.0.0.1")],
    "10 kB": [("authorization", "Bearer {}" + "A" * 10_000)],
}


@pytest.mark.parametrize("name", HANDED)
def test_a_good_token_in_a_wrong_hand(server: Victim, ann: Caller, name: str) -> None:
    """Where a proxy and the server read two entries differently, a stranger's call passes as another's."""
    entries: list[tuple[str, str]] = HANDED[name]  # type: ignore[assignment]  # a table of tables
    metadata = tuple((key, value.replace("{}", ann.token)) for key, value in entries)
    told = refused(server.wire().auth.WhoAmI, auth_service_pb2.WhoAmIRequest(), metadata)
    allowed = {UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED} if name == "10 kB" else {UNAUTHENTICATED}
    if name == "a tab":  # not a header field's value for grpc's client, which refuses it itself
        allowed.add(grpc.StatusCode.INTERNAL)
    assert told.code in allowed, told


ODD_BYTES = {
    "a newline": b"Bearer %s\n",
    "NUL": b"Bearer %s\0",
    "CR LF and another field": b"Bearer %s\r\nx-user: admin",
    "high bytes": b"Bearer %s\xff\xfe",
    "a surrogate": b"Bearer %s\xed\xa0\x80",
    "leading blank": b" Bearer %s",
}


@pytest.mark.parametrize("value", ODD_BYTES.values(), ids=ODD_BYTES)
def test_bytes_that_no_header_has(server: Victim, ann: Caller, value: bytes) -> None:
    """A library's parser would fall over them, or cut them off and let the rest pass."""
    path = "/jobrun.v1.AuthService/WhoAmI"
    block = http2.request(path, (b"authorization", value % ann.token.encode()))
    with http2.connection(server.host, server.port) as link:
        link.sendall(http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block))
        link.sendall(http2.frame(http2.DATA, http2.END_STREAM, 1, bytes(5)))
        link.settimeout(patience(10))
        got = http2.read_answer(link)
    assert got, "it was answered"
    assert b"ann" not in got
    assert ann.who().username == "ann"


def test_by_hand_a_good_header_passes(server: Victim, ann: Caller) -> None:
    """The test above would pass whatever the server does."""
    path = "/jobrun.v1.AuthService/WhoAmI"
    block = http2.request(path, (b"authorization", b"Bearer " + ann.token.encode()))
    with http2.connection(server.host, server.port) as link:
        link.sendall(http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block))
        link.sendall(http2.frame(http2.DATA, http2.END_STREAM, 1, bytes(5)))
        link.settimeout(patience(10))
        assert b"ann" in http2.read_answer(link)


def test_a_refresh_token_is_no_access_token(server: Victim, admin: Caller) -> None:
    """What lies on a disk for 14 days would do all that a token of 10 minutes does."""
    wire = server.wire()
    issued = wire.login("admin", server.admin_password, first="first-secret")
    for word in ("first-secret", issued.session_id, f"{issued.session_id}.first-secret"):
        told = wire.stranger(word)
        assert (told.code, told.reason) == (UNAUTHENTICATED, "TOKEN_INVALID"), told


def test_an_access_token_is_no_refresh_token(server: Victim, admin: Caller) -> None:
    """A token that was seen once would give new ones for 90 days."""
    wire = server.wire()
    issued = wire.login("admin", server.admin_password, first="other-secret")
    grant = auth_service_pb2.RefreshTokenGrant(
        session_id=issued.session_id, refresh_token=issued.access_token, next_refresh_token_sha256=bytes(32)
    )
    told = refused(wire.auth.IssueToken, auth_service_pb2.IssueTokenRequest(refresh_token=grant))
    assert (told.code, told.reason) == (UNAUTHENTICATED, "REFRESH_FAILED"), told
    assert wire.who(issued.access_token).username == "admin"
