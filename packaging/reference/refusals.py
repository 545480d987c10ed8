"""errors.md: what a server may answer instead, and what to do."""

from __future__ import annotations

from collections.abc import Mapping

import grpc

from jobrun.api.status import RETRY_AFTER_NS, STATUS
from jobrun.client.errors import NO_TOKEN, REFUSALS, RETRIED, CallRefused
from jobrun.model.errors import JobrunError
from reference.markdown import code, page, paragraph, table

DO: Mapping[str, str] = {
    "INVALID_REQUEST": "Mend the field that BadRequest names.",
    "JOB_NOT_FOUND": "Look for it: `jobrun list -a`. It may be another user's, or removed.",
    "NOT_ALLOWED": "Ask the job's owner, or an admin.",
    "TOKEN_MISSING": "Log in: `jobrun login HOST`; a program sends `authorization: Bearer TOKEN`, once.",
    "TOKEN_INVALID": "Log in again, or make another machine token.",
    "TOKEN_EXPIRED": "A client refreshes by itself; a machine token has to be made anew.",
    "SESSION_ENDED": "Log in again, or make another machine token.",
    "LOGIN_FAILED": "Check user and password; an admin sees why in `jobrun audit show`.",
    "REFRESH_FAILED": "Log in again.",
    "LOGIN_THROTTLED": "Wait a moment, then once more.",
    "TOO_MANY_CALLS": "End some followers, or wait.",
    "SCOPE_MISSING": "Ask an admin for another role, or make a token with that scope.",
    "NO_LOGIN_HERE": "Nothing: this server needs no login.",
    "USER_NOT_FOUND": "Look for the name: `jobrun user list`.",
    "USER_EXISTS": "Take another name.",
    "LAST_ADMIN": "Make another admin first.",
    "USER_HAS_JOBS": "Wait for the jobs, or `jobrun user remove --stop-jobs`.",
    "TOO_MANY": "Remove some that nobody needs.",
    "MACHINE_TOKEN_NOT_FOUND": "Look for it: `jobrun token list`.",
    "MACHINE_TOKEN_EXISTS": "Take another name, or revoke that one.",
    "REQUEST_ID_REUSED": "Take a new request_id for what is another job.",
    "REQUEST_ID_REMOVED": "Take a new request_id; the job ran, and was removed.",
    "NOT_ENFORCEABLE": "Leave the wish out; `jobrun doctor` on the server's machine says what it can hold.",
    "JOB_NOT_FINISHED": "Stop it first: `jobrun rm -f`.",
    "STORAGE_FULL": "Make room: `jobrun rm --finished`, or on the server's disk.",
    "QUEUE_FULL": "Wait, or stop jobs that nobody needs.",
    "TOO_MANY_STOPS": "Wait for its end; `status` says who stopped it.",
    "JOB_DAMAGED": "See the server's log; `jobrun rm` forgets the job.",
    "SHUTTING_DOWN": "The same call again; a stream from its last cursor.",
    "STORE_UNUSABLE": "See the server's log: it says what is wrong with its data folder.",
}
"""By reason; a test holds them to the errors that there are."""
INTRODUCTION = """\
An error of a server is a gRPC status. Its trailing metadata `grpc-status-details-bin` holds a google.rpc.Status with an
ErrorInfo: domain `jobrun` and one of these reasons. INVALID_REQUEST brings BadRequest too, what may be tried again
RetryInfo. A fault of the server's own is INTERNAL with an incident number, which its log explains.
"""
CODES = """\
The last column is the exit code of the commands that talk to a server; run, attach and wait leave with 125 instead.
Before a command fails it tries again where that is safe.
"""


def refusals_page() -> str:
    """The page."""
    head = ("reason", "gRPC status", "meaning", "what to do", "again after", "exit code")
    return page("Errors of a server", paragraph(INTRODUCTION), paragraph(CODES), table(head, map(_row, STATUS)))


def _row(kind: type[JobrunError]) -> tuple[str, ...]:
    status = STATUS[kind]
    return (
        code(kind.reason),
        code(status.name),
        kind.__doc__ or "",
        DO[kind.reason],
        f"{RETRY_AFTER_NS[kind] // 10**9} s" if kind in RETRY_AFTER_NS else "",
        _exit_code(kind.reason, status),
    )


def _exit_code(reason: str, status: grpc.StatusCode) -> str:
    if reason == "LOGIN_FAILED":
        return "1"
    number = str(REFUSALS.get(status, CallRefused).code)
    if reason in NO_TOKEN:
        return f"{number}, if no other token helps"
    return f"{number}, once the time is up" if status in RETRIED else number
