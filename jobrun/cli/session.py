"""From the options of a command to the server that it talks to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobrun.cli.options import SERVERS, Option, Parsed
from jobrun.cli.output import say
from jobrun.config.environment import Environment
from jobrun.config.errors import Refusal
from jobrun.config.numbers import parse_duration
from jobrun.config.target import Target, choose_target

if TYPE_CHECKING:
    from jobrun.client.accounts import Accounts
    from jobrun.client.calls import Calls
    from jobrun.client.connection import Connection
    from jobrun.client.routes import Route
    from jobrun.config.address import Address

SERVER_OPTIONS = (
    Option("--server", "the server to go to", "ADDR", takes=SERVERS),
    Option("--local", "go to this machine's private server, whatever login or JOBRUN_SERVER say"),
)
RECONNECT = Option("--reconnect", "how long a lost connection is tried again (10m)", "DUR", parse_duration)
RECONNECT_NS = 600 * 10**9
"""10 min, where --reconnect does not say."""
NO_START = Option("--no-start", "where no private server runs: say so, and start none")
JSON = Option("--json", "print JSON, one object a line")


def target_of(parsed: Parsed, environment: Environment) -> Target:
    """The server that the options and the environment name. Raises UsageError, LoginNeeded."""
    return choose_target(environment, parsed.text("--server"), local=parsed.flag("--local"))


def open_calls(parsed: Parsed, environment: Environment, *, reconnect: bool = False) -> Calls:
    """Calls to that server; `reconnect`: the command has --reconnect. Nothing is dialled before the first call."""
    target = target_of(parsed, environment)
    connection = open_connection(target, environment, start=not parsed.flag(NO_START.key))
    from jobrun.client.calls import Calls

    if not reconnect:
        return Calls(connection)
    return Calls(connection, (parsed.number(RECONNECT.key) or RECONNECT_NS) / 1e9)


def open_accounts(parsed: Parsed, environment: Environment) -> Accounts:
    """Calls about users and tokens to the server that the options name. Raises Refusal where it has none of them: no
    private server is started to say so."""
    target = target_of(parsed, environment)
    if target.server is None:
        raise Refusal(f"{target.name} has no users: jobrun login HOST for a server that has")
    connection = open_connection(target, environment)
    from jobrun.client.accounts import Accounts

    return Accounts(connection)


def open_connection(target: Target, environment: Environment, *, start: bool = True) -> Connection:
    """The connection to a server; `start`: the private one is started where it does not run. Raises LoginNeeded where
    there is no login for it."""
    from jobrun.client.connection import Connection
    from jobrun.client.routes import PlainRoute

    if target.server is not None:
        return Connection(_tls_route(target, target.server, environment))
    if not target.private:
        return Connection(PlainRoute(lambda: target.address, target.name))
    from jobrun.client.private_server import PrivateServer
    from jobrun.version import BUILD, VERSION

    def say_at_first(text: str) -> None:
        """A server that has to be started again later is not the user's concern."""
        if not connection.contacted:
            say(text)

    server = PrivateServer(environment, VERSION, BUILD, say_at_first)
    connection = Connection(PlainRoute(server.dial if start else server.find, target.name))
    return connection


def _tls_route(target: Target, server: Address, environment: Environment) -> Route:
    """Raises LoginNeeded where there is no login that could be used."""
    from jobrun.client.access import MachineAccess
    from jobrun.client.session_access import SessionAccess
    from jobrun.client.tls_routes import login_route, token_route
    from jobrun.config.logins import open_logins

    logins = open_logins(environment)
    if target.token is not None:
        return token_route(target.token, MachineAccess(target.token), logins, environment)
    return login_route(server, SessionAccess(logins, str(server)), logins, environment)
