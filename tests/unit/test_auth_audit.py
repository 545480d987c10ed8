"""The audit record: complete, readable, bounded, and without secrets."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest

from jobrun.auth import audit_search
from jobrun.auth.audit import KINDS, LINES_OF_REFUSALS, MANY, Audit, jobs_path
from jobrun.auth.auth import Auth
from jobrun.model.caller import Caller, Role
from jobrun.model.errors import JobrunError
from tests.unit.audit_ground import ANN, ROBOT, events, lines
from tests.unit.auth_ground import (
    ELSEWHERE,
    HERE,
    PASSWORD,
    Times,
    admin,
    admit,
    create_token,
    first_password,
    go_on,
    log_in,
    user,
    with_auth,
)


def test_one_decision_is_one_line_at_once(tmp_path: Path) -> None:
    """A server that is killed, or broken into, would take its last minutes with it."""
    times, path = Times(), tmp_path / "audit.jsonl"
    audit = Audit(path, times.clocks())
    audit.note(ANN, "", "job.start", "aaaaaaaa")
    audit.note(ROBOT, ELSEWHERE, "job.stop", "aaaaaaaa", "NOT_ALLOWED")
    audit.note("", "", "user.create", "admin")
    told = [*lines(jobs_path(path)), *lines(path)]
    assert [(one["user"], one["machine_token"], one["address"], one["outcome"]) for one in told] == [
        ("ann", "", HERE, "ok"),
        ("ann", "m1", ELSEWHERE, "NOT_ALLOWED"),
        ("", "", "local", "ok"),
    ]
    assert path.stat().st_mode & 0o777 == 0o600
    assert {event.action for event in events(audit)} == {"job.start", "job.stop", "user.create"}
    audit.close()


def test_what_others_say_can_make_no_line_of_its_own(tmp_path: Path) -> None:
    """A job's name or a user's would write its own entries, or move the cursor of whoever looks."""
    audit = Audit(tmp_path / "a", Times().clocks())
    nasty = 'x"}\n{"user": "admin"\r\x1b[2J\x9b\u202e\u2028\ud800'
    audit.note(nasty, HERE, "login", nasty, nasty)
    (line,) = (tmp_path / "a").read_bytes().splitlines()
    assert line.isascii()
    assert not any(byte < 32 for byte in line)
    assert [(event.user, event.target) for event in events(audit)] == [(nasty, nasty)]
    audit.close()


def test_the_newest_are_found_by_user_and_time(tmp_path: Path) -> None:
    """`audit show` would tell the oldest, or all."""
    times = Times()
    audit = Audit(tmp_path / "a", times.clocks())
    for number in range(3000):
        audit.note("ann" if number % 3 else "bob", HERE, "job.start", f"{number}")
        times.turn(1)
    assert [int(event.target) for event in events(audit, 4)] == [2996, 2997, 2998, 2999]
    assert [int(event.target) for event in events(audit, 3, user="bob")] == [2991, 2994, 2997]
    since = times.wall - 5 * 10**9
    assert [int(event.target) for event in events(audit, 1000, since_ns=since)] == [2995, 2996, 2997, 2998, 2999]
    assert len(events(audit, 10_000)) == 3000
    assert events(audit, 5, user="nobody") == []
    audit.close()


def test_the_search_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A year's record would be read whole for one question."""
    audit = Audit(tmp_path / "a", Times().clocks())
    audit.note("bob", HERE, "login", "long ago")
    for number in range(2000):
        audit.note("ann", HERE, "token.create", f"{number}")
    monkeypatch.setattr(audit_search, "SEARCHED", 100_000)
    assert events(audit, 5, user="bob") == []
    found = events(audit, 10_000)
    assert 300 < len(found) < 2000
    assert found[-1].target == "1999"
    audit.close()


def test_a_line_that_was_cut_costs_no_other(tmp_path: Path) -> None:
    """A full disk in the middle of a line, and nobody can read the record any more."""
    path = tmp_path / "a"
    audit = Audit(path, Times().clocks())
    audit.note(ANN, "", "job.start", "before")
    room = path.stat().st_size + 20
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        audit.note(ANN, "", "job.start", "cut")
        audit.note(ANN, "", "job.start", "lost")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    audit.note(ANN, "", "job.start", "after")
    assert [event.target for event in events(audit)] == ["before", "after"]
    audit.close()


