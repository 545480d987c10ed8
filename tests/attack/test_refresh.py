"""Refresh tokens that were copied: who gets on with a session, and who learns that there are two."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
from pathlib import Path

import grpc
import pytest

from jobrun.wire.gen.jobrun.v1 import auth_service_pb2
from tests.attack.caller import (
    THROTTLED,
    UNAUTHENTICATED,
    Caller,
    Refused,
    Wire,
    attempt,
    fresh_secret,
    refresh_grant,
    refused,
)
from tests.attack.doors import Doors
from tests.attack.victim import PASSWORD, Victim, victim


@dataclasses.dataclass
class Session:
    """A session as its owner's disk has it, which a thief may have copied."""

    wire: Wire
    id: str
    access: str
    current: str

    def refresh(self, following: str, current: str = "", wire: Wire | None = None) -> str:
        """Rotates: the new access token."""
        issued = (wire or self.wire).refresh(self.id, current or self.current, following)
        assert issued.session_id == self.id
        return issued.access_token

    def refused(self, following: str, current: str = "", wire: Wire | None = None) -> Refused:
        """How a rotation is refused."""
        request = refresh_grant(self.id, current or self.current, following)
        return refused((wire or self.wire).auth.IssueToken, request)

    def dead(self) -> bool:
        """Whether the session has ended; AssertionError where its access token is refused for another reason."""
        told = attempt(self.wire.auth.WhoAmI, auth_service_pb2.WhoAmIRequest(), _bearer(self.access))
        if isinstance(told, Refused):
            assert (told.code, told.reason) == (UNAUTHENTICATED, "SESSION_ENDED"), told
            return True
        return False


def _bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


@pytest.fixture
def session(server: Victim, ann: Caller, doors: Doors, request: pytest.FixtureRequest) -> Session:
    """A new session of ann's, from an address that nobody came from yet."""
    number = 1 + sum(ord(letter) for letter in request.node.name) % 250
    wire, first = server.wire(doors.address(f"127.0.9.{number}")), fresh_secret()
    issued = wire.login("ann", PASSWORD, first=first)
    return Session(wire, issued.session_id, issued.access_token, first)


def test_the_thief_comes_first(session: Session) -> None:
    """A copied token would go on beside its owner's, unseen, for 90 days."""
    stolen = session.refresh("the thief's next")
    told = session.refused("the owner's next")
    assert (told.code, told.reason) == (UNAUTHENTICATED, "REFRESH_FAILED"), told
    assert session.dead()
    assert session.wire.stranger(stolen).reason == "SESSION_ENDED"
    assert session.refused("anything", current="the thief's next").reason == "REFRESH_FAILED"


def test_the_owner_comes_first(session: Session) -> None:
    """As above; the thief's try is the only sign that there is one."""
    mine = session.refresh("the owner's next")
    assert session.refused("the thief's next").reason == "REFRESH_FAILED"
    assert session.dead()
    assert session.wire.stranger(mine).reason == "SESSION_ENDED"
    assert session.refused("anything", current="the owner's next").reason == "REFRESH_FAILED"


def test_a_token_two_generations_old(session: Session) -> None:
    """A thief who was twice faster than its owner would go on, unseen, for 90 days."""
    session.refresh("second")
    stolen = session.refresh("third", current="second")
    assert session.refused("the owner's").reason == "REFRESH_FAILED"
    assert session.dead()
    assert session.wire.stranger(stolen).reason == "SESSION_ENDED"


def test_a_pair_two_generations_old(session: Session) -> None:
    """An old pair would open the session once more; or a question that came late would log its owner out."""
    session.refresh("second")
    session.refresh("third", current="second")
    assert session.refused("second").reason == "REFRESH_FAILED"
    assert not session.dead()
    assert session.refresh("fourth", current="third")


def test_an_answer_that_was_lost(session: Session) -> None:
    """A laptop that lost its network between question and answer would be logged out."""
    first = session.refresh("second")
    for _ in range(3):
        assert session.refresh("second")
    assert not session.dead()
    assert session.wire.who(first).username == "ann"
    assert session.refresh("third", current="second")


