"""Who may call what: the one table. A method that is not in it is refused."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class Need(enum.Enum):
    """What a caller must have. Scopes are never more than his role has, so they say what his role must be, too."""

    OPEN = "nothing"
    ANY = "a token"
    SESSION = "a session, never a machine token"
    READ = "the scope jobs:read or jobs:run"
    RUN = "the scope jobs:run"
    ADMIN = "the scope admin"


_JOBS, _AUTH, _ADMIN, _TOKEN = (f"/jobrun.v1.{name}Service/" for name in ("Job", "Auth", "Admin", "Token"))
_HEALTH: Final = "/grpc.health.v1.Health/"

ACCESS: Final[Mapping[str, Need]] = {
    f"{_AUTH}IssueToken": Need.OPEN,
    f"{_AUTH}RevokeToken": Need.SESSION,
    f"{_AUTH}ChangePassword": Need.SESSION,
    f"{_AUTH}WhoAmI": Need.ANY,
    f"{_JOBS}Start": Need.RUN,
    f"{_JOBS}Stop": Need.RUN,
    f"{_JOBS}Remove": Need.RUN,
    f"{_JOBS}GetStatus": Need.READ,
    f"{_JOBS}Watch": Need.READ,
    f"{_JOBS}Logs": Need.READ,
    f"{_JOBS}List": Need.READ,
    f"{_TOKEN}CreateMachineToken": Need.SESSION,
    f"{_TOKEN}ListMachineTokens": Need.SESSION,
    f"{_TOKEN}RevokeMachineToken": Need.SESSION,
    f"{_ADMIN}CreateUser": Need.ADMIN,
    f"{_ADMIN}ListUsers": Need.ADMIN,
    f"{_ADMIN}UpdateUser": Need.ADMIN,
    f"{_ADMIN}SetUserPassword": Need.ADMIN,
    f"{_ADMIN}RemoveUser": Need.ADMIN,
    f"{_ADMIN}ListAuditEvents": Need.ADMIN,
    f"{_HEALTH}Check": Need.OPEN,
    f"{_HEALTH}Watch": Need.OPEN,
    f"{_HEALTH}List": Need.OPEN,
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Need.ANY,
}
"""By the full name of the method, as gRPC has it."""
