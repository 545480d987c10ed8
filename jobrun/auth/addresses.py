"""Where a call comes from."""

from __future__ import annotations

import ipaddress
from typing import Final
from urllib.parse import unquote

LOCAL: Final = "local"
"""In place of an address: the server's own machine, over a socket or as a command there."""
UNKNOWN: Final = "unknown"
"""In place of one that gRPC names in no way known here: all of them are counted as one, and none as this machine."""


def address_of(peer: str) -> str:
    """The network address in what gRPC calls a peer (`ipv4:1.2.3.4:567`, `ipv6:%5B::1%5D:567`, `unix:`), without port;
    empty for a socket of this machine, else UNKNOWN. An IPv4 address that came in over IPv6 is told as what it is."""
    kind, _, rest = peer.partition(":")
    if kind == "ipv4":
        return rest.rpartition(":")[0] or UNKNOWN
    if kind != "ipv6":
        return "" if kind == "unix" else UNKNOWN
    text = unquote(rest).rpartition("]")[0].removeprefix("[").partition("%")[0]
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return UNKNOWN
    return str(address.ipv4_mapped or address)


def network_of(address: str) -> str:
    """What one guesser is sure to have as his own alone: an IPv4 address, or an IPv6 /64."""
    if ":" not in address:
        return address
    return str(ipaddress.IPv6Network((address, 64), strict=False))
