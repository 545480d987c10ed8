"""Who asks, as the service sees him: decided once by api, never looked up again."""

from __future__ import annotations

import dataclasses
import enum


class Role(enum.Enum):
    """What a user may do: a viewer reads all jobs, a user has his own, an admin all."""

    VIEWER = "viewer"
    USER = "user"
    ADMIN = "admin"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Caller:
    """One authenticated caller of one request."""

    user: str
    role: Role

    def sees(self, owner: str) -> bool:
        """Whether the jobs of `owner` exist for him at all."""
        return owner == self.user or self.sees_all

    @property
    def sees_all(self) -> bool:
        """Whether he sees every user's jobs."""
        return self.role in (Role.VIEWER, Role.ADMIN)

    def touches(self, owner: str) -> bool:
        """Whether he may stop and remove the jobs of `owner`."""
        return self.role is Role.ADMIN or (self.role is Role.USER and owner == self.user)

    @property
    def starts(self) -> bool:
        """Whether he may start jobs."""
        return self.role in (Role.USER, Role.ADMIN)
