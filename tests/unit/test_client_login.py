"""A client with a login, against a real gRPC server with TLS: refreshes, changed certificates, machine tokens."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from jobrun.client.access import MachineAccess, NoAccess
from jobrun.client.accounts import Accounts
from jobrun.client.calls import Calls
from jobrun.client.connection import Connection
from jobrun.client.errors import CallRefused
from jobrun.client.first_contact import check_is_jobrun, log_in, trust_server
from jobrun.client.session_access import SessionAccess
from jobrun.client.tls_check import CertificateRefused, NoTls, WrongDates
from jobrun.client.tls_routes import known_route, login_route, token_route
from jobrun.config.address import Address
from jobrun.config.environment import Environment
from jobrun.config.errors import LoginNeeded, Refusal
from jobrun.config.known_servers import pinned_server, system_server
from jobrun.config.logins import Logins
from jobrun.config.token_string import MachineLogin
from jobrun.wire.gen.jobrun.v1 import job_service_pb2 as jobs
from jobrun.wire.gen.jobrun.v1.job_pb2 import Job
from tests.unit.login_server import LoginServer, Pair, refuse, serving

NOTHING = Environment({})


class Client:
    """A config home that is logged in to the server at `address`."""

    def __init__(self, home: Path, address: Address, pair: Pair) -> None:
        self.logins = Logins(str(home))
        self.address = address
        self.name = str(address)
        known = pinned_server(self.name, pair.der)
        self.logins.remember(known)
        session = log_in(Connection(known_route(address, NoAccess(), known, NOTHING)), "ann", "right password")
        with self.logins.locked(self.name):
            self.logins.save(self.name, session)

    def connection(self) -> Connection:
        """As a command of its own has it."""
        return Connection(login_route(self.address, SessionAccess(self.logins, self.name), self.logins, NOTHING))

    def accounts(self) -> Accounts:
        """Calls, as a command of its own makes them."""
        return Accounts(self.connection())

    def make_stale(self) -> None:
        """As after a restart of this machine: the life of the access token can not be told."""
        with self.logins.locked(self.name):
            self.logins.save(self.name, self.logins.session(self.name)._replace(access_boot="another"))


@pytest.fixture
def server() -> LoginServer:
    return LoginServer()


@pytest.fixture
def pair() -> Pair:
    return Pair()


@pytest.fixture
def client(tmp_path: Path, server: LoginServer, pair: Pair) -> Iterator[Client]:
    with serving(server, pair) as address:
        yield Client(tmp_path / "home", address, pair)


def no_question(fingerprint: str) -> None:
    """Nobody may be asked."""
    raise AssertionError(fingerprint)


def test_a_good_token_is_used_as_it_is(client: Client, server: LoginServer) -> None:
    """No refresh, and no file written, for each of a hundred commands."""
    assert client.accounts().who_am_i().username == "ann"
    assert server.rotations == 0


def test_twenty_at_once_make_one_refresh(client: Client, server: LoginServer) -> None:
    """F38: the slower one would throw the session away."""
    client.make_stale()
    all_there = threading.Barrier(20)

    def command(_: int) -> str:
        accounts = client.accounts()
        all_there.wait(20)
        return accounts.who_am_i().username

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(command, range(20))) == ["ann"] * 20
    assert server.rotations == 1


def test_a_lost_answer_is_asked_for_again_with_the_same_pair(client: Client, server: LoginServer) -> None:
    """A cut in the middle of a refresh must not log anybody out, nor look like a thief."""
    client.make_stale()
    server.lose_answers = 1
    assert client.accounts().who_am_i().username == "ann"
    assert server.rotations == 1


def test_a_client_killed_in_a_refresh_leaves_a_pair_that_the_next_one_sends(
    client: Client, server: LoginServer
) -> None:
    """What was on disk before it was sent is enough to go on."""
    client.make_stale()
    server.lose_answers = 1000
    with pytest.raises(Refusal):
        client.accounts().who_am_i()
    pair = client.logins.session(client.name)
    assert pair.next_refresh_token
    server.lose_answers = 0
    assert client.accounts().who_am_i().username == "ann"
    after = client.logins.session(client.name)
    assert (after.refresh_token, after.next_refresh_token) == (pair.next_refresh_token, "")
    assert server.rotations == 1


def test_a_token_that_the_server_calls_expired_is_replaced_in_silence(client: Client, server: LoginServer) -> None:
    """The issuer is the judge, whatever the clock here says."""
    server.good.clear()
    assert client.accounts().who_am_i().username == "ann"
    assert server.rotations == 1


def test_a_server_that_takes_no_token_is_not_asked_for_ever(client: Client, server: LoginServer) -> None:
    """One refresh, then the end: no loop between two mistakes."""
    server.check = lambda context: refuse(context, "TOKEN_INVALID", "no token of this server")  # type: ignore[method-assign]
    with pytest.raises(LoginNeeded, match="takes no token of this login: no token of this server"):
        client.accounts().who_am_i()
    assert server.rotations == 1


def test_an_ended_session_says_what_to_type(client: Client, server: LoginServer) -> None:
    """Exit code 4, by one line."""
    client.make_stale()
    server.current = b"another"
    with pytest.raises(LoginNeeded, match=f"session ended: jobrun login {client.name}"):
        client.accounts().who_am_i()


def test_another_users_login_is_not_taken(client: Client) -> None:
    """A long `run` must not go on as somebody else who logged in meanwhile."""
    client.make_stale()
    accounts = client.accounts()
    client.logins.save(client.name, client.logins.session(client.name)._replace(user="bob"))
    with pytest.raises(LoginNeeded, match="now logged in as bob"):
        accounts.who_am_i()


def test_a_login_that_was_removed_meanwhile_is_told(client: Client) -> None:
    """A logout beside a running command."""
    client.make_stale()
    accounts = client.accounts()
    client.logins.forget(client.name)
    with pytest.raises(LoginNeeded, match="no login"):
        accounts.who_am_i()


def test_a_followed_log_goes_on_at_its_cursor_when_its_token_ends(client: Client, server: LoginServer) -> None:
    """F39: in silence, every record once; with no time for an outage at all."""

    def logs(request: jobs.LogsRequest, context: grpc.ServicerContext) -> Iterator[jobs.LogsResponse]:
        if request.cursor == 4:
            yield jobs.LogsResponse(end=jobs.LogEnd(job=Job(id="x")), next_cursor=4)
            return
        yield jobs.LogsResponse(batch=jobs.LogBatch(records=[]), next_cursor=request.cursor + 1)
        server.good.clear()
        refuse(context, "TOKEN_EXPIRED", "the token has expired")

    server.logs, server.life_s = logs, 0
    calls = Calls(client.connection(), reconnect_s=0.0)
    assert [answer.next_cursor for answer in calls.logs(jobs.LogsRequest(job_id="x", follow=True))] == [1, 2, 3, 4, 4]
    assert server.streams == [0, 1, 2, 3, 4]


def test_a_changed_certificate_stops_at_once(client: Client, server: LoginServer, pair: Pair, tmp_path: Path) -> None:
    """Somebody may be in between: no token is sent, nothing is tried for ten minutes."""
    other = Pair()
    with serving(LoginServer(), other) as address:
        client.logins.remember(pinned_server(str(address), pair.der))
        session = client.logins.session(client.name)
        client.logins.save(str(address), session)
        route = login_route(address, SessionAccess(client.logins, str(address)), client.logins, NOTHING)
        connection = Connection(route)
        connection.contacted = True
        with pytest.raises(CertificateRefused, match="HAS CHANGED") as caught:
            Calls(connection, reconnect_s=600).status("x")
    assert "jobrun server health" in str(caught.value)
    assert other.fingerprint not in str(caught.value), "it may be a stranger's, and would be pasted"
    assert len(str(caught.value)) < 250, "a line that nobody reads to its end"
    assert caught.value.code == 4


@pytest.mark.parametrize(("begins", "ends", "words"), [(-9, -1, "has expired"), (1, 9, "is not yet valid")])
def test_dates_of_a_certificate_are_named(tmp_path: Path, begins: int, ends: int, words: str) -> None:
    """F40: gRPC refuses even a pinned one, and says no word about it."""
    wrong = Pair(begins=begins, ends=ends)
    with serving(LoginServer(), wrong) as address:
        known = pinned_server(str(address), wrong.der)
        with pytest.raises(WrongDates, match=f"{words}.*clock"):
            Accounts(Connection(known_route(address, NoAccess(), known, NOTHING))).who_am_i()


@pytest.mark.parametrize("name", ["jobrun.internal", "box.example", "*.example"])
def test_any_pinned_certificate_is_enough(tmp_path: Path, name: str) -> None:
    """An operator's own, whatever the names in it: the pin is what counts."""
    own = Pair(name=name)
    server = LoginServer()
    with serving(server, own) as address:
        assert Client(tmp_path / "home", address, own).accounts().who_am_i().username == "ann"


