"""A server with TLS and login on its machine: how it starts, what it keeps, its certificate."""

from __future__ import annotations

import os
import re
import socket
import stat
from pathlib import Path

import pytest

from tests.e2e.accounts import Account
from tests.e2e.insecure import LOCAL, NO_WALLS, NOBODY, Nobody, own
from tests.e2e.tls_server import TlsServer, tls_server

PASSWORD = "correct horse battery"


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


def test_a_port_in_use(nobody: Nobody) -> None:
    """Two servers would share a port, and each get half of the calls."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in nobody.start_refused(1, "--listen", f"127.0.0.1:{port}").splitlines()[0]
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
    line = nobody.start_refused(2, "--config", config)
    assert str(config) in line
    assert CONFIGS[text] in line
    assert not nobody.data.exists(), "nothing was made"


def test_the_command_line_wins_over_the_config(nobodys_cache: Path) -> None:
    """A server could not be tried on another port without another file."""
    with tls_server(nobodys_cache, config="[server]\nlisten = 192.0.2.1:1\nslots = 3\n") as server:
        assert server.address.startswith("127.0.0.1:")


def test_no_config_where_there_is_none(nobody: Nobody) -> None:
    """The server would run with defaults where its settings were meant."""
    assert "none.ini" in nobody.start_refused(2, "--config", nobody.root / "none.ini")


def test_bad_places_to_listen(nobody: Nobody) -> None:
    """gRPC would say something obscure, or listen somewhere else."""
    for listen in ("127.0.0.1", "127.0.0.1:x", "::1:0", "a b:0", "127.0.0.1:65536", ":0"):
        assert "--listen" in nobody.start_refused(2, "--listen", listen)
    for listen in ("192.0.2.1:0", "no.such.host.invalid:0"):
        assert listen in nobody.start_refused(1, "--listen", listen)


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


def test_without_login_in_the_folder_of_a_server_with_login(server: TlsServer) -> None:
    """Every local user could read and stop the jobs of all users, by one mistyped start."""
    server.stop()
    assert str(server.data) in server.nobody.start_refused(1, "--insecure", *NO_WALLS)
    assert str(server.data) in server.nobody.start_refused(1, "--private", "--idle", "5s")
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
    assert "not in this version" in nobody.start_refused(1, "--isolation", "strong")