def test_a_flood_is_a_line_a_minute(tmp_path: Path) -> None:
    """Whoever sends forged tokens as fast as he can would fill the disk."""
    times = Times()
    audit = Audit(tmp_path / "a", times.clocks())
    for _ in range(1000):
        audit.note_often("", HERE, "call", "Start", "TOKEN_INVALID")
    audit.note_often("", ELSEWHERE, "call", "Start", "TOKEN_INVALID")
    audit.keep_up()
    assert [(one["address"], one["count"]) for one in lines(tmp_path / "a")] == [(HERE, 1), (ELSEWHERE, 1)]
    times.turn(60)
    audit.keep_up()
    audit.keep_up()
    assert [one["count"] for one in lines(tmp_path / "a")] == [1, 1, 999]
    audit.note_often("", HERE, "call", "Start", "TOKEN_INVALID")
    assert [one["count"] for one in lines(tmp_path / "a")] == [1, 1, 999, 1]
    audit.note_often("", HERE, "call", "Start", "TOKEN_INVALID")
    assert [event.count for event in events(audit)] == [1, 1, 999, 1, 1]
    audit.note_often("", HERE, "call", "Start", "TOKEN_INVALID")
    audit.close()
    assert [one["count"] for one in lines(tmp_path / "a")] == [1, 1, 999, 1, 1, 1]


def test_what_was_counted_has_the_time_of_its_first(tmp_path: Path) -> None:
    """`--since` would tell of what was tried long before; and who looks would change when it was."""
    times, path = Times(), tmp_path / "a"
    audit, begin = Audit(path, times.clocks()), times.wall
    for _ in range(3):
        audit.note_often("", HERE, "call", "Start", "TOKEN_INVALID")
        times.turn(10)
    audit.note(ANN, "", "login")
    times.turn(10)
    assert [(one.time_ns - begin, one.count) for one in events(audit)] == [*((0, 1), (10 * 10**9, 2), (30 * 10**9, 1))]
    assert [one.action for one in events(audit, since_ns=begin + 20 * 10**9)] == ["login"]
    audit.note_often("", HERE, "call", "Start", "TOKEN_INVALID")
    times.turn(60)
    audit.keep_up()
    assert [(one["time_ns"] - begin, one["count"]) for one in lines(path)][-1] == (40 * 10**9, 1)
    audit.close()


def test_what_was_counted_hides_nothing_newer(tmp_path: Path) -> None:
    """A login would not be among the newest, where jobs were started after the first of a flood."""
    times = Times()
    audit = Audit(tmp_path / "a", times.clocks())
    for _ in range(2):
        audit.note_often("", HERE, "call", "Start", "TOKEN_INVALID")
    for number in range(5):
        times.turn(1)
        audit.note(ANN, "", "job.start", f"{number}")
    times.turn(1)
    audit.note(ANN, "", "login")
    assert [one.action for one in events(audit, 2)] == ["job.start", "login"]
    audit.close()


def test_what_was_changed_is_on_record(tmp_path: Path) -> None:
    """Who was disabled, and who was made an admin, would look the same; and what a token may do would be told nowhere
    once it has ended."""

    async def use(auth: Auth) -> None:
        boss = await admin(auth)
        await auth.users.create(boss, name="vic", role="viewer", password=PASSWORD, ceilings={"cpus": 2})
        await auth.users.update(boss, "vic", disabled=True)
        await auth.users.update(boss, "vic", role="user", disabled=False)
        await auth.users.update(boss, "vic", ceilings={"memory_bytes": 4096, "cpus": None})
        with pytest.raises(JobrunError):
            await auth.users.update(boss, "admin", role="user")
        await auth.users.set_password(boss, "vic", PASSWORD)
        vic = admit(auth, (await log_in(auth, "vic")).access_token)
        create = auth.machine_tokens.create
        plain, _ = await create(vic, name="ci", scope="", expires_in_s=0, all_jobs=False)
        wide, _ = await create(
            boss, name="ops", scope="jobs:read jobs:run", expires_in_s=0, all_jobs=True, ceilings={"cpus": 1}
        )
        with pytest.raises(JobrunError):
            await create(vic, name="x", scope="admin", expires_in_s=0, all_jobs=False)
        told = [one for one in await auth.audit.events(1000) if one.action.startswith(("user.", "token."))]
        assert [(one.action, one.target) for one in told[1:]] == [
            ("user.create", "vic role=viewer cpus=2"),
            ("user.set", "vic disabled=true"),
            ("user.set", "vic role=user disabled=false"),
            ("user.set", "vic memory_bytes=4096 cpus=none"),
            ("user.set", "admin role=user"),
            ("user.password", "vic"),
            ("token.create", f"{plain.id} name=ci scope=jobs:run all_jobs=false"),
            ("token.create", f"{wide.id} name=ops scope=jobs:read,jobs:run all_jobs=true cpus=1"),
            ("token.create", "name=x scope=admin all_jobs=false"),
        ]

    with_auth(tmp_path, use)


