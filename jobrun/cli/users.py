"""`user`: accounts, for admins."""

from __future__ import annotations

from jobrun.cli.command import Command, group
from jobrun.cli.limit_options import LIMIT_OPTIONS, limits_in_words, limits_of
from jobrun.cli.options import USERS, Option, Parsed, choice
from jobrun.cli.output import put, say
from jobrun.cli.passwords import PASSWORD_STDIN, read_new_password
from jobrun.cli.render import time_text
from jobrun.cli.session import JSON, SERVER_OPTIONS, open_accounts, open_calls
from jobrun.cli.signals import Leaving, leave_on_signals
from jobrun.cli.table import put_table
from jobrun.cli.terminal import Terminal
from jobrun.cli.words import no_words, one_word
from jobrun.config.environment import Environment
from jobrun.limits import LIMITS
from jobrun.model.amounts import counted
from jobrun.model.shown import escape
from jobrun.model.user import is_user_name
from jobrun.wire.gen.jobrun.v1 import admin_service_pb2 as wire

HEADER = ("NAME", "ROLE", "STATE", "SESSIONS", "TOKENS", "CREATED", "CEILINGS")
ROLE = choice("--role", "viewer sees all jobs, user has his own, admin may do all", ("viewer", "user", "admin"))
STOP_JOBS, NO_CEILING, ENABLE = "--stop-jobs", "--no-ceiling", "--enable"
EVERY = "all"
GRACE_S = 10
"""That the server gives a job of a user who is removed (admin_service.proto)."""
CEILINGS = {limit.flag.removeprefix("--"): limit for limit in LIMITS}
"""By the names that --no-ceiling takes."""
CEILINGS_HELP = "Limits are ceilings: what the user's jobs may ask for at most, and get where they do not ask."


def add(parsed: Parsed, environment: Environment) -> int:
    """Makes a user."""
    terminal = Terminal()
    name = one_word(parsed, "NAME")
    accounts = open_accounts(parsed, environment)
    request = wire.CreateUserRequest(username=name, role=parsed.filled(ROLE.key) or "", ceilings=limits_of(parsed))
    request.password = read_new_password(parsed, terminal, name)
    return _tell(parsed, "added", accounts.create_user(request))


def list_users(parsed: Parsed, environment: Environment) -> int:
    """Shows all users."""
    leave_on_signals()
    no_words(parsed)
    users = open_accounts(parsed, environment).users()
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put("".join(to_json(user) for user in users))
    else:
        put_table(HEADER, [_row(user) for user in users])
    return 0


def set_password(parsed: Parsed, environment: Environment) -> int:
    """Gives a user another password."""
    terminal = Terminal()
    name = one_word(parsed, "NAME")
    accounts = open_accounts(parsed, environment)
    accounts.set_password(name, read_new_password(parsed, terminal, name))
    put(escape(f"changed the password of {name}, whose sessions have ended") + "\n")
    return 0


def set_(parsed: Parsed, environment: Environment) -> int:
    """Changes role, state or ceilings."""
    leave_on_signals()
    request = wire.UpdateUserRequest(username=one_word(parsed, "NAME"))
    ceilings = limits_of(parsed)
    changed = [limit.field for limit in LIMITS if ceilings.HasField(limit.field)]
    changed += [field for field in _ended(parsed) if field not in changed]
    if changed:
        request.ceilings.CopyFrom(ceilings)
        request.ceilings_mask.paths.extend(changed)
    if (role := parsed.filled(ROLE.key)) is not None:
        request.role = role
    if parsed.flag(ENABLE):
        request.disabled = False
    if not (request.HasField("role") or request.HasField("disabled") or changed):
        raise parsed.usage_error(f"nothing to change: give {ROLE.key}, {ENABLE}, limits or {NO_CEILING}")
    return _tell(parsed, "changed", open_accounts(parsed, environment).update_user(request))


def _ended(parsed: Parsed) -> list[str]:
    """Fields of the ceilings that shall end. Raises UsageError."""
    ended: list[str] = []
    for word in parsed.texts(NO_CEILING):
        if word == EVERY:
            ended += [limit.field for limit in LIMITS]
        elif word not in CEILINGS:
            raise parsed.usage_error(f"{NO_CEILING}: {word or 'an empty text'} is none of {' '.join(CEILINGS)} {EVERY}")
        elif parsed.given(CEILINGS[word].flag):
            raise parsed.usage_error(f"{NO_CEILING} {word} and {CEILINGS[word].flag} exclude each other")
        else:
            ended.append(CEILINGS[word].field)
    return ended


def disable(parsed: Parsed, environment: Environment) -> int:
    """Keeps a user out."""
    leave_on_signals()
    request = wire.UpdateUserRequest(username=one_word(parsed, "NAME"), disabled=True)
    return _tell(parsed, "disabled", open_accounts(parsed, environment).update_user(request))


