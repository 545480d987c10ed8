"""Where a server with TLS listens: HOST:PORT, as --listen and a config file give it."""

from __future__ import annotations

import socket

from jobrun.config.address import parse_address
from jobrun.config.errors import UsageError
from jobrun.config.target import parse_port

EVERYWHERE = ("0.0.0.0", "[::]")
"""Every address of the machine, of both families, whichever of the two is given: gRPC makes no difference."""


def parse_listen(text: str, source: str) -> str:
    """`HOST:PORT`, checked: HOST is an IPv4 address, an IPv6 address in [ ], or a name. UsageError names `source`."""
    host, colon, port = text.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        raise UsageError(f"{source}: {text or 'nothing'} has no port: such as 127.0.0.1:50443 or [::1]:50443")
    parse_port(port, source, least=0)
    try:
        parse_address(f"{host}:1", source)
    except UsageError:
        raise UsageError(f"{source}: {host or 'nothing'} is no host: an address of this machine, or its name") from None
    return text


def reachable_host(host: str) -> str:
    """What others type for a server that listens at `host`: its machine's name where that is every address."""
    return socket.gethostname() if host in EVERYWHERE else host


def local_host(host: str) -> str:
    """What this machine itself dials for it."""
    return {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
