"""A server's health, asked from its own machine: grpc.health.v1, which needs no token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # no stubs

from jobrun.client.channel import open_channel, open_tls_channel
from jobrun.client.errors import Unreachable, details_of
from jobrun.client.trust import Trust, name_in, pem_of
from jobrun.config.known_servers import pinned_server
from jobrun.model.fingerprint import fingerprint_of

if TYPE_CHECKING:
    from jobrun.config.address import Address

ANSWER_S = 10.0
"""Seconds for an answer: a server that needs more does not serve."""


def plain_health(address: str) -> str:
    """Of a server without TLS; `address` as gRPC dials it. A name of HealthCheckResponse. Raises Unreachable."""
    with open_channel(address) as channel:
        return _ask(channel, address)


def tls_health(server: Address, expected: Callable[[], str | None]) -> str:
    """Of a server with TLS, whose certificate has the fingerprint that `expected` says once it was shown: the server
    writes that down before it shows another one. Raises Unreachable, NoTls."""
    from jobrun.client.tls_check import fetch_certificate

    certificate = fetch_certificate(server)
    shown, pin = fingerprint_of(certificate), expected()
    if pin is None or not hmac.compare_digest(shown, pin):
        raise Unreachable(f"{server} shows the certificate {shown}, not {pin}: another server listens there")
    trust = Trust(pinned_server(str(server), certificate), pem_of(certificate), name_in(certificate))
    with open_tls_channel(server, trust) as channel:
        return _ask(channel, str(server))


def _ask(channel: grpc.Channel, name: str) -> str:
    stub = health_pb2_grpc.HealthStub(channel)
    try:
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=ANSWER_S)
    except grpc.RpcError as error:
        raise Unreachable(f"{name} does not answer: {details_of(error)}: look at its log") from error
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
