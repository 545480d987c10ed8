"""Many at once: connections, streams and resets of strangers, readers that do not read. Others are served meanwhile."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # no stubs

from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from tests.attack import floods, http2
from tests.attack.caller import Caller, bearer, median_ms, noise, refusal_of
from tests.attack.floods import Aim, closed_by_peer, flood, silence
from tests.attack.victim import Victim, victim
from tests.e2e.deadline import Deadline, patience

MIB = 1 << 20
QUICK_MS = 100
"""What others wait at most, at the median, while a flood goes on."""
HANDSHAKE_S = 8
"""When a connection that says nothing is closed, at the latest: after 5 s, and some for the machine."""


def quick(caller: Caller, during: str) -> None:
    """AssertionError if the calls of others are slow."""
    took = median_ms(caller.who)
    assert took < QUICK_MS, f"{took:.0f} ms a call during {during}"


def test_silence(server: Victim, ann: Caller) -> None:
    """Whoever can reach the port would shut all others out without a word: at once, behind a good handshake, or by a
    handshake of a byte now and then."""
    begun = time.monotonic()
    with silence(server.address, 200) as silent, contextlib.ExitStack() as stack:
        polite = [stack.enter_context(http2.tls(server.host, server.port)) for _ in range(40)]
        slow = stack.enter_context(socket.create_connection((server.host, server.port)))
        quick(ann, "200 silent connections, and 40 behind a handshake")
        assert server.wire().who(ann.token).username == "ann", "a new connection gets in"
        _shake_hands_slowly(slow)
        assert closed_by_peer(silent, HANDSHAKE_S) == 200
        assert closed_by_peer(list(polite), HANDSHAKE_S) == 40
    assert time.monotonic() - begun < patience(HANDSHAKE_S)


def _shake_hands_slowly(link: socket.socket) -> None:
    """A byte of a client's hello each half second, until the server has enough."""
    link.settimeout(0.5)
    deadline = Deadline(HANDSHAKE_S, "the server to end a slow handshake")
    for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400):
        deadline.left()
        try:
            link.sendall(bytes([byte]))
            if not link.recv(1):
                return
        except TimeoutError:
            continue
        except OSError:
            return


def test_2000_streams_with_wrong_tokens(server: Victim, ann: Caller) -> None:
    """Strangers would keep those out who belong here."""
    before = server.rss()
    told: floods.Outcomes = collections.Counter()
    asyncio.run(floods.wrong_tokens(Aim(server.address, server.certificate), 2000, told))
    assert told == {"UNAUTHENTICATED": 2000}
    with flood(server.address, server.certificate, "wrong-tokens", 2000) as going:
        quick(ann, "wrong tokens")
    assert set(going.outcomes) <= {"UNAUTHENTICATED"}, going.outcomes
    assert server.rss() < before + 64 * MIB
    assert len(server.log()) < 50_000
    assert server.read("audit.jsonl").count(b"TOKEN_INVALID") < 100, "floods are one line a minute"


def test_60_wrong_logins_again_and_again(server: Victim, ann: Caller) -> None:
    """Guessing would keep the CPUs busy with hashes."""
    with flood(server.address, server.certificate, "wrong-logins", 60) as going:
        quick(ann, "wrong logins")
    assert set(going.outcomes) <= {"UNAUTHENTICATED", "RESOURCE_EXHAUSTED"}, going.outcomes
    assert len(server.log()) < 50_000


def test_more_calls_than_one_user_may_have(server: Victim, ann: Caller, bob: Caller) -> None:
    """One user's forgotten dashboard would take the server from all others."""
    job = ann.start("sleep", "600")
    told = asyncio.run(_watch_at_once(server, ann.token, job, 700))
    assert told["open"] <= 512, told
    assert told["open"] > 400, told
    assert told["RESOURCE_EXHAUSTED"] >= 188, told
    quick(bob, "700 streams of ann's")
    ann.jobs.Stop(job_service_pb2.StopRequest(job_id=job, grace={}))


async def _watch_at_once(server: Victim, token: str, job: str, count: int) -> collections.Counter[str]:
    """Opens so many streams: how many stay open, and how the others ended."""
    aim = Aim(server.address, server.certificate)
    channels = [aim.channel() for _ in range(4)]
    request = job_service_pb2.WatchRequest(job_id=job).SerializeToString()

    async def one(n: int) -> str:
        call = channels[n % 4].unary_stream("/jobrun.v1.JobService/Watch")(request, metadata=tuple(bearer(token)))
        calls.append(call)
        try:
            await call.read()
        except grpc.aio.AioRpcError as error:
            return error.code().name if refusal_of(error).retry_s else "no word when to come again"
        return "open"

    calls: list[object] = []
    told = collections.Counter(await asyncio.gather(*(one(n) for n in range(count))))
    for channel in channels:
        await channel.close()
    return told


def test_open_and_reset(server: Victim, ann: Caller) -> None:
    """A few bytes a call, without an answer to wait for (CVE-2023-44487), would keep the server busy for long."""
    before, block = server.rss(), http2.request("/jobrun.v1.JobService/List", (b"authorization", b"Bearer x"))
    for _ in range(4):
        with http2.connection(server.host, server.port) as link, contextlib.suppress(OSError):
            for number in range(1, 2501, 2):
                link.sendall(
                    http2.frame(http2.HEADERS, http2.END_HEADERS, number, block)
                    + http2.frame(http2.RST_STREAM, 0, number, http2.CANCEL.to_bytes(4, "big"))
                )
    quick(ann, "resets")
    assert server.rss() < before + 64 * MIB


