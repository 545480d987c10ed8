"""The tables of users.db, as the steps that made them. A step that was released is never changed: add another."""

from __future__ import annotations

from typing import Final

from jobrun.store.schema import Steps

USER_STEPS: Final[Steps] = (
    (
        "CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT",
        # Removed users stay as rows without a password: no name is ever used again.
        """
        CREATE TABLE users (
            name TEXT NOT NULL PRIMARY KEY,
            role TEXT NOT NULL CHECK (role IN ('viewer', 'user', 'admin')),
            disabled INTEGER NOT NULL DEFAULT 0 CHECK (disabled IN (0, 1)),
            password_hash BLOB,
            ceilings TEXT NOT NULL,
            created_ns INTEGER NOT NULL,
            removed_ns INTEGER,
            CHECK ((removed_ns IS NULL) = (password_hash IS NOT NULL))
        ) STRICT
        """,
        # current and previous: SHA-256 of refresh tokens; none for a session that goes on by nothing.
        """
        CREATE TABLE sessions (
            id TEXT NOT NULL PRIMARY KEY,
            user TEXT NOT NULL,
            scopes TEXT NOT NULL,
            client_name TEXT NOT NULL,
            current BLOB CHECK (length(current) = 32),
            previous BLOB CHECK (length(previous) = 32),
            created_ns INTEGER NOT NULL,
            expires_ns INTEGER NOT NULL,
            ends_ns INTEGER NOT NULL
        ) STRICT
        """,
        # SHA-256 of the refresh tokens before sessions.previous; turn counts them.
        """
        CREATE TABLE used_refresh_tokens (
            session TEXT NOT NULL,
            turn INTEGER NOT NULL,
            used BLOB NOT NULL CHECK (length(used) = 32),
            PRIMARY KEY (session, turn)
        ) STRICT
        """,
        """
        CREATE TRIGGER sessions_end AFTER DELETE ON sessions BEGIN
            DELETE FROM used_refresh_tokens WHERE session = OLD.id;
        END
        """,
        "CREATE INDEX sessions_user ON sessions (user, expires_ns)",
        "CREATE INDEX sessions_expiry ON sessions (expires_ns)",
        # Ended ones are kept for a while: their callers are told so.
        """
        CREATE TABLE machine_tokens (
            id TEXT NOT NULL PRIMARY KEY,
            user TEXT NOT NULL,
            name TEXT NOT NULL,
            secret BLOB NOT NULL CHECK (length(secret) = 32),
            scopes TEXT NOT NULL,
            all_jobs INTEGER NOT NULL CHECK (all_jobs IN (0, 1)),
            ceilings TEXT NOT NULL,
            created_ns INTEGER NOT NULL,
            expires_ns INTEGER NOT NULL,
            last_used_ns INTEGER NOT NULL DEFAULT 0,
            ended_ns INTEGER
        ) STRICT
        """,
        "CREATE UNIQUE INDEX machine_tokens_name ON machine_tokens (user, name) WHERE ended_ns IS NULL",
        "CREATE INDEX machine_tokens_user ON machine_tokens (user, ended_ns)",
        "CREATE INDEX machine_tokens_expiry ON machine_tokens (expires_ns) WHERE ended_ns IS NULL",
    ),
)
