"""Where a command goes, with logins: never to another server than the one that was meant."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.accounts import Account, Accounts, accounts_of
from tests.e2e.deadline import patience
from tests.e2e.home import Home, new_home
from tests.e2e.insecure import InsecureServer, Nobody
from tests.e2e.tls_server import tls_server


@pytest.fixture
def account(accounts: Accounts) -> Account:
    """A user who is logged in."""
    return accounts.add()


def nothing_ran_here(home: Home) -> None:
    """AssertionError if a private server was started."""
    assert home.server_pids() == [], "a private server was started"


def jobs(accounts: Accounts, name: str) -> set[str]:
    """Ids of all jobs of a user on the server with login."""
    words = ["list", "-a", "-q", "--all-users", "--filter", f"user={name}"]
    return set(accounts.admin.jobrun(*words).passed().out.split())


def test_a_login_makes_its_server_current(accounts: Accounts, account: Account) -> None:
    """A job would run on the laptop instead."""
    job = account.start("true")
    assert jobs(accounts, account.name) == {job}
    nothing_ran_here(account)


def test_local_asks_for_this_machine(accounts: Accounts, account: Account) -> None:
    """There would be no way to run something here any more."""
    ran = account.jobrun("run", "--local", "pwd", env={"JOBRUN_TOKEN": None}).passed()
    assert ran.out == f"{account.work}\n"
    assert jobs(accounts, account.name) == set()


def test_server_and_its_variable_win_over_the_login(
    accounts: Accounts, account: Account, insecure_server: InsecureServer
) -> None:
    """A job that was meant for one machine would run on another."""
    by_option = account.start("--server", insecure_server.address, "true")
    by_variable = account.start("true", env={"JOBRUN_SERVER": insecure_server.address})
    listed = account.jobrun("list", "-a", "-q", "--server", insecure_server.address).passed().out.split()
    assert {by_option, by_variable} <= set(listed)
    assert jobs(accounts, account.name) == set()
    named = account.start("--server", accounts.server.address, "true", env={"JOBRUN_SERVER": insecure_server.address})
    assert jobs(accounts, account.name) == {named}


def test_after_logout_nothing_is_current(account: Account) -> None:
    """The next command would run on this machine, in silence."""
    account.jobrun("logout").passed()
    account.jobrun("list").refused(4)
    account.jobrun("start", "true").refused(4)
    account.jobrun("run", "true").refused(125)
    nothing_ran_here(account)
    account.jobrun("run", "--local", "true").passed()
    account.jobrun("run", "true").refused(125)


def test_an_ended_session_never_falls_through(accounts: Accounts, account: Account) -> None:
    """The same, because somebody ended the session."""
    accounts.admin.jobrun("user", "disable", account.name).passed()
    account.jobrun("list").refused(4)
    account.jobrun("run", "true").refused(125)
    account.jobrun("start", "true").refused(4)
    nothing_ran_here(account)


def test_a_login_whose_files_are_gone_never_falls_through(account: Account) -> None:
    """The same, because somebody tidied up by hand."""
    for file in (account.config / "sessions").iterdir():
        file.unlink()
    account.jobrun("list").refused(4)
    account.jobrun("run", "true").refused(125)
    nothing_ran_here(account)


def test_a_server_without_a_login_needs_one(home: Home, accounts: Accounts) -> None:
    """A pipeline that names its server and has no login would run on its own machine."""
    error = home.jobrun("list", "--server", accounts.server.address).refused(4)
    assert f"jobrun login {accounts.server.address}" in error
    home.jobrun("run", "true", env={"JOBRUN_SERVER": accounts.server.address}).refused(125)
    nothing_ran_here(home)
    home.jobrun("run", "true").passed()


def test_a_server_that_is_away_never_falls_through(cache: Path, nobodys_cache: Path) -> None:
    """A job would run here because the network is down."""
    with tls_server(nobodys_cache) as server, contextlib.ExitStack() as stack:
        admin = stack.enter_context(accounts_of(cache, server)).admin
        server.stop()
        admin.jobrun("list").refused(1)
        admin.jobrun("run", "--reconnect", "1s", "true").refused(125)
        nothing_ran_here(admin)


class Two:
    """One HOME, two servers."""

    def __init__(self, first: Accounts, second: Accounts) -> None:
        self.first, self.second = first, second


@pytest.fixture(scope="module")
def two(accounts: Accounts, cache: Path, nobodys_cache: Path) -> Iterator[Two]:
    """Two servers with login."""
    with tls_server(nobodys_cache) as server, accounts_of(cache, server) as others:
        yield Two(accounts, others)


def test_two_logins_side_by_side(two: Two, account: Account) -> None:
    """A login at a second server would end, or get, the first one's."""
    there = two.second.add_only(name=account.name)
    words = ["login", "--user", there.name, "--fingerprint", there.fingerprint, "--password-stdin"]
    account.jobrun(*words, there.server_address, stdin=f"{there.password}\n".encode()).passed()
    job = account.start("true")
    assert jobs(two.second, account.name) == {job}
    job = account.start("--server", account.server_address, "true")
    assert jobs(two.first, account.name) == {job}
    account.jobrun("logout", "--server", there.server_address).passed()
    account.jobrun("list", "--server", account.server_address).passed()


