"""A look at a server's certificate without gRPC, which says no more than that a handshake failed. Nothing is sent over
these connections. Imported only where there is something to look at: ssl takes long to load."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from jobrun.client.errors import Unreachable
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.model.fingerprint import fingerprint_of

if TYPE_CHECKING:
    from jobrun.client.trust import Trust
    from jobrun.config.address import Address

LOOK_S = 5.0
"""Seconds for a connection and its handshake."""
PLAINTEXT = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "PACKET_LENGTH_TOO_LONG"})
"""What OpenSSL says where the other side does not speak TLS."""
NOT_YET_VALID, EXPIRED = 9, 10
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""


class CertificateRefused(LoginNeeded):
    """The server does not prove itself as it did before; asking again would not help. `what` is wrong, without what to
    do about it."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(f"{what}: {do}")
        self.what = what


class WrongDates(Refusal):
    """The certificate is good, but not now; no login mends that."""


class NoTls(Refusal):
    """Somebody listens there, who does not speak TLS."""


def fetch_certificate(server: Address) -> bytes:
    """The certificate that the server shows, DER, unverified. Raises Unreachable, NoTls."""
    context = _context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return _handshake(server, context)
    except ssl.SSLError as error:
        raise _no_tls(server, error) from error
    except OSError as error:
        raise _unreachable(server, error) from error


def verified_certificate(server: Address, roots: bytes) -> bytes | None:
    """The certificate that the server shows, DER, where these roots (PEM) and the host's name verify it; else None.
    Raises Unreachable, NoTls."""
    try:
        return _handshake(server, _context(roots))
    except ssl.SSLCertVerificationError:
        return None
    except ssl.SSLError as error:
        raise _no_tls(server, error) from error
    except OSError as error:
        raise _unreachable(server, error) from error


def examine(server: Address, trust: Trust, remedy: str) -> None:
    """Raises CertificateRefused, WrongDates or NoTls where that is why a connection failed; returns where it is not.
    `remedy`: what mends a changed certificate; never a line with the new one's fingerprint to paste, which may be that
    of somebody in between."""
    context = _context(trust.roots)
    context.check_hostname = not trust.server.pinned
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as gRPC: the pinned one need not be a root
    try:
        _handshake(server, context)
    except ssl.SSLCertVerificationError as error:
        raise _refused(server, trust, error, remedy) from error
    except ssl.SSLError as error:
        if error.reason in PLAINTEXT:
            raise _no_tls(server, error) from error
    except OSError:
        return  # nobody is there, which gRPC found as well


def _context(roots: bytes | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    if roots is not None:
        context.load_verify_locations(cadata=roots.decode("ascii", "ignore"))
    return context


def _handshake(server: Address, context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection((server.host, server.port), LOOK_S) as plain,
        context.wrap_socket(plain, server_hostname=server.host) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def _refused(server: Address, trust: Trust, error: ssl.SSLCertVerificationError, remedy: str) -> Refusal:
    if error.verify_code == EXPIRED:
        return WrongDates(f"the certificate of {server} has expired: look at the clock here, and at the server")
    if error.verify_code == NOT_YET_VALID:
        return WrongDates(f"the certificate of {server} is not yet valid: look at the clock here, and at the server")
    if not trust.server.pinned:
        what = f"nothing here verifies the certificate of {server} any more ({error.verify_message})"
        return CertificateRefused(what, remedy)
    if fingerprint_of(fetch_certificate(server)) == trust.server.pin:
        return CertificateRefused(
            f"the certificate of {server} can not be used ({error.verify_message})", "put another one in its place"
        )
    return CertificateRefused(f"THE CERTIFICATE OF {server} HAS CHANGED, somebody may be in between", remedy)


def _no_tls(server: Address, error: ssl.SSLError) -> Refusal:
    if error.reason in PLAINTEXT or isinstance(error, ssl.SSLEOFError):
        return NoTls(f"{server} does not speak TLS: is it a jobrun server with login, and is the port right?")
    return NoTls(f"{server} is no jobrun server: TLS failed: {error.reason or error.strerror}")


def _unreachable(server: Address, error: OSError) -> Unreachable:
    cause = error.strerror or ("no answer in time" if isinstance(error, TimeoutError) else str(error))
    return Unreachable(f"no server at {server}: {cause}: start one there, or name another")
