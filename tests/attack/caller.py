"""Calls to a server with login by gRPC alone, and what came of those that are refused."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # it brings no types

from jobrun.wire.gen.jobrun.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    auth_service_pb2,
    auth_service_pb2_grpc,
    job_pb2,
    job_service_pb2,
    job_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
)
from tests.e2e.deadline import Deadline, patience

NAME = "jobrun.internal"
"""What a server's own certificate is made for."""
OPTIONS: list[tuple[str, Any]] = [
    ("grpc.ssl_target_name_override", NAME),
    ("grpc.enable_http_proxy", 0),
    # Each connection is one of its own: grpc would share those to the same address.
    ("grpc.use_local_subchannel_pool", 1),
]
THROTTLED = grpc.StatusCode.RESOURCE_EXHAUSTED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
Metadata = Sequence[tuple[str, str | bytes]]


@dataclasses.dataclass(frozen=True)
class Refused:
    """What a refused caller is told."""

    code: grpc.StatusCode
    text: str
    reason: str = ""
    """ErrorInfo's."""
    retry_s: float | None = None
    """RetryInfo's; None: there is none."""
    field: str = ""
    """The first field that BadRequest names."""
    details: bytes = b""
    """grpc-status-details-bin, whole."""


def refused(call: Callable[..., Any], request: Any, metadata: Metadata = (), within: float = 10) -> Refused:
    """How a call is refused. AssertionError where it is not."""
    try:
        answer = call(request, timeout=patience(within), metadata=tuple(metadata))
        if hasattr(answer, "__next__"):
            list(answer)
    except grpc.RpcError as error:
        return refusal_of(error)
    raise AssertionError("it was not refused")


def attempt(call: Callable[..., Any], request: Any, metadata: Metadata = (), within: float = 10) -> Any:
    """The answer, or how it was refused."""
    try:
        return call(request, timeout=patience(within), metadata=tuple(metadata))
    except grpc.RpcError as error:
        return refusal_of(error)


def refusal_of(error: Any) -> Refused:
    """What an error of grpc tells."""
    raw = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"")
    found: dict[str, Any] = {}
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    bad = error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(raw).details:
        if detail.Unpack(info):
            found["reason"] = info.reason
        elif detail.Unpack(retry):
            found["retry_s"] = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
        elif detail.Unpack(bad) and bad.field_violations:
            found["field"] = bad.field_violations[0].field
    return Refused(error.code(), error.details() or "", details=raw, **found)


def bearer(token: str) -> Metadata:
    """The metadata of whoever holds a token."""
    return (("authorization", f"Bearer {token}"),)


def hashed(secret: str) -> bytes:
    """A refresh token as the server is told of it."""
    return hashlib.sha256(secret.encode()).digest()


def fresh_secret() -> str:
    """A refresh token."""
    return secrets.token_urlsafe(32)


class Wire:
    """One connection to a server, without a token of its own."""

    def __init__(self, address: str, certificate: bytes, options: Sequence[tuple[str, Any]] = ()) -> None:
        credentials = grpc.ssl_channel_credentials(certificate)
        self.channel = grpc.secure_channel(address, credentials, options=[*OPTIONS, *options])
        self.auth = auth_service_pb2_grpc.AuthServiceStub(self.channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(self.channel)
        self.tokens = token_service_pb2_grpc.TokenServiceStub(self.channel)
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)

    def login(
        self, user: str, password: str, *, scope: str = "", first: str = ""
    ) -> auth_service_pb2.IssueTokenResponse:
        """A new session; `first` is its first refresh token, empty: none."""
        return self.auth.IssueToken(password_grant(user, password, scope=scope, first=first), timeout=patience(20))

    def refresh(
        self, session: str, current: str, following: str, scope: str = ""
    ) -> auth_service_pb2.IssueTokenResponse:
        """Goes on with a session."""
        return self.auth.IssueToken(refresh_grant(session, current, following, scope), timeout=patience(20))

    def who(self, token: str) -> auth_service_pb2.WhoAmIResponse:
        """Whose token it is."""
        return self.auth.WhoAmI(auth_service_pb2.WhoAmIRequest(), metadata=tuple(bearer(token)), timeout=patience(10))

    def stranger(self, token: str) -> Refused:
        """How a token is refused."""
        return refused(self.auth.WhoAmI, auth_service_pb2.WhoAmIRequest(), bearer(token))

    def bytes_call(self, path: str, body: bytes, metadata: Metadata = (), within: float = 10) -> Any:
        """The answer's bytes of any unary method, or how it was refused."""
        return attempt(self.channel.unary_unary(path), body, metadata, within)

    def close(self) -> None:
        """Ends the connection."""
        self.channel.close()


