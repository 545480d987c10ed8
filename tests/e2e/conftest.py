"""Servers with TLS and login, for tests of the server itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.accounts import Account
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
