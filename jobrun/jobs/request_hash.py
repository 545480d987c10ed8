"""What tells a retried Start from another one with the same request_id: a keyed hash of all that was asked, values of
the environment too."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from jobrun.model.errors import InvalidRequest, RequestIdReused
from jobrun.model.job import JobSpec, Secrets

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_request_id(request_id: str) -> None:
    """Raises InvalidRequest."""
    if not _REQUEST_ID.fullmatch(request_id):
        raise InvalidRequest("request_id", "1 to 64 of A-Z a-z 0-9 . _ -")


def request_hash(key: bytes, spec: JobSpec, secrets: Secrets) -> bytes:
    """32 bytes, the same for the same wish: without `key` nobody can try out values that he guesses."""
    digest = hashlib.blake2b(key=key, digest_size=32)
    for part in _parts(spec, secrets):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()


def stop_request(user: str, request_id: str) -> int:
    """8 bytes that tell a retried Stop from another one; 0 where it has no request_id. Raises InvalidRequest."""
    if not request_id:
        return 0
    check_request_id(request_id)
    return int.from_bytes(hashlib.blake2b(f"{user} {request_id}".encode(), digest_size=8).digest(), "little")


def check_same(known: bytes, wish: bytes) -> None:
    """Whether two hashes with one request_id are of one wish. Raises RequestIdReused."""
    if known != wish:
        raise RequestIdReused("this request_id was used for another spec: use another one")


def _parts(spec: JobSpec, secrets: Secrets) -> Iterator[bytes]:
    yield repr(len(spec.argv)).encode()
    yield from (word.encode() for word in spec.argv)
    yield spec.name.encode()
    yield spec.cwd.encode()
    numbers = (spec.slots, spec.grace_ns, spec.umask, sorted(spec.limits.items()), sorted(spec.asked))
    yield repr(numbers).encode()
    for values in (secrets.env, secrets.secret_env):
        yield repr(len(values)).encode()
        for name, value in sorted(values.items()):
            yield name.encode()
            yield value
    yield secrets.stdin
