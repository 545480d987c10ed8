"""Machine tokens: made, listed, ended, recognised."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final

from jobrun.auth import scopes as scope_words
from jobrun.auth.access_tokens import invalid
from jobrun.auth.clock import IssuerClock
from jobrun.auth.login import Desk
from jobrun.auth.sessions import random_id
from jobrun.model.caller import NO_CEILINGS, Caller, Role, Scope
from jobrun.model.errors import (
    InvalidRequest,
    JobrunError,
    MachineTokenNotFound,
    SessionEnded,
    TokenExpired,
)
from jobrun.model.user import MachineToken
from jobrun.store.users_memory import People
from jobrun.store.users_rows import StoredToken

PREFIX: Final = "jrt1."
"""How one begins behind `Bearer `, as no JWT does; then its id, a dot and its secret."""
ID_LENGTH: Final = 10
DEFAULT_S: Final = 90 * 86_400
MOST_S: Final = 366 * 86_400
MOST_NAME: Final = 64
HOUR_NS: Final = 3600 * 10**9


class LastUsed:
    """When machine tokens were used, to the hour, until it is written down: at most one entry a token."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def note(self, token: MachineToken, now_ns: int) -> None:
        """It is used now."""
        hour_ns = now_ns - now_ns % HOUR_NS
        if token.last_used_ns < hour_ns:
            self._used[token.id] = hour_ns

    def of(self, token: MachineToken) -> int:
        """0: never."""
        return max(token.last_used_ns, self._used.get(token.id, 0))

    def take(self) -> Mapping[str, int]:
        """What is to be written down; it is forgotten here."""
        used, self._used = self._used, {}
        return used

    def put_back(self, used: Mapping[str, int]) -> None:
        """It could not be written down."""
        self._used = {**used, **self._used}


class MachineTokenDoor:
    """Recognises those that come with calls."""

    def __init__(self, people: People, clock: IssuerClock, used: LastUsed) -> None:
        self._people, self._clock, self._used = people, clock, used

    def knows(self, text: str) -> bool:
        """Whether this means to be one."""
        return text.startswith(PREFIX)

    def recognise(self, text: str) -> StoredToken:
        """Whose came. Raises TokenInvalid, TokenExpired, SessionEnded."""
        token_id, _, secret = text.removeprefix(PREFIX).partition(".")
        found = self._people.tokens.get(token_id)
        given = hashlib.sha256(secret.encode(errors="replace")).digest()
        if found is None or not hmac.compare_digest(given, found.secret):
            raise invalid()
        now_ns = self._clock.now_ns()
        if now_ns >= found.token.expires_ns:
            raise TokenExpired("the token has expired: make another by jobrun token create")
        if found.ended:
            raise SessionEnded("the token was revoked: make another by jobrun token create")
        self._used.note(found.token, now_ns)
        return found


class MachineTokens:
    """What a session may do with machine tokens; the two that change something may raise StorageFull."""

    def __init__(self, desk: Desk, clock: IssuerClock, used: LastUsed) -> None:
        self._desk, self._clock, self._used = desk, clock, used
        self._people = desk.store.people

    async def create(
        self,
        caller: Caller,
        *,
        name: str,
        scope: str,
        expires_in_s: int,
        all_jobs: bool,
        ceilings: Mapping[str, int] = NO_CEILINGS,
    ) -> tuple[MachineToken, str]:
        """The token, and what goes behind "Bearer ", which is nowhere else.

        Raises InvalidRequest (name, scope, expires_in), ScopeMissing, MachineTokenExists, TooMany."""
        if not 0 < len(name) <= MOST_NAME or not name.isprintable():
            raise InvalidRequest("name", f"must be 1 to {MOST_NAME} printable characters")
        if expires_in_s > MOST_S:
            raise InvalidRequest("expires_in", f"may be {MOST_S} seconds, which are 366 days")
        now_ns = self._clock.now_ns()
        token = MachineToken(
            id=random_id(ID_LENGTH),
            name=name,
            user=caller.user,
            scopes=scope_words.asked(scope) if scope.split() else _usual(caller.role),
            all_jobs=all_jobs,
            created_ns=now_ns,
            expires_ns=now_ns + (expires_in_s or DEFAULT_S) * 10**9,
            ceilings=ceilings,
        )
        return token, await self._desk.kept.run(self._create(caller, token))

    def list(self, caller: Caller, *, all_users: bool) -> list[MachineToken]:
        """Those that hold, newest first: the caller's own, or all. Raises ScopeMissing."""
        if all_users:
            scope_words.check_has(caller.scopes, frozenset({Scope.ADMIN}))
        now_ns = self._clock.now_ns()
        holding = [
            dataclasses.replace(one.token, last_used_ns=self._used.of(one.token))
            for one in self._people.tokens.values()
            if (all_users or one.token.user == caller.user) and _holds(one, now_ns)
        ]
        return sorted(holding, key=lambda token: (token.created_ns, token.id), reverse=True)

    async def revoke(self, caller: Caller, token: str) -> MachineToken:
        """Ends one by its id, or by its name among the caller's own; an admin anybody's by its id.

        Raises MachineTokenNotFound."""
        return await self._desk.kept.run(self._revoke(caller, token))

    async def _create(self, caller: Caller, token: MachineToken) -> str:
        secret = secrets.token_urlsafe(32)
        try:
            scope_words.check_has(caller.scopes, token.scopes)
            await self._desk.store.add_token(token, hashlib.sha256(secret.encode()).digest())
        except JobrunError as error:
            self._desk.audit.note(caller, "", "token.create", "", error.reason)
            raise
        self._desk.audit.note(caller, "", "token.create", token.id)
        return f"{PREFIX}{token.id}.{secret}"

    async def _revoke(self, caller: Caller, text: str) -> MachineToken:
        try:
            token = self._meant(caller, text)
            if not await self._desk.store.end_token(token.id, token.user, self._clock.now_ns()):
                raise MachineTokenNotFound
        except JobrunError as error:
            self._desk.audit.note_often(caller, "", "token.revoke", "", error.reason)  # `text` may be a secret
            raise
        self._desk.audit.note(caller, "", "token.revoke", token.id)
        return token

    def _meant(self, caller: Caller, text: str) -> MachineToken:
        now_ns = self._clock.now_ns()
        found = self._people.tokens.get(text)
        if found and _holds(found, now_ns) and (found.token.user == caller.user or Scope.ADMIN in caller.scopes):
            return found.token
        account = self._people.accounts.get(caller.user)
        for one in account.tokens.values() if account else ():
            if one.token.name == text and _holds(one, now_ns):
                return one.token
        raise MachineTokenNotFound


def _holds(one: StoredToken, now_ns: int) -> bool:
    return not one.ended and one.token.expires_ns > now_ns


def _usual(role: Role) -> frozenset[Scope]:
    return frozenset({Scope.JOBS_READ if role is Role.VIEWER else Scope.JOBS_RUN})
