"""A certificate's fingerprint: what people compare, and what clients pin."""

from __future__ import annotations

PREFIX = "sha256:"


def fingerprint_of(certificate: bytes) -> str:
    """`sha256:HEX` of a certificate in DER."""
    import hashlib

    return PREFIX + hashlib.sha256(certificate).hexdigest()
