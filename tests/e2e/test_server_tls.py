"""A server with TLS and login on its machine: how it starts, what it keeps, what its owner does to it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.accounts import Account
from tests.e2e.certificates import Authority
from tests.e2e.client import BUILT, Result
from tests.e2e.home import Home
from tests.e2e.insecure import NO_WALLS, NOBODY, InsecureServer, Nobody, own
from tests.e2e.terminal import Terminal
from tests.e2e.tls_server import TlsServer, tls_server

LOCAL = ("--listen", "127.0.0.1:0")
PASSWORD = "correct horse battery"


@pytest.fixture
def server(nobodys_cache: Path) -> Iterator[TlsServer]:
    """A fresh one."""
    with tls_server(nobodys_cache) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def shared(nobodys_cache: Path) -> Iterator[TlsServer]:
    """One for tests that change nothing in it."""
    with tls_server(nobodys_cache) as running:
        yield running


@pytest.fixture
def admin(cache: Path, server: TlsServer) -> Iterator[Account]:
    """Its admin, logged in."""
    account = Account(cache, server, "admin", server.admin_password)
    account.log_in().passed()
    yield account
    account.close()


class Operator:
    """Somebody with certificates of his own; the server's user may read them."""

    def __init__(self, folder: Path) -> None:
        self._authority = Authority(folder)
        self.certificate, self.key = folder / "server.crt", folder / "server.key"
        self.config = f"[server]\ncertificate = {self.certificate}\nkey = {self.key}\n"
        self.renew("first")

    def renew(self, name: str) -> None:
        """Puts another certificate in the place of the one that is there."""
        for made, used in zip(self._authority.issue(name), (self.certificate, self.key), strict=True):
            own(made)
            made.rename(used)


@pytest.fixture
def operator() -> Iterator[Operator]:
    """An operator with a certificate."""
    folder = Path(tempfile.mkdtemp(prefix="jo-", dir="/tmp"))
    folder.chmod(0o711)
    yield Operator(folder)
    shutil.rmtree(folder)


def start_refused(nobody: Nobody, code: int, *more: str | Path) -> str:
    """Why a server does not start: its one line."""
    return nobody.jobrun("server", "--data", nobody.data, *(more or LOCAL)).refused(code)


def test_the_first_start(shared: TlsServer) -> None:
    """An operator would not know how to get in, or whom he lets in."""
    assert re.fullmatch(r"ready 127\.0\.0\.1:[1-9][0-9]* sha256:[0-9a-f]{64}", shared.ready_line)
    assert shared.fingerprint == shared.shown_fingerprint()
    lines = shared.first_words.splitlines()
    assert f"jobrun login --user admin --fingerprint {shared.fingerprint} {shared.address}" in lines
    assert str(shared.data / "admin-password") in shared.first_words
    assert shared.admin_password not in shared.log()
    assert any("isolation is not in this version" in line for line in lines)


def test_what_lies_in_the_data_folder(shared: TlsServer) -> None:
    """Another user of the machine could take the keys, or the first password."""
    assert stat.S_IMODE(shared.data.stat().st_mode) == 0o700
    found = {path.relative_to(shared.data).as_posix(): path.stat() for path in shared.data.rglob("*")}
    assert {"tls.pem", "access-token-key.pem", "admin-password", "users.db", "audit.jsonl", "ready"} <= set(found)
    assert not [name for name, one in found.items() if stat.S_IMODE(one.st_mode) & 0o077]
    assert len({one.st_uid for one in found.values()}) == 1
    assert (shared.data / "ready").read_text() == f"{shared.ready_line}\n"


def test_a_restart_keeps_everything(server: TlsServer, admin: Account) -> None:
    """Each update would log everybody out, and look like somebody in between."""
    before, password = server.fingerprint, server.admin_password
    server.restart()
    assert (server.fingerprint, server.admin_password) == (before, password)
    assert admin.jobrun("run", "echo", "hi").passed().out == "hi\n"
    server.restart(kill=True)
    assert server.fingerprint == before
    assert "jobrun login" in server.first_words, "until the first password was changed"
    admin.jobrun("passwd", "--password-stdin", stdin=f"{admin.password}\n{PASSWORD}\n".encode()).passed()
    server.restart()
    assert "jobrun login" not in server.first_words
    admin.jobrun("list").passed()
    assert server.stop() == 0
    assert not (server.data / "ready").exists()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "[::1]:0", "localhost:0"])
