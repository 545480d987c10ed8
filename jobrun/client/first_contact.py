"""`login`: how a server is to be trusted, before anything is sent to it."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import NamedTuple

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # no stubs

from jobrun.client.access import Metadata, bearer
from jobrun.client.accounts import ANSWER_S, RECONNECT_S
from jobrun.client.connection import Connection
from jobrun.client.errors import CallRefused, NoServer
from jobrun.client.grants import log_in as grant
from jobrun.client.grants import refresh
from jobrun.client.retry import ask
from jobrun.client.session_access import new_refresh_token
from jobrun.client.tls_check import CertificateRefused, examine, fetch_certificate, verified_certificate
from jobrun.client.tls_routes import RIGHT_ONE, login_remedy
from jobrun.client.trust import trust_of
from jobrun.config.address import Address
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, NoSuchThing, Refusal
from jobrun.config.known_servers import KnownServer, pinned_server, system_server
from jobrun.config.session_file import Session, this_moment
from jobrun.config.system_roots import read_system_roots
from jobrun.model.fingerprint import fingerprint_of
from jobrun.wire.gen.jobrun.v1.auth_service_pb2 import RevokeTokenRequest
from jobrun.wire.gen.jobrun.v1.auth_service_pb2_grpc import AuthServiceStub

SERVICE = "jobrun.v1.JobService"
ENDING_S = 5.0
"""Seconds for each answer about a session that a new one takes the place of: the new one is there already."""
Confirm = Callable[[str], None]
"""Asks somebody about a fingerprint; raises Refusal where it is not confirmed."""


class Trusted(NamedTuple):
    """How a server proves itself: `now`, while the password is sent, and `later`."""

    now: KnownServer
    later: KnownServer


def trust_server(
    server: Address, known: KnownServer | None, expected: str | None, confirm: Confirm, environment: Environment
) -> Trusted:
    """How the server proves itself. `known`: as it did before; `expected`: the fingerprint that the user gave. Raises
    Refusal, and CertificateRefused where it changed."""
    if expected is not None:
        return _expected(server, expected, environment)
    if known is not None:
        fetch_certificate(server)  # says so where nobody is there
        examine(server, trust_of(known, environment), login_remedy(server))
        return Trusted(known, known)
    if _verified(server, environment) is not None:
        system = system_server(str(server))
        return Trusted(system, system)
    certificate = fetch_certificate(server)
    confirm(fingerprint_of(certificate))
    pinned = pinned_server(str(server), certificate)
    return Trusted(pinned, pinned)


def check_is_jobrun(connection: Connection, address: str) -> None:
    """Before a password is sent: asks for the health of jobrun's service, which needs no token. Raises Refusal."""
    try:
        ask(connection, RECONNECT_S, health_pb2_grpc.HealthStub, _ask_for_health)
    except CertificateRefused:
        raise
    except NoServer as error:
        raise NoServer(
            f"{address} speaks TLS, but does not answer as a jobrun server does: is the port right?"
        ) from error
    except (CallRefused, NoSuchThing, LoginNeeded) as error:
        raise CallRefused(f"{address} is no jobrun server: is the port right?") from error


def _ask_for_health(stub: health_pb2_grpc.HealthStub, who: Metadata) -> None:
    stub.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=ANSWER_S)


def log_in(connection: Connection, user: str, password: str) -> Session:
    """A new session, whose first refresh token is made here. Raises Refusal, in the server's words where the user or
    the password is wrong."""
    token = new_refresh_token()
    try:
        return ask(
            connection, RECONNECT_S, AuthServiceStub, lambda stub, _: grant(stub, user, password, token, ANSWER_S)
        )
    except LoginNeeded as error:  # of a login itself: it is refused, not needed
        raise CallRefused(str(error)) from error


def end_session(connection: Connection, session: Session) -> None:
    """Ends one that nobody goes on with. Where that fails it ends by itself, once it is old."""
    try:
        channel = connection.channel()
        if not session.is_fresh(this_moment()):
            next_token = session.next_refresh_token or new_refresh_token()
            session = refresh(channel, session._replace(next_refresh_token=next_token), ENDING_S)
        who = bearer(session.access_token)
        AuthServiceStub(channel).RevokeToken(RevokeTokenRequest(), timeout=ENDING_S, metadata=who)
    except grpc.RpcError:
        return


def _expected(server: Address, expected: str, environment: Environment) -> Trusted:
    """The password goes to the very certificate that was compared, whatever else this machine would believe."""
    certificate = fetch_certificate(server)
    shown = fingerprint_of(certificate)
    if not hmac.compare_digest(shown, expected):
        raise CertificateRefused(f"{server} shows {shown}, not {expected}: nothing was sent to it", RIGHT_ONE)
    pinned = pinned_server(str(server), certificate)
    same = _verified(server, environment) == certificate
    return Trusted(pinned, system_server(str(server)) if same else pinned)


def _verified(server: Address, environment: Environment) -> bytes | None:
    """The certificate there, where this machine verifies it. One without root certificates verifies nothing."""
    try:
        roots = read_system_roots(environment)
    except Refusal:
        return None
    return verified_certificate(server, roots)
