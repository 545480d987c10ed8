"""Scopes as they are asked for."""

from __future__ import annotations

from jobrun.model.caller import Role, Scope
from jobrun.model.errors import InvalidRequest, ScopeMissing
from jobrun.model.user import scope_text, scopes_in


def asked(text: str) -> frozenset[Scope]:
    """Those in a request; empty: all that there are. Raises InvalidRequest."""
    try:
        return scopes_in(text) or frozenset(Scope)
    except ValueError:
        raise InvalidRequest("scope", f"must be some of: {scope_text(frozenset(Scope))}") from None


def role_of(text: str) -> Role:
    """Raises InvalidRequest."""
    try:
        return Role(text)
    except ValueError:
        raise InvalidRequest("role", f"must be one of: {' '.join(role.value for role in Role)}") from None


def check_has(scopes: frozenset[Scope], wanted: frozenset[Scope]) -> None:
    """Raises ScopeMissing unless all that are wanted are there."""
    if missing := wanted - scopes:
        raise ScopeMissing(f"you lack the scope {scope_text(missing)}: ask an admin, or ask for less")