def test_the_same_at_once(session: Session) -> None:
    """As above, for a client that asks twice at once."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: session.refresh("second"), range(8)))
    assert {session.wire.who(token).username for token in tokens} == {"ann"}
    assert session.refresh("third", current="second")


def test_a_race_of_two_who_hold_it(session: Session) -> None:
    """Both would go on, if the check and the change were two steps."""

    def one(n: int) -> object:
        return attempt(session.wire.auth.IssueToken, refresh_grant(session.id, session.current, f"next {n}"))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        told = list(pool.map(one, range(8)))
    assert sum(not isinstance(answer, Refused) for answer in told) <= 1
    assert session.dead()


def test_a_wrong_secret_for_a_known_session(server: Victim, doors: Doors, session: Session) -> None:
    """The id of a session is in every token: whoever saw one could log its owner out, or guess without end."""
    attacker = server.wire(doors.address("127.0.0.21"))
    told = [session.refused("x", current=f"wrong {n}", wire=attacker) for n in range(200)]
    codes = collections.Counter(one.code for one in told)
    assert set(codes) == {UNAUTHENTICATED, THROTTLED}, codes
    assert codes[THROTTLED] > 100, codes
    assert all(one.retry_s for one in told if one.code == THROTTLED)
    assert not session.dead()
    assert session.refresh("second")


def test_many_behind_one_address_refresh(server: Victim, session: Session) -> None:
    """An office behind one address would be locked out by its own good refreshes."""
    wire = session.wire
    for _ in range(4):
        name = wire.login("ann", PASSWORD, first="next 0").session_id
        for n in range(15):
            wire.refresh(name, f"next {n}", f"next {n + 1}")


def test_a_session_that_refreshes_without_end(server: Victim, session: Session) -> None:
    """A user would fill the disk of all with what is on record of his refreshes."""
    current = session.current
    for n in range(20):
        session.refresh(f"next {n}", current=current)
        current = f"next {n}"
    told = session.refused("another", current=current)
    assert (told.code, bool(told.retry_s)) == (THROTTLED, True), told
    assert not session.dead()
    assert session.wire.login("ann", PASSWORD, first="first").session_id, "his other sessions go on"


def test_another_sessions_token(server: Victim, doors: Doors, session: Session) -> None:
    """A token of one's own would open another's session."""
    issued = session.wire.login("ann", PASSWORD, first="of the other one")
    told = session.refused("x", current="of the other one")
    assert (told.code, told.reason) == (UNAUTHENTICATED, "REFRESH_FAILED")
    assert not session.dead()
    assert session.wire.refresh(issued.session_id, "of the other one", "x").access_token


@pytest.mark.parametrize("size", [0, 31, 33, 64, 100_000])
def test_a_next_token_of_another_size(session: Session, size: int) -> None:
    """A session with an empty next one goes on by anything."""
    grant = auth_service_pb2.RefreshTokenGrant(
        session_id=session.id, refresh_token=session.current, next_refresh_token_sha256=bytes(size)
    )
    told = refused(session.wire.auth.IssueToken, auth_service_pb2.IssueTokenRequest(refresh_token=grant))
    assert told.code == grpc.StatusCode.INVALID_ARGUMENT, told
    assert session.refresh("second")


def test_a_session_without_refresh_has_none(session: Session) -> None:
    """Nothing would be as good as the right token."""
    issued = session.wire.login("ann", PASSWORD)
    for word in ("", "\0", "0" * 64):
        grant = auth_service_pb2.RefreshTokenGrant(
            session_id=issued.session_id, refresh_token=word, next_refresh_token_sha256=bytes(32)
        )
        told = refused(session.wire.auth.IssueToken, auth_service_pb2.IssueTokenRequest(refresh_token=grant))
        assert told.code in (UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT), told


@pytest.mark.parametrize("word", ["", "x", "../users", "a\0b", "%", "' OR 1=1 --", "s" * 100_000, "\x1b[2J"])
def test_a_session_id_of_any_shape(session: Session, word: str) -> None:
    """It would reach a statement or a file."""
    told = refused(session.wire.auth.IssueToken, refresh_grant(word, session.current, "x"))
    assert told.code in (UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT), told
    assert not session.dead()


def test_after_a_logout(session: Session) -> None:
    """A logged out laptop that is stolen would get on."""
    Caller(session.wire, session.access).auth.RevokeToken(auth_service_pb2.RevokeTokenRequest())
    assert session.refused("x").reason == "REFRESH_FAILED"


def test_a_refresh_does_not_widen(session: Session) -> None:
    """A token for reading, once stolen, would become one that runs jobs."""
    wire = session.wire
    issued = wire.login("ann", PASSWORD, scope="jobs:read", first="narrow")
    assert issued.scope == "jobs:read"
    told = attempt(wire.auth.IssueToken, refresh_grant(issued.session_id, "narrow", "next", "jobs:read jobs:run"))
    if isinstance(told, Refused):
        assert told.code in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT)
    else:
        assert told.scope == "jobs:read"
    later = attempt(wire.auth.IssueToken, refresh_grant(issued.session_id, "narrow", "next"))
    assert later.scope == "jobs:read"


def test_the_server_has_hashes_alone(server: Victim, session: Session) -> None:
    """Whoever reads a backup would go on with every session."""
    session.refresh("a-next-token-in-clear")
    records = server.records()
    assert session.current.encode() not in records
    assert b"a-next-token-in-clear" not in records


def test_over_a_kill(nobodys_cache: Path) -> None:
    """A crash right behind an answer would log its user out; or let a used token pass again."""
    with victim(nobodys_cache) as server:
        wire = server.wire()
        issued = wire.login("admin", server.admin_password, first="first")
        assert wire.refresh(issued.session_id, "first", "second").access_token
        ended = wire.login("admin", server.admin_password, first="first")
        Caller(wire, ended.access_token).auth.RevokeToken(auth_service_pb2.RevokeTokenRequest())
        server.restart(kill=True)
        wire = server.wire()
        assert wire.stranger(ended.access_token).reason == "SESSION_ENDED"
        assert wire.who(issued.access_token).username == "admin"
        assert wire.refresh(issued.session_id, "first", "second").access_token, "the lost answer, asked for again"
        assert wire.refresh(issued.session_id, "second", "third").access_token
        told = refused(wire.auth.IssueToken, refresh_grant(issued.session_id, "first", "second"))
        assert told.reason == "REFRESH_FAILED"
