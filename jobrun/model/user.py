"""Who there is on a server with login, and what was decided about them. Frozen, no I/O, and no secret in any of it.

Times are nanoseconds since the epoch (UTC); 0 where there is none."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Final

from jobrun.model.caller import NO_CEILINGS, Role, Scope

_USER_NAME: Final = re.compile(r"[a-z_][a-z0-9._-]{0,31}")
_TOKEN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
TOKEN_NAME_TEXT: Final = "up to 64 of A-Z a-z 0-9 . _ -, a letter or digit first"
"""The same for people."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class User:
    """One account."""

    name: str
    role: Role
    created_ns: int
    disabled: bool = False
    sessions: int = 0
    """Live ones."""
    machine_tokens: int = 0
    """Those that hold."""
    ceilings: Mapping[str, int] = dataclasses.field(default_factory=lambda: NO_CEILINGS)
    """By Limit.field."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MachineToken:
    """One machine token, without its secret."""

    id: str
    name: str
    user: str
    scopes: frozenset[Scope]
    all_jobs: bool
    created_ns: int
    expires_ns: int
    last_used_ns: int = 0
    """To the hour."""
    ceilings: Mapping[str, int] = dataclasses.field(default_factory=lambda: NO_CEILINGS)
    """By Limit.field, beside those of its user."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class AuditEvent:
    """One security decision."""

    time_ns: int
    user: str
    """Who asked, or claimed to and is known; empty: unknown."""
    machine_token: str
    address: str
    """Without port; "local": the server's own machine."""
    action: str
    target: str
    outcome: str
    """"ok", or the reason of a refusal."""
    count: int = 1
    """How often, where one event stands for many alike."""


def is_user_name(text: str) -> bool:
    """Whether this can be the name of a user."""
    return _USER_NAME.fullmatch(text) is not None


def is_token_name(text: str) -> bool:
    """Whether this can be the name of a machine token."""
    return _TOKEN_NAME.fullmatch(text) is not None


def scope_text(scopes: frozenset[Scope]) -> str:
    """As RFC 6749 section 3.3 writes them, in the order of Scope."""
    return " ".join(scope.value for scope in Scope if scope in scopes)


def scopes_in(text: str) -> frozenset[Scope]:
    """What `scope_text` made, or a client wrote. Raises ValueError for a word that is no scope."""
    return frozenset(Scope(word) for word in text.split())
