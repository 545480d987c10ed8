"""Access tokens that are forged, bent, old or another server's."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.attack import forge
from tests.attack.caller import UNAUTHENTICATED, Caller
from tests.attack.forge import Forger, part
from tests.attack.victim import Victim, victim


def in_a_minute() -> int:
    """As RFC 7519 writes times."""
    return int(time.time()) + 60


@pytest.fixture(scope="module")
def outsider(ann: Caller, server: Victim) -> Forger:
    """Has seen one of ann's tokens and the public key; signs with a key of his own."""
    return Forger(ann.token, Ed25519PrivateKey.generate(), forge.raw(server.signing_key))


@pytest.fixture(scope="module")
def insider(ann: Caller, server: Victim) -> Forger:
    """Has the real key: what he makes is wrong in one thing alone."""
    key = server.signing_key
    return Forger(ann.token, key, forge.raw(key))


def _jwk(forger: Forger) -> dict[str, str]:
    return {"kty": "OKP", "crv": "Ed25519", "x": part(forge.raw(forger.key))}


FORGED: dict[str, Callable[[Forger], str]] = {
    "none, no signature": lambda f: f.text(forge.changed(f.header, alg="none")) + ".",
    "none, old signature": lambda f: f.spliced(forge.changed(f.header, alg="none")),
    "nOnE": lambda f: f.spliced(forge.changed(f.header, alg="nOnE")),
    "no alg": lambda f: f.spliced(forge.changed(f.header, "alg")),
    "HS256 with the raw public key": lambda f: f.hmac_signed(f.public),
    "HS256 with the public key as PEM": lambda f: f.hmac_signed(_pem(f.public)),
    "HS256 with an empty secret": lambda f: f.hmac_signed(b""),
    "HS512 in name": lambda f: f.hmac_signed(f.public, "HS512"),
    "another key, same kid": lambda f: f.signed(),
    "another key in the header": lambda f: f.with_header(jwk=_jwk(f)),
    "another key at a URL": lambda f: f.with_header(jku="file:///dev/stdin"),
    "another certificate": lambda f: f.with_header(x5c=["AAAA"]),
    "claims of admin": lambda f: f.spliced(claims=forge.changed(f.claims, sub="admin", scope="admin")),
    "signature of nothing": lambda f: f.text() + ".",
    "signature of zeros": lambda f: f"{f.text()}.{part(bytes(64))}",
    "signature cut": lambda f: f.good[:-4],
    "signature with a bit turned": lambda f: f.good[:-10] + ("A" if f.good[-10] != "A" else "B") + f.good[-9:],
    "padding": lambda f: f.good + "=",
    "a fourth part": lambda f: f.good + ".AAAA",
    "two parts": lambda f: f.text(),
    "three dots": lambda f: "...",
    "no JSON": lambda f: f.spliced(b"\x00\xff"),
    "header 1,200 deep": lambda f: f"{part(b'[' * 1200)}.{part(f.claims)}.{f.signature}",
    "header of a list": lambda f: f.spliced([f.header]),
    "10 kB": lambda f: f.good + "A" * 7000,
    "one letter": lambda f: "x",
}
"""Made without the server's key."""


