"""What changes users.db: each is decided and done in one transaction, for who also asks from another process."""

from __future__ import annotations

import dataclasses
import enum
import hmac
import sqlite3
from collections.abc import Mapping
from typing import Any, Final

from jobrun.model.caller import Role, Scope
from jobrun.model.errors import LastAdmin, MachineTokenExists, TooMany, UserExists, UserNotFound
from jobrun.model.user import MachineToken, scope_text
from jobrun.store.users_rows import ceilings_text, read_ceilings

FIRST_PASSWORD: Final = "first_password_of"
"""Key in meta: whose first password lies in a file, until it is changed or he is removed."""
MOST_USERS: Final = 1000
"""All are in memory, and in one answer."""
MOST_SESSIONS: Final = 100
"""Of one user: beyond, the one that would end first goes. With as many users, 100 MB at the very worst."""
MOST_TOKENS: Final = 100
"""Of one user, that hold; as many that have ended are remembered."""


MOST_USED: Final = 1024
"""Refresh tokens of a session that are known as used, 100 KB: the last week of one that never rests. A thief needs
17 hours to be through so many (see throttle.REFRESHES)."""


class Rotation(enum.Enum):
    """What became of a refresh token."""

    DONE = "the next one is the current one"
    AGAIN = "asked again with the same pair: nothing changed"
    REUSED = "it was used before, with another next one: two hold it, so the session was ended"
    REFUSED = "not this session's, or long after others the same pair; nothing ends"


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class NewSession:
    """A session to be put on record."""

    id: str
    user: str
    password_hash: bytes
    """The one that its password was checked against: it must still be the user's."""
    scopes: frozenset[Scope]
    client_name: str
    current: bytes | None
    created_ns: int
    expires_ns: int
    ends_ns: int


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Turn:
    """A refresh: SHA-256 of the token that came and of its next one."""

    session: str
    came: bytes
    following: bytes
    now_ns: int
    idle_ns: int


def meta(db: sqlite3.Connection) -> dict[str, str]:
    """All of the table meta."""
    return dict(db.execute("SELECT key, value FROM meta").fetchall())


def found(db: sqlite3.Connection, facts: Mapping[str, str], admin: str, password_hash: bytes, now_ns: int) -> None:
    """The first start: who this server is, and its first user."""
    for key, value in facts.items():
        db.execute("INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))
    note_time(db, now_ns)
    add_user(db, admin, Role.ADMIN, password_hash, {}, now_ns)


def note_time(db: sqlite3.Connection, now_ns: int) -> None:
    """The issuer's clock never goes back behind this."""
    db.execute(
        "INSERT INTO meta (key, value) VALUES ('latest_ns', ?1) ON CONFLICT (key)"
        " DO UPDATE SET value = ?1 WHERE CAST(value AS INTEGER) < CAST(?1 AS INTEGER)",
        (str(now_ns),),
    )


def add_user(
    db: sqlite3.Connection, name: str, role: Role, password_hash: bytes, ceilings: Mapping[str, int], now_ns: int
) -> None:
    """Raises UserExists, also where the name was a removed user's, and TooMany."""
    if db.execute("SELECT 1 FROM users WHERE name = ?", (name,)).fetchone():
        raise UserExists(f"the name {name} is taken, or was once: use another")
    (count,) = db.execute("SELECT count(*) FROM users WHERE removed_ns IS NULL").fetchone()
    if count >= MOST_USERS:
        raise TooMany(f"there are {MOST_USERS} users: remove one first")
    db.execute(
        "INSERT INTO users (name, role, password_hash, ceilings, created_ns) VALUES (?, ?, ?, ?, ?)",
        (name, role.value, password_hash, ceilings_text(ceilings), now_ns),
    )


def change_user(
    db: sqlite3.Connection,
    name: str,
    *,
    role: Role | None,
    disabled: bool | None,
    ceilings: Mapping[str, int | None] | None,
) -> None:
    """Changes what is not None; a ceiling that is None ends. Raises UserNotFound, LastAdmin."""
    _must_exist(db, name)
    if disabled or (role is not None and role is not Role.ADMIN):
        _check_admin_stays(db, name)
    if role is not None:
        db.execute("UPDATE users SET role = ? WHERE name = ?", (role.value, name))
    if disabled is not None:
        db.execute("UPDATE users SET disabled = ? WHERE name = ?", (int(disabled), name))
    if disabled:
        end_sessions(db, name)
    if ceilings is not None:
        (before,) = db.execute("SELECT ceilings FROM users WHERE name = ?", (name,)).fetchone()
        wanted = {**read_ceilings(before), **ceilings}
        after = {field: value for field, value in wanted.items() if value is not None}
        db.execute("UPDATE users SET ceilings = ? WHERE name = ?", (ceilings_text(after), name))


def set_password(db: sqlite3.Connection, name: str, password_hash: bytes) -> None:
    """By somebody else: all his sessions end. Raises UserNotFound."""
    _must_exist(db, name)
    _put_password(db, name, password_hash)
    end_sessions(db, name)


def change_password(db: sqlite3.Connection, name: str, session: str, old: bytes, new: bytes) -> bool:
    """By himself: his other sessions end. False, and nothing done: the old one, or the session, is not his any more."""
    still = db.execute(
        "SELECT 1 FROM users JOIN sessions ON user = name WHERE name = ? AND password_hash = ? AND id = ?",
        (name, old, session),
    ).fetchone()
    if still is None:
        return False
    _put_password(db, name, new)
    db.execute("DELETE FROM sessions WHERE user = ? AND id <> ?", (name, session))
    return True


def remove_user(db: sqlite3.Connection, name: str, now_ns: int) -> None:
    """Raises UserNotFound, LastAdmin."""
    _must_exist(db, name)
    _check_admin_stays(db, name)
    db.execute("UPDATE users SET removed_ns = ?, password_hash = NULL WHERE name = ?", (now_ns, name))
    _forget_first_password(db, name)
    end_sessions(db, name)
    db.execute("DELETE FROM machine_tokens WHERE user = ?", (name,))


def begin_session(db: sqlite3.Connection, new: NewSession) -> bool:
    """False, and nothing done: the user is gone, disabled, or has another password by now."""
    note_time(db, new.created_ns)
    still = db.execute(
        "SELECT 1 FROM users WHERE name = ? AND disabled = 0 AND password_hash = ?", (new.user, new.password_hash)
    ).fetchone()
    if still is None:
        return False
    db.execute("DELETE FROM sessions WHERE user = ? AND expires_ns <= ?", (new.user, new.created_ns))
    db.execute(
        "DELETE FROM sessions WHERE id IN"
        " (SELECT id FROM sessions WHERE user = ? ORDER BY expires_ns DESC LIMIT -1 OFFSET ?)",
        (new.user, MOST_SESSIONS - 1),
    )
    db.execute(
        "INSERT INTO sessions (id, user, scopes, client_name, current, created_ns, expires_ns, ends_ns)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(new.id, new.user, scope_text(new.scopes), new.client_name, new.current),
            *(new.created_ns, new.expires_ns, new.ends_ns),
        ),
    )
    return True


