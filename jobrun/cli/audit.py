"""`audit`: the record of security decisions, for admins."""

from __future__ import annotations

import functools

from jobrun.cli.command import Command, group
from jobrun.cli.options import USERS, Option, Parsed
from jobrun.cli.output import put, say
from jobrun.cli.render import time_text
from jobrun.cli.session import JSON, SERVER_OPTIONS, open_accounts
from jobrun.cli.signals import leave_on_signals
from jobrun.cli.table import put_table
from jobrun.cli.times import parse_since
from jobrun.cli.words import no_words
from jobrun.config.environment import Environment
from jobrun.config.numbers import parse_count
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2 as wire

HEADER = ("TIME", "USER", "TOKEN", "ADDRESS", "ACTION", "TARGET", "OUTCOME", "COUNT")
USUAL, MOST = 100, 1000
"""Events that a server shows where no number is asked for, and at most (admin_service.proto)."""


def show(parsed: Parsed, environment: Environment) -> int:
    """Shows events, newest last."""
    leave_on_signals()
    no_words(parsed)
    request = wire.ListAuditEventsRequest(
        page_size=parsed.number("--number") or 0, username=parsed.filled("--user") or ""
    )
    if (since := parsed.number("--since")) is not None:
        request.since.FromNanoseconds(since)
    events = open_accounts(parsed, environment).audit_events(request)
    if not request.page_size and len(events) == USUAL:
        say(f"the newest {USUAL}, and there may be more: -n takes up to {MOST}")
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put("".join(to_json(event) for event in events))
    else:
        put_table(HEADER, [_row(event) for event in events])
    return 0


def _row(event: wire.AuditEvent) -> tuple[str, ...]:
    count = str(event.count) if event.count > 1 else ""
    who = event.username, event.machine_token, event.address
    return time_text(event.time), *who, event.action, event.target, event.outcome, count


AUDIT = group(
    "audit",
    "show who did what (admins)",
    (
        Command(
            name="audit show",
            summary="show security decisions, newest last",
            words="",
            description="One line stands for many alike where COUNT says so.",
            options=(
                Option("-n --number", "at most N, the newest (100)", "N", functools.partial(parse_count, most=MOST)),
                Option("--user", "those of one user", "NAME", takes=USERS),
                Option("--since", "from this time on", "TIME", parse_since),
                JSON,
                *SERVER_OPTIONS,
            ),
            run=show,
            example="jobrun audit show --since 1d",
        ),
    ),
    "jobrun audit show -n 20",
)
COMMANDS = (AUDIT,)