def test_plaintext_is_named_and_not_waited_for(pair: Pair) -> None:
    """A wrong port is found at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=_answer_plainly, args=(listener,))
        answering.start()
        address = Address("127.0.0.1", listener.getsockname()[1])
        known = pinned_server(str(address), pair.der)
        with pytest.raises(NoTls, match="does not speak TLS"):
            Accounts(Connection(known_route(address, NoAccess(), known, NOTHING))).who_am_i()
        listener.shutdown(socket.SHUT_RDWR)
        answering.join(10)


def _answer_plainly(listener: socket.socket) -> None:
    """Until the listener is shut down, which ends accept(2)."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_a_machine_token_goes_to_the_certificate_in_it(tmp_path: Path, server: LoginServer, pair: Pair) -> None:
    """Without a config home; another certificate gets nothing."""
    server.good.add("jrt1.x")
    logins = Logins(str(tmp_path / "none"))
    with serving(server, pair) as address:
        token = MachineLogin(address, pair.fingerprint, "jrt1.x")
        route = token_route(token, MachineAccess(token), logins, NOTHING)
        assert Accounts(Connection(route)).who_am_i().username == "ann"
        wrong = MachineLogin(address, "sha256:" + "0" * 64, "jrt1.x")
        with pytest.raises(CertificateRefused, match="NOT THE ONE IN JOBRUN_TOKEN"):
            Accounts(Connection(token_route(wrong, MachineAccess(wrong), logins, NOTHING))).who_am_i()
    assert not (tmp_path / "none").exists()


