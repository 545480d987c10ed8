"""`login` and `logout`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from jobrun.cli.account import put_who, who_line
from jobrun.cli.command import Command
from jobrun.cli.options import SERVERS, Option, Parsed
from jobrun.cli.output import put, say
from jobrun.cli.passwords import PASSWORD_STDIN, read_password
from jobrun.cli.session import JSON, SERVER_OPTIONS, open_connection, target_of
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.terminal import Terminal
from jobrun.cli.text import is_utf8
from jobrun.cli.words import no_words, one_word
from jobrun.config.address import Address, parse_address
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.config.known_servers import parse_fingerprint
from jobrun.config.logins import Logins, open_logins

if TYPE_CHECKING:
    from jobrun.client.accounts import Accounts
    from jobrun.config.target import Target

FINGERPRINT = "--fingerprint"
YES = "yes"
WINNING = ("JOBRUN_TOKEN", "JOBRUN_SERVER")
"""Variables that win over the current login."""


def login(parsed: Parsed, environment: Environment) -> int:
    """From a password to a session."""
    terminal = Terminal()
    from jobrun.client.tls_check import CertificateRefused

    logins = open_logins(environment)
    server = _server(parsed, logins)
    try:
        accounts = _log_in(parsed, terminal, logins, server, environment)
    except CertificateRefused as refusal:  # elsewhere a login is needed; this is one
        raise Refusal(str(refusal)) from refusal
    answer = accounts.who_am_i()
    if parsed.flag(JSON.key):
        put_who(answer)
    else:
        put(who_line(answer, str(server)))
    for name in WINNING:
        if environment.get(name) is not None:
            say(f"{name} is set, and wins over this login")
    return 0


def _log_in(parsed: Parsed, terminal: Terminal, logins: Logins, server: Address, environment: Environment) -> Accounts:
    """Trusts the server, proves who the user is, puts the session on record."""
    from jobrun.client.access import NoAccess
    from jobrun.client.accounts import Accounts
    from jobrun.client.connection import Connection
    from jobrun.client.first_contact import check_is_jobrun, end_session, log_in, trust_server
    from jobrun.client.session_access import SessionAccess
    from jobrun.client.tls_routes import known_route

    address = str(server)
    expected = parsed.text(FINGERPRINT)
    fingerprint = None if expected is None else parse_fingerprint(expected, f"login: {FINGERPRINT}")
    confirm = functools.partial(_confirm, terminal, address)
    known = logins.known(address)
    trusted = trust_server(server, known, fingerprint, confirm, environment)
    connection = Connection(known_route(server, NoAccess(), trusted.now, environment))
    check_is_jobrun(connection, address)
    logins.remember(trusted.later)
    user = _user(parsed, terminal, logins, address)
    password = read_password(parsed, terminal, f"password of {user} at {address}: ")
    session = log_in(connection, user, password)
    with logins.locked(address):
        before = logins.last_session(address)
        logins.save(address, session)
    logins.set_current(address)
    if before is not None and known == trusted.later:
        end_session(connection, before)
    return Accounts(Connection(known_route(server, SessionAccess(logins, address), trusted.later, environment)))


def _server(parsed: Parsed, logins: Logins) -> Address:
    if parsed.words:
        return parse_address(one_word(parsed, "server"), "login")
    again = logins.current() or logins.last()
    if not again:
        raise parsed.usage_error("no server: give HOST[:PORT], as the server's first start printed it")
    return parse_address(again, "last login")


def _confirm(terminal: Terminal, address: str, fingerprint: str) -> None:
    """Asks about a certificate that nothing here verifies. Raises Refusal where it is not trusted."""
    from jobrun.client.tls_routes import RIGHT_ONE

    otherwise = (
        f"{address} is not known here, its certificate is {fingerprint}, and there is no terminal to ask at: "
        f"give {FINGERPRINT}: {RIGHT_ONE}"
    )
    terminal.tell(f"{address} is not known here. Its certificate is", otherwise)
    terminal.tell(fingerprint, otherwise)
    answer = terminal.ask("Does the server's owner say the same? yes or no: ", otherwise)
    if answer.strip().lower() != YES:
        raise Refusal(f"{address} is not trusted, as the answer was not yes: nothing was sent to it")


def _user(parsed: Parsed, terminal: Terminal, logins: Logins, address: str) -> str:
    """By --user, as last time, or by asking."""
    user = parsed.filled("--user")
    if user is None and (before := logins.last_session(address)) is not None:
        user = before.user
    if user is None:
        user = terminal.ask(f"user at {address}: ", "login: no terminal to ask for the user at: give --user NAME")
    if not is_utf8(user) or not user:
        raise parsed.usage_error("--user: the name is empty or no UTF-8")
    return user


def logout(parsed: Parsed, environment: Environment) -> int:
    """Ends the session, or all of the user's; the local login goes in any case."""
    leave_on_signals()
    no_words(parsed)
    logins = open_logins(environment)
    named = parsed.given("--server") or parsed.given("--local") or any(environment.get(name) for name in WINNING)
    if not named and not logins.current():
        say("no login here: nothing to end")
        return 0
    target = target_of(parsed, environment)
    if target.token is not None:
        raise Refusal("JOBRUN_TOKEN is no login: end it by jobrun token revoke, or unset it")
    if target.server is None:
        raise Refusal(f"{target.name} has no login")
    forgotten, kept = _end_there(parsed, target, environment)
    address = str(target.server)
    try:
        with logins.locked(address):
            logins.forget(address)
    except Refusal as refusal:
        raise Refusal(f"{kept}: {refusal}") from refusal
    if forgotten:
        say(forgotten)
    return 0


