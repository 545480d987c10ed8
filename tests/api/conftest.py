"""Servers from source, as fixtures: named for what they give."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.login import LoginServer, serving_users
from tests.api.source_server import Server, serving


@pytest.fixture(scope="module")
def private() -> Iterator[Server]:
    """A private server, shared by the tests of one module."""
    with serving() as server:
        yield server


@pytest.fixture
def fresh() -> Iterator[Server]:
    """A private server of one test."""
    with serving() as server:
        yield server


@pytest.fixture
def two_slots() -> Iterator[Server]:
    """A server with two slots, where each job has a folder of its own."""
    with serving("slots=2") as server:
        yield server


@pytest.fixture(scope="module")
def office() -> Iterator[LoginServer]:
    """A server with login, whose users the tests of a module share."""
    with serving_users() as server:
        yield server
