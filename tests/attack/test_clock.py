"""The server's clock, which somebody sets: what has expired stays so, and what was measured goes on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobrun.wire.gen.jobrun.v1 import job_pb2
from tests.attack.caller import UNAUTHENTICATED, refresh_grant, refused, until_refused
from tests.attack.victim import PASSWORD, SHORT, Victim, victim


class Clock:
    """The wall clock of a server, by libfaketime(1); its monotonic clock is the machine's."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.set("+0")
        self.env = {
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, shift: str) -> None:
        """So much ahead of the true time; a write that a reader sees whole."""
        fresh = self._file.with_name("fresh")
        fresh.write_text(f"{shift}\n")
        fresh.rename(self._file)


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock that a test sets; its file is there for every user."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found or shutil.which("faketime") is None:
        pytest.skip("needs libfaketime: on Debian: apt-get install faketime")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Clock(found[0], Path(folder) / "time")


@pytest.fixture
def server(nobodys_cache: Path, clock: Clock) -> Iterator[Victim]:
    """A server whose clock it is, with tokens of 3 s."""
    with victim(nobodys_cache, config=SHORT, env=clock.env) as running:
        yield running


def test_back_by_a_day(server: Victim, clock: Clock) -> None:
    """Every token of yesterday, in every log and backup, would be good again."""
    wire, old = server.wire(), server.admin()
    issued = wire.login("admin", server.admin_password, first="first")
    machine = server.caller(old.make_token("short", expires_in=1).secret)
    until_refused(old.who, "the token to expire")
    until_refused(machine.who, "the machine token to expire")
    clock.set("-1d")
    for token in (old.token, machine.token):
        assert wire.stranger(token).code == UNAUTHENTICATED
    again = wire.refresh(issued.session_id, "first", "second")
    assert wire.who(again.access_token).username == "admin", "new tokens are good all the same"
    for kill in (True, False):
        server.restart(kill=kill)
        wire = server.wire()
        for token in (old.token, machine.token):
            assert wire.stranger(token).code == UNAUTHENTICATED, "over a crash or restart too"
    assert wire.who(wire.refresh(issued.session_id, "second", "third").access_token).username == "admin"


def test_forward_by_a_year(server: Victim, clock: Clock) -> None:
    """Jobs would end by a timeout that is not theirs; or sessions of a year ago would go on."""
    admin = server.admin()
    admin.make_user("ann", PASSWORD)
    issued = server.wire().login("ann", PASSWORD, first="first")
    ann = server.caller(issued.access_token)
    limits = job_pb2.Limits(timeout={"seconds": 3600})
    job = ann.start("sleep", "600", limits=limits)
    clock.set("+365d")
    wire = server.wire()
    assert wire.stranger(ann.token).code == UNAUTHENTICATED
    told = refused(wire.auth.IssueToken, refresh_grant(issued.session_id, "first", "second"))
    assert (told.code, told.reason) == (UNAUTHENTICATED, "REFRESH_FAILED"), told
    fresh = server.login("ann")
    assert fresh.job(job).WhichOneof("state") == "running"
    assert fresh.job(job).usage.elapsed.seconds < 600
    second = fresh.start("true")
    assert fresh.finished(second).finished.exit_code == 0
