"""What a server's certificate is held against."""

from __future__ import annotations

import binascii
from typing import NamedTuple

from jobrun.config.environment import Environment
from jobrun.config.known_servers import KnownServer
from jobrun.config.system_roots import read_system_roots
from jobrun.model.server_name import SERVER_NAME

_SUBJECT_ALT_NAME = b"\x06\x03\x55\x1d\x11"
"""Its object identifier 2.5.29.17 in DER (RFC 5280, section 4.2.1.6)."""
_DNS, _IP = 0x82, 0x87
"""Context tags of dNSName and iPAddress in a GeneralName."""
LINE = 64
"""Characters of base64 in a line of PEM (RFC 7468)."""


class Trust(NamedTuple):
    """`roots`: PEM. `name`: the name that the certificate must have, empty: the host's."""

    server: KnownServer
    roots: bytes
    name: str


def trust_of(server: KnownServer, environment: Environment) -> Trust:
    """How to verify a known server. Raises Refusal where this machine has no roots."""
    if not server.pinned:
        return Trust(server, read_system_roots(environment), "")
    return Trust(server, pem_of(server.certificate), name_in(server.certificate))


def pem_of(certificate: bytes) -> bytes:
    """PEM of a certificate in DER."""
    encoded = binascii.b2a_base64(certificate, newline=False)
    lines = [encoded[at : at + LINE] for at in range(0, len(encoded), LINE)]
    return b"\n".join([b"-----BEGIN CERTIFICATE-----", *lines, b"-----END CERTIFICATE-----", b""])


def name_in(certificate: bytes) -> str:
    """A name that this certificate has: the pin says whom to trust, but gRPC wants a name too. Only the first one
    counts, and only what is short is looked for, so that a certificate that was made to confuse just fits nothing."""
    at = certificate.find(_SUBJECT_ALT_NAME)
    names = certificate[at + len(_SUBJECT_ALT_NAME) :] if at >= 0 else b""
    if names[:2] == b"\x01\x01":  # BOOLEAN: critical
        names = names[3:]
    for _ in range(2):  # OCTET STRING, then SEQUENCE
        names = names[2 + (names[1] & 0x7F if len(names) > 1 and names[1] & 0x80 else 0) :]
    kind, size = (names[0], names[1]) if len(names) > 1 else (0, 0)
    value = names[2 : 2 + size]
    if kind == _DNS:
        return value.decode("ascii", "replace").replace("*", "any")
    return ".".join(str(byte) for byte in value) if kind == _IP and size == 4 else SERVER_NAME
