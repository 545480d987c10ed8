"""What JOBRUN_TOKEN holds: a machine token with the server that it belongs to, and how that one proves itself.

`jrt1.<base64url of "HOST:PORT\\nsha256:HEX" or "HOST:PORT\\nsystem">.<id>.<secret>`, base64url without padding
(RFC 4648, section 5)."""

from __future__ import annotations

import binascii
import re
from typing import NamedTuple

from jobrun.config.address import Address, parse_address
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.config.known_servers import SYSTEM, is_pin

VERSION = "jrt1"
LONGEST = 1024
"""Characters: a host has 240 at most."""
_BEARER = re.compile(r"jrt1\.[a-z0-9]{10}\.[A-Za-z0-9_-]{43}")
_TEXT = re.compile(r"jrt1\.([A-Za-z0-9_-]+)\.([a-z0-9]{10}\.[A-Za-z0-9_-]{43})")


class MachineLogin(NamedTuple):
    """A machine token and its server. `pin`: as KnownServer has it; `bearer`: what goes behind `Bearer `."""

    server: Address
    pin: str
    bearer: str

    def __repr__(self) -> str:
        return f"MachineLogin({self.server}, {self.pin}, ...)"


def compose_token(server: Address, pin: str, bearer: str) -> str:
    """The text for JOBRUN_TOKEN. Raises Refusal where the server's secret is of another shape."""
    if _BEARER.fullmatch(bearer) is None:
        raise Refusal("the server answered with a token that this version does not know: update jobrun here")
    place = _encode(f"{server}\n{pin}")
    return f"{VERSION}.{place}.{bearer.partition('.')[2]}"


def parse_token(text: str) -> MachineLogin:
    """The token in JOBRUN_TOKEN; white space around it is what pasting it, or a file of it, adds. Raises LoginNeeded,
    whose text never has a part of it."""
    text = text.strip()
    match = _TEXT.fullmatch(text) if len(text) <= LONGEST else None
    place = _decode(match[1]) if match else None
    if match is None or place is None:
        raise LoginNeeded("JOBRUN_TOKEN is damaged: set it to the whole line that jobrun token create printed")
    return MachineLogin(*place, f"{VERSION}.{match[2]}")


def _encode(text: str) -> str:
    encoded = binascii.b2a_base64(text.encode("ascii"), newline=False).decode("ascii")
    return encoded.rstrip("=").replace("+", "-").replace("/", "_")


def _decode(encoded: str) -> tuple[Address, str] | None:
    """Server and pin; None where the text is not exactly what _encode makes of them."""
    padded = encoded.replace("-", "+").replace("_", "/") + "=" * (-len(encoded) % 4)
    try:
        text = binascii.a2b_base64(padded).decode("ascii")
        named, _, pin = text.partition("\n")
        server = parse_address(named, "JOBRUN_TOKEN")
    except (ValueError, Refusal):  # binascii.Error and UnicodeDecodeError are ValueErrors
        return None
    if str(server) != named or not (pin == SYSTEM or is_pin(pin)) or _encode(text) != encoded:
        return None
    return server, pin
