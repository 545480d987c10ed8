"""A login as it goes with each call: its access token is replaced before it ends, by one process for all."""

from __future__ import annotations

import os
import threading
import time

import grpc

from jobrun.client.access import Metadata, bearer
from jobrun.client.errors import SessionOver, details_of, status_of
from jobrun.config.errors import LoginNeeded
from jobrun.config.logins import Logins
from jobrun.config.session_file import Session, this_moment

REFRESH_S = 20.0
"""Seconds for the answer to a refresh. Who waits for the login's lock waits as long."""
TOO_SOON_S = 5.0
"""A token that is refused earlier than this, or than half of its life, was no good from the beginning."""


class SessionAccess:
    """A login. Several threads, and all processes of this user, may share it."""

    def __init__(self, logins: Logins, address: str) -> None:
        self._logins, self._address = logins, address
        self._session = logins.session(address)
        self._lock = threading.Lock()
        self._refused = ""
        """An access token that the server does not take."""
        self._taken_at: float | None = None
        """When the server made the present token for this process, by time.monotonic; None: it was not made for it."""

    def metadata(self, channel: grpc.Channel) -> Metadata:
        """The access token; a new one where it is about to end, or was refused."""
        with self._lock:
            if not self._is_good(self._session):
                self._session = self._renewed(channel)
            return bearer(self._session.access_token)

    def reject(self, used: Metadata, error: grpc.RpcError) -> None:
        """The next metadata() asks for another token. Raises SessionOver where the refused one was just made."""
        with self._lock:
            if used != bearer(self._session.access_token):
                return  # another thread has a newer one already
            soon = min(TOO_SOON_S, self._session.access_life_ns / 2e9)
            if self._taken_at is not None and time.monotonic() - self._taken_at < soon:
                raise SessionOver(f"{self._address} takes no token of this login: {details_of(error)}") from error
            self._refused = self._session.access_token

    def _is_good(self, session: Session) -> bool:
        return session.access_token != self._refused and session.is_fresh(this_moment())

    def _renewed(self, channel: grpc.Channel) -> Session:
        """Under the lock: reads the file again, as another process may have been faster, and only then asks."""
        with self._logins.locked(self._address):
            found = self._logins.session(self._address)
            if found.user != self._session.user:
                raise LoginNeeded(f"{self._address}: now logged in as {found.user}, no longer as {self._session.user}")
            if self._is_good(found):
                self._taken_at = None
                return found
            if not found.next_refresh_token:
                found = found._replace(next_refresh_token=new_refresh_token())
                self._logins.save(self._address, found)  # before it is sent: a lost answer is asked for again
            self._taken_at = time.monotonic()
            renewed = self._refresh(channel, found)
            self._logins.save(self._address, renewed)
            return renewed

    def _refresh(self, channel: grpc.Channel, session: Session) -> Session:
        from jobrun.client.grants import refresh

        try:
            return refresh(channel, session, REFRESH_S)
        except grpc.RpcError as error:
            if status_of(error) is grpc.StatusCode.UNAUTHENTICATED:
                raise SessionOver(f"session ended: jobrun login {self._address}") from error
            raise


def new_refresh_token() -> str:
    """256 random bits, base64url without padding."""
    import base64

    return base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()
