"""What login and TLS cost: a whole remote `run` beside ssh, calls a second beside those without a token, and a good
client's call while others misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import grpc.aio

from bench import peers, servers
from jobrun.wire.gen.jobrun.v1 import job_service_pb2, job_service_pb2_grpc
from tests.attack import floods

RUNS = 21
CALLS, ROUNDS = 3000, 5
LEAST = 19
"""Priority, as nice(1) has it."""
STREAMS, SILENT, WRONG_LOGINS = 10_000, 200, 60

Line = tuple[str, str, str, str, str]
Metadata = tuple[tuple[str, "str | bytes"], ...]


def measure(file: Path, folder: Path) -> list[Line]:
    """A row for the whole process, those of calls a second, and one under attack."""
    with servers.tls(file, folder / "home") as server:
        rows = [_whole_process(file, folder, server)]
        with servers.insecure(file, folder / "open") as (_, open_address):
            rows += asyncio.run(_rates(server, open_address))
        with (
            servers.from_source(folder / "token", "token") as asks,
            servers.from_source(folder / "no-token", "open") as asks_nothing,
        ):
            rows += asyncio.run(_token_rates(asks, asks_nothing))
        return [*rows, asyncio.run(_while_attacked(server))]


def _whole_process(file: Path, folder: Path, server: servers.LoggedIn) -> Line:
    """In turn, so that a change of the machine's speed meets both."""
    ours: list[float] = []
    theirs: list[float] = []
    with peers.ssh(folder / "ssh") as words:
        for _ in range(RUNS):
            ours.append(_took([str(file), "run", "--", "true"], server.env))
            theirs.append(_took([*words, "true"], server.env))
    a, b = statistics.median(ours), statistics.median(theirs)
    what = "run -- true over TCP, logged in, warm (peer: ssh host true, a new connection)"
    return what, f"{1e3 * a:.0f} ms", f"{1e3 * b:.0f} ms", f"{a / b:.2f}", "0.6"


def _took(argv: Sequence[str], env: dict[str, str]) -> float:
    begun = time.perf_counter()
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begun


async def _rates(server: servers.LoggedIn, open_address: str) -> list[Line]:
    """A call that reads one row, from 1 and from 8 clients on one connection; rounds of the two in turn."""
    what = "TLS and token (peer: the same, neither)"
    async with _channel(server) as with_token, grpc.aio.insecure_channel(open_address) as without:
        return [await _rate(what, server.token, with_token, without, clients) for clients in (1, 8)]


async def _token_rates(asks: servers.LoggedIn, asks_nothing: servers.LoggedIn) -> list[Line]:
    """The same, between two servers that differ in their gate alone."""
    what = "TLS and token (peer: TLS, no token)"
    async with _channel(asks) as with_token, _channel(asks_nothing) as without:
        return [await _rate(what, asks.token, with_token, without, clients) for clients in (1, 8)]


async def _rate(what: str, token: str, with_token: grpc.aio.Channel, without: grpc.aio.Channel, clients: int) -> Line:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(ROUNDS):
        ours.append(await _calls(with_token, clients, _bearer(token)))
        theirs.append(await _calls(without, clients, ()))
    a, b = statistics.median(ours), statistics.median(theirs)
    return f"List calls a second, {clients} at once, {what}", f"{a:.0f}", f"{b:.0f}", f"{a / b:.2f}", "0.9"


async def _calls(channel: grpc.aio.Channel, clients: int, metadata: Metadata) -> float:
    stub = job_service_pb2_grpc.JobServiceStub(channel)

    async def one() -> None:
        for _ in range(CALLS // clients):
            await stub.List(job_service_pb2.ListRequest(), metadata=metadata)

    begun = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    return CALLS // clients * clients / (time.perf_counter() - begun)


async def _while_attacked(server: servers.LoggedIn) -> Line:
    """The attackers have the lowest priority: theirs would be another machine's CPUs."""
    async with _channel(server) as channel:
        stub = job_service_pb2_grpc.JobServiceStub(channel)
        metadata = _bearer(server.token)
        quiet = [await _one_call(stub, metadata) for _ in range(CALLS)]
        with _attacked(server) as attackers:
            attacked = [await _one_call(stub, metadata) for _ in range(CALLS)]
    a, b = statistics.median(attacked), statistics.median(quiet)
    made = sum(sum(attacker.outcomes.values()) for attacker in attackers)
    what = (
        f"a good client's call, while {STREAMS:,} streams with wrong tokens, {SILENT} silent connections and"
        f" {WRONG_LOGINS} wrong logins go on, again and again ({made:,} calls; peer: without them)"
    )
    return what, f"{1e3 * a:.2f} ms", f"{1e3 * b:.2f} ms", f"{a / b:.2f}", "2.0"


@contextlib.contextmanager
def _attacked(server: servers.LoggedIn) -> Iterator[list[floods.Flood]]:
    aim = server.address, server.certificate
    with (
        floods.flood(*aim, "wrong-tokens", STREAMS, nice=LEAST) as streams,
        floods.flood(*aim, "wrong-logins", WRONG_LOGINS, nice=LEAST) as logins,
        floods.silence(server.address, SILENT),
    ):
        yield [streams, logins]


async def _one_call(stub: job_service_pb2_grpc.JobServiceAsyncStub, metadata: Metadata) -> float:
    begun = time.perf_counter()
    await stub.List(job_service_pb2.ListRequest(), metadata=metadata)
    return time.perf_counter() - begun


def _channel(server: servers.LoggedIn) -> grpc.aio.Channel:
    options = [("grpc.ssl_target_name_override", "jobrun.internal"), ("grpc.enable_http_proxy", 0)]
    return grpc.aio.secure_channel(server.address, grpc.ssl_channel_credentials(server.certificate), options)


def _bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)
