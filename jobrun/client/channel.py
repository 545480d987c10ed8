"""A gRPC channel to one server: plaintext, over a unix socket or loopback."""

from __future__ import annotations

import grpc

KEEPALIVE_MS = 30_000
"""A server lets clients ping this often (CONTRACT 4); a dead peer is noticed after this and KEEPALIVE_TIMEOUT_MS."""
KEEPALIVE_TIMEOUT_MS = 20_000
RECEIVE_MOST = 16 << 20
"""Bytes of one answer: a server's own bound is 4 MiB, so this only holds off one that is broken."""

OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.enable_http_proxy", 0),  # proxies are not obeyed, not even for a unix socket (grpc/grpc#12543)
    ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection, not the old one's backoff
    ("grpc.keepalive_time_ms", KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", RECEIVE_MOST),
    ("grpc.max_send_message_length", RECEIVE_MOST),
    ("grpc.enable_retries", 0),  # what is tried again is decided in calls.py alone
    ("grpc.default_authority", "jobrun.internal"),  # else the socket's path, percent-encoded
)


def open_channel(address: str) -> grpc.Channel:
    """A channel to `address`, such as `unix:/path` or `ipv4:127.0.0.1:50443`. The first call dials."""
    return grpc.insecure_channel(address, options=OPTIONS)
