"""Logging in and out, going on with a session, another password."""

from __future__ import annotations

from typing import Final

from jobrun.auth import scopes as scope_words
from jobrun.auth.desk import Desk
from jobrun.auth.passwords import checked, normalised
from jobrun.auth.sessions import Issued, RefreshReused, Sessions, login_failed, refresh_failed, sha256_in
from jobrun.auth.throttle import Throttle
from jobrun.model.caller import ROLE_SCOPES, Caller, Scope
from jobrun.model.errors import InvalidRequest, JobrunError, LoginFailed, LoginThrottled, RefreshFailed, ScopeMissing
from jobrun.model.user import is_user_name, scope_text
from jobrun.store.users_rows import Account

MOST_CLIENT_NAME: Final = 64
"""Characters."""


class Logins:
    """All that a password or a refresh token can do."""

    def __init__(self, desk: Desk, sessions: Sessions, throttle: Throttle) -> None:
        self._desk, self._sessions, self._throttle = desk, sessions, throttle

    async def password(
        self, *, username: str, password: str, refresh_sha256: bytes, scope: str, client_name: str, address: str
    ) -> Issued:
        """A new session. `refresh_sha256`: of its first refresh token; empty: it ends with its access token.

        Raises LoginFailed, LoginThrottled, ScopeMissing, InvalidRequest, StorageFull."""
        scopes = scope_words.asked(scope)
        current = sha256_in("password.refresh_token_sha256", refresh_sha256) if refresh_sha256 else None
        if len(client_name) > MOST_CLIENT_NAME:
            raise InvalidRequest("client_name", f"may have {MOST_CLIENT_NAME} characters")
        account = await self._shown(username, password, address, "login")
        self._check_some_left(account, scopes, address)
        return await self._desk.kept.run(self._begin(account, scopes, client_name, current, address))

    async def refresh(
        self, *, session_id: str, refresh_token: str, next_sha256: bytes, scope: str, address: str
    ) -> Issued:
        """Goes on with a session, whose scopes stay as they are: `scope` must be empty.

        Raises RefreshFailed, LoginThrottled, InvalidRequest, StorageFull."""
        following = sha256_in("refresh_token.next_refresh_token_sha256", next_sha256)
        if scope:
            raise InvalidRequest("scope", "must be empty: a session keeps those that it was made with")
        return await self._desk.kept.run(self._go_on(session_id, refresh_token, following, address))

    async def revoke(self, caller: Caller, *, all_sessions: bool) -> None:
        """Ends the caller's session, or all of his. Raises StorageFull."""
        await self._desk.kept.run(self._revoke(caller, all_sessions=all_sessions))

    async def change_password(self, caller: Caller, current: str, new: str, address: str) -> None:
        """His other sessions end. Raises LoginFailed (`current` is wrong), LoginThrottled, InvalidRequest
        (`new_password`), StorageFull."""
        data = checked("new_password", new)
        account = await self._shown(caller.user, current, address, "password")
        if data == normalised(current):
            raise InvalidRequest("new_password", "is the one that holds already")
        password_hash = await self._desk.passwords.hash(data)
        await self._desk.kept.run(self._change(caller, account, password_hash, address))

    async def _shown(self, username: str, password: str, address: str, action: str) -> Account:
        """Whose password this is. The same work and words for whatever is wrong."""
        who = self._desk.known(username)
        counted = username if is_user_name(username) else ""  # the throttle keeps no megabytes of what can be none
        try:
            self._desk.passwords.check_room()
            self._throttle.check(counted, address)
        except LoginThrottled as error:
            self._desk.audit.note_often(who, address, action, "", error.reason)
            raise
        account = self._desk.store.people.accounts.get(username)
        if account is not None and account.disabled:
            account = None
        password_hash = None if account is None else account.password_hash
        if not await self._desk.passwords.fits(password, password_hash) or account is None:
            self._desk.audit.note_often(who, address, action, "", LoginFailed.reason)
            raise login_failed()
        self._throttle.was_right(counted, address)
        return account

    def _check_some_left(self, account: Account, scopes: frozenset[Scope], address: str) -> None:
        if not scopes & ROLE_SCOPES[account.role]:
            self._desk.audit.note(account.name, address, "login", "", ScopeMissing.reason)
            raise ScopeMissing(
                f"a {account.role.value} has no scope {scope_text(scopes)}: ask an admin, or for another"
            )

    async def _begin(
        self, account: Account, scopes: frozenset[Scope], client_name: str, current: bytes | None, address: str
    ) -> Issued:
        try:
            issued = await self._sessions.begin(account, scopes, client_name, current)
        except JobrunError as error:
            self._desk.audit.note(account.name, address, "login", "", error.reason)
            raise
        self._desk.audit.note(account.name, address, "login", issued.session_id)
        return issued

    async def _go_on(self, session_id: str, refresh_token: str, following: bytes, address: str) -> Issued:
        session = self._desk.store.people.sessions.get(session_id)
        who, target = (session.user, session.id) if session else ("", "")
        proven = self._sessions.knows(session_id, refresh_token)
        try:
            if proven:
                self._throttle.check_refresh(session_id)
            else:
                self._throttle.check_wrong_refresh(address)
            issued = await self._sessions.go_on(session_id, refresh_token, following)
        except RefreshReused:
            self._desk.audit.note(who, address, "refresh_reuse", target, RefreshFailed.reason)
            raise refresh_failed() from None
        except JobrunError as error:
            self._desk.audit.note_often(who, address, "refresh", target, error.reason)
            raise
        if not issued.repeated:
            self._desk.audit.note(who, address, "refresh", target)
        return issued

    async def _revoke(self, caller: Caller, *, all_sessions: bool) -> None:
        if all_sessions:
            await self._sessions.end_all(caller.user)
        else:
            await self._sessions.end(caller.user, caller.session)
        self._desk.audit.note(caller, "", "logout", "all sessions" if all_sessions else caller.session)

    async def _change(self, caller: Caller, account: Account, password_hash: bytes, address: str) -> None:
        store = self._desk.store
        if not await store.change_password(account.name, caller.session, account.password_hash, password_hash):
            self._desk.audit.note(caller, address, "password", "", LoginFailed.reason)
            raise login_failed()
        self._desk.forget_first_password(account.name)
        self._desk.audit.note(caller, address, "password", account.name)
