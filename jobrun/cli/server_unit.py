"""`server unit`: a systemd unit for this file, printed."""

from __future__ import annotations

import os
import pwd
import re
import sys

from jobrun.cli.command import Command
from jobrun.cli.options import Option, Parsed
from jobrun.cli.output import put, say
from jobrun.cli.server_owner import CONFIG, DATA, read_config
from jobrun.cli.words import no_words
from jobrun.config.environment import Environment
from jobrun.config.errors import Refusal
from jobrun.config.listen import parse_listen
from jobrun.config.paths import server_data

UNIT = """\
[Unit]
Description=jobrun server
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
User={user}
ExecStart={command}
# Looks at users and certificate again.
ExecReload=/bin/kill -HUP $MAINPID
Restart=on-failure
RestartSec=5s
# Usage, such as a mistake in the config: another start would not help.
RestartPreventExitStatus=2

# Jobs go on when the server stops or restarts, so nothing here may be taken from them at its end, as PrivateTmp=
# would. To end them too: systemctl stop, then systemctl kill --signal=SIGKILL.
KillMode=process
# One job out of memory is no reason to end the server.
OOMPolicy=continue
# Jobs have limits of their own.
TasksMax=infinity
# Jobs get the first number; the server takes the second.
LimitNOFILE=1024:524288
# Jobs get no rights that this user has not: neither sudo nor rootless containers. Remove it where they must.
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""
"""systemd.service(5), systemd.exec(5), systemd.kill(5)."""


def unit(parsed: Parsed, environment: Environment) -> int:
    """Prints the unit of a server with these options, to run as this user. Raises Refusal."""
    no_words(parsed)
    listen, config, data = parsed.filled(LISTEN_AT.key), parsed.filled(CONFIG.key), parsed.filled(DATA.key)
    read_config(parsed)
    folder = os.path.abspath(data or server_data(environment))
    _refuse_others(parsed, folder)
    program = os.path.abspath(sys.argv[0])
    if not program.isprintable() or any(character in program for character in "\"'\\"):
        raise Refusal(f"{parsed.command}: systemd starts nothing of the name {program}: copy it to a plainer path")
    words = [program, "server", "--data", folder]
    if listen is not None:
        words += ["--listen", parse_listen(listen, f"{parsed.command}: {LISTEN_AT.key}")]
    if config is not None:
        words += ["--config", os.path.abspath(config)]
    if os.geteuid() == 0:
        say("every job of this server would be root's: run this as the user that jobs shall have")
    put(UNIT.format(user=_user(), command=_command_line(words)))
    return 0


def _command_line(words: list[str]) -> str:
    """ExecStart= that runs these very words: systemd.service(5), "Command lines". In the first `$` is not special."""
    program, *rest = map(_quoted, words)
    return " ".join([program, *(word.replace("$", "$$") for word in rest)])


def _quoted(word: str) -> str:
    """As systemd.syntax(7), "Quoting", and systemd.unit(5), "Specifiers"."""
    word = word.replace("%", "%%")
    if re.fullmatch(r"[A-Za-z0-9%$/.,:=@_+\[\]-]+", word):
        return word
    return '"' + "".join(map(_escaped, os.fsencode(word))) + '"'


def _escaped(byte: int) -> str:
    if byte in b'"\\':
        return "\\" + chr(byte)
    return chr(byte) if 0x20 <= byte <= 0x7E else f"\\x{byte:02x}"


def _refuse_others(parsed: Parsed, folder: str) -> None:
    """A folder that is not there yet is made by the server; another user's it would refuse."""
    try:
        owner = os.lstat(folder).st_uid
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refusal(f"{parsed.command}: {folder}: {error.strerror}: name another one by {DATA.key}") from error
    if owner != os.geteuid():
        raise Refusal(f"{parsed.command}: {folder} belongs to another user (uid {owner}): do this as that user")


def _user() -> str:
    """As User= takes it: the name, or the number of a user without one."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


LISTEN_AT = Option("--listen", "where it shall listen, if not as the server does by itself", "HOST:PORT")
SERVER_UNIT = Command(
    name="server unit",
    summary="print a systemd unit for a server that runs as this user",
    words="",
    description="The unit starts this very file, with these options, on this data folder. Jobs go on when it is\n"
    "stopped or restarted. Put it where systemd looks, such as /etc/systemd/system/jobrun.service.",
    options=(LISTEN_AT, DATA, CONFIG),
    run=unit,
    example="jobrun server unit --listen 0.0.0.0:50443",
)
