"""Access tokens: what is taken for one, and what is not, however it was made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from jobrun.auth.access_tokens import REMEMBERED, AccessTokens, open_key
from jobrun.auth.clock import IssuerClock
from jobrun.model.caller import Scope
from jobrun.model.errors import StoreError, TokenExpired, TokenInvalid
from jobrun.store.users_rows import Session
from tests.unit.auth_ground import Times

KEY = Ed25519PrivateKey.generate()
SERVER = "0123456789abcdef"


def tokens(times: Times, key: Ed25519PrivateKey = KEY, server: str = SERVER, lifetime_s: int = 600) -> AccessTokens:
    return AccessTokens(key, server, IssuerClock(0, times.clocks()), lifetime_s)


def session(times: Times, **changed: Any) -> Session:
    facts: dict[str, Any] = {
        "id": "s1",
        "user": "ann",
        "scopes": frozenset(Scope),
        "current": None,
        "previous": None,
        "expires_ns": times.wall + 86_400 * 10**9,
    }
    return Session(**{**facts, **changed})


def issued(times: Times, **kwargs: Any) -> str:
    return tokens(times, **kwargs).issue(session(times), frozenset(Scope))[0]


def b64(data: bytes | dict[str, Any]) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(case: str) -> str:
    """Each made from a good token of KEY, or with KEY itself in hand."""
    times = Times()
    good = issued(times)
    head, body, signature = good.split(".")
    header = jwt.get_unverified_header(good)
    claims = jwt.decode(good, options={"verify_signature": False})
    now = claims["iat"]
    public = KEY.public_key()
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def signed(header_changed: dict[str, Any] | None = None, key: Ed25519PrivateKey = KEY, **changed: Any) -> str:
        wanted = {name: value for name, value in {**claims, **changed}.items() if value is not None}
        return jwt.encode(wanted, key, "EdDSA", headers={**header, **(header_changed or {})})

    def by_hand(header: dict[str, Any] | bytes, claims: dict[str, Any] | bytes) -> str:
        text = f"{b64(header)}.{b64(claims)}"
        return f"{text}.{b64(KEY.sign(text.encode()))}"

    def hs256(secret: bytes) -> str:
        text = f"{b64({**header, 'alg': 'HS256'})}.{b64(claims)}"
        return f"{text}.{b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"

    other = Ed25519PrivateKey.generate()
    cases: dict[str, Callable[[], str]] = {
        "alg none": lambda: f"{b64({**header, 'alg': 'none'})}.{body}.",
        "alg nOnE, old signature": lambda: f"{b64({**header, 'alg': 'nOnE'})}.{body}.{signature}",
        "HS256 by the public key's PEM": lambda: hs256(pem),
        "HS256 by the raw public key": lambda: hs256(raw),
        "another key, same kid": lambda: signed(key=other),
        "jwk in the header": lambda: signed({"jwk": {"kty": "OKP", "crv": "Ed25519", "x": b64(raw)}}, key=other),
        "jku in the header": lambda: signed({"jku": "file:///etc/passwd"}),
        "kid unknown": lambda: signed({"kid": "k9"}),
        "kid a path": lambda: signed({"kid": "../../dev/null"}),
        "kid a list": lambda: by_hand({**header, "kid": [header["kid"]]}, claims),
        "kid of 10 kB": lambda: signed({"kid": "k" * 10_000}),
        "kid missing": lambda: by_hand({"typ": "at+jwt", "alg": "EdDSA"}, claims),
        "crit": lambda: by_hand({**header, "crit": ["x"], "x": 1}, claims),
        "b64 false": lambda: by_hand({**header, "crit": ["b64"], "b64": False}, claims),
        "typ JWT": lambda: signed({"typ": "JWT"}),
        "typ missing": lambda: by_hand({name: header[name] for name in ("alg", "kid")}, claims),
        "alg another name of it": lambda: by_hand({**header, "alg": "Ed25519"}, claims),
        "alg missing": lambda: by_hand({name: header[name] for name in ("typ", "kid")}, claims),
        "nbf ahead": lambda: signed(nbf=now + 60),
        "iat ahead": lambda: signed(iat=now + 60),
        "iat after exp": lambda: signed(iat=now, exp=now - 1),
        "exp missing": lambda: signed(exp=None),
        "exp a string": lambda: signed(exp=str(now + 60)),
        "exp a fraction": lambda: signed(exp=now + 60.5),
        "exp true": lambda: signed(exp=True),
        "exp 10^30": lambda: signed(exp=10**30),
        "exp 1e400": lambda: by_hand(
            header, json.dumps({**claims, "exp": 0}).replace('"exp": 0', '"exp": 1e400').encode()
        ),
        "exp NaN": lambda: by_hand(header, json.dumps({**claims, "exp": float("nan")}).encode()),
        "exp two hours": lambda: signed(exp=now + 7200),
        "iat a string": lambda: signed(iat=str(now)),
        "nbf a string": lambda: signed(nbf=str(now)),
        "sub a number": lambda: by_hand(header, {**claims, "sub": 1}),
        "sub a list": lambda: by_hand(header, {**claims, "sub": ["ann"]}),
        "sid a number": lambda: signed(sid=7),
        "jti missing": lambda: signed(jti=None),
        "scope missing": lambda: signed(scope=None),
        "client_id another": lambda: signed(client_id="curl"),
        "aud another": lambda: signed(aud="jobrun:other"),
        "aud a list": lambda: signed(aud=[claims["aud"]]),
        "aud missing": lambda: signed(aud=None),
        "iss another": lambda: signed(iss="jobrun:other"),
        "iss a beginning": lambda: signed(iss=claims["iss"][:-1]),
        "iss a list": lambda: by_hand(header, {**claims, "iss": [claims["iss"]]}),
        "another server's, with our key": lambda: issued(times, server="fedcba"),
        "sub swapped, old signature": lambda: f"{head}.{b64({**claims, 'sub': 'admin'})}.{signature}",
        "signature's last letter": lambda: good[:-1] + ("A" if good[-1] != "A" else "B"),
        "signature empty": lambda: f"{head}.{body}.",
        "padding": lambda: good + "=",
        "newline": lambda: good + "\n",
        "blank before": lambda: " " + good,
        "NUL": lambda: good + "\0",
        "empty": lambda: "",
        "dots": lambda: "..",
        "four parts": lambda: good + ".x",
        "five parts": lambda: good + ".x.y",
        "no ASCII": lambda: good[:-1] + "é",
        "lone surrogate": lambda: "\ud800",
        "header deep": lambda: f"{b64(b'[' * 1200)}.{body}.{signature}",
        "header no object": lambda: f"{b64(b'[]')}.{body}.{signature}",
        "claims no object": lambda: by_hand(header, b"[]"),
        "claims no JSON": lambda: by_hand(header, b"\xff"),
        "long": lambda: signed(jti="j" * 2000),
        "a megabyte": lambda: "a" * (1 << 20),
        "a refresh token": lambda: b64(bytes(32)),
    }
    return cases[case]()


CASES = [
    *("alg none", "alg nOnE, old signature", "HS256 by the public key's PEM", "HS256 by the raw public key"),
    *("another key, same kid", "jwk in the header", "jku in the header", "kid unknown", "kid a path", "kid a list"),
    *("kid of 10 kB", "kid missing", "crit", "b64 false", "typ JWT", "typ missing", "alg another name of it"),
    *("alg missing", "nbf ahead", "iat ahead", "iat after exp", "exp missing", "exp a string", "exp a fraction"),
    *("exp true", "exp 10^30", "exp 1e400", "exp NaN", "exp two hours", "iat a string", "nbf a string"),
    *("sub a number", "sub a list", "sid a number", "jti missing", "scope missing", "client_id another"),
    *("aud another", "aud a list", "aud missing", "iss another", "iss a beginning", "iss a list"),
    *("another server's, with our key", "sub swapped, old signature", "signature's last letter", "signature empty"),
    *("padding", "newline", "blank before", "NUL", "empty", "dots", "four parts", "five parts", "no ASCII"),
    *("lone surrogate", "header deep", "header no object", "claims no object", "claims no JSON", "long"),
    *("a megabyte", "a refresh token"),
]


@pytest.mark.parametrize("case", CASES)
def test_a_forged_token_is_refused_without_a_reason(case: str) -> None:
    """A stranger would be in; or would be told how far he got."""
    with pytest.raises(TokenInvalid) as refused:
        tokens(Times()).verify(forged(case))
    assert str(refused.value) == "the token is not valid here: log in again, or use another token"
    assert refused.value.__cause__ is None


def test_what_was_forged_from_is_good() -> None:
    """The test above would pass against a gate that lets nobody in."""
    times = Times()
    claims = tokens(times).verify(issued(times))
    assert (claims.user, claims.session, claims.expires_ns) == ("ann", "s1", times.wall + 600 * 10**9)


def test_a_token_has_the_shape_of_rfc_9068() -> None:
    """Another program that reads one would not find what the standard promises."""
    times = Times()
    token = issued(times)
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    assert header.keys() == {"typ", "alg", "kid"}
    assert (header["typ"], header["alg"]) == ("at+jwt", "EdDSA")
    assert claims.keys() == {"iss", "aud", "exp", "iat", "nbf", "sub", "client_id", "jti", "scope", "sid"}
    assert claims["iss"] == claims["aud"] == f"jobrun:{SERVER}"
    assert (claims["client_id"], claims["scope"]) == ("jobrun", "jobs:read jobs:run admin")
    assert issued(times) != token


def test_a_token_lives_as_long_as_is_told() -> None:
    """One that outlives its time is no short one; one that ends early makes clients fail that did nothing wrong."""
    times = Times()
    times.wall += 250_000_000
    known, (token, lives_s) = tokens(times), tokens(times).issue(session(times), frozenset(Scope))
    claims = jwt.decode(token, options={"verify_signature": False})
    assert lives_s == claims["exp"] - claims["iat"] == claims["exp"] - claims["nbf"] == 600
    times.turn(lives_s - 1)
    known.verify(token)
    times.turn(1)
    with pytest.raises(TokenExpired):
        known.verify(token)
    with pytest.raises(TokenExpired):
        tokens(times).verify(token)


def test_a_token_ends_with_its_session() -> None:
    """A session's end would not be one."""
    times = Times()
    token, left_s = tokens(times).issue(session(times, expires_ns=times.wall + 5 * 10**9), frozenset(Scope))
    assert left_s == 5
    times.turn(5)
    with pytest.raises(TokenExpired):
        tokens(times).verify(token)


