"""The way to a server with TLS, which proves itself as it did at its login, or as a machine token says."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from jobrun.client.access import Access
from jobrun.client.channel import open_tls_channel
from jobrun.client.trust import Trust, trust_of
from jobrun.config.address import Address
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded
from jobrun.config.known_servers import SYSTEM, KnownServer, pinned_server, system_server
from jobrun.config.logins import Logins
from jobrun.config.token_string import MachineLogin
from jobrun.model.fingerprint import fingerprint_of

RIGHT_ONE = '"jobrun server health" on the server\'s machine shows the right one'
TOKEN_REMEDY = "only if the server's owner confirms it, make another token by jobrun token create"


class TlsRoute:
    """With TLS. `find_trust` is called once; `remedy` mends a changed certificate."""

    def __init__(self, server: Address, access: Access, find_trust: Callable[[], Trust], remedy: str) -> None:
        self._server = server
        self._find_trust = find_trust
        self._remedy = remedy
        self._trust: Trust | None = None
        self.name = str(server)
        self.access = access

    def open(self) -> grpc.Channel:
        """A channel with TLS."""
        return open_tls_channel(self._server, self._trusted())

    def examine(self) -> None:
        """Looks at the certificate there."""
        from jobrun.client.tls_check import examine

        examine(self._server, self._trusted(), self._remedy)

    def _trusted(self) -> Trust:
        if self._trust is None:
            self._trust = self._find_trust()
        return self._trust


def login_route(server: Address, access: Access, logins: Logins, environment: Environment) -> TlsRoute:
    """To a server that was logged in to. Raises Refusal where it is not known."""
    known = logins.known(str(server))
    if known is None:
        raise LoginNeeded(f"{server} is not among the known servers: jobrun login {server}")
    return known_route(server, access, known, environment)


def known_route(server: Address, access: Access, known: KnownServer, environment: Environment) -> TlsRoute:
    """To a server that proves itself as `known` says."""
    return TlsRoute(server, access, lambda: trust_of(known, environment), login_remedy(server))


def login_remedy(server: Address) -> str:
    """What mends a changed certificate where somebody logs in."""
    return f"{RIGHT_ONE}: jobrun login {server} --fingerprint THAT_ONE"


def token_route(token: MachineLogin, access: Access, logins: Logins, environment: Environment) -> TlsRoute:
    """To the server of a machine token, which proves itself as the token says."""
    return TlsRoute(token.server, access, lambda: trust_of(_known_by(token, logins), environment), TOKEN_REMEDY)


def _known_by(token: MachineLogin, logins: Logins) -> KnownServer:
    """The token has only the hash of the certificate: it is on record here, or the server shows it. Which connection
    it came over does not matter, as the hash is compared."""
    address = str(token.server)
    if token.pin == SYSTEM:
        return system_server(address)
    known = logins.known(address)
    if known is not None and known.pin == token.pin:
        return known
    from jobrun.client.tls_check import CertificateRefused, fetch_certificate

    certificate = fetch_certificate(token.server)
    if fingerprint_of(certificate) != token.pin:
        what = f"THE CERTIFICATE OF {address} IS NOT THE ONE IN JOBRUN_TOKEN, somebody may be in between"
        raise CertificateRefused(what, TOKEN_REMEDY)
    return pinned_server(address, certificate)