def rotate(db: sqlite3.Connection, turn: Turn) -> Rotation:
    """Goes on with a session by its refresh token, or ends it where two have had the same one. Nothing is written for
    who is refused, nor for who asks again."""
    row = db.execute(
        "SELECT current, previous, ends_ns FROM sessions WHERE id = ? AND expires_ns > ? AND current IS NOT NULL",
        (turn.session, turn.now_ns),
    ).fetchone()
    if row is None:
        return Rotation.REFUSED
    current, previous, ends_ns = row
    if hmac.compare_digest(turn.came, current):
        expires_ns = min(turn.now_ns + turn.idle_ns, ends_ns)
        note_time(db, turn.now_ns)
        if previous is not None:
            _remember_used(db, turn.session, previous)
        db.execute(
            "UPDATE sessions SET current = ?, previous = current, expires_ns = ? WHERE id = ?",
            (turn.following, expires_ns, turn.session),
        )
        return Rotation.DONE
    if previous is None:
        return Rotation.REFUSED
    if hmac.compare_digest(turn.came, previous):
        following, otherwise = current, Rotation.AGAIN
    else:
        following, otherwise = _following_of(db, turn, previous), Rotation.REFUSED
    if following is None or hmac.compare_digest(turn.following, following):
        return otherwise
    end_session(db, turn.session)
    return Rotation.REUSED


def _remember_used(db: sqlite3.Connection, session: str, used: bytes) -> None:
    (last,) = db.execute("SELECT max(turn) FROM used_refresh_tokens WHERE session = ?", (session,)).fetchone()
    turn = (last or 0) + 1
    db.execute("INSERT INTO used_refresh_tokens (session, turn, used) VALUES (?, ?, ?)", (session, turn, used))
    db.execute("DELETE FROM used_refresh_tokens WHERE session = ? AND turn <= ?", (session, turn - MOST_USED))


def _following_of(db: sqlite3.Connection, turn: Turn, previous: bytes) -> bytes | None:
    """Of a token that was used before `previous`: the one that came next. None: it was never this session's."""
    row = db.execute(
        "SELECT (SELECT used FROM used_refresh_tokens WHERE session = ?1 AND turn = one.turn + 1)"
        " FROM used_refresh_tokens AS one WHERE session = ?1 AND used = ?2",
        (turn.session, turn.came),
    ).fetchone()
    return row if row is None else row[0] or previous