def remove(parsed: Parsed, environment: Environment) -> int:
    """Removes a user."""
    leaving = Leaving()
    name, stop_jobs = one_word(parsed, "NAME"), parsed.flag(STOP_JOBS)
    accounts = open_accounts(parsed, environment)
    if stop_jobs and (count := _unfinished(parsed, environment, name)):
        say(f"waiting until {counted(count, 'job')} of {name} stopped, {GRACE_S} s at most")
    if stop_jobs:
        leaving.line = f"{name} is being removed, and that goes on: jobrun user list shows who is still there"
    accounts.remove_user(name, stop_jobs=stop_jobs)
    leaving.line = ""
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import dump

        put(dump({"username": name}))
    else:
        put(escape(f"removed {name}") + "\n")
    return 0


def _unfinished(parsed: Parsed, environment: Environment, name: str) -> int:
    """How many jobs of the user have not finished, of those that this caller may see."""
    if not is_user_name(name):  # "*" would be everybody
        return 0
    from jobrun.cli.listing import pages_of
    from jobrun.client.errors import PermissionRefused
    from jobrun.wire.gen.jobrun.v1 import job_service_pb2

    request = job_service_pb2.ListRequest(filter=job_service_pb2.ListFilter(user=name))
    try:
        return sum(len(page) for page in pages_of(open_calls(parsed, environment), request, None))
    except PermissionRefused:  # with a token that removes users and sees no jobs
        return 0


def _tell(parsed: Parsed, done: str, user: wire.User) -> int:
    if parsed.flag(JSON.key):
        from jobrun.cli.jsontext import to_json

        put(to_json(user))
    else:
        ceilings = limits_in_words(user.ceilings)
        put(escape(f"{done} {user.username} ({user.role}){ceilings and ', at most '}{ceilings}") + "\n")
    return 0


def _row(user: wire.User) -> tuple[str, ...]:
    state = "disabled" if user.disabled else "enabled"
    counts = str(user.sessions), str(user.machine_tokens)
    return user.username, user.role, state, *counts, time_text(user.created_at), limits_in_words(user.ceilings)


USER = group(
    "user",
    "add, list, change, disable and remove users (admins)",
    (
        Command(
            name="user add",
            summary="make a user",
            words="NAME",
            description="A name is used once and never again. Without --role it is a user. The password has 8 to 72\n"
            f"bytes. {CEILINGS_HELP}",
            options=(ROLE, PASSWORD_STDIN, *LIMIT_OPTIONS, JSON, *SERVER_OPTIONS),
            run=add,
            example="jobrun user add ann --role user --memory 8G",
            mixed=True,
        ),
        Command(
            name="user list",
            summary="show all users",
            words="",
            description="",
            options=(JSON, *SERVER_OPTIONS),
            run=list_users,
            example="jobrun user list",
        ),
        Command(
            name="user passwd",
            summary="give a user another password, and end his sessions",
            words="NAME",
            takes=USERS,
            description="",
            options=(PASSWORD_STDIN, *SERVER_OPTIONS),
            run=set_password,
            example="jobrun user passwd ann",
            mixed=True,
        ),
        Command(
            name="user set",
            summary="change a user's role or ceilings, or let him in again",
            words="NAME",
            takes=USERS,
            description=f"{CEILINGS_HELP}\nThose that are not named stay.",
            options=(
                ROLE,
                Option(ENABLE, "may log in again, after user disable"),
                Option(NO_CEILING, "end one, such as memory, or all", "LIMIT", offers=(*CEILINGS, EVERY), many=True),
                *LIMIT_OPTIONS,
                JSON,
                *SERVER_OPTIONS,
            ),
            run=set_,
            example="jobrun user set ann --role admin",
            mixed=True,
        ),
        Command(
            name="user disable",
            summary="keep a user out: sessions end, tokens are refused, jobs go on",
            words="NAME",
            takes=USERS,
            description='Let in again by "jobrun user set NAME --enable".',
            options=(JSON, *SERVER_OPTIONS),
            run=disable,
            example="jobrun user disable ann",
            mixed=True,
        ),
        Command(
            name="user remove",
            summary="remove a user with his sessions and tokens",
            words="NAME",
            takes=USERS,
            description="Refused while jobs of his have not finished, and for the last admin. With --stop-jobs he is\n"
            "shut out at once, and his jobs get TERM, then KILL after their grace, 10 s at most. Ctrl-C leaves, and\n"
            "the removal goes on.",
            options=(Option(STOP_JOBS, "stop his unfinished jobs first"), JSON, *SERVER_OPTIONS),
            run=remove,
            example="jobrun user remove ann --stop-jobs",
            mixed=True,
        ),
    ),
    "jobrun user add ann",
)
COMMANDS = (USER,)
