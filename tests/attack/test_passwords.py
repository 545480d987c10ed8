"""Guessing passwords: how many tries anybody gets, what they cost others, what they tell."""

from __future__ import annotations

import collections
import concurrent.futures
import itertools
import time

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import admin_service_pb2, auth_service_pb2
from tests.attack.caller import THROTTLED, UNAUTHENTICATED, Caller, Refused, Wire, attempt, password_grant, refused
from tests.attack.doors import Doors
from tests.attack.victim import PASSWORD, Victim

NAMES = itertools.count(30)


@pytest.fixture
def elsewhere(doors: Doors) -> str:
    """Where to call so as to come from an address that nobody came from yet."""
    return doors.address(f"127.0.0.{next(NAMES)}")


def guess(wire: Wire, user: str, password: str) -> Refused:
    """How a wrong password is refused."""
    return refused(wire.auth.IssueToken, password_grant(user, password), within=20)


def test_guessing_from_one_address(server: Victim, ann: Caller, elsewhere: str) -> None:
    """A list of a thousand common passwords would be through in minutes."""
    wire, begun = server.wire(elsewhere), time.monotonic()
    told = [guess(wire, "ann", f"wrong {n:03}") for n in range(40)]
    took = time.monotonic() - begun
    answered = [one for one in told if one.code == UNAUTHENTICATED]
    assert 5 <= len(answered) <= 6 + took / 5, collections.Counter(one.code for one in told)
    for one in told:
        if one not in answered:
            assert (one.code, one.reason) == (THROTTLED, "LOGIN_THROTTLED"), one
            assert one.retry_s
            assert one.retry_s > 0


def test_the_right_password_waits_as_well(server: Victim, ann: Caller, elsewhere: str) -> None:
    """Tries beyond the limit would still find it."""
    wire = server.wire(elsewhere)
    for n in range(8):
        guess(wire, "ann", f"wrong {n:03}")
    assert guess(wire, "ann", PASSWORD).code == THROTTLED


def test_guessing_one_password_for_many_users(server: Victim, elsewhere: str) -> None:
    """The commonest password fits somebody."""
    wire, begun = server.wire(elsewhere), time.monotonic()
    codes = collections.Counter(guess(wire, f"nobody{n}", "password1").code for n in range(30))
    assert codes[UNAUTHENTICATED] <= 21 + time.monotonic() - begun, codes
    assert codes[UNAUTHENTICATED] + codes[THROTTLED] == 30


def test_nobody_locks_out_another(server: Victim, bob: Caller, doors: Doors, elsewhere: str) -> None:
    """Whoever knows a name could keep its owner out."""
    attacker = server.wire(doors.address("127.0.0.20"))
    codes = collections.Counter(guess(attacker, "bob", f"wrong {n:03}").code for n in range(120))
    assert codes[THROTTLED] > 100
    assert server.login("bob", address=elsewhere).who().username == "bob"


