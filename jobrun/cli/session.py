"""From the options of a command to the server that it talks to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobrun.cli.options import Option, Parsed
from jobrun.cli.output import say
from jobrun.config.environment import Environment
from jobrun.config.numbers import parse_duration
from jobrun.config.target import Target, choose_target

if TYPE_CHECKING:
    from jobrun.client.calls import Calls
    from jobrun.client.connection import Connection

SERVER_OPTIONS = (
    Option("--server", "the server: unix:PATH or insecure:127.0.0.1:PORT (HOST[:PORT] is not in this version)", "ADDR"),
    Option("--local", "the private server of this machine, whatever JOBRUN_SERVER says"),
)
RECONNECT = Option("--reconnect", "how long a lost connection is tried again (10m)", "DUR", parse_duration)
RECONNECT_NS = 600 * 10**9
"""10 min, where --reconnect does not say."""
JSON = Option("--json", "print JSON: protobuf's mapping, one object a line")


def target_of(parsed: Parsed, environment: Environment) -> Target:
    """The server that the options and the environment name. Raises UsageError, LoginNeeded, NotBuilt."""
    return choose_target(environment, parsed.text("--server"), local=parsed.flag("--local"))


def open_calls(parsed: Parsed, environment: Environment, *, reconnect: bool = False) -> Calls:
    """Calls to that server; `reconnect`: the command has --reconnect. Nothing is dialled before the first call."""
    connection = _connection(target_of(parsed, environment), environment)
    from jobrun.client.calls import Calls

    if not reconnect:
        return Calls(connection)
    return Calls(connection, (parsed.number(RECONNECT.key) or RECONNECT_NS) / 1e9)


def _connection(target: Target, environment: Environment) -> Connection:
    from jobrun.client.connection import Connection

    if not target.private:
        return Connection(lambda: target.address, target.name)
    from jobrun.client.private_server import PrivateServer
    from jobrun.version import BUILD, VERSION

    def say_once() -> None:
        """A server that has to be started again later is not the user's concern."""
        if not connection.contacted:
            say("no login: running on this machine")

    server = PrivateServer(environment, VERSION, BUILD, say_once)
    connection = Connection(server.dial, target.name)
    return connection
