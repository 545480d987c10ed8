"""Fixtures: the server that most attacks share, and who is on it. Those that would leave another one behind have one of
their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.caller import Caller
from tests.attack.doors import Doors, doors_to
from tests.attack.victim import LASTING, PASSWORD, Victim, victim


@pytest.fixture(scope="session")
def server(nobodys_cache: Path) -> Iterator[Victim]:
    """A server with login; all attacks on it must leave it healthy."""
    with victim(nobodys_cache, config=LASTING) as running:
        yield running
        assert running.running(), "the attacks ended the server"


@pytest.fixture(scope="session")
def admin(server: Victim) -> Caller:
    """A session of its first admin."""
    return server.admin()


@pytest.fixture(scope="session")
def ann(server: Victim, admin: Caller) -> Caller:
    """A session of a user."""
    admin.make_user("ann", PASSWORD)
    return server.login("ann")


@pytest.fixture(scope="session")
def bob(server: Victim, admin: Caller) -> Caller:
    """A session of another user."""
    admin.make_user("bob", PASSWORD)
    return server.login("bob")


@pytest.fixture(scope="session")
def vic(server: Victim, admin: Caller) -> Caller:
    """A session of a viewer."""
    admin.make_user("vic", PASSWORD, "viewer")
    return server.login("vic")


@pytest.fixture(scope="session")
def doors(server: Victim) -> Iterator[Doors]:
    """Other addresses to come from."""
    with doors_to(server.host, server.port) as opened:
        yield opened
