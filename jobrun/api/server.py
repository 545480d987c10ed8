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

from jobrun.api.calls import Calls
from jobrun.api.interceptor import Interceptor
from jobrun.api.job_servicer import JobServicer
from jobrun.jobs.service import JobService
from jobrun.model.errors import StoreError
from jobrun.wire.gen.jobrun.v1 import job_service_pb2, job_service_pb2_grpc

if TYPE_CHECKING:
    from jobrun.api.job_servicer import Identify

MESSAGE_BYTES = 4 << 20
"""Of a request; a longer one gets RESOURCE_EXHAUSTED from grpc itself."""
STREAMS_A_CONNECTION = 1000
"""Calls at once on one connection: a client of ours has a few, a dashboard may follow hundreds."""

OPTIONS: Final[list[tuple[str, Any]]] = [
    # Two servers must never share a port: the second one is told that it is in use.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_concurrent_streams", STREAMS_A_CONNECTION),
    # Clients may ping every 30 s, with a call or without; 20 leaves room for clocks and scheduling.
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Find clients whose machine is gone: their followers hold a turn and memory.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


class ApiServer:
    """Serves one JobService."""

    def __init__(self, jobs: JobService, calls: Calls, identify: Identify) -> None:
        self._calls = calls
        self._server = grpc.aio.server(interceptors=[Interceptor(calls)], options=OPTIONS)
        job_service_pb2_grpc.add_JobServiceServicer_to_server(JobServicer(jobs, identify), self._server)
        self._health = HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [
            job_service_pb2.DESCRIPTOR.services_by_name["JobService"].full_name,
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        ]
        add_ServerReflectionServicer_to_server(ReflectionServicer(names), self._server)

    def listen_tcp(self, address: str) -> int:
        """Plaintext on `HOST:PORT`; answers the port. Raises StoreError where it can not be had."""
        return self._bind(address, address)

    def listen_unix(self, path: Path) -> None:
        """On a socket, in the place of a dead one: whoever calls holds the lock on the data folder."""
        self._bind(f"unix:{path}", str(path))

    def _bind(self, address: str, shown: str) -> int:
        try:
            port = self._server.add_insecure_port(address)
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
