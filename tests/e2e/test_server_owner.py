"""What the owner of a data folder does to it on its machine: passwords, and whether the server is healthy."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path

import pytest

from tests.e2e.accounts import Account
from tests.e2e.client import BUILT, Result
from tests.e2e.home import Home
from tests.e2e.insecure import NOBODY, InsecureServer, Nobody, own
from tests.e2e.terminal import Terminal
from tests.e2e.tls_server import TlsServer, tls_server

PASSWORD = "correct horse battery"


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
