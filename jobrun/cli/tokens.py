"""`token`: machine tokens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jobrun.cli.command import Command, group
from jobrun.cli.limit_options import LIMIT_OPTIONS, limits_in_words, limits_of
from jobrun.cli.options import TOKENS, Option, Parsed
from jobrun.cli.output import STDOUT, BrokenOutput, OutputFailed, put, say
from jobrun.cli.render import time_text
from jobrun.cli.session import JSON, SERVER_OPTIONS, open_accounts, target_of
from jobrun.cli.signals import Leaving, leave_on_signals
from jobrun.cli.table import put_table
from jobrun.cli.words import no_words, one_word
from jobrun.config.environment import Environment
from jobrun.config.errors import Refusal
from jobrun.config.logins import open_logins
from jobrun.config.numbers import parse_duration
from jobrun.config.token_string import compose_token
from jobrun.model.shown import escape
from jobrun.wire.gen.jobrun.v1 import token_service_pb2 as wire

if TYPE_CHECKING:
    from jobrun.client.accounts import Accounts

HEADER = ("ID", "NAME", "USER", "SCOPES", "JOBS", "CREATED", "USED", "UNTIL", "CEILINGS")
ALL_JOBS, ALL_USERS = "--all-jobs", "--all-users"
SECOND_NS = 10**9


def create(parsed: Parsed, environment: Environment) -> int:
    """Makes a machine token, and prints what JOBRUN_TOKEN is to hold."""
    leaving = Leaving()
    request = _request(parsed)
    name = request.name
    _check_somebody_reads()
    accounts = open_accounts(parsed, environment)
    from jobrun.client.accounts import token_doubt

    leaving.line = token_doubt(name)
    answer = accounts.create_token(request)
    leaving.line = f"token {name} holds, and nobody may have seen it: jobrun token revoke {answer.token.id}"
    try:
        _show(parsed, answer, _token_string(parsed, environment, answer.secret))
    except OutputFailed as error:
        doubt = _take_back(accounts, answer.token)
        raise OutputFailed(f"{error}: {doubt or f'token {name} is revoked again'}") from error
    except (BrokenOutput, Refusal):
        if doubt := _take_back(accounts, answer.token):
            say(doubt)
        raise
    leaving.line = ""
    until = time_text(answer.token.expires_at)
    if not parsed.flag(JSON.key):
        say(f"token {name} ({answer.token.id}), until {until}: for JOBRUN_TOKEN; it is not shown again")
    return 0


def _request(parsed: Parsed) -> wire.CreateMachineTokenRequest:
    """Raises UsageError."""
    name = _name(parsed)
    parsed.filled("--scope")
    scope = " ".join(" ".join(parsed.texts("--scope")).replace(",", " ").split())
    ttl_ns = parsed.number("--ttl") or 0
    return wire.CreateMachineTokenRequest(
        name=name,
        scope=scope,
        expires_in=-(-ttl_ns // SECOND_NS),
        all_jobs=parsed.flag(ALL_JOBS),
        ceilings=limits_of(parsed),
    )


def _name(parsed: Parsed) -> str:
    """A label that can be typed without quotes, and taken for nothing else. Raises UsageError."""
    from jobrun.model.user import TOKEN_NAME_TEXT, is_token_name

    name = one_word(parsed, "NAME")
    if not is_token_name(name):
        raise parsed.usage_error(f"{name or 'an empty text'} is no name: {TOKEN_NAME_TEXT}")
    return name


def _check_somebody_reads() -> None:
    """Raises Refusal where stdout is /dev/null, as one that was closed is by now."""
    if os.path.samestat(os.fstat(STDOUT), os.stat(os.devnull)):
        raise Refusal("stdout is closed or /dev/null, and a token is shown once: give it a file or a reader")


def _token_string(parsed: Parsed, environment: Environment, secret: str) -> str:
    """With the server's address and pin, as this login knows them."""
    server = target_of(parsed, environment).server
    known = None if server is None else open_logins(environment).known(str(server))
    if server is None or known is None:
        raise Refusal("the server is not among the known ones: log in first")
    return compose_token(server, known.pin, secret)


