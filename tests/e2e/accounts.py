"""The users of a server with login, each with a HOME of his own."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.client import BUILT, Result
from tests.e2e.home import Home
from tests.e2e.terminal import Terminal
from tests.e2e.tls_server import TlsServer


class Account(Home):
    """A HOME that logs in to one server as one user. Logins are throttled by user and address: one each will do."""

    def __init__(self, cache: Path, server: TlsServer, name: str, password: str) -> None:
        super().__init__(cache)
        self.root.chmod(0o711)  # the jobs are another user's, and must find their gates
        self.cache = cache
        self.server_address = server.address
        self.fingerprint = server.fingerprint
        self.name = name
        self.password = password
        self._terminals: list[Terminal] = []

    def log_in(self, *more: str, password: str | None = None) -> Result:
        """`login` with the right fingerprint; the password by stdin."""
        words = ["login", "--user", self.name, "--fingerprint", self.fingerprint, "--password-stdin", *more]
        typed = self.password if password is None else password
        return self.jobrun(*words, self.server_address, stdin=f"{typed}\n".encode())

    def terminal(self, *words: str | Path, env: dict[str, str | bytes | None] | None = None) -> Terminal:
        """Starts jobrun at a terminal."""
        terminal = Terminal([BUILT, *words], self.environment(env), self.work)
        self._terminals.append(terminal)
        return terminal

    def facts(self, *words: str | Path) -> list[dict[str, Any]]:
        """What a command prints with --json, one object a line."""
        out = self.jobrun(*words, "--json").passed().out
        return [json.loads(line) for line in out.splitlines()]

    @property
    def config(self) -> Path:
        """Its config home."""
        return Path(self.env["XDG_CONFIG_HOME"]) / "jobrun"

    @property
    def session_file(self) -> Path:
        """Where the session is kept."""
        return self.config / "sessions" / self.server_address

    def session(self) -> dict[str, str]:
        """What the session file holds, by name."""
        return dict(line.split(" ", 1) for line in self.session_file.read_text().splitlines())

    def forget_age(self) -> None:
        """The client does not know any more how old its access token is, as after a reboot: it must refresh."""
        self._rewrite("access_boot", "another")

    def age(self) -> None:
        """The client's access token is as old as the machine's last boot."""
        self._rewrite("access_since_ns", "0")

    def _rewrite(self, name: str, value: str) -> None:
        lines = self.session_file.read_text().splitlines()
        rewritten = [f"{name} {value}" if line.startswith(f"{name} ") else line for line in lines]
        self.session_file.write_text("\n".join(rewritten) + "\n")

    def close(self) -> None:
        """As Home.close."""
        for terminal in self._terminals:
            terminal.close()
        super().close()


class Accounts:
    """All users of a server. The first one is the admin that the server made."""

    def __init__(self, cache: Path, server: TlsServer) -> None:
        self.cache = cache
        self.server = server
        self._homes: list[Account] = []
        self._names = (f"user{n}" for n in itertools.count(1))
        self.admin = self.another_home("admin", server.admin_password)
        self.admin.log_in().passed()

    def add(self, *options: str, name: str | None = None) -> Account:
        """A new user, logged in. `options` are those of `user add`."""
        account = self.add_only(*options, name=name)
        account.log_in().passed()
        return account

    def add_only(self, *options: str, name: str | None = None) -> Account:
        """A new user, not logged in."""
        account = self.another_home(name or next(self._names), "correct horse battery")
        words = ["user", "add", *options, "--password-stdin"]
        self.admin.jobrun(*words, account.name, stdin=f"{account.password}\n".encode()).passed()
        return account

    def another_home(self, name: str, password: str) -> Account:
        """A HOME of a user, not logged in."""
        account = Account(self.cache, self.server, name, password)
        self._homes.append(account)
        return account

    def audit(self, **wanted: str) -> list[dict[str, Any]]:
        """What is on record, oldest first: the events with these values."""
        user = ["--user", wanted["username"]] if "username" in wanted else []
        events = self.admin.facts("audit", "show", "-n", "1000", *user)
        return [event for event in events if all(event[key] == value for key, value in wanted.items())]

    def close(self) -> None:
        """Ends everything of these homes; the server stays."""
        for home in self._homes:
            home.close()


@contextlib.contextmanager
def accounts_of(cache: Path, server: TlsServer) -> Iterator[Accounts]:
    """The users of a server, taken down at the end."""
    accounts = Accounts(cache, server)
    try:
        yield accounts
    finally:
        accounts.close()
