"""Recognises the machine tokens that come with calls."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from jobrun.auth.access_tokens import invalid
from jobrun.auth.clock import IssuerClock
from jobrun.auth.last_used import LastUsed
from jobrun.model.errors import SessionEnded, TokenExpired
from jobrun.store.users_memory import People
from jobrun.store.users_rows import StoredToken

PREFIX: Final = "jrt1."
"""How one begins behind `Bearer `, as no JWT does; then its id, a dot and its secret."""


class MachineTokenDoor:
    """Knows a secret by its hash."""

    def __init__(self, people: People, clock: IssuerClock, used: LastUsed) -> None:
        self._people, self._clock, self._used = people, clock, used

    def knows(self, text: str) -> bool:
        """Whether this means to be one."""
        return text.startswith(PREFIX)

    def recognise(self, text: str) -> StoredToken:
        """Which came, whether it lets anybody in or not. Raises TokenInvalid."""
        token_id, _, secret = text.removeprefix(PREFIX).partition(".")
        found = self._people.tokens.get(token_id)
        given = hashlib.sha256(secret.encode(errors="replace")).digest()
        if found is None or not hmac.compare_digest(given, found.secret):
            raise invalid()
        return found

    def check_holds(self, token_id: str) -> None:
        """That one which was just recognised lets its user in; it counts as used then. Raises TokenExpired,
        SessionEnded."""
        found, now_ns = self._people.tokens[token_id], self._clock.now_ns()
        if now_ns >= found.token.expires_ns:
            raise TokenExpired("the token has expired: make another by jobrun token create")
        if found.ended:
            raise SessionEnded("the token was revoked: make another by jobrun token create")
        if self._people.accounts[found.token.user].disabled:
            raise SessionEnded("the user of this token is disabled: ask an admin")
        self._used.note(found.token, now_ns)
