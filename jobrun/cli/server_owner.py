"""What the owner of a server's data folder does on its machine: `server passwd`, `server new-cert`, `server health`."""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jobrun.cli.command import Command
from jobrun.cli.options import FILES, FOLDERS, Option, Parsed
from jobrun.cli.output import put, say
from jobrun.cli.passwords import PASSWORD_STDIN, read_new_password
from jobrun.cli.session import JSON
from jobrun.cli.words import no_words, one_word
from jobrun.config.environment import Environment
from jobrun.config.errors import NoSuchThing, Refusal
from jobrun.config.paths import FolderRefused, check_private_folder, server_data

if TYPE_CHECKING:
    from jobrun.config.server_file import ServerFile
    from jobrun.files.ready_file import Ready
    from jobrun.model.user import MachineToken

DATA = Option(
    "--data",
    "the server's data folder (JOBRUN_DATA_DIR; for root /var/lib/jobrun; else jobrun/server in XDG_STATE_HOME)",
    "DIR",
    takes=FOLDERS,
)
ANOTHER = "name another by --data or JOBRUN_DATA_DIR"
CONFIG = Option("--config", "the server's file of settings", "FILE", takes=FILES)


def passwd(parsed: Parsed, environment: Environment) -> int:
    """Gives a user another password, whether a server runs or not."""
    from jobrun.auth.offline import set_password_offline
    from jobrun.cli.terminal import Terminal
    from jobrun.model.errors import InvalidRequest, JobrunError, UserNotFound

    user = one_word(parsed, "USER")
    folder = _login_folder(parsed, environment)
    password = read_new_password(parsed, Terminal(), user)
    try:
        set_password_offline(folder, user, password)
    except UserNotFound:
        raise NoSuchThing(f"{parsed.command}: {user}: no such user: see jobrun user list") from None
    except InvalidRequest as error:
        raise Refusal(f"{parsed.command}: the new password {error.text}") from None
    except (JobrunError, OSError) as error:
        raise Refusal(f"{parsed.command}: {error}") from error
    _tell_server(parsed, folder, "the password is changed")
    put(f"{user} has another password now, and no session\n")
    return 0


@contextlib.contextmanager
def _explained(parsed: Parsed) -> Iterator[None]:
    from jobrun.model.errors import JobrunError

    try:
        yield
    except (JobrunError, OSError) as error:
        raise Refusal(f"{parsed.command}: {error}") from error


def new_cert(parsed: Parsed, environment: Environment) -> int:
    """Makes another certificate of the server's own, and says what ends by it."""
    from jobrun.auth import certificate
    from jobrun.auth.offline import machine_tokens_offline, note_certificate
    from jobrun.files.data_folder import DataFolder

    no_words(parsed)
    folder = _login_folder(parsed, environment)
    if read_config(parsed).certificate is not None:
        raise Refusal(f"{parsed.command}: {parsed.text(CONFIG.key)} names a certificate: put another one in its place")
    _refuse_operators(parsed, folder)
    with _explained(parsed):
        ended = machine_tokens_offline(folder)
        made = certificate.make(DataFolder(folder).tls)
    _tell_server(parsed, folder, "the certificate is made")
    with _explained(parsed):
        note_certificate(folder, made.fingerprint)
    login = _login_line(_ready(parsed, folder), made.fingerprint)
    if parsed.flag(JSON.key):
        _put_certificate(made.fingerprint, login, ended)
    else:
        put(f"{made.fingerprint}\n")
        _say_how_to_go_on(login)
        _list_ended(ended)
    return 0


def health(parsed: Parsed, environment: Environment) -> int:
    """Says SERVING, and where and with which certificate, where the server of this data folder does."""
    from jobrun.files.ready_file import INSECURE

    no_words(parsed)
    folder = owned_folder(parsed, environment)
    first = _ready(parsed, folder)
    if first is None:
        raise Refusal(f"{parsed.command}: no server is ready in {folder}: start one")
    from jobrun.client import health
    from jobrun.config.address import Address
    from jobrun.config.listen import local_host
    from jobrun.config.target import parse_server

    if first.fingerprint is None:
        found = health.plain_health(parse_server(f"{INSECURE}{first.host}:{first.port}", "").address)
    else:
        server = Address(local_host(first.host).strip("[]"), first.port)
        found = health.tls_health(server, lambda: (_ready(parsed, folder) or first).fingerprint)
    if found != "SERVING":
        raise Refusal(f"{parsed.command}: {found}: the server is ending, or starts")
    _put_health(parsed, found, _ready(parsed, folder) or first)
    return 0


def _put_health(parsed: Parsed, found: str, ready: Ready) -> None:
    address, _, fingerprint = ready.line().removeprefix("ready ").partition(" ")
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import dump

        put(dump({"health": found, "address": address, "fingerprint": fingerprint}))
    else:
        put(f"{found} {address} {fingerprint}".rstrip() + "\n")


def read_config(parsed: Parsed) -> ServerFile:
    """What --config says; nothing where it is not given. Raises UsageError."""
    from jobrun.config.server_file import ServerFile, read_server_file

    name = parsed.text(CONFIG.key)
    return ServerFile() if name is None else read_server_file(Path(name))