def test_where_it_listens(nobodys_cache: Path, listen: str) -> None:
    """The line to paste would name an address that means another machine to whoever pastes it."""
    with tls_server(nobodys_cache, listen=listen) as server:
        host = listen.rpartition(":")[0]
        assert server.address == f"{host}:{server.port}"
        told = socket.gethostname() if host in ("0.0.0.0", "[::]") else host
        assert f"{server.fingerprint} {told}:{server.port}" in server.first_words.splitlines()[-1]
        server.owner("health").passed()


def test_plaintext_is_not_answered(shared: TlsServer) -> None:
    """A token would go over the wire for everybody to read."""
    with socket.create_connection(("127.0.0.1", shared.port)) as plain:
        plain.settimeout(10)
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9))
        try:
            answer = plain.recv(64)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or answer[:1] == b"\x15", "closed, or a TLS alert (RFC 8446, 6)"


def test_a_job_can_not_look_into_the_server(server: TlsServer, admin: Account) -> None:
    """A job has the server's uid: it could read the keys from the server's memory."""
    script = "cd /proc/$1 && for f in mem environ maps fd/0; do head -c1 $f 2>/dev/null && echo $f; done; ls fd; exit 7"
    ran = admin.jobrun("run", "sh", "-c", script, "sh", str(server.pid))
    assert (ran.code, ran.out) == (7, ""), ran.out
    status = Path(f"/proc/{server.pid}/status").read_text()
    if os.getuid() == 0:
        assert f"Uid:\t{NOBODY}" in status, "the same user"


def test_jobs_get_no_environment_and_no_mask_of_the_servers(nobodys_cache: Path, cache: Path) -> None:
    """A job would print the server's variables, or not be ended by a hangup of its own."""
    with tls_server(nobodys_cache, env={"GRPC_TRACE": "all", "SECRET": "x"}) as server:
        admin = Account(cache, server, "admin", server.admin_password)
        admin.log_in().passed()
        ran = admin.jobrun("run", "sh", "-c", "env; grep -E 'Sig(Ign|Blk)' /proc/self/status").passed()
        assert "SECRET" not in ran.out
        assert [line.split()[1] for line in ran.out.splitlines() if line.startswith("Sig")] == ["0" * 16] * 2
        assert "authorization" not in server.log()
        admin.close()


def test_two_servers_on_one_folder(shared: TlsServer) -> None:
    """Two would write into one database, each with sessions that the other does not know."""
    assert str(shared.pid) in start_refused(shared.nobody, 1)
    shared.owner("health").passed()


def test_a_port_in_use(nobody: Nobody) -> None:
    """Two servers would share a port, and each get half of the calls."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in start_refused(nobody, 1, "--listen", f"127.0.0.1:{port}").splitlines()[0]
    again = nobody.popen("server", "--data", nobody.data, *LOCAL)
    assert again.stdout is not None
    assert again.stdout.readline().startswith(b"ready ")
    again.terminate()
    _, told = again.communicate()
    assert b"\njobrun login " in told, "the way in is told although it is not the first start"


CONFIGS = {
    "[sever]\n": "[sever]",
    "[server]\nlisen = 127.0.0.1:1\n": "[server] lisen",
    "[server]\nslots = none\n": "[server] slots",
    "[server]\nkey = /x\n": "certificate",
    "[login]\naccess_token_lifetime = 2h\n": "[login] access_token_lifetime",
    "slots = 1\n": "line 1",
}


@pytest.mark.parametrize("text", CONFIGS)
def test_a_bad_config(nobody: Nobody, text: str) -> None:
    """The server would run without what its operator set."""
    config = nobody.root / "server.ini"
    config.write_text(text)
    line = start_refused(nobody, 2, "--config", config)
    assert str(config) in line
    assert CONFIGS[text] in line
    assert not nobody.data.exists(), "nothing was made"


def test_the_command_line_wins_over_the_config(nobodys_cache: Path) -> None:
    """A server could not be tried on another port without another file."""
    with tls_server(nobodys_cache, config="[server]\nlisten = 192.0.2.1:1\nslots = 3\n") as server:
        assert server.address.startswith("127.0.0.1:")


def test_no_config_where_there_is_none(nobody: Nobody) -> None:
    """The server would run with defaults where its settings were meant."""
    assert "none.ini" in start_refused(nobody, 2, "--config", nobody.root / "none.ini")


def test_bad_places_to_listen(nobody: Nobody) -> None:
    """gRPC would say something obscure, or listen somewhere else."""
    for listen in ("127.0.0.1", "127.0.0.1:x", "::1:0", "a b:0", "127.0.0.1:65536", ":0"):
        assert "--listen" in start_refused(nobody, 2, "--listen", listen)
    for listen in ("192.0.2.1:0", "no.such.host.invalid:0"):
        assert listen in start_refused(nobody, 1, "--listen", listen)


def test_insecure_with_a_certificate(nobody: Nobody, operator: Operator) -> None:
    """Its operator would believe that it has TLS."""
    config = nobody.root / "server.ini"
    config.write_text(operator.config)
    assert "certificate" in start_refused(nobody, 2, "--insecure", *NO_WALLS, "--config", config)


def tamper(path: Path, how: str) -> None:
    """Does to what a server left what somebody else could have done, and leaves it as good as it was."""
    if how == "symlink":
        path.rename(path.with_name("elsewhere"))
        path.symlink_to("elsewhere")
    elif how == "0644":
        path.chmod(0o644)
    else:
        os.chown(path, 0, 0)


@pytest.mark.parametrize("how", ["symlink", "0644", "Permission denied"])
@pytest.mark.parametrize("name", ["tls.pem", "access-token-key.pem"])
def test_a_key_that_somebody_else_may_have(server: TlsServer, name: str, how: str) -> None:
    """Whoever laid or read a key there could be the server, or let anybody in."""
    if "denied" in how and os.getuid() != 0:
        pytest.skip("only root can make another user's")
    server.stop()
    tamper(server.data / name, how)
    line = start_refused(server.nobody, 1)
    assert str(server.data / name) in line
    assert how in line


@pytest.mark.parametrize("name", ["users.db", "jobs.db", "lock", "."])
def test_a_symlink_in_a_files_place(server: TlsServer, name: str) -> None:
    """The server would write into a file of its user's that somebody chose."""
    server.stop()
    tamper(server.data / name if name != "." else server.data, "symlink")
    assert str(server.data) in start_refused(server.nobody, 1)


