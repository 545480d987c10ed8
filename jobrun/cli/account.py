"""`whoami` and `passwd`: the caller himself."""

from __future__ import annotations

from jobrun.cli.command import Command
from jobrun.cli.options import Parsed
from jobrun.cli.output import put
from jobrun.cli.passwords import PASSWORD_STDIN, read_change
from jobrun.cli.render import time_text
from jobrun.cli.session import JSON, SERVER_OPTIONS, open_accounts, open_connection, target_of
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.table import put_facts
from jobrun.cli.terminal import Terminal
from jobrun.cli.words import no_words
from jobrun.config.environment import Environment
from jobrun.model.shown import escape
from jobrun.wire.gen.jobrun.v1.auth_service_pb2 import WhoAmIResponse


def whoami(parsed: Parsed, environment: Environment) -> int:
    """Shows who the caller is to the server."""
    leave_on_signals()
    no_words(parsed)
    from jobrun.client.accounts import Accounts

    target = target_of(parsed, environment)
    answer = Accounts(open_connection(target, environment)).who_am_i()
    if parsed.flag(JSON.key):
        put_who(answer)
    else:
        put_facts(_facts(answer, target.name))
    return 0


def put_who(answer: WhoAmIResponse) -> None:
    """As JSON."""
    from jobrun.cli.jsontext import to_json

    put(to_json(answer))


def who_line(answer: WhoAmIResponse, server: str) -> str:
    """Who and until when, in a line."""
    until = time_text(answer.session_expires_at)
    return escape(f"{answer.username} ({answer.role}) at {server} until {until}, longer if it is used") + "\n"


def _facts(answer: WhoAmIResponse, server: str) -> list[tuple[str, str]]:
    token = time_text(answer.expires_at) if answer.HasField("expires_at") else ""
    session = time_text(answer.session_expires_at) if answer.HasField("session_expires_at") else ""
    return [
        ("server", server),
        ("user", answer.username),
        ("role", answer.role),
        ("scopes", answer.scope),
        ("token", token and f"until {token}"),
        ("session", session and f"until {session}, longer if it is used"),
    ]


def passwd(parsed: Parsed, environment: Environment) -> int:
    """Changes the caller's password."""
    terminal = Terminal()
    no_words(parsed)
    accounts = open_accounts(parsed, environment)
    accounts.who_am_i()  # before anything is typed in vain
    accounts.change_password(*read_change(parsed, terminal))
    put("changed; your other sessions have ended\n")
    return 0


COMMANDS = (
    Command(
        name="whoami",
        summary="show who you are to the server: user, role, scopes, until when",
        words="",
        description="",
        options=(JSON, *SERVER_OPTIONS),
        run=whoami,
        example="jobrun whoami",
    ),
    Command(
        name="passwd",
        summary="change your own password",
        words="",
        description="Asks for the current password, and for the new one twice: 8 to 72 bytes. With --password-stdin\n"
        "the current one is the first line, the new one the second. This session goes on, your others end;\n"
        "machine tokens stay.",
        options=(PASSWORD_STDIN, *SERVER_OPTIONS),
        run=passwd,
        example="jobrun passwd",
    ),
)