FRAMES: dict[str, Callable[[int], bytes]] = {
    "settings": lambda n: http2.frame(http2.SETTINGS, 0, 0),
    "pings": lambda n: http2.frame(http2.PING, 0, 0, bytes(8)),
    "empty data": lambda n: http2.frame(http2.DATA, 0, 1),
    "window updates": lambda n: http2.frame(http2.WINDOW_UPDATE, 0, 0, b"\x00\x00\x00\x01"),
    "continuations": lambda n: http2.frame(
        http2.CONTINUATION if n else http2.HEADERS, 0, 1, http2.literal(b"x", b"y" * 500)
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_flood_of_frames(server: Victim, ann: Caller, name: str) -> None:
    """CVE-2019-9512 and its kind, CVE-2024-27316: what costs a peer nothing would cost the server CPU and memory."""
    before = server.rss()
    with http2.connection(server.host, server.port) as link, contextlib.suppress(OSError):
        link.settimeout(patience(2))
        for part in range(20):
            link.sendall(b"".join(FRAMES[name](part * 500 + n) for n in range(500)))
    quick(ann, name)
    assert server.rss() < before + 64 * MIB


NOISE = {
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "plaintext HTTP/2": http2.PREFACE + http2.frame(http2.SETTINGS, 0, 0),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "random": noise(4000),
    "zeros": bytes(100_000),
    "TLS alert": b"\x15\x03\x03\x00\x02\x02\x28",
    "half a hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


def test_other_languages_on_the_port(server: Victim, ann: Caller) -> None:
    """A port scan would end the server, or fill its log."""
    before = len(server.log())
    for _ in range(40):
        for said in NOISE.values():
            with socket.create_connection((server.host, server.port)) as link, contextlib.suppress(OSError):
                link.sendall(said)
    for said in NOISE.values():
        with http2.tls(server.host, server.port) as link, contextlib.suppress(OSError):
            link.sendall(said)
    with grpc.insecure_channel(server.address) as plain, pytest.raises(grpc.RpcError):
        health_pb2_grpc.HealthStub(plain).Check(health_pb2.HealthCheckRequest(), timeout=patience(3))
    quick(ann, "noise")
    written = server.log()[before:]
    assert len(written) < 20_000, written[-2000:]
    assert "Traceback" not in written


def test_more_connections_than_files(nobodys_cache: Path) -> None:
    """A server without a free descriptor would spin, or never come back."""
    with victim(nobodys_cache) as server:
        admin = server.admin()
        server.limit_open_files(64)
        with silence(server.address, 150):
            begun, cpu = time.monotonic(), server.cpu_s()
            admin.who()
            with contextlib.suppress(grpc.FutureTimeoutError):
                grpc.channel_ready_future(server.wire().channel).result(2)
            assert server.cpu_s() - cpu < 0.7 * max(1, time.monotonic() - begun), "it spins"
        _served_again(server)
        assert server.running()
        assert "Traceback" not in server.log()
        assert len(server.log()) < 20_000, server.log()[-2000:]


def _served_again(server: Victim) -> None:
    """Until a new connection gets through."""
    deadline = Deadline(15, "the server to take connections again")
    while True:
        wire = server.wire()
        try:
            grpc.channel_ready_future(wire.channel).result(deadline.left())
            return
        except grpc.FutureTimeoutError:
            wire.close()


def test_a_reader_that_does_not_read(server: Victim, ann: Caller) -> None:
    """What it did not take would pile up in the server; or its job would stand still."""
    job = ann.start("sh", "-c", "head -c 60000000 /dev/zero", limits=job_pb2.Limits(log_bytes=256 * MIB))
    before = server.rss()
    request = job_service_pb2.LogsRequest(job_id=job, follow=True)
    slow = [server.caller(ann.token) for _ in range(5)]
    streams = [caller.wire.jobs.Logs(request, metadata=tuple(bearer(ann.token))) for caller in slow]
    assert ann.finished(job, within=30).finished.exit_code == 0
    total = sum(len(r.data) for answer in ann.jobs.Logs(request, timeout=patience(60)) for r in answer.batch.records)
    assert total == 60_000_000
    assert server.rss() < before + 96 * MIB
    quick(ann, "readers that do not read")
    for stream in streams:
        stream.cancel()


def test_a_health_watch_is_no_door_for_floods(server: Victim, ann: Caller) -> None:
    """The one stream that needs no token would hold what strangers please."""
    before = server.rss()
    wires = [server.wire() for _ in range(4)]
    request = health_pb2.HealthCheckRequest()
    watches = [health_pb2_grpc.HealthStub(wire.channel).Watch for wire in wires]
    first = watches[0](request, timeout=patience(60))
    assert next(first).status == health_pb2.HealthCheckResponse.SERVING  # before the others race for a place
    streams = [first, *(watch(request) for watch in watches for _ in range(500))]
    quick(ann, "2,000 health watches")
    assert server.rss() < before + 96 * MIB
    for stream in streams:
        stream.cancel()
