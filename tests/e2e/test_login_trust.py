"""Whom a client believes: pinned certificates, an operator's own, changed ones, and wrong clocks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.accounts import Account, Accounts
from tests.e2e.certificates import Operator
from tests.e2e.home import Home
from tests.e2e.tls_server import tls_server


def roots(operator: Operator) -> Mapping[str, str]:
    """Where OpenSSL finds the system's roots (SSL_CERT_FILE), for a machine that trusts the authority."""
    return {"SSL_CERT_FILE": str(operator.authority.path)}


def log_in_unasked(account: Account, host: str) -> None:
    """`login` without fingerprint and without terminal."""
    words = ["login", "--user", account.name, "--password-stdin", host]
    account.jobrun(*words, stdin=f"{account.password}\n".encode()).passed()


def test_a_verified_certificate_is_not_asked_about_and_not_pinned(
    cache: Path, nobodys_cache: Path, operator: Operator, home: Home
) -> None:
    """Each renewal of the certificate would stop every client and every pipeline."""
    with tls_server(nobodys_cache, config=operator.config) as server:
        admin = Account(cache, server, "admin", server.admin_password)
        admin.env.update(roots(operator))
        host = "localhost:" + server.address.rpartition(":")[2]
        log_in_unasked(admin, host)
        assert admin.jobrun("run", "echo", "hi").passed().out == "hi\n"
        token = admin.jobrun("token", "create", "ci").passed().out.strip()
        operator.renew("second")
        server.hang_up()
        admin.jobrun("run", "true").passed()
        home.jobrun("run", "true", env={"JOBRUN_TOKEN": token, **roots(operator)}).passed()
        home.jobrun("run", "true", env={"JOBRUN_TOKEN": token}).refused(125)
        admin.jobrun("list", env={"SSL_CERT_FILE": None}).refused(4)
        told = admin.jobrun("logout", "--all", env={"SSL_CERT_FILE": None}).passed().err
        assert "nothing here verifies the certificate" in told, "it has not changed"
        assert "your others may go on" in told
        admin.close()


def test_an_operators_certificate_that_nobody_verifies_is_pinned(
    cache: Path, nobodys_cache: Path, operator: Operator
) -> None:
    """A company's own authority would have to be installed on each machine first."""
    with tls_server(nobodys_cache, config=operator.config) as server:
        admin = Account(cache, server, "admin", server.admin_password)
        admin.log_in().passed()
        admin.jobrun("run", "true").passed()
        operator.renew("second")
        server.hang_up()
        changed(admin)
        admin.close()


def changed(account: Account) -> None:
    """AssertionError unless everything stops, and says so."""
    for words, codes in ((["list"], (1, 4)), (["run", "true"], (125,))):
        result = account.jobrun(*words)
        assert result.code in codes
        assert "certificate" in result.refused(result.code).lower()


def test_a_changed_certificate_stops_everything(cache: Path, nobodys_cache: Path) -> None:
    """Whoever stands in between would get the token, and see each command."""
    with tls_server(nobodys_cache) as server:
        admin = Account(cache, server, "admin", server.admin_password)
        admin.log_in().passed()
        token = admin.jobrun("token", "create", "nightly").passed().out.strip()
        new = server.owner("new-cert").passed()
        assert "nightly" in new.out + new.err
        server.restart()
        changed(admin)
        admin.jobrun("run", "true", env={"JOBRUN_TOKEN": token}).refused(125)
        old = admin.fingerprint
        assert admin.log_in().refused(1)
        admin.fingerprint = server.fingerprint
        assert admin.fingerprint != old
        admin.log_in().passed()
        admin.jobrun("run", "true").passed()
        admin.close()


def test_another_server_at_the_same_address(cache: Path, nobodys_cache: Path) -> None:
    """The same, by a server that was put in its place."""
    with tls_server(nobodys_cache) as genuine, tls_server(nobodys_cache) as other:
        admin = Account(cache, genuine, "admin", genuine.admin_password)
        admin.log_in().passed()
        genuine.stop()
        port = genuine.address.rpartition(":")[2]
        other.stop()
        other.start_again("--listen", f"127.0.0.1:{port}")
        before = (other.data / "audit.jsonl").read_text()
        changed(admin)
        admin.jobrun("logout").passed()
        assert (other.data / "audit.jsonl").read_text() == before, "not even a token arrived there"
        admin.close()


DAY = 86400


@pytest.fixture(scope="module")
def other_times() -> str:
    """libfaketime(1), which shifts the clocks that a program sees."""
    if shutil.which("faketime") is None:
        pytest.skip("needs libfaketime: on Debian: apt-get install faketime")
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    return str(found[0])


def shifted(library: str, seconds: int) -> dict[str, str]:
    """The environment of a program whose wall clock is so many seconds ahead."""
    return {"LD_PRELOAD": library, "FAKETIME": f"{seconds:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture(scope="module")
def timeless(accounts: Accounts) -> Account:
    """A user whose clocks are wrong."""
    return accounts.add(name="timeless")


@pytest.mark.parametrize("days", [-1, 1, 300], ids=["behind", "ahead", "far ahead"])
def test_f40_a_client_whose_clock_is_wrong(accounts: Accounts, other_times: str, timeless: Account, days: int) -> None:
    """A laptop that woke up in another year would get a traceback of "not yet valid"."""
    wrong = shifted(other_times, days * DAY)
    fresh = accounts.another_home(timeless.name, timeless.password)
    fresh.env.update(wrong)
    assert fresh.log_in().passed().err == ""
    before = len(accounts.audit(action="refresh", username="timeless"))
    fresh.jobrun("list").passed()
    ran = fresh.jobrun("run", "echo", "hi").passed()
    assert (ran.out, ran.err) == ("hi\n", "")
    timeless.jobrun("list", env=wrong).passed()
    assert len(accounts.audit(action="refresh", username="timeless")) == before, "no wish for a new token each time"


@pytest.mark.parametrize("years", [-1, 20])
def test_f40_beyond_a_certificates_dates(other_times: str, timeless: Account, years: int) -> None:
    """Nobody would look at his clock."""
    wrong = shifted(other_times, years * 365 * DAY)
    error = timeless.jobrun("list", env=wrong).refused(1)
    assert "clock" in error
    assert "clock" in timeless.jobrun("run", "true", env=wrong).refused(125)
