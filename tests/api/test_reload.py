"""SIGHUP: what an operator, or another process, has put there meanwhile is taken, and never ends the server."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from jobrun.files.ready_file import Ready, ReadyFile, read_ready, ready_path
from tests.api.login import LoginServer
from tests.api.source_server import WITHIN_S


def hang_up(server: LoginServer, words: str) -> None:
    """SIGHUP, and until its log says `words` behind it."""
    log, deadline = server.data / "server.log", time.monotonic() + WITHIN_S
    before = len(log.read_text())
    server.process.send_signal(signal.SIGHUP)
    while words not in log.read_text()[before:]:
        assert time.monotonic() < deadline, log.read_text()[before:]
        assert server.process.poll() is None, log.read_text()[before:]
        server.admin.list()


def test_users_that_can_not_be_read(office: LoginServer) -> None:
    """One signal at the wrong moment would end the server for everybody."""
    with sqlite3.connect(office.data / "users.db", isolation_level=None) as users:
        ((kept,),) = users.execute("SELECT ceilings FROM users WHERE name = 'admin'")
        users.execute("UPDATE users SET ceilings = 'half' WHERE name = 'admin'")
        hang_up(office, "until these can be read")
        assert office.admin.list() == set()
        users.execute("UPDATE users SET ceilings = ? WHERE name = 'admin'", (kept,))
    users.close()
    hang_up(office, "SIGHUP came")
    assert "Traceback" not in (office.data / "server.log").read_text()


def test_a_certificate_that_can_not_be_used(office: LoginServer) -> None:
    """A renewal that went wrong would take the server down at night."""
    kept = (office.data / "tls.pem").read_bytes()
    (office.data / "tls.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    hang_up(office, "the certificate before it stays in use")
    assert office.log_in("admin").list() == set()
    (office.data / "tls.pem").write_bytes(kept)


def test_a_ready_file_that_can_not_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk would keep the server from starting, for the sake of a health check; or that trusts an old line."""
    file, ready = ReadyFile(tmp_path), Ready("127.0.0.1", 1234, None)
    file.write(ready)
    assert read_ready(tmp_path) == ready
    file.remove()
    (ready_path(tmp_path) / "in the way").mkdir(parents=True)
    file.write(ready)
    file.remove()
    assert "server health finds no server" in caplog.text
