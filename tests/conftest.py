"""Fixtures, named for what they give."""

from __future__ import annotations

import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree

import pytest

from tests.e2e.accounts import Accounts, accounts_of
from tests.e2e.client import BUILT
from tests.e2e.home import Home, new_home
from tests.e2e.insecure import InsecureServer, Nobody, insecure, own
from tests.e2e.tls_server import tls_server


def pytest_configure() -> None:
    """A shell's background, or nohup, has signals ignored, and the programs under test would inherit that."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    """Where the file unpacks itself: once for all tests."""
    with unpacked() as folder:
        yield folder


@pytest.fixture(scope="session")
def nobodys_cache() -> Iterator[Path]:
    """The same for uid 65534."""
    with unpacked() as folder:
        own(folder)
        yield folder


@contextlib.contextmanager
def unpacked() -> Iterator[Path]:
    """A folder for the unpacked file."""
    assert BUILT.exists(), f"{BUILT} is not there: run `python3 build.py test`, which builds it first"
    folder = Path(tempfile.mkdtemp(prefix="jc-", dir="/tmp"))
    yield folder
    rmtree(folder)


@pytest.fixture
def home(cache: Path) -> Iterator[Home]:
    """A fresh home without a server; at the end no process of it is left."""
    with new_home(cache) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def warm(cache: Path) -> Iterator[Home]:
    """A home that the tests of a module share, its private server running: stderr is the job's alone."""
    with new_home(cache) as shared:
        shared.jobrun("list").passed()
        yield shared


@pytest.fixture(scope="module")
def insecure_server(nobodys_cache: Path) -> Iterator[InsecureServer]:
    """A server without login on loopback, as uid 65534 where the tests run as root; the tests of a module share it."""
    with insecure(nobodys_cache) as server:
        yield server


@pytest.fixture
def nobody(nobodys_cache: Path) -> Iterator[Nobody]:
    """An unprivileged user with folders of his own."""
    user = Nobody(nobodys_cache)
    yield user
    user.close()


@pytest.fixture(scope="session")
def accounts(cache: Path, nobodys_cache: Path) -> Iterator[Accounts]:
    """A server with TLS and login, and its users; all tests that need one share it, each with users of its own."""
    with tls_server(nobodys_cache) as server, accounts_of(cache, server) as users:
        yield users