@pytest.fixture(scope="module")
def owner(accounts: Accounts) -> Account:
    """A user of the first server, who stays logged in."""
    return accounts.add()


@pytest.fixture(scope="module")
def token(owner: Account) -> str:
    """A machine token of his."""
    return owner.jobrun("token", "create", "ci").passed().out.strip()


@pytest.fixture
def bare(cache: Path) -> Iterator[Home]:
    """A HOME that has never had a login."""
    with new_home(cache) as fresh:
        yield fresh


def test_a_token_alone_names_its_server(accounts: Accounts, owner: Account, bare: Home, token: str) -> None:
    """A pipeline would need more than one variable."""
    job = bare.start("true", env={"JOBRUN_TOKEN": token})
    assert jobs(accounts, owner.name) >= {job}
    nothing_ran_here(bare)


def test_a_token_wins_over_a_login_and_the_variable(
    two: Two, owner: Account, token: str, insecure_server: InsecureServer
) -> None:
    """A pipeline on somebody's machine would run as that somebody."""
    admin = two.second.admin
    env = {"JOBRUN_TOKEN": token, "JOBRUN_SERVER": insecure_server.address}
    job = admin.start("true", env=env)
    assert jobs(two.first, owner.name) >= {job}
    assert jobs(two.second, "admin") == set()


def test_a_token_never_goes_to_another_server(two: Two, bare: Home, token: str) -> None:
    """Whoever can set a variable or an option could have the token sent to him."""
    env = {"JOBRUN_TOKEN": token}
    others = two.second.server.address
    assert "JOBRUN_TOKEN" in bare.jobrun("list", "--server", others, env=env).refused(2)
    bare.jobrun("run", "--server", others, "true", env=env).refused(125)
    bare.jobrun("list", "--server", two.first.server.address, env=env).passed()
    bare.jobrun("run", "--local", "true", env=env).passed()


@pytest.mark.parametrize("variable", ["JOBRUN_TOKEN", "JOBRUN_SERVER"])
def test_an_empty_variable_never_falls_through(owner: Account, bare: Home, variable: str) -> None:
    """A pipeline whose secret is missing would run on the wrong machine, or as the wrong user."""
    for home in (owner, bare):
        assert variable in home.jobrun("list", env={variable: ""}).refused(4)
        home.jobrun("run", "true", env={variable: ""}).refused(125)
        nothing_ran_here(home)


def test_a_foreign_token(two: Two, bare: Home) -> None:
    """A token of another server would be let in, or end in a traceback."""
    first, second = (
        side.admin.jobrun("token", "create", "ci").passed().out.strip() for side in (two.first, two.second)
    )
    place, secret = first.split(".")[:2], second.split(".")[2:]
    mixed = ".".join([*place, *secret])
    bare.jobrun("list", env={"JOBRUN_TOKEN": mixed}).refused(4)
    bare.jobrun("run", "true", env={"JOBRUN_TOKEN": mixed}).refused(125)
    nothing_ran_here(bare)


def test_no_login_where_there_never_was_one(bare: Home) -> None:
    """Somebody who only tries it would need a server."""
    ran = bare.jobrun("run", "pwd").passed()
    assert ran.out == f"{bare.work}\n"
    assert ran.err == "jobrun: no login: running on this machine\n"
    bare.jobrun("logout").passed()
    bare.jobrun("run", "true").passed()


@pytest.mark.parametrize(
    "server", ["127.0.0.1:99999", "box:", "a b", "ftp://x", "-x", "host\x1b[2J", "[::1", "1.2.3:4"]
)
def test_an_address_that_is_none(bare: Home, server: str) -> None:
    """Another server than the one that was meant would be asked."""
    bare.jobrun("login", "--password-stdin", "--", server, stdin=b"some password\n").refused(2)
    bare.jobrun("list", f"--server={server}").refused(2)


def test_a_config_home_that_can_not_be_looked_at_never_falls_through(nobody: Nobody) -> None:
    """`sudo -u` that keeps HOME: what was meant for the big box would run here, with code 0."""
    closed = nobody.root / "closed"
    closed.mkdir(mode=0o700 if os.getuid() == 0 else 0)
    popen = nobody.popen("run", "--", "true", env={"JOBRUN_CONFIG_DIR": str(closed / "jobrun")})
    out, err = popen.communicate(timeout=patience(20))
    closed.chmod(0o700)  # for who removes it
    assert (popen.returncode, out) == (125, b"")
    assert b"Permission denied" in err
    assert b"--local" in err
