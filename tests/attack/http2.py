"""HTTP/2 by hand (RFC 9113, RFC 7541), for what no gRPC library would send."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 0x1, 0x4
CANCEL = 8


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header field, not indexed, no Huffman code (RFC 7541 section 6.2.2)."""
    return b"\x00" + _string(name) + _string(value)


def _string(text: bytes) -> bytes:
    """A length of 7 bits that goes on (RFC 7541 section 5.1), and the bytes."""
    if len(text) < 127:
        return bytes([len(text)]) + text
    rest, head = len(text) - 127, b"\x7f"
    while rest >= 128:
        head, rest = head + bytes([rest & 0x7F | 0x80]), rest >> 7
    return head + bytes([rest]) + text


def request(path: str, *more: tuple[bytes, bytes]) -> bytes:
    """The header block of a gRPC call."""
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":path", path.encode()),
        (b":authority", b"jobrun.internal"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *more,
    ]
    return b"".join(literal(name, value) for name, value in fields)


def unverified() -> ssl.SSLContext:
    """A client that takes any certificate, as an attacker does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


def tls(host: str, port: int) -> ssl.SSLSocket:
    """A TLS connection on which nothing was said yet."""
    return unverified().wrap_socket(socket.create_connection((host, port), 10), server_hostname=host)


@contextlib.contextmanager
def connection(host: str, port: int) -> Iterator[ssl.SSLSocket]:
    """A TLS connection with HTTP/2 begun on it."""
    with tls(host, port) as link:
        link.sendall(PREFACE + frame(SETTINGS, 0, 0))
        yield link


def read_answer(link: socket.socket) -> bytes:
    """All that comes until the first call has its end, or the connection has (RFC 9113 section 5.1)."""
    got, place = b"", 0
    while data := _received(link):
        got += data
        while len(got) >= place + 9:
            kind, flags, stream = got[place + 3], got[place + 4], int.from_bytes(got[place + 5 : place + 9], "big")
            if kind == GOAWAY or (stream == 1 and (kind == RST_STREAM or flags & END_STREAM)):
                return got
            place += 9 + int.from_bytes(got[place : place + 3], "big")
    return got


def _received(link: socket.socket) -> bytes:
    try:
        return link.recv(65536)
    except ConnectionError:
        return b""
