"""Who is on an audit record in tests, and what it says."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from jobrun.auth.audit import Audit
from jobrun.model.caller import Caller, Role
from jobrun.model.user import AuditEvent
from tests.unit.auth_ground import HERE

ANN = Caller(user="ann", role=Role.USER, session="s1", address=HERE)
ROBOT = Caller(user="ann", role=Role.USER, machine_token="m1", address=HERE)


def lines(path: Path) -> list[dict[str, Any]]:
    """All events on record in that file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(audit: Audit, most: int = 100, user: str = "", since_ns: int = 0) -> list[AuditEvent]:
    """What `audit show` would tell."""
    return asyncio.run(audit.events(most, user=user, since_ns=since_ns))
