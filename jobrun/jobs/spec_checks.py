"""What a spec must be like before anything is done with it: its bounds, one check a function, one table."""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Callable, Mapping
from typing import Final

from jobrun.limits import COUNT, LIMITS, MOST, NANOSECONDS
from jobrun.model.amounts import amount
from jobrun.model.errors import InvalidRequest, NotEnforceable
from jobrun.model.job import JobSpec, Secrets

MOST_BYTES = 1 << 20
"""argv, env and secret_env together."""
MOST_STRING = 131_071
"""One string, without its NUL: MAX_ARG_STRLEN of execve(2)."""
MOST_NAME = 128
"""Characters of a job's name."""
MOST_STDIN = 1 << 20
"""Bytes."""
MOST_PATH = 4095
"""Bytes of a path without its NUL: PATH_MAX."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ground:
    """What a server has to offer. `slots` None: no bound. `hard_limits`: see there."""

    hard_limits: Mapping[str, int]
    cpus: int
    slots: int | None


def check(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    """Raises InvalidRequest, which names the field, or NotEnforceable."""
    for one in CHECKS:
        one(spec, secrets, ground)


def check_stop(signal: int | None, grace_ns: int | None) -> None:
    """What a Stop asks for; None where it does not say."""
    if signal is not None and not 1 <= signal <= 64:
        raise InvalidRequest("signal", f"{signal} is no signal of Linux: 1 to 64")
    if grace_ns is not None:
        _check_grace("grace", grace_ns)


def check_limits(limits: Mapping[str, int], place: str) -> None:
    """Of a job, or ceilings: whatever the machine, they must make sense. `place`: their own path in the request."""
    for limit in LIMITS:
        if limit.field not in limits:
            continue
        value, field, most = limits[limit.field], f"{place}.{limit.field}", MOST[limit.unit]
        if not limit.least <= value <= most:
            raise InvalidRequest(field, f"{value} is not within {limit.least} to {most}, {limit.unit}")
        if not limit.enforced_by:
            raise NotEnforceable(f"{field}: nothing on this machine can enforce it in this version")


def _argv(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    if not spec.argv or not spec.argv[0]:
        raise InvalidRequest("spec.argv", "name a program to run")
    for word in spec.argv:
        _string("spec.argv", word.encode())


def _environment(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    for field, values in (("spec.env", secrets.env), ("spec.secret_env", secrets.secret_env)):
        for name, value in values.items():
            if not name or "=" in name:
                raise InvalidRequest(field, f"{name!r} can not be the name of a variable")
            _string(field, name.encode() + b"=" + value)


def _together(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    size = sum(len(word.encode()) for word in spec.argv)
    for values in (secrets.env, secrets.secret_env):
        size += sum(len(name.encode()) + len(value) for name, value in values.items())
    if size > MOST_BYTES:
        raise InvalidRequest("spec", f"argv and environment have {size} bytes, at most {MOST_BYTES} fit")
    if len(secrets.stdin) > MOST_STDIN:
        raise InvalidRequest("spec.stdin", f"{len(secrets.stdin)} bytes, at most {MOST_STDIN} fit")


def _secret_values(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    if secrets.secret_env:
        raise NotEnforceable("spec.secret_env: masking the output is not in this version")


def _name(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    _no_nul("spec.name", spec.name.encode())
    if len(spec.name) > MOST_NAME:
        raise InvalidRequest("spec.name", f"{len(spec.name)} characters, at most {MOST_NAME} fit")


def _cwd(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    path = spec.cwd.encode()
    _no_nul("spec.cwd", path)
    if len(path) > MOST_PATH:
        raise InvalidRequest("spec.cwd", f"{len(path)} bytes, a path has at most {MOST_PATH}")
    if spec.cwd.startswith("/"):
        return
    if posixpath.normpath(spec.cwd or ".").split("/")[0] == "..":
        raise InvalidRequest("spec.cwd", f"{spec.cwd!r} leads out of the job's folder")


def _limits(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    check_limits(spec.limits, "spec.limits")
    if spec.limits.get("cpus", 0) > ground.cpus:
        text = f"{spec.limits['cpus']} is not within 1 to {ground.cpus}, what this machine has"
        raise InvalidRequest("spec.limits.cpus", text)
    for limit in LIMITS:
        value, most = spec.limits.get(limit.field), ground.hard_limits.get(limit.field)
        if value is not None and most is not None and value > most:
            hard = f"the hard limit of {amount(most, limit.unit)} that the server was started with"
            raise NotEnforceable(
                f"spec.limits.{limit.field}: {amount(value, limit.unit)} is above {hard}: ask for less"
            )


def _slots(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    most = MOST[COUNT] if ground.slots is None else ground.slots
    if not 1 <= spec.slots <= most:
        raise InvalidRequest("spec.slots", f"{spec.slots} is not within 1 to {most}, what this server has")


def _grace(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    _check_grace("spec.grace", spec.grace_ns)


def _umask(spec: JobSpec, secrets: Secrets, ground: Ground) -> None:
    if not 0 <= spec.umask <= 0o777:
        raise InvalidRequest("spec.umask", f"{spec.umask} is not within 0 to {0o777}")


CHECKS: Final[tuple[Callable[[JobSpec, Secrets, Ground], None], ...]] = (
    _argv,
    _environment,
    _together,
    _name,
    _cwd,
    _limits,
    _slots,
    _grace,
    _umask,
    _secret_values,
)


def _check_grace(field: str, grace_ns: int) -> None:
    most = MOST[NANOSECONDS]
    if not 0 <= grace_ns <= most:
        raise InvalidRequest(field, f"{grace_ns} is not within 0 to {most} nanoseconds")


def _string(field: str, value: bytes) -> None:
    _no_nul(field, value)
    if len(value) > MOST_STRING:
        raise InvalidRequest(field, f"one string has {len(value)} bytes, at most {MOST_STRING} fit")


def _no_nul(field: str, value: bytes) -> None:
    if b"\0" in value:
        raise InvalidRequest(field, "no NUL byte fits")