def test_a_folder_that_somebody_else_made(nobody: Nobody) -> None:
    """Its owner could put other keys there at any time."""
    if os.getuid() != 0:
        pytest.skip("only root can make another user's")
    nobody.data.mkdir()
    nobody.data.chmod(0o777)
    assert str(nobody.data) in start_refused(nobody, 1)
    assert os.listdir(nobody.data) == []


def test_an_open_folder_of_ones_own_is_closed(nobodys_cache: Path) -> None:
    """A folder that was made by hand would stay open to others."""
    nobody = Nobody(nobodys_cache)
    nobody.data.mkdir()
    own(nobody.data)
    nobody.data.chmod(0o777)
    server = TlsServer(nobody)
    assert stat.S_IMODE(nobody.data.stat().st_mode) == 0o700
    server.close()
    nobody.close()


def test_a_new_certificate(server: TlsServer, admin: Account) -> None:
    """A key that may be in other hands could not be replaced without a stop, or nobody know what breaks."""
    admin.jobrun("token", "create", "nightly").passed()
    old = server.fingerprint
    made = server.owner("new-cert").passed()
    new = made.out.splitlines()[0]
    assert re.fullmatch("sha256:[0-9a-f]{64}", new)
    assert new != old
    assert "nightly" in made.out
    assert server.shown_fingerprint() == new
    assert server.owner("health").passed().out == f"SERVING {server.address} {new}\n"
    facts = json.loads(server.owner("health", "--json").passed().out)
    assert facts == {"health": "SERVING", "address": server.address, "fingerprint": new}
    assert f"jobrun login {server.address} --fingerprint {new}\n" in made.out
    assert stat.S_IMODE((server.data / "tls.pem").stat().st_mode) == 0o600
    assert admin.jobrun("list").code != 0, "it trusts the old one alone"
    server.restart()
    assert server.fingerprint == new


def test_a_new_certificate_while_no_server_runs(server: TlsServer) -> None:
    """A certificate that expired could not be replaced."""
    server.stop()
    new = server.owner("new-cert").passed().out.splitlines()[0]
    (server.data / "tls.pem").unlink()
    facts = json.loads(server.owner("new-cert", "--json").passed().out)
    assert (facts["login"], type(facts["ended_tokens"])) == ("", list)
    newer = facts["fingerprint"]
    assert new != newer
    server.start_again()
    assert server.fingerprint == newer


