"""Who there is, in memory: never more than users.db says. For the loop's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jobrun.model.caller import Role
from jobrun.store.users_rows import Account, Session, StoredToken


class People:
    """All accounts with their sessions and machine tokens. As many as users_writes lets there be."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self.accounts: dict[str, Account] = {}
        self.sessions: dict[str, Session] = {}
        self.tokens: dict[str, StoredToken] = {}
        self.on_ended: Callable[[str], None] | None = None
        """Called with the id of each session and machine token that lets nobody in any more, or only to less."""
        for account in accounts:
            self._add(account)

    def put(self, name: str, account: Account | None) -> None:
        """`name` is now this on disk; None: gone."""
        before = self.accounts.pop(name, None)
        if before is not None:
            self._forget(before)
        if account is not None:
            self._add(account)
        self._tell(before, account)

    def replace(self, accounts: Iterable[Account]) -> None:
        """These are now all that there are."""
        now = {account.name: account for account in accounts}
        for name in self.accounts.keys() | now.keys():
            self.put(name, now.get(name))

    def _add(self, account: Account) -> None:
        self.accounts[account.name] = account
        self.sessions.update(account.sessions)
        self.tokens.update(account.tokens)

    def _forget(self, account: Account) -> None:
        for session_id in account.sessions:
            del self.sessions[session_id]
        for token_id in account.tokens:
            del self.tokens[token_id]

    def _tell(self, before: Account | None, after: Account | None) -> None:
        if before is None or self.on_ended is None:
            return
        narrowed = after is not None and after.role is not before.role and after.role is not Role.ADMIN
        for ended in _held(before) if narrowed else _held(before) - _held(after):
            self.on_ended(ended)


def _held(account: Account | None) -> set[str]:
    """What lets him in."""
    if account is None:
        return set()
    tokens = () if account.disabled else (name for name, stored in account.tokens.items() if not stored.ended)
    return {*account.sessions, *tokens}
