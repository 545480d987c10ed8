"""What a server is told at its start: parsed by cli/server.py, used by daemon/serve.py."""

from __future__ import annotations

import dataclasses
from pathlib import Path

MINUTE_S, DAY_S = 60, 86_400
LISTEN = "127.0.0.1:50443"
"""Where a server listens that was not told."""
SLOTS_PER_CPU = 4
"""How many jobs of one slot run at a time, where nobody said it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Settings of one server, all decided: nothing in here is looked up again."""

    data: Path
    """Its data folder; exists, is ours alone (0700)."""
    listen: str
    """`HOST:PORT` to listen at, port 0 for a free one; empty: none, the socket alone."""
    private: bool
    """The private server of one user: no login, no isolation, ends when idle."""
    insecure: bool
    """Plaintext without login, on loopback."""
    socket: Path | None
    """Unix socket to listen at; its folder exists and is ours alone. None: none."""
    idle_s: float
    """Seconds without job and client after which it ends by itself; 0: never."""
    user_name: str
    """The user that every caller is, where there is no login."""
    slots: int | None
    """Slots for running jobs; None: no bound."""
    notify_socket: str
    """NOTIFY_SOCKET of sd_notify(3): where systemd is told READY=1; empty: nowhere."""
    version: str
    """The version of the program, as `jobrun version` prints it."""
    build: str
    """The hash of what is inside the file; "source" where it runs from a source tree."""
    certificate: Path | None = None
    """The operator's own, PEM, the server's own first; None: one that the server makes."""
    key: Path | None = None
    """Its key; None exactly where `certificate` is."""
    access_token_s: int = 10 * MINUTE_S
    """Seconds that an access token is good for."""
    session_idle_s: int = 14 * DAY_S
    """Seconds after its last refresh that a session ends."""
    session_lifetime_s: int = 90 * DAY_S
    """Seconds after its login that a session ends."""
    contained: bool = False
    """It is the first process of a container: its end is the end of every process there, so of all jobs."""

    @property
    def login(self) -> bool:
        """TLS, users and sessions: all servers but those that are private or insecure."""
        return not (self.private or self.insecure)