def test_an_operators_certificate(nobodys_cache: Path, cache: Path, operator: Operator) -> None:
    """A renewal would cut every job that somebody follows, or be seen at the next restart only."""
    with tls_server(nobodys_cache, config=operator.config) as server:
        admin = Account(cache, server, "admin", server.admin_password)
        admin.root.chmod(0o711)
        admin.log_in().passed()
        gate, latch = admin.gate(), admin.latch()
        following = admin.client("run", "sh", "-c", f"echo a; {gate.hold} {latch.wait} echo b")
        gate.wait_opened()
        operator.renew("second")
        renewed = server.shown_fingerprint()
        assert renewed != server.fingerprint
        assert server.owner("health").passed().out == f"SERVING {server.address} {renewed}\n"
        operator.key.write_bytes(b"half of a ke")
        before = len(server.log())
        for _ in range(3):
            assert server.shown_fingerprint() == renewed, "the one before stays"
        server.hang_up()
        assert server.wait_log("stays in use", since=before).count("stays in use") == 1
        latch.open()
        ran = following.finish().passed()
        assert (ran.out, ran.err) == ("a\nb\n", "")
        assert not (server.data / "tls.pem").exists()
        admin.close()


def test_new_cert_is_refused_with_an_operators_certificate(nobodys_cache: Path, operator: Operator) -> None:
    """It would print a fingerprint that no client ever sees."""
    with tls_server(nobodys_cache, config=operator.config) as server:
        config = server.nobody.root / "server.ini"
        assert str(config) in server.owner("new-cert", "--config", config).refused(1)
        assert "operator's certificate" in server.owner("new-cert").refused(1)
        assert not (server.data / "tls.pem").exists()
        server.stop()
        assert str(config) in server.owner("new-cert", "--config", config).refused(1)


@pytest.mark.parametrize(
    ("damage", "word"),
    [("gone", "No such file"), ("open", "every user"), ("foreign", "not the key"), ("cut", "no key")],
)
def test_an_operators_certificate_that_can_not_be_used(
    nobody: Nobody, operator: Operator, damage: str, word: str
) -> None:
    """The server would start without TLS, or die of what OpenSSL says."""
    if damage == "gone":
        operator.key.unlink()
    elif damage == "open":
        operator.key.chmod(0o644)
    elif damage == "cut":
        os.truncate(operator.key, 40)
    else:
        certificate = operator.certificate.read_bytes()
        operator.renew("second")
        operator.certificate.write_bytes(certificate)
    config = nobody.root / "server.ini"
    config.write_text(operator.config)
    line = start_refused(nobody, 1, *LOCAL, "--config", config)
    assert str(operator.key) in line
    assert word in line


def test_another_password_while_the_server_runs(server: TlsServer, admin: Account) -> None:
    """Who found out a password would stay in after it was changed."""
    assert "admin" in server.owner("passwd", "--password-stdin", "admin", stdin=f"{PASSWORD}\n".encode()).passed().out
    admin.jobrun("list").refused(4)
    assert not (server.data / "admin-password").exists()
    admin.log_in().refused(1)
    admin.log_in(password=PASSWORD).passed()
    admin.jobrun("list").passed()
    assert PASSWORD not in server.log()


def test_another_password_while_no_server_runs(server: TlsServer, admin: Account) -> None:
    """Who can not start the server for a lost password is locked out for good."""
    server.stop()
    server.owner("passwd", "--password-stdin", "admin", stdin=f"{PASSWORD}\n".encode()).passed()
    server.start_again()
    admin.jobrun("list").refused(4)
    admin.log_in(password=PASSWORD).passed()


def test_another_password_at_the_terminal(server: TlsServer, admin: Account) -> None:
    """A password with a typing error in it would lock everybody out."""
    drop = ["setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"]
    as_owner = drop if os.getuid() == 0 else []
    words = [*as_owner, str(BUILT), "server", "passwd", "--data", str(server.data), "admin"]
    env = {b"PATH": os.environb[b"PATH"], b"JOBRUN_CACHE": os.fsencode(server.nobody.cache)}
    for again, code in (("something else", 1), (PASSWORD, 0)):
        with contextlib.closing(Terminal(words, env, server.nobody.root)) as terminal:
            terminal.wait_for("password")
            terminal.type(PASSWORD)
            terminal.wait_for("again")
            terminal.type(again)
            ended, shown = terminal.finish()
            assert ended == code, shown
            assert PASSWORD not in shown
    admin.log_in(password=PASSWORD).passed()


