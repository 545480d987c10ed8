"""The logins of one config home: which server is current, how servers prove themselves, and a session for each.

known-servers       a line a server
current             HOST:PORT; empty after a logout; not there: never a login here
sessions/HOST:PORT  the login, 0600; with .lock: its lock
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from jobrun.config.client_files import FileRefused, locked, read_file, write_file
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.config.known_servers import KnownServer, find_server, last_address, with_server
from jobrun.config.paths import check_private_folder, config_home, make_private_folder
from jobrun.config.session_file import Session, parse_session

OTHERWISE = "set JOBRUN_CONFIG_DIR"
"""Where this place can not be used."""


class Logins:
    """What lies in `home`, which need not be there."""

    def __init__(self, home: str) -> None:
        self._home = home
        self._known = os.path.join(home, "known-servers")
        self._current = os.path.join(home, "current")
        self._sessions = os.path.join(home, "sessions")

    def current(self) -> str | None:
        """`HOST:PORT` of the current login; empty after a logout, None where there never was one. Raises Refusal."""
        if not os.path.lexists(self._home):
            return None
        check_private_folder(self._home, OTHERWISE)
        try:
            content = read_file(self._current)
        except FileRefused as error:
            raise LoginNeeded(f"{error}, or log in again: jobrun login HOST") from error
        if content is None and self._has_sessions():
            raise LoginNeeded(f"{self._current} is gone: log in again by jobrun login HOST, or say --local")
        return None if content is None else content.strip()

    def _has_sessions(self) -> bool:
        """Other than what a login that was killed left of a file."""
        try:
            return any(not name.endswith(".lock") and name[0] != "." for name in os.listdir(self._sessions))
        except FileNotFoundError:
            return False
        except OSError as error:
            raise LoginNeeded(f"{self._sessions}: {error.strerror}: mend that, or say --local") from error

    def last(self) -> str | None:
        """`HOST:PORT` of the server that was logged in to last."""
        return last_address(read_file(self._known) or "")

    def set_current(self, address: str) -> None:
        """Makes a server the current one; empty: none. Raises Refusal."""
        make_private_folder(self._home, OTHERWISE)
        write_file(self._current, address and f"{address}\n")

    def known(self, address: str) -> KnownServer | None:
        """How the server proves itself, None where it is not known. Raises Refusal."""
        return find_server(read_file(self._known) or "", address)

    def remember(self, server: KnownServer) -> None:
        """Puts how a server proves itself on record. Raises Refusal."""
        make_private_folder(self._home, OTHERWISE)
        with locked(self._known + ".lock"):
            write_file(self._known, with_server(read_file(self._known) or "", server))

    def session(self, address: str) -> Session:
        """The login at a server. Raises LoginNeeded, which says what to type."""
        path = self._session_path(address)
        login = f"jobrun login {address}"
        try:
            content = read_file(path)
        except FileRefused as error:
            raise LoginNeeded(f"{error}, or log in again: {login}") from error
        if content is None:
            raise LoginNeeded(f"no login at {address}: {login}")
        session = parse_session(content)
        if session is None:
            raise LoginNeeded(f"{path} is damaged: log in again: {login}")
        return session

    def last_session(self, address: str) -> Session | None:
        """The login there, None where there is none that can be read."""
        try:
            return self.session(address)
        except LoginNeeded:
            return None

    def save(self, address: str, session: Session) -> None:
        """Writes a login. Raises Refusal."""
        write_file(self._session_path(address), session.text())

    def forget(self, address: str) -> None:
        """Removes a login, under its lock; the server is no longer the current one. Raises Refusal."""
        try:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._session_path(address))
        except OSError as error:
            raise Refusal(f"{self._session_path(address)}: cannot be removed: {error.strerror}") from error
        if self.current() == address:
            self.set_current("")

    @contextlib.contextmanager
    def locked(self, address: str) -> Iterator[None]:
        """Holds the login's lock: only then it is refreshed or replaced."""
        make_private_folder(self._home, OTHERWISE)
        make_private_folder(self._sessions, OTHERWISE)
        with locked(self._session_path(address) + ".lock"):
            yield

    def _session_path(self, address: str) -> str:
        return os.path.join(self._sessions, address)


def open_logins(environment: Environment) -> Logins:
    """The logins of this environment's config home; nothing is made or read yet."""
    return Logins(config_home(environment))
