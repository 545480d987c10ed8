"""What is done to jobs, for the audit record of a server with login.

What only looks, and is refused, is noted by the interceptor."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobrun.model.caller import Caller
from jobrun.model.errors import JobrunError

if TYPE_CHECKING:
    from jobrun.auth.audit import Audit

MOST_TARGET = 64
"""Characters of what a caller names as a job's id; a real one has 8."""

CUT = "CALL_CUT"
"""Outcome where the caller went away: what he asked for goes on, how it went is not known here."""


@dataclasses.dataclass
class Deed:
    """Done to which job."""

    job_id: str = ""
    changes: bool = True
    """False: what was asked for was so before, which is no line unless it is refused."""


@contextlib.contextmanager
def noted(audit: Audit | None, caller: Caller, action: str, job_id: str = "") -> Iterator[Deed]:
    """Round what `action` does: how it went is on record behind it. One whose call was cut is noted as CUT.

    `audit` None: the server has no login."""
    deed = Deed(job_id)
    if audit is None:
        yield deed
        return
    try:
        yield deed
    except JobrunError as error:
        audit.note_often(caller, caller.address, action, deed.job_id[:MOST_TARGET], error.reason)
        raise
    except asyncio.CancelledError:
        audit.note(caller, caller.address, action, deed.job_id[:MOST_TARGET], CUT)
        raise
    if deed.changes:
        audit.note(caller, caller.address, action, deed.job_id[:MOST_TARGET])
