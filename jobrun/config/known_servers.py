"""How the servers that this user has logged in to prove themselves: a line each in one readable file."""

from __future__ import annotations

import binascii
from typing import NamedTuple

from jobrun.config.errors import Refusal, UsageError
from jobrun.model.fingerprint import PREFIX, fingerprint_of

SYSTEM = "system"
HEX_DIGITS = 64


class KnownServer(NamedTuple):
    """One server. `pin` is `sha256:HEX` of its certificate, or `system`: the system's roots and the host name verify
    it. `certificate` is the pinned one, DER; empty for `system`."""

    address: str
    pin: str
    certificate: bytes

    @property
    def pinned(self) -> bool:
        """Whether it is trusted by its certificate alone."""
        return self.pin != SYSTEM

    def line(self) -> str:
        """As it stands in the file."""
        encoded = binascii.b2a_base64(self.certificate, newline=False).decode()
        return f"{self.address} {self.pin} {encoded}".rstrip() + "\n"


def system_server(address: str) -> KnownServer:
    """One that the system's roots verify."""
    return KnownServer(address, SYSTEM, b"")


def pinned_server(address: str, certificate: bytes) -> KnownServer:
    """One that is trusted by this certificate (DER) alone."""
    return KnownServer(address, fingerprint_of(certificate), certificate)


def parse_fingerprint(text: str, source: str) -> str:
    """`sha256:HEX` of what a person typed or pasted: with or without the prefix, upper case or colons. Raises
    UsageError."""
    digits = text.strip().lower().removeprefix(PREFIX).replace(":", "")
    if not is_pin(PREFIX + digits):
        raise UsageError(f"{source}: no fingerprint: give sha256: and 64 hexadecimal digits, as the server prints it")
    return PREFIX + digits


def is_pin(text: str) -> bool:
    """Whether `text` is `sha256:HEX`, in lower case."""
    digits = text.removeprefix(PREFIX)
    return text.startswith(PREFIX) and len(digits) == HEX_DIGITS and not digits.strip("0123456789abcdef")


def find_server(content: str, address: str) -> KnownServer | None:
    """The server's line in the file's content. Raises Refusal where it is damaged: never a guess whom to trust."""
    for line in content.splitlines():
        words = line.split(" ")
        if words[0] == address:
            return _parse(address, words[1:])
    return None


def last_address(content: str) -> str | None:
    """The server that was logged in to last."""
    lines = [line for line in content.splitlines() if line]
    return lines[-1].split(" ")[0] if lines else None


def with_server(content: str, server: KnownServer) -> str:
    """The file's content with the server's line, at its end, in the place of any other of that address."""
    kept = [line for line in content.splitlines() if line and line.split(" ")[0] != server.address]
    return "".join(f"{line}\n" for line in kept) + server.line()


def _parse(address: str, words: list[str]) -> KnownServer:
    if words == [SYSTEM]:
        return system_server(address)
    try:
        pin, encoded = words
        server = pinned_server(address, binascii.a2b_base64(encoded))
    except ValueError:  # binascii.Error is one
        raise _damaged(address) from None
    if server.pin != pin:
        raise _damaged(address)
    return server


def _damaged(address: str) -> Refusal:
    return Refusal(f"known-servers: the line of {address} is damaged: remove it, then: jobrun login {address}")
