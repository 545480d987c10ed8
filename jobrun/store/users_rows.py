"""Between rows of users.db and what the server keeps of them in memory. Reprs show no hash."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from jobrun.model.caller import NO_CEILINGS, Role, Scope
from jobrun.model.user import MachineToken, scopes_in

ACCOUNT: Final = "SELECT name, role, disabled, password_hash, ceilings, created_ns FROM users WHERE removed_ns IS NULL"
SESSIONS: Final = "SELECT id, user, scopes, current, previous, expires_ns FROM sessions"
TOKENS: Final = (
    "SELECT id, user, name, secret, scopes, all_jobs, ceilings, created_ns, expires_ns, last_used_ns, ended_ns"
    " FROM machine_tokens"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """One login that goes on."""

    id: str
    user: str
    scopes: frozenset[Scope]
    """What was asked for: all of Scope, or less."""
    current: bytes | None = dataclasses.field(repr=False)
    """SHA-256 of the refresh token that continues it; None: nothing does."""
    previous: bytes | None = dataclasses.field(repr=False)
    """Of the one before."""
    expires_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredToken:
    """A machine token, and what it is recognised by."""

    token: MachineToken
    secret: bytes = dataclasses.field(repr=False)
    """SHA-256."""
    ended: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Account:
    """A user with all that is his."""

    name: str
    role: Role
    disabled: bool
    password_hash: bytes = dataclasses.field(repr=False)
    ceilings: Mapping[str, int]
    created_ns: int
    sessions: Mapping[str, Session] = dataclasses.field(repr=False)
    tokens: Mapping[str, StoredToken] = dataclasses.field(repr=False)


def read_account(db: sqlite3.Connection, name: str) -> Account | None:
    """As he stands on disk; None: no such user, or no more. Raises ValueError for what is damaged."""
    row = db.execute(f"{ACCOUNT} AND name = ?", (name,)).fetchone()
    if row is None:
        return None
    sessions = [_session(one) for one in db.execute(f"{SESSIONS} WHERE user = ?", (name,))]
    tokens = [_token(one) for one in db.execute(f"{TOKENS} WHERE user = ?", (name,))]
    return _account(row, sessions, tokens)


def read_all(db: sqlite3.Connection) -> list[Account]:
    """Every user. Raises ValueError for what is damaged."""
    names = [name for (name,) in db.execute("SELECT name FROM users WHERE removed_ns IS NULL").fetchall()]
    return [account for name in names if (account := read_account(db, name)) is not None]


def ceilings_text(ceilings: Mapping[str, int]) -> str:
    """One line of JSON, the same for equal ceilings."""
    return json.dumps(dict(sorted(ceilings.items())), separators=(",", ":"))


def read_ceilings(text: str) -> Mapping[str, int]:
    return json.loads(text) or NO_CEILINGS


def _account(row: tuple[Any, ...], sessions: list[Session], tokens: list[StoredToken]) -> Account:
    name, role, disabled, password_hash, ceilings, created_ns = row
    return Account(
        name=name,
        role=Role(role),
        disabled=bool(disabled),
        password_hash=password_hash,
        ceilings=read_ceilings(ceilings),
        created_ns=created_ns,
        sessions={session.id: session for session in sessions},
        tokens={stored.token.id: stored for stored in tokens},
    )


def _session(row: tuple[Any, ...]) -> Session:
    session_id, user, scopes, current, previous, expires_ns = row
    return Session(
        id=session_id,
        user=user,
        scopes=scopes_in(scopes),
        current=current,
        previous=previous,
        expires_ns=expires_ns,
    )


def _token(row: tuple[Any, ...]) -> StoredToken:
    token_id, user, name, secret, scopes, all_jobs, ceilings, created_ns, expires_ns, last_used_ns, ended_ns = row
    token = MachineToken(
        id=token_id,
        name=name,
        user=user,
        scopes=scopes_in(scopes),
        all_jobs=bool(all_jobs),
        created_ns=created_ns,
        expires_ns=expires_ns,
        last_used_ns=last_used_ns,
        ceilings=read_ceilings(ceilings),
    )
    return StoredToken(token=token, secret=secret, ended=ended_ns is not None)
