"""What can go wrong with a request, as types that know nothing of gRPC.

Each leaf has a `reason`: the UPPER_SNAKE_CASE word that travels as google.rpc ErrorInfo.reason. `api.status` holds
the one table from these types to status codes; a test walks it."""

from __future__ import annotations

from typing import ClassVar


class JobrunError(Exception):
    """Base of all that jobrun itself says; the text is one clear line for people."""

    reason: ClassVar[str]


class InvalidRequest(JobrunError):
    """The request can not be right, whatever the state of things; `field` is the proto path of what is wrong."""

    reason = "INVALID_REQUEST"

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field
        self.text = text


class JobNotFound(JobrunError):
    """No such job, or one that the caller may not see: never told apart."""

    reason = "JOB_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no such job")


class NotAllowed(JobrunError):
    """The caller sees the thing, but may not do that."""

    reason = "NOT_ALLOWED"


class TokenMissing(JobrunError):
    """The call came without a token, or with more than one."""

    reason = "TOKEN_MISSING"


class TokenInvalid(JobrunError):
    """No token of this server: damaged, forged, of another server. Which of them is never said."""

    reason = "TOKEN_INVALID"


class TokenExpired(JobrunError):
    """It was good; its time is over. A session goes on by its refresh token."""

    reason = "TOKEN_EXPIRED"


class SessionEnded(JobrunError):
    """The session or machine token was ended: a logout, another password, a removed or disabled user."""

    reason = "SESSION_ENDED"


class LoginFailed(JobrunError):
    """Unknown user, wrong password or disabled user: never told apart."""

    reason = "LOGIN_FAILED"


class RefreshFailed(JobrunError):
    """No session, or none that goes on by this refresh token."""

    reason = "REFRESH_FAILED"


class LoginThrottled(JobrunError):
    """Too many logins of this user from this address, or too many at once; may be retried."""

    reason = "LOGIN_THROTTLED"


class TooManyCalls(JobrunError):
    """The user has as many calls under way as one may have; may be retried."""

    reason = "TOO_MANY_CALLS"


class ScopeMissing(JobrunError):
    """The token, or its user's role, lacks what the call needs."""

    reason = "SCOPE_MISSING"


class NoLoginHere(JobrunError):
    """The server has no users: it is private, or was started with --insecure."""

    reason = "NO_LOGIN_HERE"


class UserNotFound(JobrunError):
    """No user of that name."""

    reason = "USER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no such user: jobrun user list shows all")


class UserExists(JobrunError):
    """The name is taken, or was once: names are never used again."""

    reason = "USER_EXISTS"


class LastAdmin(JobrunError):
    """No admin would be left who can log in."""

    reason = "LAST_ADMIN"


class UserHasJobs(JobrunError):
    """Jobs of the user have not finished."""

    reason = "USER_HAS_JOBS"


class TooMany(JobrunError):
    """The server has as many users, or the user as many machine tokens, as there may be."""

    reason = "TOO_MANY"


class MachineTokenNotFound(JobrunError):
    """No such machine token, or another user's."""

    reason = "MACHINE_TOKEN_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no such token that holds: jobrun token list shows yours")


class MachineTokenExists(JobrunError):
    """The user has a machine token of that name."""

    reason = "MACHINE_TOKEN_EXISTS"


class RequestIdReused(JobrunError):
    """The same request_id came with another spec."""

    reason = "REQUEST_ID_REUSED"


class RequestIdRemoved(JobrunError):
    """The job that this request_id made was removed."""

    reason = "REQUEST_ID_REMOVED"


class NotEnforceable(JobrunError):
    """A wish that this server can not hold: refused, never ignored."""

    reason = "NOT_ENFORCEABLE"


class JobNotFinished(JobrunError):
    """Only a finished job can be removed."""

    reason = "JOB_NOT_FINISHED"


class StorageFull(JobrunError):
    """No room on the data folder's file system; may be retried."""

    reason = "STORAGE_FULL"


class QueueFull(JobrunError):
    """Too many jobs wait already; may be retried."""

    reason = "QUEUE_FULL"


class TooManyStops(JobrunError):
    """The job was told to stop as often as its file has room for."""

    reason = "TOO_MANY_STOPS"


class JobDamaged(JobrunError):
    """The job's file can not be read."""

    reason = "JOB_DAMAGED"


class ShuttingDown(JobrunError):
    """The server ends; the same call may be made again, streams from their last cursor."""

    reason = "SHUTTING_DOWN"


class StoreError(JobrunError):
    """The data folder can not be used: what is wrong, and what to do; ends the start of a server."""

    reason = "STORE_UNUSABLE"
