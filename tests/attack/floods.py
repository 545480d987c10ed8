"""Floods of a server, small or large: for the tests here, and for a bench that measures others' calls meanwhile.

    with flood(address, certificate, "wrong-tokens", 10_000):   # returns once all of it is under way
        ...                                                     # goes on until the end of the block

Each runs as a process of its own, so that the one that measures shares nothing with it but the CPUs."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from jobrun.wire.gen.jobrun.v1 import auth_service_pb2
from tests.attack.caller import OPTIONS
from tests.e2e.deadline import Deadline

ISSUE = "/jobrun.v1.AuthService/IssueToken"
LOGS = "/jobrun.v1.JobService/Logs"
AT_ONCE = 200
"""Calls of one flood that wait for their answer; a flood of more goes on as they come."""
CONNECTIONS = 8
"""Of one flood of calls."""

Outcomes = collections.Counter[str]


@dataclasses.dataclass(frozen=True)
class Aim:
    """What a flood is aimed at."""

    address: str
    certificate: bytes

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)

    def channel(self) -> Any:
        """A connection of its own."""
        return grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(self.certificate), options=OPTIONS)


async def wrong_tokens(aim: Aim, count: int, told: Outcomes) -> None:
    """`count` streams, each with a token of the right shape that is none; again and again."""
    token = ".".join(("eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9", "eyJzdWIiOiJhZG1pbiJ9", "A" * 86))
    await _calls(aim, count, told, lambda channel, n: _stream(channel, token))


async def wrong_logins(aim: Aim, count: int, told: Outcomes) -> None:
    """`count` logins with a wrong password, all at once, each of another user."""
    await _calls(aim, count, told, lambda channel, n: _login(channel, f"user{n}"), at_once=count)


async def _calls(
    aim: Aim,
    count: int,
    told: Outcomes,
    call: Callable[[grpc.aio.Channel, int], Awaitable[str]],
    at_once: int = AT_ONCE,
) -> None:
    channels = [aim.channel() for _ in range(min(CONNECTIONS, count))]
    room = asyncio.Semaphore(at_once)

    async def one(n: int) -> None:
        async with room:
            told[await call(channels[n % len(channels)], n)] += 1

    try:
        await asyncio.gather(*(one(n) for n in range(count)))
    finally:
        for channel in channels:
            await channel.close()


async def _stream(channel: Any, token: str) -> str:
    call = channel.unary_stream(LOGS)(b"\x0a\x06abcdef", metadata=(("authorization", f"Bearer {token}"),))
    return str((await call.code()).name)


async def _login(channel: Any, user: str) -> str:
    grant = auth_service_pb2.PasswordGrant(username=user, password="wrong wrong")
    request = auth_service_pb2.IssueTokenRequest(password=grant).SerializeToString()
    call = channel.unary_unary(ISSUE)(request)
    return str((await call.code()).name)


def silent(aim: Aim, count: int) -> list[socket.socket]:
    """`count` connections on which nothing is ever said; whoever closes them is told by `recv`."""
    return [socket.create_connection(aim.place, 10) for _ in range(count)]


FLOODS: dict[str, Callable[[Aim, int, Outcomes], Awaitable[None]]] = {
    "wrong-tokens": wrong_tokens,
    "wrong-logins": wrong_logins,
}
"""Those that are calls, by name."""


class Flood:
    """A flood in a process of its own, that begins anew whenever it is through."""

    def __init__(self, aim: Aim, kind: str, count: int, nice: int = 0) -> None:
        self._file = tempfile.NamedTemporaryFile(suffix=".pem")  # noqa: SIM115  # closed by end()
        Path(self._file.name).write_bytes(aim.certificate)
        self._popen = subprocess.Popen(
            [
                *_niced(nice),
                sys.executable,
                "-m",
                "tests.attack.floods",
                aim.address,
                self._file.name,
                kind,
                str(count),
            ],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.outcomes: Outcomes = collections.Counter()
        """How its calls ended, by the name of their status; whole once it has ended."""

    def wait_begun(self) -> None:
        """Until it floods."""
        assert self._popen.stdout is not None
        assert self._popen.stdout.readline() == b"begun\n"

    def end(self) -> None:
        """Ends it; its outcomes are whole."""
        out, _ = self._popen.communicate(b"\n")
        self._file.close()
        self.outcomes.update(json.loads(out.splitlines()[-1]))


def _niced(nice: int) -> tuple[str, ...]:
    return ("nice", "-n", str(nice)) if nice else ()


@contextlib.contextmanager
def flood(address: str, certificate: bytes, kind: str, count: int, nice: int = 0) -> Iterator[Flood]:
    """A flood of FLOODS: under way inside the block, over at its end. `nice`: as nice(1) has it."""
    running = Flood(Aim(address, certificate), kind, count, nice)
    try:
        running.wait_begun()
        yield running
    finally:
        running.end()


@contextlib.contextmanager
def silence(address: str, count: int) -> Iterator[list[socket.socket]]:
    """Connections on which nothing is said."""
    links = silent(Aim(address, b""), count)
    try:
        yield links
    finally:
        for link in links:
            link.close()


def closed_by_peer(links: list[socket.socket], within: float) -> int:
    """How many of them the server has closed, `within` good-day seconds at most; returns as soon as all are."""
    deadline, closed = Deadline(within, "the server to close silent connections"), 0
    for link in links:
        link.settimeout(deadline.left())
        try:
            while link.recv(65536):
                link.settimeout(deadline.left())
        except TimeoutError:
            break
        except OSError:  # a reset is an end as well
            closed += 1
            continue
        closed += 1
    return closed


async def _main(address: str, certificate: str, kind: str, count: int) -> None:
    """Floods until stdin says something or ends; tells `begun`, and the outcomes."""
    told: Outcomes = collections.Counter()
    aim = Aim(address, Path(certificate).read_bytes())
    end = asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    work = asyncio.ensure_future(_for_ever(aim, kind, count, told))
    await asyncio.wait([end, work], return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await work
    _tell(json.dumps(told))


async def _for_ever(aim: Aim, kind: str, count: int, told: Outcomes) -> None:
    _tell("begun")
    while True:
        await FLOODS[kind](aim, count, told)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
