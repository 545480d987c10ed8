"""Which limits hold for a job: what was asked for, within the ceilings of who asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobrun.limits import LIMITS
from jobrun.model.amounts import amount
from jobrun.model.errors import InvalidRequest
from jobrun.model.job import DEFAULT_LOG_BYTES

DEFAULTS: Final[Mapping[str, int]] = {"log_bytes": DEFAULT_LOG_BYTES}
"""What holds where neither the job nor a ceiling says otherwise; all others hold nothing then."""


def limits_that_hold(asked: Mapping[str, int], ceilings: Mapping[str, int], cpus: int) -> dict[str, int]:
    """By Limit.field. One that is not asked for is the smaller of default and ceiling; `cpus`: what the machine has.

    Raises InvalidRequest, which names the ceiling, for more than it."""
    holds = {}
    for limit in LIMITS:
        field, bounds = limit.field, [where[limit.field] for where in (DEFAULTS, ceilings) if limit.field in where]
        if field in asked:
            _check(field, asked[field], ceilings.get(field), limit.unit)
            holds[field] = asked[field]
        elif bounds:
            holds[field] = min(bounds)
    if "cpus" in holds:
        holds["cpus"] = min(holds["cpus"], cpus)
    return holds


def _check(field: str, value: int, ceiling: int | None, unit: str) -> None:
    if ceiling is not None and value > ceiling:
        text = f"{amount(value, unit)} is above the ceiling of {amount(ceiling, unit)}: ask for less"
        raise InvalidRequest(f"spec.limits.{field}", text)
