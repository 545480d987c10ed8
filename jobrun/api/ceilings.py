"""Ceilings as a request has them."""

from __future__ import annotations

from jobrun.jobs.spec_checks import check_limits
from jobrun.limits import LIMITS
from jobrun.model.errors import InvalidRequest
from jobrun.wire.convert import limits_from_wire
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, job_pb2

FIELD, MASK = "ceilings", "ceilings_mask"
"""Their names in every request that has them."""


def ceilings_from_wire(ceilings: job_pb2.Limits) -> dict[str, int]:
    """By Limit.field; none where nothing is set. Raises InvalidRequest, NotEnforceable."""
    found = limits_from_wire(ceilings, FIELD)
    check_limits(found, FIELD)
    return found


def changed_ceilings(request: admin_service_pb2.UpdateUserRequest) -> dict[str, int | None] | None:
    """Those that change, None for one that ends; None: the request is not about them. Raises InvalidRequest,
    NotEnforceable."""
    fields = [limit.field for limit in LIMITS]
    if request.HasField(MASK):
        for path in request.ceilings_mask.paths:
            if path not in fields:
                raise InvalidRequest(MASK, f"may name {', '.join(fields)}")
        fields = list(request.ceilings_mask.paths)
    elif not request.HasField(FIELD):
        return None
    found = ceilings_from_wire(request.ceilings)
    if not found.keys() <= set(fields):
        raise InvalidRequest(MASK, "must name all that ceilings has")
    return {field: found.get(field) for field in fields}
