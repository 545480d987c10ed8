"""Fixtures: a server with login that a module's attacks share, and who is on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.caller import Caller
from tests.attack.doors import Doors, doors_to
from tests.attack.victim import PASSWORD, Victim, victim


@pytest.fixture(scope="module")
def server(nobodys_cache: Path) -> Iterator[Victim]:
    """A server with login; the attacks of a module must leave it healthy."""
    with victim(nobodys_cache) as running:
        yield running
        assert running.running(), "the attacks ended the server"


@pytest.fixture(scope="module")
def admin(server: Victim) -> Caller:
    """A session of its first admin."""
    return server.admin()


@pytest.fixture(scope="module")
def ann(server: Victim, admin: Caller) -> Caller:
    """A session of a user."""
    admin.make_user("ann", PASSWORD)
    return server.login("ann")


@pytest.fixture(scope="module")
def bob(server: Victim, admin: Caller) -> Caller:
    """A session of another user."""
    admin.make_user("bob", PASSWORD)
    return server.login("bob")


@pytest.fixture(scope="module")
def vic(server: Victim, admin: Caller) -> Caller:
    """A session of a viewer."""
    admin.make_user("vic", PASSWORD, "viewer")
    return server.login("vic")


@pytest.fixture(scope="module")
def doors(server: Victim) -> Iterator[Doors]:
    """Other addresses to come from."""
    with doors_to(server.host, server.port) as opened:
        yield opened
