"""What a server says once it serves."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

from jobrun.config.listen import reachable_host
from jobrun.config.server_settings import ServerSettings
from jobrun.files.ready_file import Ready, ReadyFile
from jobrun.model.shown import escape

if TYPE_CHECKING:
    from jobrun.api.login import Login


def say_ready(settings: ServerSettings, ready: Ready | None, file: ReadyFile, login: Login | None) -> None:
    """Tells whoever started the server, systemd, and who looks for it by the data folder."""
    if settings.insecure:
        sys.stderr.write("jobrun: --insecure: every user of this machine gets the rights of this one\n")
    if ready is not None:
        file.write(ready)
        if login is not None:
            sys.stderr.write(_words_of_login(settings, ready, login))
    places = ([f"ready unix:{settings.socket}"] if settings.socket else []) + ([ready.line()] if ready else [])
    sys.stdout.write(f"{places[0]}\n")
    sys.stdout.flush()
    if settings.notify_socket:
        _notify(settings.notify_socket, b"READY=1")


def _words_of_login(settings: ServerSettings, ready: Ready, login: Login) -> str:
    """What an operator has to know; until the first password was changed also how to log in, as a line to paste: a
    first start may have failed, as for a port in use."""
    name = settings.user_name
    isolation = f"jobrun: jobs have this server's own rights (user {name}): isolation is not in this version\n"
    if not login.auth.password_file.exists():
        return isolation
    words = f"--user admin --fingerprint {ready.fingerprint} {reachable_host(ready.host)}:{ready.port}"
    password = f"jobrun: the first password of admin is in {escape(str(login.auth.password_file))}"
    return f"{isolation}{password}; log in by:\njobrun login {words}\n"


def _notify(address: str, message: bytes) -> None:
    """As sd_notify(3): `@` begins an abstract name."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        notify.connect("\0" + address[1:] if address.startswith("@") else address)
        notify.send(message)