def _take_back(accounts: Accounts, token: wire.MachineToken) -> str:
    """Ends a token that nobody was told. Empty, or why it may still hold."""
    try:
        accounts.revoke_token(token.id)
    except Refusal as refusal:
        return f"token {token.name} may still hold, and nobody has it: jobrun token revoke {token.id} ({refusal})"
    return ""


def _show(parsed: Parsed, answer: wire.CreateMachineTokenResponse, text: str) -> None:
    if parsed.flag(JSON.key):
        _put_json(answer, text)
    else:
        put(f"{text}\n")


def _put_json(answer: wire.CreateMachineTokenResponse, text: str) -> None:
    """The token; `secret` is what goes behind "Bearer ", `jobrun_token` what JOBRUN_TOKEN holds."""
    from jobrun.cli.jsontext import dump, to_plain

    put(dump({**to_plain(answer.token), "secret": answer.secret, "jobrun_token": text}))


def list_tokens(parsed: Parsed, environment: Environment) -> int:
    """Shows those that hold."""
    leave_on_signals()
    no_words(parsed)
    tokens = open_accounts(parsed, environment).tokens(all_users=parsed.flag(ALL_USERS))
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put("".join(to_json(token) for token in tokens))
    else:
        put_table(HEADER, [_row(token) for token in tokens])
    return 0


def _row(token: wire.MachineToken) -> tuple[str, ...]:
    used = time_text(token.last_used_at) if token.HasField("last_used_at") else "never"
    jobs = "all" if token.all_jobs else "own"
    times = time_text(token.created_at), used, time_text(token.expires_at)
    return token.id, token.name, token.username, token.scope, jobs, *times, limits_in_words(token.ceilings)


def revoke(parsed: Parsed, environment: Environment) -> int:
    """Ends one at once."""
    leave_on_signals()
    named = one_word(parsed, "ID or NAME")
    token = open_accounts(parsed, environment).revoke_token(named)
    if token is None:
        say(f"{named} is revoked; the answer that says more is lost")
    elif parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put(to_json(token))
    else:
        put(escape(f"revoked {token.name} ({token.id}) of {token.username}") + "\n")
    return 0


TOKEN = group(
    "token",
    "make, list and revoke tokens for machines",
    (
        Command(
            name="token create",
            summary="make a token for a pipeline or program, and print it once",
            words="NAME",
            description="Prints what JOBRUN_TOKEN is to hold: it names this server, and how it proves itself. With it\n"
            "alone in the environment every command goes there. Such a token sees and touches the jobs that it\n"
            "started. Limits are ceilings of its jobs.",
            options=(
                Option(
                    "--scope",
                    "what it may do: jobs:run, jobs:read or admin (jobs:run; of a viewer jobs:read)",
                    "SCOPE",
                    offers=("jobs:run", "jobs:read", "admin"),
                    many=True,
                ),
                Option("--ttl", "how long it holds (90d), at most 366d", "DUR", parse_duration),
                Option(ALL_JOBS, "it sees and touches all jobs that you may"),
                *LIMIT_OPTIONS,
                JSON,
                *SERVER_OPTIONS,
            ),
            run=create,
            example="jobrun token create ci --ttl 30d --timeout 1h",
            mixed=True,
        ),
        Command(
            name="token list",
            summary="show your tokens that hold",
            words="",
            description="",
            options=(Option(ALL_USERS, "those of all users (admins)"), JSON, *SERVER_OPTIONS),
            run=list_tokens,
            example="jobrun token list",
        ),
        Command(
            name="token revoke",
            summary="end a token at once",
            words="ID|NAME",
            takes=TOKENS,
            description="A name is one of your own; an admin may name any user's by its ID.",
            options=(JSON, *SERVER_OPTIONS),
            run=revoke,
            example="jobrun token revoke ci",
            mixed=True,
        ),
    ),
    "jobrun token create ci",
)
COMMANDS = (TOKEN,)
