"""Where a command goes: first match wins, nothing is ever tried as a fallback for another."""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING, NamedTuple

from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, UsageError
from jobrun.config.paths import config_home

if TYPE_CHECKING:
    from jobrun.config.address import Address
    from jobrun.config.token_string import MachineLogin

UNIX, INSECURE = "unix:", "insecure:"


class Kind(enum.Enum):
    """What kind of server."""

    PRIVATE = "private"
    UNIX = "unix"
    INSECURE = "insecure"
    TLS = "tls"


class Target(NamedTuple):
    """One server. `address` is what gRPC dials; empty for the private server, which may have to be started first, and
    for one with TLS, which has `server`. `name` is for people. `token`: the machine token that goes there; None: the
    login there."""

    kind: Kind
    address: str
    name: str
    server: Address | None = None
    token: MachineLogin | None = None

    @property
    def takes_surroundings(self) -> bool:
        """Its jobs run in the caller's folder, with his environment and umask. Only private servers listen at unix
        sockets, so another one's is named by its socket."""
        return self.kind in (Kind.PRIVATE, Kind.UNIX)

    @property
    def private(self) -> bool:
        """It is this user's private server on this machine."""
        return self.kind is Kind.PRIVATE


PRIVATE = Target(Kind.PRIVATE, "", "this machine's private server")


def choose_target(environment: Environment, server: str | None, *, local: bool) -> Target:
    """The server by `--server`, `--local`, the environment and the logins. Raises UsageError, LoginNeeded."""
    if local and server is not None:
        raise UsageError("--local and --server name two servers: give one of them")
    if local:
        return PRIVATE
    token = environment.get("JOBRUN_TOKEN")
    if token:
        return _of_token(token, server)
    if server is not None:
        return parse_server(server, "--server")
    if token is not None:
        raise LoginNeeded("JOBRUN_TOKEN is set but empty: set it to a token, or unset it")
    named = environment.get("JOBRUN_SERVER")
    if named == "":
        raise LoginNeeded("JOBRUN_SERVER is set but empty: set it to a server, or unset it")
    if named is not None:
        return parse_server(named, "JOBRUN_SERVER")
    return _of_login(environment)


def _of_token(text: str, server: str | None) -> Target:
    """A token goes to its own server alone."""
    from jobrun.config.token_string import parse_token

    token = parse_token(text)
    own = tls_target(token.server)._replace(token=token)
    if server is not None and parse_server(server, "--server").server != token.server:
        raise UsageError(f"--server: {server} is not {own.name}, to which JOBRUN_TOKEN belongs: unset one of them")
    return own


def _of_login(environment: Environment) -> Target:
    """The current login; the private server only where there never was one."""
    try:
        os.lstat(config_home(environment))
    except (FileNotFoundError, NotADirectoryError):  # these alone: what can not be looked at may hold a login
        return PRIVATE
    except OSError as error:
        text = f"{config_home(environment)}: {error.strerror}: mend that, set JOBRUN_CONFIG_DIR, or say --local"
        raise LoginNeeded(text) from error
    from jobrun.config.logins import open_logins

    current = open_logins(environment).current()
    if current is None:
        return PRIVATE
    if not current:
        raise LoginNeeded("logged out: log in by jobrun login HOST, or say --local for this machine")
    return _tls(current, "current login")


def parse_server(text: str, source: str) -> Target:
    """The server that `text` names; `source` (an option or a variable) is named in the error. Raises UsageError."""
    if text.startswith(UNIX):
        return _unix(text[len(UNIX) :], source)
    if text.startswith(INSECURE):
        return _insecure(text[len(INSECURE) :], source)
    if not text:
        raise UsageError(f"{source}: is empty: give HOST[:PORT], insecure:127.0.0.1:PORT or unix:PATH")
    return _tls(text, source)


def _tls(text: str, source: str) -> Target:
    from jobrun.config.address import parse_address

    return tls_target(parse_address(text, source))


def tls_target(server: Address) -> Target:
    """A server with TLS and login."""
    return Target(Kind.TLS, "", str(server), server)


def parse_port(text: str, source: str, *, least: int = 1) -> int:
    """A port number from `least` to 65535."""
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or not least <= int(text) <= 65535:
        raise UsageError(f"{source}: {text or 'nothing'} is no port: a number from {least} to 65535")
    return int(text)


def parse_loopback(text: str, source: str, *, least_port: int = 1) -> tuple[str, int]:
    """Host and port of `HOST:PORT` where HOST is a numeric loopback address: a name could lead elsewhere."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise UsageError(f"{source}: {text or 'nothing'} has no port: such as 127.0.0.1:50443")
    number = parse_port(port, source, least=least_port)
    if host != "[::1]" and not _is_loopback_v4(host):
        raise UsageError(f"{source}: {host or 'nothing'} is no loopback address: without TLS only 127.0.0.1 or [::1]")
    return host, number


def _unix(path: str, source: str) -> Target:
    if not path.startswith("/"):
        raise UsageError(f"{source}: unix:{path}: the path must begin with /")
    if len(path.encode("utf-8", "surrogateescape")) > 107:  # sun_path in unix(7), less its NUL
        raise UsageError(f"{source}: unix:{path}: a socket's path has at most 107 bytes")
    return Target(Kind.UNIX, "unix:" + path, "unix:" + path)


def _insecure(text: str, source: str) -> Target:
    host, port = parse_loopback(text, source)
    scheme = "ipv6:" if host.startswith("[") else "ipv4:"  # numeric schemes: no resolver is asked
    return Target(Kind.INSECURE, f"{scheme}{host}:{port}", f"insecure:{host}:{port}")


def _is_loopback_v4(host: str) -> bool:
    parts = host.split(".")
    plain = all(part.isascii() and part.isdigit() and len(part) <= 3 and int(part) <= 255 for part in parts)
    return len(parts) == 4 and plain and int(parts[0]) == 127
