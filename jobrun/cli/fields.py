"""What people call the fields of a request: a server's refusal names the field."""

from __future__ import annotations

from collections.abc import Mapping

from jobrun.limits import LIMITS

FIELDS: Mapping[str, str] = {
    **{f"spec.limits.{limit.field}": limit.flag for limit in LIMITS},
    **{f"spec.{name}": f"--{name}" for name in ("name", "env", "cwd", "slots", "grace", "network")},
    "spec.argv": "the command",
    "spec.stdin": "-i",
    "request_id": "--request-id",
    **{f"ceilings.{limit.field}": limit.flag for limit in LIMITS},
    "username": "the user's name",
    "role": "--role",
    "password": "the password",
    "new_password": "the new password",
    "name": "the token's name",
    "scope": "--scope",
    "expires_in": "--ttl",
}


def in_words(text: str) -> str:
    """A refusal, with the option or a word in the place of the field that it begins with."""
    field, colon, rest = text.partition(": ")
    return f"{FIELDS[field]}: {rest}" if colon and field in FIELDS else text
