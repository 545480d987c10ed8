"""`server`: parses its options; the daemon does the rest."""

from __future__ import annotations

import os
import signal

from jobrun.cli.command import Command
from jobrun.cli.options import Option, Parsed
from jobrun.cli.words import no_words
from jobrun.config.environment import Environment
from jobrun.config.errors import NotBuilt, Refusal
from jobrun.config.numbers import parse_count, parse_duration
from jobrun.config.paths import make_private_folder, private_build, private_place, server_data
from jobrun.config.server_settings import ServerSettings
from jobrun.config.target import parse_loopback

LISTEN = "127.0.0.1:50443"
IDLE_S = 90.0
"""After this long without job and client a private server ends (CONTRACT 1: a minute or more)."""
SLOTS_PER_CPU = 4
"""CONTRACT 3, queue."""
LATER = ("passwd", "new-cert", "backup", "reindex", "unit", "health")
"""Words behind `server` that the contract has."""
LEVELS = ("strong", "medium", "partial", "none")


def server(parsed: Parsed, environment: Environment) -> int:
    """Runs a server until it is told to end."""
    if parsed.words and parsed.words[0] in LATER:
        raise NotBuilt(f"server {parsed.words[0]}")
    no_words(parsed)
    settings = build_settings(parsed, environment)
    os.umask(0o077)
    if settings.private:
        forget_signals()
    from jobrun.daemon import serve

    return serve(settings)


def forget_signals() -> None:
    """Mask and dispositions as a fresh login has them: a client blocks signals, and its caller may ignore some."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def build_settings(parsed: Parsed, environment: Environment) -> ServerSettings:
    """All that the daemon needs to know. Makes the data folder. Raises Refusal."""
    from pathlib import Path

    from jobrun.version import BUILD, VERSION

    private = parsed.flag("--private")
    listen = "" if private else _listen(parsed)
    told = parsed.given("--data") and parsed.given("--socket")  # by the client, whose environment this process has not
    place = private_place(environment, private_build(VERSION, BUILD)) if private and not told else None
    named = parsed.text("--data") or (place.data if place else server_data(environment))
    data = make_private_folder(os.path.abspath(named))
    socket = parsed.text("--socket") or (place.socket if place else None)
    return ServerSettings(
        data=Path(data),
        listen=listen,
        private=private,
        insecure=parsed.flag("--insecure"),
        socket=None if socket is None else Path(socket),
        idle_s=_idle_s(parsed, private=private),
        user_name=_user_name(),
        slots=parsed.number("--slots") or (None if private else SLOTS_PER_CPU * (os.cpu_count() or 1)),
        notify_socket=environment.get("NOTIFY_SOCKET") or "",
        version=VERSION,
        build=BUILD or "source",
    )


def _listen(parsed: Parsed) -> str:
    """Where to listen; only plaintext on loopback, and not for root, in this version."""
    if parsed.given("--config"):
        raise NotBuilt("--config")
    level = parsed.text("--isolation") or "none"
    if level not in LEVELS:
        raise parsed.usage_error(f"--isolation: {level} is none of {' '.join(LEVELS)}")
    if level != "none":
        raise NotBuilt(f"--isolation {level}")
    if not parsed.flag("--insecure"):
        raise NotBuilt("a server with TLS and login: --insecure is the only one")
    if os.geteuid() == 0:
        raise Refusal("server: --insecure is refused for root: every local user would be root: use another user")
    host, port = parse_loopback(parsed.text("--listen") or LISTEN, "server: --insecure: --listen", least_port=0)
    return f"{host}:{port}"


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
        description="Prints one ready line once it serves, then events. In this version only --insecure servers:\n"
        "plaintext without login, on loopback, so that every local user gets this user's rights.",
        options=(
            Option("--listen", f"where to listen ({LISTEN}); port 0 takes a free one", "HOST:PORT"),
            Option(
                "--data",
                "its data folder (JOBRUN_DATA_DIR; /var/lib/jobrun for root; else of XDG)",
                "DIR",
            ),
            Option("--config", "a file of settings (not in this version)", "FILE"),
            Option("--insecure", "plaintext without login, on loopback, never for root"),
            Option("--isolation", "the least isolation of jobs: none (others are not in this version)", "LEVEL"),
            Option("--slots", "how many jobs of one slot run at a time (four a CPU)", "N", parse_count),
            Option("--private", "be the private server of this user: what a client starts"),
            Option("--socket", "listen at this unix socket (private server)", "PATH"),
            Option("--idle", "end after this long without job and client (private server: 90s)", "DUR", parse_duration),
        ),
        run=server,
        example="jobrun server --insecure --listen 127.0.0.1:0 --data ./data",
    ),
)
