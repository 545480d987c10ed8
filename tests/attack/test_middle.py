"""A stranger between client and server: the client says nothing to him, whatever papers he shows."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack import impostor as impostors
from tests.attack.caller import until_refused
from tests.attack.doors import Door, doors_to
from tests.attack.impostor import Impostor, Papers, impostor
from tests.attack.victim import SHORT, Victim, victim
from tests.e2e.accounts import Account
from tests.e2e.certificates import Authority
from tests.e2e.tls_server import tls_server


@pytest.fixture(scope="module")
def server(nobodys_cache: Path) -> Iterator[Victim]:
    """A server whose tokens are soon to be refreshed: what a client has to tell is worth most then."""
    with victim(nobodys_cache, config=SHORT) as running:
        yield running


@pytest.fixture(scope="module")
def way(server: Victim) -> Iterator[Door]:
    """The way from the client to the server, which can be bent."""
    with doors_to(server.host, server.port) as doors:
        yield doors.open("127.0.0.1")


class Mark(Account):
    """A client that logged in once, when all was well, and has a machine token too."""

    token = ""


@pytest.fixture(scope="module")
def mark(cache: Path, server: Victim, way: Door) -> Iterator[Mark]:
    """The client."""
    client = Mark(cache, server, "admin", server.admin_password)
    client.server_address = way.address
    client.log_in().passed()
    client.token = client.jobrun("token", "create", "robot").passed().out.strip()
    later = server.admin()
    until_refused(later.who, "the client's access token to be over")
    yield client
    way.target = (server.host, server.port)
    client.close()


def all_papers(server: Victim) -> dict[str, Papers]:
    """What he may show."""
    return {
        "other": impostors.other(),
        "alike": impostors.like(server.certificate),
        "chain": impostors.issued_by_genuine(server.certificate),
    }


@pytest.fixture(params=["other", "alike", "chain"])
def stranger(server: Victim, way: Door, mark: Mark, request: pytest.FixtureRequest) -> Iterator[Impostor]:
    """Sits in the way, while the test runs."""
    with impostor(all_papers(server)[request.param]) as listening:
        way.target = ("127.0.0.1", listening.port)
        yield listening
        way.target = (server.host, server.port)


COMMANDS: dict[str, tuple[tuple[str, ...], int]] = {
    "whoami": (("whoami",), 4),
    "run": (("run", "--reconnect", "1s", "true"), 125),
    "list": (("list",), 4),
    "start": (("start", "true"), 4),
    "passwd": (("passwd", "--password-stdin"), 4),
    "user add": (("user", "add", "--password-stdin", "new"), 4),
}
BRIEFLY = ["list", "run"]
"""Tried with all papers; the others with those that are most alike."""


@pytest.mark.parametrize(
    ("stranger", "name"),
    [*(("alike", name) for name in COMMANDS), *((papers, name) for papers in ("other", "chain") for name in BRIEFLY)],
    indirect=["stranger"],
)
def test_a_command_says_nothing_to_a_stranger(mark: Mark, way: Door, stranger: Impostor, name: str) -> None:
    """Whoever owns a router or a DNS name would have password, session and every secret of a job."""
    words, code = COMMANDS[name]
    before, lines = way.connections, 2 if name == "passwd" else 1
    done = mark.jobrun(*words, stdin=b"correct horse battery\n" * lines, within=30)
    assert not stranger.heard
    assert way.connections > before, "it never called"
    error = done.refused(code)
    assert "certificate" in error.lower()


def test_a_machine_token_says_nothing_to_a_stranger(mark: Mark, stranger: Impostor) -> None:
    """As above, for a pipeline, where nobody looks."""
    env = {"JOBRUN_TOKEN": mark.token}
    assert "certificate" in mark.jobrun("run", "--reconnect", "1s", "true", env=env, within=30).refused(125).lower()
    assert "certificate" in mark.jobrun("list", env=env, within=30).refused(4).lower()
    assert not stranger.heard


def test_a_login_says_nothing_to_a_stranger(mark: Mark, stranger: Impostor) -> None:
    """The one moment that could be asked about anew; a changed certificate is never just taken."""
    for words in (("--fingerprint", mark.fingerprint), ()):
        login = ("login", "--user", "admin", "--password-stdin", *words, mark.server_address)
        done = mark.jobrun(*login, stdin=b"correct horse battery\n", within=30)
        error = done.refused(1)
        assert "jobrun server health" in error
        assert f"--fingerprint {stranger.papers.fingerprint}" not in error, "his own, ready to paste"
    assert not stranger.heard


@pytest.mark.parametrize("behind", [1, 2])
def test_the_password_goes_to_the_certificate_that_was_compared(cache: Path, nobodys_cache: Path, behind: int) -> None:
    """Whoever has a certificate for the name, from any authority of a hundred, would get the password of somebody who
    gave the right fingerprint: he steps in behind the connection on which it is compared."""
    with tempfile.TemporaryDirectory(prefix="ja-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        authority = Authority(Path(name))
        certificate, key = authority.issue("genuine")
        others, others_key = authority.issue("other")
        papers = Papers(others_key.read_bytes(), others.read_bytes())
        config = f"[server]\ncertificate = {certificate}\nkey = {key}\n"
        with (
            tls_server(nobodys_cache, config=config) as genuine,
            impostor(papers) as listening,
            doors_to("127.0.0.1", genuine.port) as doors,
        ):
            way = doors.open("127.0.0.1")
            way.detour = behind, ("127.0.0.1", listening.port)
            client = Account(cache, genuine, "admin", genuine.admin_password)
            client.server_address = f"localhost:{way.address.rpartition(':')[2]}"
            client.env["SSL_CERT_FILE"] = str(authority.path)
            client.log_in().refused(1)
            assert way.connections > behind
            assert not listening.heard
            client.close()


def test_a_logout_says_nothing_to_a_stranger(cache: Path, server: Victim, way: Door) -> None:
    """A logout would hand over the session that it ends."""
    client = Account(cache, server, "admin", server.admin_password)
    client.server_address = way.address
    client.log_in().passed()
    with impostor(impostors.like(server.certificate)) as listening:
        way.target = ("127.0.0.1", listening.port)
        client.jobrun("logout")
        way.target = (server.host, server.port)
        assert not listening.heard
    client.close()


def test_roots_of_the_environment_change_nothing(mark: Mark, stranger: Impostor, tmp_path: Path) -> None:
    """One variable would make any stranger the right one."""
    roots = tmp_path / "roots.pem"
    roots.write_bytes(impostors.other().chain)
    env = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(roots), "SSL_CERT_FILE": str(roots)}
    mark.jobrun("whoami", env=env, within=30).refused(4)
    assert not stranger.heard


def test_the_stranger_can_hear(cache: Path, server: Victim) -> None:
    """All of the above would pass with a stranger who is deaf."""
    papers = impostors.other()
    with impostor(papers) as listening:
        client = Account(cache, server, "admin", "correct horse battery")
        client.server_address, client.fingerprint = f"127.0.0.1:{listening.port}", papers.fingerprint
        told = client.log_in()
        assert told.code != 0
        assert any(b"correct horse battery" in message for _, _, message in listening.heard)
        client.close()


def test_the_right_way_is_taken_up_again(mark: Mark, way: Door, server: Victim) -> None:
    """A stranger who came and went would have logged everybody out."""
    way.target = (server.host, server.port)
    assert mark.jobrun("run", "echo", "hi").passed().out == "hi\n"
    assert mark.jobrun("list", env={"JOBRUN_TOKEN": mark.token}).passed().err == ""


def test_no_key_log_is_written(cache: Path, server: Victim, tmp_path: Path) -> None:
    """A variable left over from debugging would leave every connection open to whoever recorded it."""
    log = tmp_path / "keys.log"
    fresh = Account(cache, server, "admin", server.admin_password)
    fresh.env["SSLKEYLOGFILE"] = str(log)
    fresh.log_in().passed()
    fresh.jobrun("run", "true").passed()
    fresh.close()
    assert not log.exists()


def test_no_proxy_is_asked(mark: Mark, way: Door, server: Victim) -> None:
    """Every connection would go where the environment of some pipeline says."""
    way.target = (server.host, server.port)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        url = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        names = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
        mark.jobrun("run", "true", env=dict.fromkeys(names, url)).passed()
        proxy.settimeout(0)
        with pytest.raises(BlockingIOError):
            proxy.accept()


def test_no_fingerprint_and_nobody_to_ask(cache: Path, server: Victim) -> None:
    """A pipeline would take the first that comes."""
    client = Account(cache, server, "admin", server.admin_password)
    words = ("login", "--user", "admin", "--password-stdin", server.address)
    error = client.jobrun(*words, stdin=b"correct horse battery\n").refused(1)
    assert server.fingerprint in error
    assert f"--fingerprint {server.fingerprint}" not in error, "a stranger's would be pasted just so"
    assert not (client.config / "current").exists()
    client.close()


def test_a_server_without_tls(cache: Path, server: Victim) -> None:
    """A stranger who speaks no TLS would be spoken to in clear."""
    client = Account(cache, server, "admin", "correct horse battery")
    with socket.create_server(("127.0.0.1", 0)) as plain:
        plain.settimeout(20)
        client.server_address = f"127.0.0.1:{plain.getsockname()[1]}"
        login = ("login", "--user", "admin", "--password-stdin", "--fingerprint", server.fingerprint)
        running = client.client(*login, client.server_address)
        link, _ = plain.accept()
        said = link.recv(65536)
        link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        link.close()
        running.finish(30).refused(1)
    assert said.startswith(b"\x16\x03"), "a TLS hello, nothing else"
    client.close()