def owned_folder(parsed: Parsed, environment: Environment) -> Path:
    """The data folder, which is there and this user's. Raises Refusal."""
    folder = os.path.abspath(parsed.filled(DATA.key) or server_data(environment))
    try:
        owner = os.lstat(folder).st_uid
        if owner != os.geteuid():
            raise Refusal(f"{parsed.command}: {folder} belongs to {_name(owner)}: do this as that user")
        check_private_folder(folder, ANOTHER)
    except OSError as error:
        text = f"no data folder {folder} ({error.strerror}): name it by --data, as the server was given it"
        raise Refusal(f"{parsed.command}: {text}") from error
    except FolderRefused as error:
        raise Refusal(f"{parsed.command}: {error}") from error
    return Path(folder)


def _login_folder(parsed: Parsed, environment: Environment) -> Path:
    """One in which a server with login was started."""
    from jobrun.files.data_folder import DataFolder

    folder = owned_folder(parsed, environment)
    if not os.path.lexists(DataFolder(folder).users):
        raise Refusal(
            f"{parsed.command}: no server with login was started in {folder}: start one, or name it by --data"
        )
    return folder


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _ready(parsed: Parsed, folder: Path) -> Ready | None:
    """Where the server of this folder can be dialled, if one lives: one that was killed has left its ready file."""
    from jobrun.files.data_lock import is_held
    from jobrun.files.ready_file import read_ready

    with _explained(parsed):
        return read_ready(folder) if is_held(folder) else None


def _tell_server(parsed: Parsed, folder: Path, done: str) -> None:
    from jobrun.files.data_lock import hang_up
    from jobrun.model.errors import JobrunError

    try:
        hang_up(folder)
    except (JobrunError, OSError) as error:
        raise Refusal(f"{parsed.command}: {done}, but the server was not told: {error}") from error


def _refuse_operators(parsed: Parsed, folder: Path) -> None:
    """A server that runs with its operator's certificate would go on with that one."""
    from jobrun.files.data_lock import serves_operators

    with _explained(parsed):
        operators = serves_operators(folder)
    if operators:
        raise Refusal(f"{parsed.command}: the server has its operator's certificate: put another one in its place")


def _login_line(ready: Ready | None, fingerprint: str) -> str:
    """The line to paste; empty where no server runs, so that its address is not known."""
    from jobrun.config.listen import reachable_host

    if ready is None:
        return ""
    return f"jobrun login {reachable_host(ready.host)}:{ready.port} --fingerprint {fingerprint}"


def _say_how_to_go_on(login: str) -> None:
    say(f"clients that trust the old certificate stop until they log in with the new fingerprint{login and ':'}")
    if login:
        put(f"{login}\n")


def _put_certificate(fingerprint: str, login: str, ended: list[MachineToken]) -> None:
    from jobrun.cli.jsontext import dump, to_plain
    from jobrun.wire.convert_auth import machine_token_to_wire

    tokens = [to_plain(machine_token_to_wire(token)) for token in ended]
    put(dump({"fingerprint": fingerprint, "login": login, "ended_tokens": tokens}))


def _list_ended(tokens: list[MachineToken]) -> None:
    from jobrun.cli.render import time_text
    from jobrun.cli.table import put_table
    from jobrun.wire.times import timestamp

    if not tokens:
        return
    say("machine tokens end that were made with it: make others by jobrun token create")
    rows = [(token.id, token.name, token.user, time_text(timestamp(token.expires_ns))) for token in tokens]
    put_table(("TOKEN", "NAME", "USER", "EXPIRES"), rows)


OWNERS_COMMANDS = (
    Command(
        name="server passwd",
        summary="give a user another password: also admin's, if it was lost",
        words="USER",
        description="Asks for it twice at the terminal. Ends all sessions of that user; a running server acts at\n"
        "once. Where that one can not read its users, it asks again each minute, and ends after five.\n"
        "As the owner of the data folder, on the server's machine, whether the server runs or not.",
        options=(DATA, PASSWORD_STDIN),
        run=passwd,
        example="jobrun server passwd admin",
    ),
    Command(
        name="server new-cert",
        summary="make another certificate, and list the machine tokens that end by it",
        words="",
        description="Prints the new fingerprint, and where a server runs the line to log in by: it shows the new one\n"
        "to each new connection from then on. Clients that trusted the old one stop, until they log in with the new\n"
        "fingerprint. Not where the server's config names a certificate: a new one in the place of that is seen by\n"
        "itself.",
        options=(DATA, CONFIG, JSON),
        run=new_cert,
        example="jobrun server new-cert --data /var/lib/jobrun",
    ),
    Command(
        name="server health",
        summary="ask the server of a data folder whether it serves",
        words="",
        description="Prints SERVING, where, and the fingerprint of its certificate, which clients compare, and leaves\n"
        "with 0; else one line on stderr, and 1. As the data folder's owner.",
        options=(DATA, JSON),
        run=health,
        example="jobrun server health",
    ),
)
