"""Where the next page of a list begins, for callers to hand back unseen."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from google.protobuf.message import Message

from jobrun.model.errors import InvalidRequest

_TOKEN = struct.Struct("<q12s")
"""The place in the order of creation, and a hash of what was asked for and the caller that it belongs to."""


def encode(before: int, wanted: Message, user: str) -> str:
    """Letters, digits, - and _."""
    return base64.urlsafe_b64encode(_TOKEN.pack(before, _mark(wanted, user))).decode().rstrip("=")


def decode(token: str, wanted: Message, user: str) -> int | None:
    """Where the page begins; None, at the newest, for an empty token. InvalidRequest for what was not given with it."""
    if not token:
        return None
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        before, mark = _TOKEN.unpack(raw)
    except (binascii.Error, struct.error):
        raise InvalidRequest("page_token", "this is none that a list gave") from None
    if mark != _mark(wanted, user) or before <= 0:
        raise InvalidRequest("page_token", "it belongs to a list with another filter")
    return int(before)


def _mark(wanted: Message, user: str) -> bytes:
    asked = wanted.SerializeToString(deterministic=True)
    return hashlib.blake2b(asked, key=user.encode(), digest_size=12).digest()
