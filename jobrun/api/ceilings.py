"""Ceilings as a request has them."""

from __future__ import annotations

from jobrun.jobs.spec_checks import check_limits
from jobrun.wire.convert import limits_from_wire
from jobrun.wire.gen.jobrun.v1 import job_pb2

FIELD = "ceilings"
"""Its name in every request that has one."""


def ceilings_from_wire(ceilings: job_pb2.Limits) -> dict[str, int]:
    """By Limit.field; none where nothing is set. Raises InvalidRequest, NotEnforceable."""
    found = limits_from_wire(ceilings, FIELD)
    check_limits(found, FIELD)
    return found
