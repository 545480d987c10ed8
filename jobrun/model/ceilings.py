"""Limits within ceilings."""

from __future__ import annotations

from collections.abc import Mapping

from jobrun.limits import LIMITS
from jobrun.model.amounts import amount
from jobrun.model.errors import InvalidRequest


def check_within(asked: Mapping[str, int], ceilings: Mapping[str, int], where: str) -> None:
    """Both by Limit.field; `where` in the request they were asked for. Raises InvalidRequest, which names the ceiling,
    for more than it."""
    for limit in LIMITS:
        value, ceiling = asked.get(limit.field), ceilings.get(limit.field)
        if value is not None and ceiling is not None and value > ceiling:
            text = f"{amount(value, limit.unit)} is above the ceiling of {amount(ceiling, limit.unit)}: ask for less"
            raise InvalidRequest(f"{where}.{limit.field}", text)
