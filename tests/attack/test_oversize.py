"""Messages and headers that are too large, too deep, or none."""

from __future__ import annotations

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import auth_service_pb2, job_pb2
from tests.attack.caller import THROTTLED, UNAUTHENTICATED, Caller, Metadata, Refused, bearer, noise, refused
from tests.attack.test_others_things import EVERY
from tests.attack.test_token_doors import ISSUE, knock, methods
from tests.attack.victim import Victim

MIB = 1 << 20
GROWTH = 48 * MIB
"""What a server's memory may grow by while it refuses messages of up to 64 MiB: a few of 4 MiB, and its own noise."""
START = "/jobrun.v1.JobService/Start"


def padded(size: int) -> bytes:
    """A message of `size` bytes with one long field."""
    head = b"\x1a"
    for width in range(1, 6):
        body = size - 1 - width
        if (body.bit_length() + 6) // 7 == width:
            length = b"".join(bytes([(body >> 7 * n) & 0x7F | (0x80 if n < width - 1 else 0)]) for n in range(width))
            return head + length + b"x" * body
    raise AssertionError("too large")


@pytest.mark.parametrize("size", [4 * MIB + 1, 64 * MIB])
def test_a_message_that_is_too_large(server: Victim, ann: Caller, size: int) -> None:
    """A few of them from anybody, without a token even, would take all memory."""
    server.wire().bytes_call(ISSUE, padded(MIB))
    before, body = server.rss(), padded(size)
    for path, metadata in ((ISSUE, ()), (START, bearer(ann.token)), (START, ())):
        for _ in range(2):
            told = server.wire().bytes_call(path, body, metadata, within=30)
            assert isinstance(told, Refused)
            expected = {THROTTLED, UNAUTHENTICATED} if path == START and not metadata else {THROTTLED}
            assert told.code in expected, told
            assert told.retry_s is None, "it would be sent again"
    assert server.rss() < before + GROWTH
    assert ann.who().username == "ann"


def test_a_message_of_4_mib_without_a_token(server: Victim) -> None:
    """As above, for the largest that there may be: it is read, and refused for what is in it."""
    told = server.wire().bytes_call(ISSUE, padded(4 * MIB - 64))
    assert isinstance(told, Refused)
    assert told.code in (grpc.StatusCode.INVALID_ARGUMENT, UNAUTHENTICATED), told


HEADERS: dict[str, Metadata] = {
    "12 kB": [("x-large", "x" * 12_000)],
    "64 kB": [("x-large", "x" * 64_000)],
    "512 kB": [("x-large", "x" * 512_000)],
    "512 kB of token": [("authorization", "Bearer " + "x" * 512_000)],
    "1,000 of them": [(f"x-{n}", "x" * 20) for n in range(1000)],
    "binary": [("x-large-bin", bytes(100_000))],
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_are_too_large(server: Victim, ann: Caller, name: str) -> None:
    """They are kept for each call, before anybody knows whose it is."""
    before = server.rss()
    for _ in range(5):
        told = refused(server.wire().auth.WhoAmI, auth_service_pb2.WhoAmIRequest(), HEADERS[name])
        allowed = {THROTTLED, UNAUTHENTICATED} if name == "12 kB" else {THROTTLED}
        assert told.code in allowed, told
    assert server.rss() < before + GROWTH
    assert ann.who().username == "ann"


def nested(depth: int) -> bytes:
    """Messages within messages, of the field numbers of JobSpec.limits.timeout and on."""
    body = b""
    for _ in range(depth):
        length = len(body)
        size = bytes([length]) if length < 128 else bytes([length & 0x7F | 0x80, length >> 7])
        body = b"\x0a" + size + body
    return body


GARBAGE = {
    "ones": b"\xff" * 100,
    "200 deep": nested(200),
    "4,000 deep": nested(4000),
    "cut": b"\x0a\x64abc",
    "length beyond all": b"\x0a\xff\xff\xff\xff\x0f",
    "negative length": b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "field 0": b"\x00\x01",
    "group without end": b"\x0b",
    "end without group": b"\x0c",
    "10,000 groups": b"\x0b" * 10_000,
    "a number for a text": b"\x08\x01",
    "no UTF-8": b"\x0a\x03\xff\xfe\xfd",
    "noise": noise(2000),
}


@pytest.mark.parametrize("body", GARBAGE.values(), ids=GARBAGE)
def test_garbage(server: Victim, admin: Caller, ann: Caller, body: bytes) -> None:
    """A parser that falls over takes all users' server with it."""
    channel = server.wire().channel
    for path in methods():
        if "Remove" in path or "Revoke" in path or "health" in path:  # an empty one of these is a good one
            continue
        told = knock(channel, path, body, bearer(admin.token))
        if isinstance(told, Refused):
            assert told.code not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN), (path, told)
            assert "Traceback" not in told.text
            assert told.text.isprintable(), told.text
    assert ann.who().username == "ann"


def test_garbage_fills_no_log(server: Victim, ann: Caller) -> None:
    """Whoever may call would fill the disk."""
    before, wire = len(server.log()), server.wire()
    for body in GARBAGE.values():
        for _ in range(20):
            told = wire.bytes_call(START, body, bearer(ann.token))
            assert isinstance(told, Refused)
    assert len(server.log()) < before + 20_000, server.log()[-3000:]


def test_fields_that_nobody_knows(server: Victim, ann: Caller) -> None:
    """A wish of a newer client would be dropped: a job without the limit that was asked for."""
    before = ann.listed(states=EVERY)
    spec = job_pb2.JobSpec(argv=["true"]).SerializeToString() + b"\xa2\x06\x01x"
    body = b"\x0a" + bytes([len(spec)]) + spec
    told = server.wire().bytes_call(START, body, bearer(ann.token))
    assert isinstance(told, Refused)
    assert told.code == grpc.StatusCode.INVALID_ARGUMENT
    assert ann.listed(states=EVERY) == before