def test_passwords_that_are_refused(shared: TlsServer) -> None:
    """The admin could be given a password that no login takes."""

    def refused(code: int, password: bytes, user: str = "admin") -> str:
        return shared.owner("passwd", "--password-stdin", user, stdin=password).refused(code)

    assert "carol" in refused(3, b"correct horse\n", "carol")
    for password in (b"short\n", b"x" * 73 + b"\n", b"nul\0nul\0nul\n", b"", b"two lines\nof them\n", b"\xff" * 10):
        assert "password" in refused(1, password)
    assert (shared.data / "admin-password").exists(), "nothing was changed"


def test_the_owners_commands_are_the_owners(shared: TlsServer, home: Home) -> None:
    """Files of another user would be left in the folder, and the next start refuse them."""
    if os.getuid() != 0:
        pytest.skip("only root can be another user")
    for words in (["passwd", "--password-stdin", "admin"], ["new-cert"], ["health"]):
        line = home.jobrun("server", words[0], "--data", shared.data, *words[1:], stdin=b"correct horse\n").refused(1)
        assert str(shared.data) in line
        assert "belongs to" in line


def test_folders_without_a_server(nobody: Nobody) -> None:
    """A new folder would be made where the right one was mistyped."""
    for word in ("passwd", "new-cert", "health"):
        words = [word, "--data", str(nobody.data), *(["admin"] if word == "passwd" else [])]
        assert str(nobody.data) in nobody.jobrun("server", *words).refused(1)
        assert not nobody.data.exists()
    nobody.data.mkdir(mode=0o700)
    own(nobody.data)
    for word in ("passwd", "new-cert", "health"):
        words = [word, "--data", str(nobody.data), *(["admin"] if word == "passwd" else [])]
        assert str(nobody.data) in nobody.jobrun("server", *words).refused(1)
    assert os.listdir(nobody.data) == []


def test_a_folder_for_something_else_is_left_as_it_is(nobody: Nobody) -> None:
    """A mistyped --data would shut everybody out of /srv."""
    nobody.data.mkdir()
    own(nobody.data)
    (nobody.data / "users.db").touch()
    nobody.data.chmod(0o755)
    for word in ("passwd", "new-cert", "health"):
        words = [word, "--data", str(nobody.data), *(["admin"] if word == "passwd" else [])]
        assert f"others may look into {nobody.data}" in nobody.jobrun("server", *words).refused(1)
        assert stat.S_IMODE(nobody.data.stat().st_mode) == 0o755


def test_health(server: TlsServer) -> None:
    """A container would count as healthy whose server is gone, or be restarted for nothing."""
    assert server.owner("health").passed() == Result(
        0, f"SERVING {server.address} {server.fingerprint}\n".encode(), b""
    )
    server.kill()
    assert "no server is ready" in server.owner("health").refused(1)
    server.start_again()
    server.owner("health").passed()
    server.stop()
    assert "no server is ready" in server.owner("health").refused(1)


def test_health_of_another_server_at_the_same_port(nobodys_cache: Path, server: TlsServer) -> None:
    """A server that is gone would count as healthy because of another one, whose users get its line to log in by."""
    server.kill()
    with tls_server(nobodys_cache, listen=server.address):
        assert "no server is ready" in server.owner("health").refused(1)
        made = server.owner("new-cert").passed()
        assert re.fullmatch(r"sha256:[0-9a-f]{64}\n", made.out)


def test_health_without_tls(insecure_server: InsecureServer) -> None:
    """A container with an insecure server would never be healthy."""
    data = insecure_server.nobody.data
    shown = insecure_server.nobody.jobrun("server", "health", "--data", data).passed().out
    assert shown == f"SERVING {insecure_server.address}\n"


def test_without_login_in_the_folder_of_a_server_with_login(server: TlsServer) -> None:
    """Every local user could read and stop the jobs of all users, by one mistyped start."""
    server.stop()
    assert str(server.data) in start_refused(server.nobody, 1, "--insecure", *NO_WALLS)
    assert str(server.data) in start_refused(server.nobody, 1, "--private", "--idle", "5s")
    server.start_again()
    server.owner("health").passed()


def test_help(shared: TlsServer) -> None:
    """Nobody would find these commands."""
    told = shared.command("server", "--help").passed().out
    for word in ("passwd", "new-cert", "health", "unit"):
        assert f"server {word}" in told
        assert f"jobrun server {word}" in shared.command("server", word, "--help").passed().out


def test_what_is_not_built(nobody: Nobody) -> None:
    """Somebody would take silence for a backup."""
    for word in ("backup", "reindex"):
        assert "not in this version" in nobody.jobrun("server", word).refused(1)
    assert "not in this version" in start_refused(nobody, 1, "--isolation", "strong")
