"""`HOST[:PORT]`: where a server with TLS listens, in one spelling, so that one server is never two."""

from __future__ import annotations

import _socket
import re
from typing import NamedTuple

from jobrun.config.errors import UsageError

DEFAULT_PORT = 50443
LONGEST_HOST = 240
"""Characters; a little less than DNS allows, so that `HOST:PORT.lock` is a file's name (NAME_MAX of limits.h)."""
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*")


class Address(NamedTuple):
    """Host and port. `host` is in lower case; IPv6 without brackets, as inet_ntop(3) writes it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.bracketed}:{self.port}"

    @property
    def is_ipv6(self) -> bool:
        """Whether the host is an IPv6 address."""
        return ":" in self.host

    @property
    def is_ipv4(self) -> bool:
        """Whether the host is an IPv4 address."""
        return _is_number(self.host)

    @property
    def bracketed(self) -> str:
        """The host as it stands before a port."""
        return f"[{self.host}]" if self.is_ipv6 else self.host


def parse_address(text: str, source: str) -> Address:
    """The address that `text` names; `source` (an option or a variable) is named in the error. Raises UsageError."""
    host, port = _split(text.lower())
    canonical = _canonical(host)
    number = _port(port)
    if canonical is None or number is None or len(text) > LONGEST_HOST + 6:
        shown = text if len(text) <= 80 else text[:80] + "..."
        raise UsageError(
            f"{source}: {shown or 'an empty text'} is no server: give HOST[:PORT], such as box or [::1]:443"
        )
    return Address(canonical, number)


def _split(text: str) -> tuple[str, str]:
    if text.startswith("["):
        inside, bracket, rest = text.partition("]")
        host, colon, port = inside + bracket + rest.partition(":")[0], rest[:1], rest.partition(":")[2]
    else:
        host, colon, port = text.partition(":")
    return (host, port) if colon else (host, str(DEFAULT_PORT))


def _canonical(host: str) -> str | None:
    """The one spelling of `host`, None where it is none."""
    if host.startswith("["):
        return _ipv6(host[1:-1]) if host.endswith("]") else None
    if len(host) > LONGEST_HOST or _NAME.fullmatch(host) is None:
        return None
    return host if not _is_number(host) or _is_ipv4(host) else None


def _is_number(host: str) -> bool:
    """Whether it can only be meant as an IPv4 address: `127.1` and `1` are no names."""
    return host.rpartition(".")[2].isdigit()


def _is_ipv4(host: str) -> bool:
    try:
        _socket.inet_pton(_socket.AF_INET, host)
    except OSError:
        return False
    return True


def _ipv6(host: str) -> str | None:
    try:
        return _socket.inet_ntop(_socket.AF_INET6, _socket.inet_pton(_socket.AF_INET6, host))
    except (OSError, ValueError):
        return None


def _port(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        return None
    return int(text)