def password_grant(
    user: str, password: str, *, scope: str = "", first: str = "", client_name: str = ""
) -> auth_service_pb2.IssueTokenRequest:
    """A login."""
    grant = auth_service_pb2.PasswordGrant(
        username=user, password=password, refresh_token_sha256=hashed(first) if first else b""
    )
    return auth_service_pb2.IssueTokenRequest(password=grant, scope=scope, client_name=client_name)


def refresh_grant(session: str, current: str, following: str, scope: str = "") -> auth_service_pb2.IssueTokenRequest:
    """A rotation."""
    grant = auth_service_pb2.RefreshTokenGrant(
        session_id=session, refresh_token=current, next_refresh_token_sha256=hashed(following)
    )
    return auth_service_pb2.IssueTokenRequest(refresh_token=grant, scope=scope)


class _WithToken:
    """A stub whose calls all carry a token."""

    def __init__(self, stub: Any, token: str) -> None:
        self._stub, self._metadata = stub, tuple(bearer(token))

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return functools.partial(_call, getattr(self._stub, name), self._metadata)


def _call(method: Callable[..., Any], mine: Metadata, request: Any, **more: Any) -> Any:
    more.setdefault("timeout", patience(20))
    return method(request, **{**more, "metadata": (*mine, *more.get("metadata", ()))})


class Caller:
    """Whoever holds one token."""

    def __init__(self, wire: Wire, token: str) -> None:
        self.wire, self.token = wire, token
        self.auth, self.admin = _WithToken(wire.auth, token), _WithToken(wire.admin, token)
        self.tokens, self.jobs = _WithToken(wire.tokens, token), _WithToken(wire.jobs, token)

    def who(self) -> auth_service_pb2.WhoAmIResponse:
        """Who he is."""
        return self.wire.who(self.token)

    def make_user(self, name: str, password: str, role: str = "user") -> None:
        """As an admin: a user."""
        request = admin_service_pb2.CreateUserRequest(username=name, password=password, role=role)
        self.admin.CreateUser(request)

    def make_token(self, name: str, **more: Any) -> token_service_pb2.CreateMachineTokenResponse:
        """A machine token of his own."""
        request = token_service_pb2.CreateMachineTokenRequest(name=name, **more)
        answer: token_service_pb2.CreateMachineTokenResponse = self.tokens.CreateMachineToken(request)
        return answer

    def start(self, *argv: str, request_id: str = "", **spec: Any) -> str:
        """Starts a job: its id."""
        request = job_service_pb2.StartRequest(spec=job_pb2.JobSpec(argv=argv, **spec), request_id=request_id)
        job_id: str = self.jobs.Start(request).job.id
        return job_id

    def job(self, job_id: str) -> job_pb2.Job:
        """A job as it stands."""
        job: job_pb2.Job = self.jobs.GetStatus(job_service_pb2.GetStatusRequest(job_id=job_id)).job
        return job

    def finished(self, job_id: str, within: float = 20) -> job_pb2.Job:
        """A job once it has finished."""
        last = job_pb2.Job()
        for answer in self.jobs.Watch(job_service_pb2.WatchRequest(job_id=job_id), timeout=patience(within)):
            last = answer.job
        assert last.WhichOneof("state") == "finished", last
        return last

    def listed(self, **filters: Any) -> list[str]:
        """Ids of the jobs that fit."""
        request = job_service_pb2.ListRequest(filter=job_service_pb2.ListFilter(**filters), page_size=1000)
        return [job.id for job in self.jobs.List(request).jobs]


def until_refused(call: Callable[[], Any], what: str, within: float = 10) -> Refused:
    """Calls again and again until it is refused: how. AssertionError where it never is."""
    deadline = Deadline(within, what)
    while True:
        deadline.left()
        try:
            call()
        except grpc.RpcError as error:
            return refusal_of(error)


def median_ms(call: Callable[[], Any], times: int = 20) -> float:
    """The median time of a call, in milliseconds."""
    spent = []
    for _ in range(times):
        begun = time.monotonic()
        call()
        spent.append(time.monotonic() - begun)
    return 1000 * sorted(spent)[times // 2]


def noise(size: int) -> bytes:
    """Random bytes."""
    return os.urandom(size)
