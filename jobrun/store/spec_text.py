"""A job's spec as the text of one column: JSON, without what is as it is by default, so that new fields change nothing
of old rows. No value of the environment is ever in it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from jobrun.model.job import JobSpec

_DEFAULTS = {
    field.name: field.default for field in dataclasses.fields(JobSpec) if field.default is not dataclasses.MISSING
}


def encode(spec: JobSpec) -> str:
    """One line of JSON, the same for equal specs."""
    known: dict[str, Any] = {"argv": spec.argv}
    for name, default in _DEFAULTS.items():
        value = getattr(spec, name)
        if value != default:
            known[name] = sorted(value) if isinstance(value, frozenset) else value
    if spec.limits:
        known["limits"] = dict(sorted(spec.limits.items()))
    return json.dumps(known, ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> JobSpec:
    """The spec that `encode` had. Raises ValueError for what is none."""
    known = json.loads(text)
    for name in ("argv", "env_names", "secret_env_names"):
        if name in known:
            known[name] = tuple(known[name])
    if "asked" in known:
        known["asked"] = frozenset(known["asked"])
    try:
        return JobSpec(**known)
    except TypeError as error:
        raise ValueError(f"no spec of a job: {error}") from error


def encode_limits(limits: Mapping[str, int]) -> str:
    """What holds for a job, as one line of JSON."""
    return json.dumps(dict(sorted(limits.items())), separators=(",", ":"))


def decode_limits(text: str) -> dict[str, int]:
    """The limits that `encode_limits` had. Raises ValueError for what are none."""
    limits = json.loads(text)
    if not isinstance(limits, dict):
        raise ValueError("no limits of a job")
    return limits