def end_session(db: sqlite3.Connection, session: str) -> None:
    """One; nothing where it has ended."""
    db.execute("DELETE FROM sessions WHERE id = ?", (session,))


def end_sessions(db: sqlite3.Connection, user: str) -> None:
    """All of a user."""
    db.execute("DELETE FROM sessions WHERE user = ?", (user,))


def add_token(db: sqlite3.Connection, token: MachineToken, secret: bytes) -> None:
    """Raises MachineTokenExists, TooMany; UserNotFound where its user has gone."""
    _must_exist(db, token.user)
    db.execute(
        "UPDATE machine_tokens SET ended_ns = expires_ns WHERE user = ? AND ended_ns IS NULL AND expires_ns <= ?",
        (token.user, token.created_ns),
    )
    _forget_old_tokens(db, token.user)
    holds: tuple[Any, ...] = (token.user,)
    (count,) = db.execute("SELECT count(*) FROM machine_tokens WHERE user = ? AND ended_ns IS NULL", holds).fetchone()
    if count >= MOST_TOKENS:
        raise TooMany(f"{token.user} has {MOST_TOKENS} tokens: revoke one first")
    if db.execute(
        "SELECT 1 FROM machine_tokens WHERE user = ? AND name = ? AND ended_ns IS NULL", (token.user, token.name)
    ).fetchone():
        raise MachineTokenExists("there is a token of that name: revoke it, or take another name")
    db.execute(
        "INSERT INTO machine_tokens (id, user, name, secret, scopes, all_jobs, ceilings, created_ns, expires_ns)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(token.id, token.user, token.name, secret, scope_text(token.scopes), int(token.all_jobs)),
            *(ceilings_text(token.ceilings), token.created_ns, token.expires_ns),
        ),
    )


def end_token(db: sqlite3.Connection, token: str, user: str, now_ns: int) -> bool:
    """False: it had ended. Of those that have, as many are remembered as there may be that hold."""
    ended = db.execute(
        "UPDATE machine_tokens SET ended_ns = ? WHERE id = ? AND user = ? AND ended_ns IS NULL", (now_ns, token, user)
    ).rowcount
    _forget_old_tokens(db, user)
    return bool(ended)


def sweep(db: sqlite3.Connection, now_ns: int, used: Mapping[str, int]) -> set[str]:
    """Ends what has expired, notes when machine tokens were used, and the time. Answers whose things changed."""
    note_time(db, now_ns)
    changed = {
        user
        for (user,) in db.execute(
            "SELECT user FROM sessions WHERE expires_ns <= ?1 UNION"
            " SELECT user FROM machine_tokens WHERE expires_ns <= ?1 AND ended_ns IS NULL",
            (now_ns,),
        )
    }
    db.execute("DELETE FROM sessions WHERE expires_ns <= ?", (now_ns,))
    db.execute("UPDATE machine_tokens SET ended_ns = expires_ns WHERE expires_ns <= ? AND ended_ns IS NULL", (now_ns,))
    for user in changed:
        _forget_old_tokens(db, user)
    for token, used_ns in used.items():
        db.execute("UPDATE machine_tokens SET last_used_ns = max(last_used_ns, ?) WHERE id = ?", (used_ns, token))
        changed.update(user for (user,) in db.execute("SELECT user FROM machine_tokens WHERE id = ?", (token,)))
    return changed


def _forget_old_tokens(db: sqlite3.Connection, user: str) -> None:
    db.execute(
        "DELETE FROM machine_tokens WHERE id IN (SELECT id FROM machine_tokens"
        " WHERE user = ? AND ended_ns IS NOT NULL ORDER BY ended_ns DESC LIMIT -1 OFFSET ?)",
        (user, MOST_TOKENS),
    )


def _put_password(db: sqlite3.Connection, name: str, password_hash: bytes) -> None:
    db.execute("UPDATE users SET password_hash = ? WHERE name = ?", (password_hash, name))
    _forget_first_password(db, name)


def _forget_first_password(db: sqlite3.Connection, name: str) -> None:
    db.execute("DELETE FROM meta WHERE key = ? AND value = ?", (FIRST_PASSWORD, name))


def _must_exist(db: sqlite3.Connection, name: str) -> None:
    if not db.execute("SELECT 1 FROM users WHERE name = ? AND removed_ns IS NULL", (name,)).fetchone():
        raise UserNotFound


def _check_admin_stays(db: sqlite3.Connection, name: str) -> None:
    """That somebody else can log in as admin, where `name` is one now."""
    (others, himself) = db.execute(
        "SELECT total(name <> ?1), total(name = ?1)"
        " FROM users WHERE role = 'admin' AND disabled = 0 AND removed_ns IS NULL",
        (name,),
    ).fetchone()
    if himself and not others:
        raise LastAdmin(f"{name} is the last admin who can log in: make another one first")
