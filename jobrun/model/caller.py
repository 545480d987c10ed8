"""Who asks, as the services see him: decided once by api, never looked up again."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from jobrun.model.job import Job


class Role(enum.Enum):
    """What a user may do: a viewer reads all jobs, a user has his own, an admin all."""

    VIEWER = "viewer"
    USER = "user"
    ADMIN = "admin"


class Scope(enum.Enum):
    """What a token may be used for, as RFC 6749 section 3.3 has scopes: it narrows what its user's role allows."""

    JOBS_READ = "jobs:read"
    JOBS_RUN = "jobs:run"
    ADMIN = "admin"


ROLE_SCOPES: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.VIEWER: frozenset({Scope.JOBS_READ}),
    Role.USER: frozenset({Scope.JOBS_READ, Scope.JOBS_RUN}),
    Role.ADMIN: frozenset(Scope),
}
"""All that the tokens of a user can have."""

NO_CEILINGS: Final[Mapping[str, int]] = MappingProxyType({})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Caller:
    """One authenticated caller of one request."""

    user: str
    role: Role
    scopes: frozenset[Scope] = frozenset(Scope)
    """Never more than the role has, where there is a login."""
    session: str = ""
    """The id of the session; empty: a machine token, or a server without login."""
    machine_token: str = ""
    """The id of the machine token; empty: a session, or a server without login."""
    machine_token_name: str = ""
    all_jobs: bool = True
    """False for a machine token that sees and touches only the jobs that it started."""
    ceilings: Mapping[str, int] = dataclasses.field(default_factory=lambda: NO_CEILINGS)
    """By Limit.field: what a job of this caller may ask for at most, and gets where it does not ask."""
    expires_ns: int | None = None
    """When the token ends, UTC; None: never, as on a private server."""
    session_expires_ns: int | None = None
    """When the session ends if it is not refreshed before."""
    address: str = ""
    """Network address, without port; empty over a unix socket."""

    def sees(self, job: Job) -> bool:
        """Whether the job exists for him at all."""
        return self._has(job) or (self.sees_all and self.all_jobs)

    @property
    def sees_all(self) -> bool:
        """Whether his role sees every user's jobs."""
        return self.role in (Role.VIEWER, Role.ADMIN)

    def touches(self, job: Job) -> bool:
        """Whether he may stop and remove the job."""
        if not self.starts:
            return False
        return self._has(job) or (self.role is Role.ADMIN and self.all_jobs)

    @property
    def starts(self) -> bool:
        """Whether he may start jobs."""
        return self.role in (Role.USER, Role.ADMIN) and Scope.JOBS_RUN in self.scopes

    def _has(self, job: Job) -> bool:
        return job.user == self.user and (self.all_jobs or job.machine_token == self.machine_token)