def _pem(public: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Ed25519PublicKey.from_public_bytes(public).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


BENT: dict[str, Callable[[Forger], str]] = {
    "kid unknown": lambda f: f.with_header(kid="nobodys"),
    "kid of a path": lambda f: f.with_header(kid="../../dev/null"),
    "kid of a list": lambda f: f.with_header(kid=[f.header["kid"]]),
    "kid of null": lambda f: f.with_header(kid=None),
    "kid of 1 kB": lambda f: f.with_header(kid="k" * 1000),
    "no kid": lambda f: f.with_header("kid"),
    "crit": lambda f: f.with_header(crit=["b64"], b64=False),
    "typ JWT": lambda f: f.with_header(typ="JWT"),
    "no typ": lambda f: f.with_header("typ"),
    "another header": lambda f: f.with_header(cty="JWT"),
    "not yet good": lambda f: f.with_claims(nbf=in_a_minute()),
    "made in a minute": lambda f: f.with_claims(iat=in_a_minute()),
    "no exp": lambda f: f.with_claims("exp"),
    "exp of text": lambda f: f.with_claims(exp=str(f.claims["exp"])),
    "exp with a fraction": lambda f: f.with_claims(exp=f.claims["exp"] - 10.5),
    "exp of true": lambda f: f.with_claims(exp=True),
    "exp of 10^30": lambda f: f.with_claims(exp=10**30),
    "exp of infinity": lambda f: f.with_claims(exp=float("inf")),
    "exp in a year": lambda f: f.with_claims(exp=f.claims["exp"] + 366 * 86400),
    "exp before iat": lambda f: f.with_claims(exp=f.claims["iat"] - 1),
    "no iat": lambda f: f.with_claims("iat"),
    "iat of 1970": lambda f: f.with_claims(iat=0),
    "no nbf": lambda f: f.with_claims("nbf"),
    "no iss": lambda f: f.with_claims("iss"),
    "no aud": lambda f: f.with_claims("aud"),
    "no sub": lambda f: f.with_claims("sub"),
    "no sid": lambda f: f.with_claims("sid"),
    "no jti": lambda f: f.with_claims("jti"),
    "iss of another": lambda f: f.with_claims(iss="jobrun:00000000000000000000000000000000"),
    "iss that is a beginning": lambda f: f.with_claims(iss=f.claims["iss"][:-1]),
    "aud of another": lambda f: f.with_claims(aud="jobrun:00000000000000000000000000000000"),
    "aud of a list": lambda f: f.with_claims(aud=[f.claims["aud"]]),
    "client of another": lambda f: f.with_claims(client_id="other"),
    "sub of a number": lambda f: f.with_claims(sub=1),
    "sub of a list": lambda f: f.with_claims(sub=["ann"]),
    "sub of another user than the session's": lambda f: f.with_claims(sub="admin"),
    "sid unknown": lambda f: f.with_claims(sid="A" * len(f.claims["sid"])),
    "sid of a list": lambda f: f.with_claims(sid=[f.claims["sid"]]),
    "scope of a list": lambda f: f.with_claims(scope=["admin"]),
    "claims of a list": lambda f: f.signed(claims=[f.claims]),
}
"""Signed with the real key, wrong in one thing."""


def test_the_forger_knows_his_trade(server: Victim, insider: Forger) -> None:
    """All that follows would be refused for a mistake of the test's."""
    assert server.wire().who(insider.signed()).username == "ann"
    assert server.wire().who(insider.good).username == "ann"


@pytest.fixture(scope="module")
def refusal(server: Victim) -> tuple[str, str]:
    """The words and the reason for a token that is just noise."""
    told = server.wire().stranger("noise")
    return told.text, told.reason


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_token(server: Victim, outsider: Forger, refusal: tuple[str, str], name: str) -> None:
    """Whoever has seen one token, or knows the public key, would be that user, or the admin, for ever."""
    told = server.wire().stranger(FORGED[name](outsider))
    assert told.code == UNAUTHENTICATED, told
    assert (told.text, told.reason) == refusal, "it tells a forger how far he came"


@pytest.mark.parametrize("name", BENT)
def test_a_token_wrong_in_one_thing(server: Victim, insider: Forger, refusal: tuple[str, str], name: str) -> None:
    """One check left out is what the next key confusion or copied token goes through."""
    told = server.wire().stranger(BENT[name](insider))
    assert told.code == UNAUTHENTICATED, told
    assert told.reason in ("TOKEN_INVALID", "SESSION_ENDED"), told
    if told.reason == "TOKEN_INVALID":
        assert (told.text, told.reason) == refusal, "it tells a forger how far he came"


@pytest.mark.parametrize("ago", [1, 6, 86400])
def test_an_expired_token(server: Victim, insider: Forger, ago: int) -> None:
    """A token from an old log or backup would open the server."""
    past = insider.claims["iat"] - ago - 600
    told = server.wire().stranger(insider.with_claims(iat=past, nbf=past, exp=past + 600))
    assert (told.code, told.reason) == (UNAUTHENTICATED, "TOKEN_EXPIRED"), told


def test_a_good_token_of_another_server(nobodys_cache: Path, server: Victim, refusal: tuple[str, str]) -> None:
    """Whoever runs any server of his own would be admin on all."""
    with victim(nobodys_cache) as other:
        token = other.admin().token
        told = server.wire().stranger(token)
        assert (told.code, told.text, told.reason) == (UNAUTHENTICATED, *refusal)
        headed = forge.opened(token.split(".")[0])
        assert headed["kid"] != forge.opened(server.admin().token.split(".")[0])["kid"]


def test_of_no_forgery_a_word_is_logged(server: Victim, outsider: Forger) -> None:
    """A log that shows tokens gives them to whoever reads it; one line a forgery would fill the disk."""
    said, noted, wire = len(server.log()), len(server.read("audit.jsonl")), server.wire()
    for name in FORGED:
        for _ in range(8):
            wire.stranger(FORGED[name](outsider))
    assert len(server.log()) < said + 5_000
    assert len(server.read("audit.jsonl")) < noted + 5_000
    assert outsider.good.encode() not in server.records()
    assert outsider.signature.encode() not in server.records()
