"""A server with login, from source, and those who call it."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc

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
from tests.api.source_server import WITHIN_S, Server

PASSWORD = "s3cr3t-of-the-user"


class Actor:
    """Somebody with a token, or without, and a connection of his own."""

    def __init__(self, server: LoginServer, name: str = "", token: str = "") -> None:
        self.name, self.token = name, token
        credentials = server.credentials
        if token:
            by_call = grpc.access_token_call_credentials(token)
            credentials = grpc.composite_channel_credentials(credentials, by_call)
        options = [("grpc.ssl_target_name_override", "jobrun.internal"), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.secure_channel(server.address, credentials, options)
        self.jobs = job_service_pb2_grpc.JobServiceStub(self.channel)
        self.auth = auth_service_pb2_grpc.AuthServiceStub(self.channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(self.channel)
        self.tokens = token_service_pb2_grpc.TokenServiceStub(self.channel)

    def start(self, *argv: str, request_id: str = "", limits: job_pb2.Limits | None = None) -> job_pb2.Job:
        """Start a job."""
        spec = job_pb2.JobSpec(argv=argv, limits=limits)
        return self.jobs.Start(job_service_pb2.StartRequest(spec=spec, request_id=request_id), timeout=WITHIN_S).job

    def finished(self, *argv: str) -> job_pb2.Job:
        """Start a job, and wait for its end."""
        request = job_service_pb2.WatchRequest(job_id=self.start(*argv).id)
        return list(self.jobs.Watch(request, timeout=WITHIN_S))[-1].job

    def stop(self, job_id: str) -> job_pb2.Job:
        """Kill a job and wait for its end."""
        request = job_service_pb2.StopRequest(job_id=job_id, signal=signal.SIGKILL)
        return self.jobs.Stop(request, timeout=WITHIN_S).job

    def list(self, **wanted: object) -> set[str]:
        """Ids of all that a filter finds, on all pages."""
        wanted.setdefault("states", list(job_service_pb2.JobState.values())[1:])
        chosen = job_service_pb2.ListFilter(**wanted)  # type: ignore[arg-type]  # by the field's name
        found, page = set(), ""
        while True:
            request = job_service_pb2.ListRequest(filter=chosen, page_token=page, page_size=100)
            answer = self.jobs.List(request, timeout=WITHIN_S)
            found |= {job.id for job in answer.jobs}
            page = answer.next_page_token
            if not page:
                return found


class LoginServer(Server):
    """With TLS and users. `jobs` and `channel` are the admin's."""

    def _dial(self, line: str) -> grpc.Channel:
        _, self.address, _ = line.split()
        pem = (self.data / "tls.pem").read_bytes()
        self.credentials = grpc.ssl_channel_credentials(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
        self.nobody = Actor(self)
        self.admin = self.log_in("admin")
        return self.admin.channel

    def log_in(self, name: str, scope: str = "") -> Actor:
        """That user, by a session of his own, without refresh."""
        password = (self.data / "admin-password").read_text().strip() if name == "admin" else PASSWORD
        grant = auth_service_pb2.PasswordGrant(username=name, password=password)
        request = auth_service_pb2.IssueTokenRequest(password=grant, scope=scope)
        return Actor(self, name, self.nobody.auth.IssueToken(request, timeout=WITHIN_S).access_token)

    def hire(self, name: str, role: str, ceilings: job_pb2.Limits | None = None) -> Actor:
        """A new user, logged in."""
        request = admin_service_pb2.CreateUserRequest(username=name, role=role, password=PASSWORD, ceilings=ceilings)
        self.log_in("admin").admin.CreateUser(request, timeout=WITHIN_S)  # whose first token may be over
        return self.log_in(name)

    def machine(self, owner: Actor, name: str, *, scope: str = "", all_jobs: bool = False) -> Actor:
        """A machine token of `owner`."""
        request = token_service_pb2.CreateMachineTokenRequest(name=name, scope=scope, all_jobs=all_jobs)
        return Actor(self, owner.name, owner.tokens.CreateMachineToken(request, timeout=WITHIN_S).secret)


@contextlib.contextmanager
def serving_users(access_token_s: int = 600) -> Iterator[LoginServer]:
    """A server with a data folder of its own; no job of it is left."""
    with tempfile.TemporaryDirectory(prefix="jobrun-") as folder:
        server = LoginServer(Path(folder), f"login={access_token_s}", "slots=1000")
        server.begin()
        try:
            yield server
            admin = server.log_in("admin")
            for job_id in admin.list(user="*", states=list(job_service_pb2.JobState.values())[1:4]):
                admin.stop(job_id)
        finally:
            if server.process.poll() is None:
                server.end()
