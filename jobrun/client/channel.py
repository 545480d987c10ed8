"""A gRPC channel to one server: plaintext over a unix socket or loopback, or TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from jobrun.config.own_limits import require_memory
from jobrun.model.server_name import SERVER_NAME

if TYPE_CHECKING:
    from jobrun.client.trust import Trust
    from jobrun.config.address import Address

KEEPALIVE_MS = 30_000
"""A server lets clients ping this often; a dead peer is noticed after this and KEEPALIVE_TIMEOUT_MS."""
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
    ("grpc.service_config_disable_resolution", 1),  # no TXT records are asked how to call
)
OWN_AUTHORITY = ("grpc.default_authority", SERVER_NAME)  # else the socket's path, percent-encoded


def open_channel(address: str) -> grpc.Channel:
    """A plaintext channel to `address`, such as `unix:/path` or `ipv4:127.0.0.1:50443`. The first call dials. Raises
    Refusal."""
    require_memory()
    return grpc.insecure_channel(address, options=(*OPTIONS, OWN_AUTHORITY))


def open_tls_channel(server: Address, trust: Trust) -> grpc.Channel:
    """A channel with TLS to a server whose certificate `trust` verifies. The first call dials. Raises Refusal."""
    require_memory()
    options = [*OPTIONS]
    if trust.name:
        options += [("grpc.ssl_target_name_override", trust.name), ("grpc.default_authority", trust.name)]
    credentials = grpc.ssl_channel_credentials(root_certificates=trust.roots)
    return grpc.secure_channel(_scheme(server) + str(server), credentials, options=options)


def _scheme(server: Address) -> str:
    """Numeric ones ask no resolver."""
    return "ipv6:" if server.is_ipv6 else "ipv4:" if server.is_ipv4 else "dns:///"