def test_no_token_lives_longer_than_an_hour() -> None:
    """A slip in the settings would make tokens that nobody can take back by waiting."""
    times = Times()
    assert tokens(times, lifetime_s=10**6).issue(session(times), frozenset(Scope))[1] == 3600


def test_what_is_remembered_is_bounded() -> None:
    """A client that takes a new token each second would fill the server's memory."""
    times = Times()
    known = tokens(times)
    for _ in range(REMEMBERED + 10):
        known.verify(known.issue(session(times), frozenset())[0])
    assert len(known._verified) == REMEMBERED


def test_the_key_is_made_once_and_kept_private(tmp_path: Path) -> None:
    """Every restart would end all access tokens; or a job's neighbour would make his own."""
    path = tmp_path / "key.pem"
    first = open_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_key(path).private_bytes_raw() == first.private_bytes_raw()


@pytest.mark.parametrize("spoilt", ["mode", "symlink", "fifo", "garbage", "empty", "rsa", "large"])
def test_a_key_that_others_could_have_put_there_is_refused(tmp_path: Path, spoilt: str) -> None:
    """Its maker would sign his own tokens."""
    path = tmp_path / "key.pem"
    open_key(path)
    if spoilt == "mode":
        path.chmod(0o640)
    elif spoilt == "symlink":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    elif spoilt == "fifo":
        path.unlink()
        os.mkfifo(path, 0o600)
    elif spoilt == "rsa":
        other = rsa.generate_private_key(65537, 2048)
        path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    else:
        path.write_bytes({"garbage": b"no key", "empty": b"", "large": b"x" * 100_000}[spoilt])
    with pytest.raises(StoreError, match=r"key\.pem"):
        open_key(path)
