"""`server`: parses its options; the daemon does the rest."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from jobrun.cli.command import Command, no_such_command
from jobrun.cli.options import FILES, Option, Parsed, choice
from jobrun.cli.server_owner import ANOTHER, CONFIG, DATA, OWNERS_COMMANDS, read_config
from jobrun.cli.server_unit import SERVER_UNIT
from jobrun.config.environment import Environment
from jobrun.config.errors import NotBuilt, Refusal
from jobrun.config.numbers import parse_count, parse_duration
from jobrun.config.own_limits import require_memory, require_open_files
from jobrun.config.paths import make_place, make_private_folder, private_build, private_place, server_data
from jobrun.config.server_keys import keys_in_words
from jobrun.config.server_settings import LISTEN, SLOTS_PER_CPU, ServerSettings
from jobrun.config.target import parse_loopback

if TYPE_CHECKING:
    from jobrun.config.server_file import ServerFile

IDLE_S = 90.0
"""After this long without job and client a private server ends: a minute or more."""
LATER = ("backup", "reindex")
BELOW = (*OWNERS_COMMANDS, SERVER_UNIT)
"""Words behind `server` that the contract has."""
LEVELS = ("strong", "medium", "partial", "none")


def server(parsed: Parsed, environment: Environment) -> int:
    """Runs a server until it is told to end."""
    if parsed.words and parsed.words[0] in LATER:
        raise NotBuilt(f"server {parsed.words[0]}")
    if parsed.words:
        raise no_such_command("server", parsed.words[0], BELOW)
    require_open_files()
    require_memory()
    settings = build_settings(parsed, environment)
    os.umask(0o077)
    if settings.private:
        forget_signals()
    if settings.contained:
        from jobrun.init import become_init

        become_init()
    from jobrun.daemon.serve import serve

    return serve(settings)


def forget_signals() -> None:
    """Mask and dispositions as a fresh login has them: a client blocks signals, and its caller may ignore some."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def build_settings(parsed: Parsed, environment: Environment) -> ServerSettings:
    """All that the daemon needs to know. Makes the data folder. Raises Refusal."""
    from pathlib import Path

    from jobrun.files.data_folder import DataFolder
    from jobrun.version import BUILD, VERSION

    private, insecure = parsed.flag("--private"), parsed.flag("--insecure")
    _check_level(parsed)
    config = read_config(parsed)
    listen = _listen(parsed, config)
    told = parsed.given("--data") and parsed.given("--socket")  # by the client, whose environment this process has not
    place = make_place(private_place(environment, private_build(VERSION, BUILD))) if private and not told else None
    named = parsed.filled("--data") or (place.data if place else server_data(environment))
    data = make_private_folder(os.path.abspath(named), ANOTHER)
    if (private or insecure) and os.path.lexists(DataFolder(Path(data)).users):
        option = "--private" if private else "--insecure"
        raise Refusal(f"server: {option}: {data} belongs to a server with login: name another folder by --data")
    socket = parsed.text("--socket") or (place.socket if place else None)
    slots = parsed.number("--slots") or config.slots
    return ServerSettings(
        data=Path(data),
        listen=listen,
        private=private,
        insecure=insecure,
        socket=None if socket is None else Path(socket),
        idle_s=_idle_s(parsed, private=private),
        user_name=_user_name(),
        slots=slots or (None if private else SLOTS_PER_CPU * (os.cpu_count() or 1)),
        notify_socket=environment.get("NOTIFY_SOCKET") or "",
        version=VERSION,
        build=BUILD or "source",
        certificate=config.certificate,
        key=config.key,
        contained=os.getpid() == 1,
        **_lifetimes(config),
    )


def _check_level(parsed: Parsed) -> None:
    level = parsed.text("--isolation") or "none"
    if level != "none":
        raise NotBuilt(f"--isolation {level}")


def _listen(parsed: Parsed, config: ServerFile) -> str:
    """Where to listen: plaintext on loopback alone, and not for root; empty for the private server."""
    if parsed.flag("--private"):
        if parsed.given("--config") or parsed.flag("--insecure") or parsed.given("--listen"):
            raise parsed.usage_error("--private has a socket alone: no --listen, --insecure or --config with it")
        return ""
    given = parsed.text("--listen")
    source = "server: --listen" if given is not None else f"server: --config {parsed.text('--config')}: [server] listen"
    address = given if given is not None else config.listen or LISTEN
    if not parsed.flag("--insecure"):
        from jobrun.config.listen import parse_listen

        return parse_listen(address, source)
    if os.geteuid() == 0:
        raise Refusal("server: --insecure is refused for root: every local user would be root: use another user")
    if config.certificate is not None:
        raise parsed.usage_error("--insecure has no TLS, and the config names a certificate: leave one of them out")
    host, port = parse_loopback(address, f"server: --insecure{source.removeprefix('server')}", least_port=0)
    return f"{host}:{port}"


def _lifetimes(config: ServerFile) -> dict[str, int]:
    """In seconds, rounded up, those that the config gives."""
    given = {
        "access_token_s": config.access_token_lifetime_ns,
        "session_idle_s": config.session_idle_ns,
        "session_lifetime_s": config.session_lifetime_ns,
    }
    return {name: -(-value // 10**9) for name, value in given.items() if value is not None}


def _idle_s(parsed: Parsed, *, private: bool) -> float:
    asked = parsed.number("--idle")
    return asked / 1e9 if asked is not None else IDLE_S if private else 0.0


def _user_name() -> str:
    """The name of this process's user; `uid-N` where the password database has none."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid-{os.geteuid()}"


COMMANDS = (
    Command(
        name="server",
        summary="run a server in the foreground",
        words="",
        description="Prints one ready line once it serves, then events. TLS and login are always on, unless\n"
        "--insecure. The first start makes a certificate and the user admin, whose password lies in the\n"
        "data folder, and prints the line to log in by. SIGHUP: look at users and certificate again.\n"
        "Later: server " + ", ".join(LATER) + " (not in this version).\n\n"
        "The file of --config is INI, and each line of it may be left out: " + keys_in_words() + ".",
        options=(
            Option("--listen", f"where to listen ({LISTEN}); port 0 takes a free one", "HOST:PORT"),
            DATA,
            CONFIG,
            Option("--insecure", "plaintext without login, on loopback, never for root"),
            choice("--isolation", "the least isolation of jobs: none (others are not in this version)", LEVELS),
            Option("--slots", "how many jobs of one slot run at a time (four a CPU)", "N", parse_count),
            Option("--private", "be the private server of this user: what a client starts"),
            Option("--socket", "listen at this unix socket (private server)", "PATH", takes=FILES),
            Option("--idle", "end after this long without job and client (private server: 90s)", "DUR", parse_duration),
        ),
        run=server,
        example="jobrun server --listen 0.0.0.0:50443",
        below=BELOW,
    ),
)
