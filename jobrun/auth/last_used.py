"""When machine tokens were used, until it is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jobrun.model.user import MachineToken

HOUR_NS: Final = 3600 * 10**9


class LastUsed:
    """To the hour: at most one entry a token."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}

    def note(self, token: MachineToken, now_ns: int) -> None:
        """It is used now."""
        hour_ns = now_ns - now_ns % HOUR_NS
        if token.last_used_ns < hour_ns:
            self._used[token.id] = hour_ns

    def of(self, token: MachineToken) -> int:
        """0: never. In its first hour: when it was made."""
        used_ns = max(token.last_used_ns, self._used.get(token.id, 0))
        return max(used_ns, token.created_ns) if used_ns else 0

    def take(self) -> Mapping[str, int]:
        """What is to be written down; it is forgotten here."""
        used, self._used = self._used, {}
        return used

    def put_back(self, used: Mapping[str, int]) -> None:
        """It could not be written down."""
        self._used = {**used, **self._used}
