"""Which jobs a list asks for. Frozen, no I/O."""

from __future__ import annotations

import dataclasses

from jobrun.model.lifecycle import EndReason, State


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobFilter:
    """All that is given must fit. Times are nanoseconds since the epoch, 0 where not given."""

    user: str | None
    """The owner; None: everybody's."""
    machine_token: str | None = None
    """Those that this machine token started; None: however they were started."""
    states: frozenset[State]
    """Never empty."""
    name: str = ""
    reasons: frozenset[EndReason] = frozenset()
    created_from_ns: int = 0
    created_before_ns: int = 0
    id_prefix: str = ""
