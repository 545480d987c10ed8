"""Which limits hold for a job: what was asked for, within the ceilings of who asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobrun.limits import LIMITS
from jobrun.model.ceilings import check_within
from jobrun.model.job import DEFAULT_LOG_BYTES

DEFAULTS: Final[Mapping[str, int]] = {"log_bytes": DEFAULT_LOG_BYTES}
"""What holds where neither the job nor a ceiling says otherwise; all others hold nothing then."""


def limits_that_hold(asked: Mapping[str, int], ceilings: Mapping[str, int], cpus: int) -> dict[str, int]:
    """By Limit.field. One that is not asked for is the smaller of default and ceiling; `cpus`: what the machine has.

    Raises InvalidRequest, which names the ceiling, for more than it."""
    check_within(asked, ceilings, "spec.limits")
    holds = {}
    for limit in LIMITS:
        field, bounds = limit.field, [where[limit.field] for where in (DEFAULTS, ceilings) if limit.field in where]
        if field in asked:
            holds[field] = asked[field]
        elif bounds:
            holds[field] = min(bounds)
    if "cpus" in holds:
        holds["cpus"] = min(holds["cpus"], cpus)
    return holds