def test_a_flood_from_everywhere_is_bounded_too(tmp_path: Path) -> None:
    """A botnet would fill memory and disk with one line for each of its addresses, and drive out what is on record."""
    times = Times()
    audit = Audit(tmp_path / "a", times.clocks())
    for number in range(3000):
        audit.note_often("", f"2001:db8:{number:x}::1", "call", "Start", "TOKEN_INVALID")
        audit.note_often("ann", f"2001:db8:{number:x}::1", "login", "", "LOGIN_FAILED")
    audit.note_often(ANN, "", "call", "Start", "SCOPE_MISSING")
    times.turn(60)
    audit.keep_up()
    assert audit._floods == {}
    told = lines(tmp_path / "a")
    assert sum(one["count"] for one in told) == 6001
    assert len(told) <= LINES_OF_REFUSALS[1] + 5
    assert {(one["address"], one["action"]) for one in told if one["count"] > 1} == {(MANY, "call"), (MANY, "login")}
    assert [one["user"] for one in told if one["outcome"] == "SCOPE_MISSING"] == ["ann"], "who is in is not drowned"
    for _ in range(600):
        times.turn(1)
        for number in range(20):
            audit.note_often("", f"198.51.100.{number}", "call", "Start", "TOKEN_INVALID")
        audit.keep_up()
    assert len(lines(tmp_path / "a")) - len(told) < 600 / LINES_OF_REFUSALS[0] * 2 + 30
    audit.close()


def test_what_every_user_is_refused_is_bounded(tmp_path: Path) -> None:
    """Each of a thousand users, with each method, could take memory for a minute."""
    times = Times()
    audit = Audit(tmp_path / "a", times.clocks())
    for number in range(3 * KINDS):
        caller = Caller(user=f"u{number}", role=Role.USER, session="s", address=HERE)
        audit.note_often(caller, "", "call", "Start", "SCOPE_MISSING")
    assert len(audit._floods) == KINDS + 1
    audit.close()


def test_every_decision_is_on_record_and_no_secret_is(tmp_path: Path) -> None:
    """After a break-in nobody could tell what was done; or the record would be the next one's key."""
    first, following = "the first refresh token", "the refresh token behind it"
    secrets = [PASSWORD, "a wrong password", first, following, "my password as a name"]

    async def use(auth: Auth) -> None:
        secrets.append(first_password(auth))
        ann = await user(auth, "ann")
        boss = await admin(auth)
        token, text = await create_token(auth, ann)
        secrets.append(text.rpartition(".")[2])
        session = (await log_in(auth, "ann", refresh=first)).session_id
        secrets.append((await go_on(auth, session, first, following)).access_token)
        for refused in (
            log_in(auth, "ann", "a wrong password"),
            log_in(auth, "my password as a name", "a wrong password"),
            go_on(auth, session, "a wrong password", "r2"),
            auth.logins.change_password(ann, "a wrong password", PASSWORD, HERE),
            auth.users.create(boss, name="ann", role="", password=PASSWORD),
            auth.users.update(boss, "admin", disabled=True),
            create_token(auth, ann, name="x", scope="admin"),
        ):
            with pytest.raises(JobrunError):
                await refused
        for bearer in ("nonsense", text[:-1]):
            with pytest.raises(JobrunError):
                admit(auth, bearer)
        with pytest.raises(JobrunError):
            admit(auth, text, "/jobrun.v1.AdminService/ListUsers")
        await auth.machine_tokens.revoke(ann, "ci")
        await auth.users.update(boss, "ann", role="viewer")
        await auth.users.set_password(boss, "ann", PASSWORD)
        await auth.logins.revoke(boss, all_sessions=True)
        told = [(one.user, one.action, one.target, one.outcome) for one in await auth.audit.events(1000)]
        assert told == [
            ("", "user.create", "admin", "ok"),
            ("admin", "login", boss_sessions(told)[0], "ok"),
            ("admin", "user.create", "ann role=user", "ok"),
            ("ann", "login", ann.session, "ok"),
            ("admin", "login", boss.session, "ok"),
            ("ann", "token.create", f"{token.id} name=ci scope=jobs:run all_jobs=false", "ok"),
            ("ann", "login", session, "ok"),
            ("ann", "refresh", session, "ok"),
            ("ann", "login", "", "LOGIN_FAILED"),
            ("", "login", "", "LOGIN_FAILED"),
            ("ann", "refresh", session, "REFRESH_FAILED"),
            ("ann", "password", "", "LOGIN_FAILED"),
            ("admin", "user.create", "ann role=user", "USER_EXISTS"),
            ("admin", "user.set", "admin disabled=true", "LAST_ADMIN"),
            ("ann", "token.create", "name=x scope=admin all_jobs=false", "SCOPE_MISSING"),
            ("", "call", "AuthService/WhoAmI", "TOKEN_INVALID"),
            ("", "call", "", "TOKEN_INVALID"),
            ("ann", "call", "AdminService/ListUsers", "SCOPE_MISSING"),
            ("ann", "token.revoke", token.id, "ok"),
            ("admin", "user.set", "ann role=viewer", "ok"),
            ("admin", "user.password", "ann", "ok"),
            ("admin", "logout", "all sessions", "ok"),
        ]

    with_auth(tmp_path, use)
    for path in tmp_path.iterdir():
        if path.name != "admin-password":
            for secret in secrets:
                assert secret.encode() not in path.read_bytes(), path


def boss_sessions(told: list[tuple[str, str, str, str]]) -> list[str]:
    return [target for who, action, target, _ in told if (who, action) == ("admin", "login")]
