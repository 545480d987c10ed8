"""Access tokens made by hand, so that every part of one can be wrong."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

Json = dict[str, Any]


def part(value: object) -> str:
    """One part of a JWT: bytes as they are, all else as JSON (RFC 7515, base64url without padding)."""
    raw = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def opened(word: str) -> Json:
    """What a part of a JWT says."""
    found: Json = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
    return found


@dataclasses.dataclass(frozen=True)
class Forger:
    """Whoever has seen one good token, and holds a key: his own, or the server's real one."""

    good: str
    key: Ed25519PrivateKey
    public: bytes
    """The server's public key, raw."""

    @property
    def header(self) -> Json:
        """Of the good token."""
        return opened(self.good.split(".")[0])

    @property
    def claims(self) -> Json:
        """Of the good token."""
        return opened(self.good.split(".")[1])

    @property
    def signature(self) -> str:
        """Of the good token."""
        return self.good.split(".")[2]

    def signed(self, header: object = None, claims: object = None) -> str:
        """A token with his key's signature; what is not given is the good one's."""
        text = self.text(header, claims)
        return f"{text}.{part(self.key.sign(text.encode()))}"

    def with_header(self, *less: str, **more: Any) -> str:
        """As signed, the header changed."""
        return self.signed(header=changed(self.header, *less, **more))

    def with_claims(self, *less: str, **more: Any) -> str:
        """As signed, the claims changed."""
        return self.signed(claims=changed(self.claims, *less, **more))

    def spliced(self, header: object = None, claims: object = None) -> str:
        """Other parts under the good token's signature."""
        return f"{self.text(header, claims)}.{self.signature}"

    def hmac_signed(self, secret: bytes, algorithm: str = "HS256") -> str:
        """The good token, by HMAC with something that everybody knows as secret (CVE-2022-29217 and its kind)."""
        text = self.text(changed(self.header, alg=algorithm))
        return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"

    def text(self, header: object = None, claims: object = None) -> str:
        """What is signed."""
        return f"{part(header or self.header)}.{part(claims or self.claims)}"


def changed(old: Json, *less: str, **more: Any) -> Json:
    """A copy with names left out and others set."""
    return {**{name: value for name, value in old.items() if name not in less}, **more}


def public_bytes(key: Ed25519PrivateKey, encoding: Encoding, form: PublicFormat) -> bytes:
    """Its public key."""
    return key.public_key().public_bytes(encoding, form)


def pem(key: Ed25519PrivateKey) -> bytes:
    """Its public key as PEM."""
    return public_bytes(key, Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def raw(key: Ed25519PrivateKey) -> bytes:
    """Its public key, 32 bytes."""
    return public_bytes(key, Encoding.Raw, PublicFormat.Raw)
