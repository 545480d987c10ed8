"""Sessions: begun by a password, gone on with by refresh tokens, ended. The shape of both is in auth_service.proto."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac

from jobrun.auth.access_tokens import AccessTokens
from jobrun.auth.clock import IssuerClock
from jobrun.model.caller import ROLE_SCOPES, Scope
from jobrun.model.errors import InvalidRequest, LoginFailed, RefreshFailed
from jobrun.model.letters import random_letters
from jobrun.store.users import UserStore
from jobrun.store.users_rows import Account
from jobrun.store.users_writes import NewSession, Rotation, Turn


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lifetimes:
    """How long things last, in whole seconds; `config.server_settings` has what they are where nobody says."""

    access_token_s: int
    session_idle_s: int
    """From the last refresh."""
    session_s: int
    """From the login."""


@dataclasses.dataclass(frozen=True, repr=False, kw_only=True)
class Issued:
    """What a grant was traded for; its repr shows nothing."""

    access_token: str
    expires_in_s: int
    scopes: frozenset[Scope]
    session_id: str
    session_expires_ns: int
    repeated: bool = False
    """The answer that was lost, given again: nothing changed."""

    def __repr__(self) -> str:
        return "Issued(***)"


class RefreshReused(Exception):
    """Two hold the same refresh token: the session was ended. To the caller this is a failure like any other."""


def random_id(length: int) -> str:
    """Easy to read, and no secret."""
    return random_letters(length)


def sha256_in(field: str, data: bytes) -> bytes:
    """Raises InvalidRequest where it can not be one."""
    if len(data) != hashlib.sha256().digest_size:
        raise InvalidRequest(field, "must be a SHA-256 of 32 bytes")
    return data


class Sessions:
    """On record before they are told."""

    def __init__(self, store: UserStore, tokens: AccessTokens, clock: IssuerClock, lifetimes: Lifetimes) -> None:
        self._store, self._tokens, self._clock, self._lifetimes = store, tokens, clock, lifetimes

    async def begin(
        self, account: Account, scopes: frozenset[Scope], client_name: str, refresh_sha256: bytes | None
    ) -> Issued:
        """A new one of who has just shown the password of `account`. None: it ends with its access token.

        Raises LoginFailed where he has gone, is disabled or has another password since."""
        now_ns = self._clock.now_ns()
        lasts_s = self._lifetimes.access_token_s if refresh_sha256 is None else self._lifetimes.session_s
        idle_s = min(lasts_s, self._lifetimes.session_idle_s)
        new = NewSession(
            id=random_id(16),
            user=account.name,
            password_hash=account.password_hash,
            scopes=scopes,
            client_name=client_name,
            current=refresh_sha256,
            created_ns=now_ns,
            expires_ns=now_ns + idle_s * 10**9,
            ends_ns=now_ns + lasts_s * 10**9,
        )
        if not await self._store.begin_session(new):
            raise login_failed()
        return self._issued(new.id, login_failed())

    def knows(self, session_id: str, refresh_token: str) -> bool:
        """Whether this is the session's current one, or the one before it."""
        session, came = self._store.people.sessions.get(session_id), _sha256_of(refresh_token)
        held = (session.current, session.previous) if session else ()
        return any(known is not None and hmac.compare_digest(came, known) for known in held)

    async def go_on(self, session_id: str, refresh_token: str, following: bytes) -> Issued:
        """By its refresh token, where `following` is the SHA-256 of the next. Raises RefreshFailed, RefreshReused,
        InvalidRequest."""
        came = _sha256_of(refresh_token)
        session = self._store.people.sessions.get(session_id)
        if session is None:
            raise refresh_failed()
        if came == following:
            raise InvalidRequest(
                "refresh_token.next_refresh_token_sha256", "must be of another token than refresh_token"
            )
        turn = Turn(
            session=session_id,
            came=came,
            following=following,
            now_ns=self._clock.now_ns(),
            idle_ns=self._lifetimes.session_idle_s * 10**9,
        )
        outcome = await self._store.rotate(session.user, turn)
        if outcome is Rotation.REUSED:
            raise RefreshReused
        if outcome is Rotation.REFUSED:
            raise refresh_failed()
        issued = self._issued(session_id, refresh_failed())
        return dataclasses.replace(issued, repeated=outcome is Rotation.AGAIN)

    async def end(self, user: str, session_id: str) -> None:
        """One; nothing where it has ended."""
        await self._store.end_session(user, session_id)

    async def end_all(self, user: str) -> None:
        """All of a user."""
        await self._store.end_sessions(user)

    def _issued(self, session_id: str, otherwise: Exception) -> Issued:
        """`otherwise`: it was ended between the commit and now."""
        session = self._store.people.sessions.get(session_id)
        account = self._store.people.accounts.get(session.user) if session else None
        if session is None or account is None:
            raise otherwise
        scopes = session.scopes & ROLE_SCOPES[account.role]
        token, expires_in_s = self._tokens.issue(session, scopes)
        return Issued(
            access_token=token,
            expires_in_s=expires_in_s,
            scopes=scopes,
            session_id=session_id,
            session_expires_ns=session.expires_ns,
        )


def login_failed() -> LoginFailed:
    """One text for an unknown user, a wrong password and a disabled user."""
    return LoginFailed("wrong user or password")


def refresh_failed() -> RefreshFailed:
    """One text for all reasons."""
    return RefreshFailed("the session does not go on: log in again")


def _sha256_of(refresh_token: str) -> bytes:
    return hashlib.sha256(refresh_token.encode(errors="replace")).digest()