def test_a_refused_machine_token_is_told_without_it(tmp_path: Path, server: LoginServer, pair: Pair) -> None:
    """Nothing else is tried, and the log of the pipeline has no secret in it."""
    with serving(server, pair) as address:
        token = MachineLogin(address, pair.fingerprint, "jrt1.secret")
        route = token_route(token, MachineAccess(token), Logins(str(tmp_path)), NOTHING)
        with pytest.raises(LoginNeeded, match="JOBRUN_TOKEN: the token has expired") as caught:
            Accounts(Connection(route)).who_am_i()
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(token)


def test_first_contact_asks_once_and_pins(server: LoginServer, pair: Pair) -> None:
    """Trust on first use: the person sees the fingerprint that he compares."""
    shown: list[str] = []
    with serving(server, pair) as address:
        known = trust_server(address, None, None, shown.append, NOTHING).later
        assert (shown, known) == ([pair.fingerprint], pinned_server(str(address), pair.der))
        assert trust_server(address, known, None, no_question, NOTHING) == (known, known)
        check_is_jobrun(Connection(known_route(address, NoAccess(), known, NOTHING)), str(address))


def test_a_fingerprint_that_was_given_is_compared(server: LoginServer, pair: Pair) -> None:
    """Nothing is asked, and nothing sent to another."""
    with serving(server, pair) as address:
        trusted = trust_server(address, None, pair.fingerprint, no_question, NOTHING)
        assert trusted.now.certificate == trusted.later.certificate == pair.der
        with pytest.raises(Refusal, match=f"shows {pair.fingerprint}"):
            trust_server(address, None, "sha256:" + "0" * 64, no_question, NOTHING)


def test_a_known_server_that_changed_needs_the_new_fingerprint(server: LoginServer, pair: Pair) -> None:
    """`login` is no way round the alarm."""
    with serving(server, pair) as address:
        before = pinned_server(str(address), Pair().der)
        with pytest.raises(CertificateRefused, match="HAS CHANGED"):
            trust_server(address, before, None, no_question, NOTHING)
        assert trust_server(address, before, pair.fingerprint, no_question, NOTHING).now.certificate == pair.der


def test_what_the_systems_roots_verify_is_not_pinned(tmp_path: Path, server: LoginServer) -> None:
    """Such a certificate is renewed every few weeks: nothing is asked, then or later; a name that does not fit is."""
    good = Pair(name="localhost")
    (tmp_path / "roots.pem").write_bytes(good.pem)
    environment = Environment({b"SSL_CERT_FILE": bytes(tmp_path / "roots.pem")})
    with serving(server, good) as there:
        address = Address("localhost", there.port)
        known = trust_server(address, None, None, no_question, environment).now
        assert known == system_server(str(address))
        given = trust_server(address, None, good.fingerprint, no_question, environment)
        assert given == (pinned_server(str(address), good.der), known)
        check_is_jobrun(Connection(known_route(address, NoAccess(), known, environment)), str(address))
        shown: list[str] = []
        assert trust_server(there, None, None, shown.append, environment).later.pinned
        assert shown
        with pytest.raises(CertificateRefused, match="nothing here verifies"):
            trust_server(there, system_server(str(there)), None, no_question, environment)


def test_a_wrong_password_is_no_missing_login(server: LoginServer, pair: Pair) -> None:
    """Exit code 1 at `login`, with the server's words."""
    with serving(server, pair) as address:
        connection = Connection(known_route(address, NoAccess(), pinned_server(str(address), pair.der), NOTHING))
        with pytest.raises(CallRefused, match="unknown user or wrong password") as caught:
            log_in(connection, "ann", "wrong password")
    assert caught.value.code == 1


def test_login_names_what_is_not_there() -> None:
    """Nobody listens: one line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Refusal, match=f"no server at 127.0.0.1:{port}: Connection refused"):
        trust_server(Address("127.0.0.1", port), None, None, no_question, NOTHING)
