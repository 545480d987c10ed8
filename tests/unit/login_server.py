"""A small server with TLS and login, in this process: what a client meets, without what is behind it."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped]  # no stubs
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # no stubs
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # no stubs
from grpc_health.v1.health import HealthServicer  # type: ignore[import-untyped]  # no stubs

from jobrun.config.address import Address
from jobrun.wire.gen.jobrun.v1 import auth_service_pb2 as auth
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as jobs

DAY = datetime.timedelta(days=1)


class Pair:
    """A key and its certificate."""

    def __init__(self, *, name: str = "jobrun.internal", begins: int = -2, ends: int = 10) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"test {os.urandom(8).hex()}")])
        now = datetime.datetime.now(datetime.timezone.utc)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * DAY)
            .not_valid_after(now + ends * DAY)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.der = built.public_bytes(serialization.Encoding.DER)
        self.pem = built.public_bytes(serialization.Encoding.PEM)
        self.key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.fingerprint = f"sha256:{hashlib.sha256(self.der).hexdigest()}"


class LoginServer:
    """One user, `ann`, one session, which goes on by the rule of auth_service.proto."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.life_s = 600
        self.current, self.previous = b"", b""
        self.rotations = 0
        self.good: set[str] = set()
        """Access tokens that are taken."""
        self.lose_answers = 0
        """Refreshes that are done, and whose answer does not arrive."""
        self.streams: list[int] = []
        """Cursors that Logs was asked for."""
        self.logs: Callable[[jobs.LogsRequest, grpc.ServicerContext], Iterator[jobs.LogsResponse]] | None = None

    def issue(self, request: auth.IssueTokenRequest, context: grpc.ServicerContext) -> auth.IssueTokenResponse:
        with self._lock:
            if request.HasField("password"):
                if request.password.password != "right password":
                    refuse(context, "LOGIN_FAILED", "unknown user or wrong password")
                self.current = request.password.refresh_token_sha256
            else:
                self._rotate(request.refresh_token, context)
            token = f"token-{os.urandom(8).hex()}"
            self.good = {token}
            answer = auth.IssueTokenResponse(
                access_token=token, token_type="Bearer", expires_in=self.life_s, session_id="s1"
            )
            answer.session_expires_at.GetCurrentTime()
            return answer

    def _rotate(self, grant: auth.RefreshTokenGrant, context: grpc.ServicerContext) -> None:
        sent, next_ = hashlib.sha256(grant.refresh_token.encode()).digest(), grant.next_refresh_token_sha256
        if sent == self.current:
            self.previous, self.current = self.current, next_
            self.rotations += 1
        elif (sent, next_) != (self.previous, self.current):
            refuse(context, "REFRESH_FAILED", "the session has ended")
        if self.lose_answers:
            self.lose_answers -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")

    def who(self, request: auth.WhoAmIRequest, context: grpc.ServicerContext) -> auth.WhoAmIResponse:
        self.check(context)
        return auth.WhoAmIResponse(username="ann", role="user", scope="jobs:run")

    def stream(self, request: jobs.LogsRequest, context: grpc.ServicerContext) -> Iterator[jobs.LogsResponse]:
        self.streams.append(request.cursor)
        self.check(context)
        assert self.logs is not None
        yield from self.logs(request, context)

    def check(self, context: grpc.ServicerContext) -> None:
        """As a server's interceptor does."""
        sent = [str(value) for key, value in context.invocation_metadata() if key == "authorization"]
        if not sent:
            refuse(context, "TOKEN_MISSING", "no token")
        if sent[0].removeprefix("Bearer ") not in self.good:
            refuse(context, "TOKEN_EXPIRED", "the token has expired")


def refuse(context: grpc.ServicerContext, reason: str, text: str) -> NoReturn:
    """UNAUTHENTICATED with a reason, as a server of ours says it."""
    packed = Packed()
    packed.Pack(ErrorInfo(domain="jobrun", reason=reason))
    status = Status(code=grpc.StatusCode.UNAUTHENTICATED.value[0], message=text, details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNAUTHENTICATED, text)
    raise AssertionError("abort raises")


@contextlib.contextmanager
def serving(server: LoginServer, pair: Pair, port: int = 0) -> Iterator[Address]:
    """Serves on loopback with this certificate."""
    ours: list[tuple[str, dict[str, grpc.RpcMethodHandler[Any, Any]]]] = [
        (
            "jobrun.v1.AuthService",
            {
                "IssueToken": grpc.unary_unary_rpc_method_handler(
                    server.issue, auth.IssueTokenRequest.FromString, auth.IssueTokenResponse.SerializeToString
                ),
                "WhoAmI": grpc.unary_unary_rpc_method_handler(
                    server.who, auth.WhoAmIRequest.FromString, auth.WhoAmIResponse.SerializeToString
                ),
            },
        ),
        (
            "jobrun.v1.JobService",
            {
                "Logs": grpc.unary_stream_rpc_method_handler(
                    server.stream, jobs.LogsRequest.FromString, jobs.LogsResponse.SerializeToString
                )
            },
        ),
    ]
    running = grpc.server(ThreadPoolExecutor(32))
    health = HealthServicer()
    health.set("jobrun.v1.JobService", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health, running)
    running.add_generic_rpc_handlers(tuple(grpc.method_handlers_generic_handler(*one) for one in ours))
    credentials = grpc.ssl_server_credentials([(pair.key, pair.pem)])
    bound = running.add_secure_port(f"127.0.0.1:{port}", credentials)
    running.start()
    try:
        yield Address("127.0.0.1", bound)
    finally:
        running.stop(0).wait()
