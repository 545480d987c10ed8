"""Access tokens: JWTs in the shape of RFC 9068, signed by this server's Ed25519 key and good for this server alone."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import secrets
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from jobrun.auth.clock import IssuerClock
from jobrun.files.data_files import read_data_file, write_data_file
from jobrun.model.caller import Scope
from jobrun.model.errors import StoreError, TokenExpired, TokenInvalid
from jobrun.model.user import scope_text
from jobrun.store.users_rows import Session

MOST_BYTES: Final = 2048
"""Ours have about 400; nothing longer is looked at."""
MOST_LIFETIME_S: Final = 3600
"""None of ours was ever made for longer, whoever set the lifetime."""
REMEMBERED: Final = 4096
"""Tokens verified once, 2 MB: each caller has one or two. To verify takes 150 us, to remember 1."""
MOST_KEY: Final = 4096
"""Bytes of the file with our key, which has a hundred."""
CLIENT_ID: Final = "jobrun"
CLAIMS: Final = ("iss", "aud", "exp", "iat", "nbf", "sub", "client_id", "jti", "scope", "sid")
_OPTIONS: Final[dict[str, Any]] = {
    "require": list(CLAIMS),
    "strict_aud": True,
    # By the issuer's clock, below: PyJWT knows the wall clock alone, and takes numbers in strings.
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat"), False),
}


@dataclasses.dataclass(frozen=True)
class Claims:
    """What a token of ours says."""

    user: str
    session: str
    expires_ns: int


class AccessTokens:
    """Makes and verifies them."""

    def __init__(self, key: Ed25519PrivateKey, server_id: str, clock: IssuerClock, lifetime_s: int) -> None:
        self._key, self._public, self._clock = key, key.public_key(), clock
        self._issuer = f"jobrun:{server_id}"
        self._lifetime_s = min(lifetime_s, MOST_LIFETIME_S)
        raw = self._public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        kid = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).decode()[:11]
        self._header = {"typ": "at+jwt", "alg": "EdDSA", "kid": kid}
        self._verified: dict[bytes, Claims] = {}
        """By SHA-256 of the token, the longest unused first."""

    def issue(self, session: Session, scopes: frozenset[Scope]) -> tuple[str, int]:
        """A token, and its lifetime in seconds from the whole second in which it was made: it expires with its session
        at the latest."""
        now_s = self._clock.now_ns() // 10**9
        expires_s = min(now_s + self._lifetime_s, session.expires_ns // 10**9)
        claims = {
            "iss": self._issuer,
            "aud": self._issuer,
            "exp": expires_s,
            "iat": now_s,
            "nbf": now_s,
            "sub": session.user,
            "client_id": CLIENT_ID,
            "jti": secrets.token_urlsafe(16),
            "scope": scope_text(scopes),
            "sid": session.id,
        }
        return jwt.encode(claims, self._key, "EdDSA", headers=self._header), max(expires_s - now_s, 0)

    def verify(self, token: str) -> Claims:
        """What it says. Raises TokenInvalid, which never says what is wrong, and TokenExpired."""
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        claims = self._verified.pop(digest, None) or self._decoded(token)
        self._verified[digest] = claims
        if len(self._verified) > REMEMBERED:
            del self._verified[next(iter(self._verified))]
        if self._clock.now_ns() >= claims.expires_ns:
            raise TokenExpired("the access token has expired: refresh it, or log in again")
        return claims

    def _decoded(self, token: str) -> Claims:
        try:
            return self._checked(self._signed(token))
        except Exception:  # noqa: BLE001 - whatever a parser of foreign bytes raises, the answer is one and the same
            raise invalid() from None

    def _signed(self, token: str) -> dict[str, Any]:
        """Of a token with our signature, issuer and audience."""
        if len(token) > MOST_BYTES or jwt.get_unverified_header(token) != self._header:
            raise ValueError("header")
        return jwt.decode(
            token,
            self._public,
            algorithms=["EdDSA"],
            audience=self._issuer,
            issuer=self._issuer,
            options=_OPTIONS,  # type: ignore[arg-type]  # a TypedDict to PyJWT
        )

    def _checked(self, claims: dict[str, Any]) -> Claims:
        """Types and times, which PyJWT takes in more forms than we make."""
        exp, iat, nbf = (claims[name] for name in ("exp", "iat", "nbf"))
        texts = [claims[name] for name in ("sub", "sid", "jti", "scope", "client_id")]
        if any(type(time) is not int for time in (exp, iat, nbf)) or any(type(text) is not str for text in texts):
            raise ValueError("types")
        if not 0 <= exp - iat <= MOST_LIFETIME_S or max(iat, nbf) * 10**9 > self._clock.now_ns():
            raise ValueError("times")
        if claims["client_id"] != CLIENT_ID:
            raise ValueError("client_id")
        return Claims(claims["sub"], claims["sid"], exp * 10**9)


def invalid() -> TokenInvalid:
    """One text for all that is wrong with a token."""
    return TokenInvalid("the token is not valid here: log in again, or use another token")


def open_key(path: Path) -> Ed25519PrivateKey:
    """The key in that file; makes one where there is none. Raises StoreError, StorageFull, OSError."""
    try:
        pem = read_data_file(path, MOST_KEY)
    except FileNotFoundError:
        return _new_key(path)
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{path} is no Ed25519 key: put a backup back, or remove it, and all access tokens end")
    return key


def _new_key(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    write_data_file(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key