def test_60_at_once_from_60_addresses(server: Victim, ann: Caller, doors: Doors) -> None:
    """Guesses by the botful would keep the server busy, and everybody else waiting."""
    wires = [server.wire(doors.address(f"127.0.1.{n}")) for n in range(1, 61)]
    for wire in wires:
        grpc.channel_ready_future(wire.channel).result(20)
    quick = []
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        tries = [pool.submit(guess, wire, f"somebody{n}", "wrong wrong") for n, wire in enumerate(wires)]
        while not all(one.done() for one in tries):
            begun = time.monotonic()
            ann.who()
            quick.append(time.monotonic() - begun)
        told = [one.result() for one in tries]
    codes = collections.Counter(one.code for one in told)
    assert set(codes) == {UNAUTHENTICATED, THROTTLED}, codes
    assert 1 <= codes[UNAUTHENTICATED] <= 20, codes
    assert all(one.retry_s for one in told if one.code == THROTTLED)
    assert sorted(quick)[len(quick) // 2] < 0.1, f"others waited {sorted(quick)[-5:]}"


SHAPES = {
    "too long by one": "p" * 73,
    "too long in bytes": "\N{SNOWMAN}" * 25,
    "with NUL": "correct\0horse",
    "empty": "",
    "1 MB": "p" * 1_000_000,
}


@pytest.mark.parametrize("name", [*SHAPES, "too short"])
def test_a_password_that_can_not_be(admin: Caller, name: str) -> None:
    """bcrypt would cut it off in silence, so that its beginning alone is enough."""
    request = admin_service_pb2.CreateUserRequest(username="shaped", password=SHAPES.get(name, "7 bytes"))
    told = refused(admin.admin.CreateUser, request)
    assert (told.code, told.field) == (grpc.StatusCode.INVALID_ARGUMENT, "password"), told
    change = auth_service_pb2.ChangePasswordRequest(
        current_password="whatever it is", new_password=SHAPES.get(name, "7 bytes")
    )
    assert refused(admin.auth.ChangePassword, change).code == grpc.StatusCode.INVALID_ARGUMENT


def test_all_wrong_logins_look_alike(server: Victim, admin: Caller, doors: Doors) -> None:
    """The words, or the time that they take, would tell which names there are and what was wrong."""
    admin.make_user("long", "p" * 72)
    admin.make_user("off", PASSWORD)
    admin.admin.UpdateUser(admin_service_pb2.UpdateUserRequest(username="off", disabled=True))
    tries = {
        "wrong": ("long", "wrong wrong"),
        "unknown": ("nobody", "wrong wrong"),
        "disabled": ("off", PASSWORD),
        "no name": ("", "wrong wrong"),
        "no name of ours": ("../\x1b[2J\0", "wrong wrong"),
        **{name: ("long", password) for name, password in SHAPES.items()},
    }
    spent: dict[str, list[float]] = collections.defaultdict(list)
    words = set()
    for turn in range(2):
        for number, (name, (user, password)) in enumerate(tries.items()):
            wire = server.wire(doors.address(f"127.0.{2 + turn}.{1 + number}"))
            grpc.channel_ready_future(wire.channel).result(20)
            begun = server.cpu_s()  # what makes the time differ; other load does not
            told = guess(wire, user, password)
            spent[name].append(server.cpu_s() - begun)
            words.add((told.code, told.reason, told.text))
    assert words == {(UNAUTHENTICATED, "LOGIN_FAILED", next(iter(words))[2])}
    least = {name: min(times) for name, times in spent.items()}
    assert max(least.values()) < 2 * min(least.values()), least


def test_the_right_72_bytes_and_one_more(server: Victim, admin: Caller, elsewhere: str) -> None:
    """As above: a longer one would do as well."""
    admin.make_user("exact", "q" * 72)
    wire = server.wire(elsewhere)
    assert guess(wire, "exact", "q" * 73).reason == "LOGIN_FAILED"
    assert guess(wire, "exact", "q" * 71).reason == "LOGIN_FAILED"
    assert guess(wire, "exact", "q" * 72 + "\0").reason == "LOGIN_FAILED"
    assert wire.login("exact", "q" * 72).access_token


def test_an_accent_is_an_accent(server: Victim, admin: Caller, elsewhere: str) -> None:
    """Another keyboard writes it as two characters: its owner could not log in there."""
    admin.make_user("accent", "caf\u00e9 caf\u00e9")
    assert server.wire(elsewhere).login("accent", "cafe\u0301 cafe\u0301").access_token


@pytest.mark.parametrize(
    "name", ["", "Ann", "a b", "../x", "a\0", "\x1b[2J", "a" * 33, "1a", "\u0430nn", "a\n", "ann "]
)
def test_a_user_name_that_can_not_be(admin: Caller, name: str) -> None:
    """It would look like another's, or move the cursor of whoever reads a table."""
    told = refused(admin.admin.CreateUser, admin_service_pb2.CreateUserRequest(username=name, password=PASSWORD))
    assert (told.code, told.field) == (grpc.StatusCode.INVALID_ARGUMENT, "username"), told


def test_changing_a_password_is_no_way_to_guess(server: Victim, admin: Caller, elsewhere: str) -> None:
    """A stolen session of ten minutes would find the password, which lasts."""
    admin.make_user("robbed", PASSWORD)
    thief = server.login("robbed", address=elsewhere)
    codes = collections.Counter(
        attempt(
            thief.auth.ChangePassword,
            auth_service_pb2.ChangePasswordRequest(current_password=f"wrong {n:03}", new_password="the thief's own"),
        ).code
        for n in range(15)
    )
    assert codes[THROTTLED] >= 8, codes
    assert thief.who().username == "robbed"


def test_the_last_admin_stays(server: Victim, admin: Caller) -> None:
    """Nobody could mend it."""
    gone = admin_service_pb2.RemoveUserRequest(username="admin")
    assert refused(admin.admin.RemoveUser, gone).reason == "LAST_ADMIN"
    for change in ({"role": "user"}, {"disabled": True}):
        request = admin_service_pb2.UpdateUserRequest(username="admin", **change)
        assert refused(admin.admin.UpdateUser, request).reason == "LAST_ADMIN"
    assert "admin" in admin.who().scope


def test_no_password_is_on_record(server: Victim, ann: Caller) -> None:
    """Whoever reads a log or a backup would have them."""
    records = server.records()
    assert b"ann" in records
    for word in (PASSWORD, "wrong 001", "q" * 71, "p" * 72, server.admin_password):
        assert word.encode() not in records
