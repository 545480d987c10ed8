"""The gRPC server: its options, its services, where it listens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # no stubs, as the next four
from grpc_health.v1._async import HealthServicer  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]
from grpc_reflection.v1alpha._async import ReflectionServicer  # type: ignore[import-untyped]
from grpc_reflection.v1alpha.reflection_pb2_grpc import (  # type: ignore[import-untyped]
    add_ServerReflectionServicer_to_server,
)

from jobrun.api.admin_servicer import AdminServicer
from jobrun.api.auth_servicer import AuthServicer
from jobrun.api.calls import Calls
from jobrun.api.interceptor import Interceptor
from jobrun.api.job_servicer import JobServicer
from jobrun.api.token_servicer import TokenServicer
from jobrun.auth.gate import Gate
from jobrun.jobs.service import JobService
from jobrun.model.errors import StoreError
from jobrun.wire.gen.jobrun.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    auth_service_pb2,
    auth_service_pb2_grpc,
    job_service_pb2,
    job_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
)

if TYPE_CHECKING:
    from jobrun.auth.auth import Auth

MESSAGE_BYTES = 4 << 20
"""Of a request; a longer one gets RESOURCE_EXHAUSTED from grpc itself."""
STREAMS_A_CONNECTION = 1000
"""Calls at once on one connection: a client of ours has a few, a dashboard may follow hundreds."""
METADATA_BYTES = 16 << 10
"""Of one call's metadata: a token has a few hundred. From half of that on gRPC may refuse already."""
CONNECTIONS = 4000
"""At once: each costs a descriptor and some ten KiB. Silent ones leave at the end of the handshake's time, so they
can not take the places of all others."""
HANDSHAKE_MS = 5_000
"""For TLS and HTTP/2 to be agreed upon."""
IDLE_MS = 30_000
"""Without a call a connection is closed after one to two times this, as gRPC counts: the client's next call opens
another by itself, for a handshake of some ms. Longer than the pauses of a script that asks again and again; a stranger
who says nothing behind his handshake holds one of the CONNECTIONS for no longer.

There is no bound on a connection's age: behind it gRPC would cut what is under way, the follower of a long job with it.
What a caller may do is asked at each call, and a stream ends with its token or session; a peer that is gone is found by
keepalive."""

FILES: Final = (
    job_service_pb2.DESCRIPTOR,
    auth_service_pb2.DESCRIPTOR,
    admin_service_pb2.DESCRIPTOR,
    token_service_pb2.DESCRIPTOR,
    health_pb2.DESCRIPTOR,
)
"""Whose services are served, and named by reflection."""

OPTIONS: Final[list[tuple[str, Any]]] = [
    # Two servers must never share a port: the second one is told that it is in use.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", STREAMS_A_CONNECTION),
    ("grpc.max_metadata_size", METADATA_BYTES // 2),
    ("grpc.absolute_max_metadata_size", METADATA_BYTES),
    ("grpc.max_allowed_incoming_connections", CONNECTIONS),
    ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
    ("grpc.max_connection_idle_ms", IDLE_MS),
    # Clients may ping every 30 s, with a call or without; 20 leaves room for clocks and scheduling.
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Find clients whose machine is gone: their followers hold a turn and memory.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


class ApiServer:
    """Serves one JobService, and the users of a server with login."""

    def __init__(self, jobs: JobService, calls: Calls, gate: Gate, auth: Auth | None) -> None:
        """`auth` None: everybody is one and the same, as `gate` says."""
        self._calls = calls
        audit = auth.audit if auth else None
        self._server = grpc.aio.server(interceptors=[Interceptor(calls, gate, audit)], options=OPTIONS)
        job_servicer = JobServicer(jobs, audit)
        job_service_pb2_grpc.add_JobServiceServicer_to_server(job_servicer, self._server)
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(AuthServicer(auth), self._server)
        admin_service_pb2_grpc.add_AdminServiceServicer_to_server(AdminServicer(auth, jobs), self._server)
        token_service_pb2_grpc.add_TokenServiceServicer_to_server(TokenServicer(auth), self._server)
        self._health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [name for file in FILES for name in (service.full_name for service in file.services_by_name.values())]
        add_ServerReflectionServicer_to_server(ReflectionServicer([*names, reflection.SERVICE_NAME]), self._server)

    def listen_tcp(self, address: str, tls: grpc.ServerCredentials | None) -> int:
        """On `HOST:PORT`, plaintext where `tls` is None; answers the port. StoreError where it can not be had."""
        return self._bind(address, address, tls)

    def listen_unix(self, path: Path) -> None:
        """On a socket, in the place of a dead one: whoever calls holds the lock on the data folder."""
        self._bind(f"unix:{path}", str(path), None)

    def _bind(self, address: str, shown: str, tls: grpc.ServerCredentials | None) -> int:
        try:
            if tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, tls)
        except RuntimeError as error:
            raise StoreError(f"can not listen at {shown}: it is in use or not of this machine: name another") from error
        if not port:
            raise StoreError(f"can not listen at {shown}: it is in use or not of this machine: name another")
        return port

    async def start(self) -> None:
        """Answers calls, and says so to health checks."""
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        await self._health.set("jobrun.v1.JobService", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace_s: float) -> None:
        """Health says NOT_SERVING, calls that wait for jobs end, others have `grace_s` seconds."""
        await self._health.enter_graceful_shutdown()
        self._calls.drain()
        await self._server.stop(grace_s)
