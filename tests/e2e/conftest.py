"""Servers with TLS and login, and users of theirs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.accounts import Account, Accounts
from tests.e2e.certificates import Operator
from tests.e2e.tls_server import TlsServer, tls_server


@pytest.fixture
def server(nobodys_cache: Path) -> Iterator[TlsServer]:
    """A fresh one with TLS and login."""
    with tls_server(nobodys_cache) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def shared(nobodys_cache: Path) -> Iterator[TlsServer]:
    """One with TLS and login, for tests of a module that change nothing in it."""
    with tls_server(nobodys_cache) as running:
        yield running


@pytest.fixture
def admin(cache: Path, server: TlsServer) -> Iterator[Account]:
    """Its admin, logged in."""
    account = Account(cache, server, "admin", server.admin_password)
    account.log_in().passed()
    yield account
    account.close()


@pytest.fixture
def operator() -> Iterator[Operator]:
    """An operator with a certificate, in a folder that the server's user may enter."""
    with tempfile.TemporaryDirectory(prefix="jo-", dir="/tmp") as name:
        Path(name).chmod(0o711)
        yield Operator(Path(name))


@pytest.fixture
def newcomer(accounts: Accounts) -> Account:
    """A HOME that has never seen the server; its user has an account."""
    return accounts.add_only()


@pytest.fixture(scope="module")
def member(accounts: Accounts) -> Account:
    """A user who is logged in; the tests that share him leave him so."""
    return accounts.add()