def _end_there(parsed: Parsed, target: Target, environment: Environment) -> tuple[str, str]:
    """Ends it at the server. What is to be said once the login is forgotten here, and where it can not be."""
    from jobrun.client.accounts import Accounts
    from jobrun.client.errors import LostConnection
    from jobrun.client.tls_check import CertificateRefused

    every = parsed.flag("--all")
    which, old = ("the session and your others", "they are old") if every else ("the session", "it is old")
    goes_on = f"{which} may go on at the server until {old}"
    kept = f"not logged out here, and {goes_on}"
    try:
        Accounts(open_connection(target, environment)).revoke(all_sessions=every)
    except CertificateRefused as refusal:
        return f"logged out here alone; {goes_on}: {refusal.what}", kept
    except LostConnection as refusal:
        return f"logged out here; {goes_on}: {refusal}", kept
    except LoginNeeded as refusal:
        none = f"there was no session to end{', and so none of the others was' if every else ''}"
        return f"{none} ({refusal})", f"{none}, but its file stays here"
    except Refusal as refusal:
        return f"logged out here alone; {goes_on}: {refusal}", kept
    return "", f"{which} ended at the server, but the file of the login stays here"


COMMANDS = (
    Command(
        name="login",
        summary="log in to a server, which becomes the current one",
        words="[HOST[:PORT]]",
        takes=SERVERS,
        description="Without HOST: the last server again. A server whose certificate this machine's roots verify is\n"
        "trusted; of any other one the fingerprint is shown and asked about, once: compare it with what the server\n"
        "printed at its start. Exits 1 on a wrong password.",
        options=(
            Option(
                "--user",
                "your name there (as in the login that you have there; else it is asked for)",
                "NAME",
            ),
            PASSWORD_STDIN,
            Option(FINGERPRINT, "the certificate that the server must have: nothing is asked", "sha256:HEX"),
            JSON,
        ),
        run=login,
        example="jobrun login box --user ann",
        mixed=True,
    ),
    Command(
        name="logout",
        summary="end the session, and forget it here",
        words="",
        description="Where the server does not answer, or has ended it already, it is forgotten here alone.",
        options=(Option("--all", "all of your sessions at that server"), *SERVER_OPTIONS),
        run=logout,
        example="jobrun logout --all",
    ),
)
