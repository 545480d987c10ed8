"""What a session may do with machine tokens."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from collections.abc import Mapping
from typing import Final

from jobrun.auth import scopes as scope_words
from jobrun.auth.audit import target_with
from jobrun.auth.clock import IssuerClock
from jobrun.auth.desk import Desk
from jobrun.auth.last_used import LastUsed
from jobrun.auth.machine_door import PREFIX
from jobrun.auth.sessions import random_id
from jobrun.model.caller import NO_CEILINGS, Caller, Role, Scope
from jobrun.model.ceilings import check_within
from jobrun.model.errors import InvalidRequest, JobrunError, MachineTokenNotFound
from jobrun.model.user import TOKEN_NAME_TEXT, MachineToken, is_token_name, scope_text
from jobrun.store.users_rows import StoredToken

ID_LENGTH: Final = 10
DEFAULT_S: Final = 90 * 86_400
MOST_S: Final = 366 * 86_400


class MachineTokens:
    """The two that change something may raise StorageFull."""

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

        Raises InvalidRequest (name, scope, expires_in; ceilings above the caller's own), ScopeMissing,
        MachineTokenExists, TooMany."""
        if not is_token_name(name):
            raise InvalidRequest("name", f"must be {TOKEN_NAME_TEXT}")
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

    def list(
        self, caller: Caller, *, all_users: bool, page: int, before_ns: int | None = None
    ) -> tuple[list[MachineToken], int | None]:
        """A page of those that hold, newest first: of the caller's own, or of all; `before_ns`: made before. And where
        the next page begins; None: nowhere. Raises ScopeMissing."""
        if all_users:
            scope_words.check_has(caller.scopes, frozenset({Scope.ADMIN}))
        now_ns = self._clock.now_ns()
        holding = [
            self._told(one.token)
            for one in self._people.tokens.values()
            if (all_users or one.token.user == caller.user) and _holds(one, now_ns)
            if before_ns is None or one.token.created_ns < before_ns
        ]
        holding.sort(key=lambda token: (token.created_ns, token.id), reverse=True)
        return _page_of(holding, page)

    async def revoke(self, caller: Caller, token: str) -> MachineToken:
        """Ends one by its id, or by its name among the caller's own; an admin anybody's by its id.

        Raises MachineTokenNotFound."""
        return await self._desk.kept.run(self._revoke(caller, token))

    async def _create(self, caller: Caller, token: MachineToken) -> str:
        secret = secrets.token_urlsafe(32)
        scopes = scope_text(token.scopes).replace(" ", ",")
        given = {"name": token.name, "scope": scopes, "all_jobs": token.all_jobs, **token.ceilings}
        try:
            scope_words.check_has(caller.scopes, token.scopes)
            check_within(token.ceilings, caller.ceilings, "ceilings")
            await self._desk.store.add_token(token, hashlib.sha256(secret.encode()).digest())
        except JobrunError as error:
            self._desk.audit.note(caller, "", "token.create", target_with("", given), error.reason)
            raise
        self._desk.audit.note(caller, "", "token.create", target_with(token.id, given))
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
        return self._told(token)

    def _told(self, token: MachineToken) -> MachineToken:
        return dataclasses.replace(token, last_used_ns=self._used.of(token))

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


def _page_of(holding: list[MachineToken], page: int) -> tuple[list[MachineToken], int | None]:
    """Those of one moment stay together."""
    if len(holding) <= page:
        return holding, None
    last_ns = holding[page - 1].created_ns
    found = [token for token in holding if token.created_ns >= last_ns]
    return found, last_ns if len(found) < len(holding) else None


def _holds(one: StoredToken, now_ns: int) -> bool:
    return not one.ended and one.token.expires_ns > now_ns


def _usual(role: Role) -> frozenset[Scope]:
    return frozenset({Scope.JOBS_READ if role is Role.VIEWER else Scope.JOBS_RUN})
