"""A server's data folder that somebody else prepared, or two servers on one."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.spoil import SPOILED, STRANGER, anothers_for_all
from tests.attack.victim import Victim, victim
from tests.e2e.client import Result
from tests.e2e.deadline import patience

KEYS = ["tls.pem", "access-token-key.pem"]


@pytest.fixture(scope="module")
def stopped(nobodys_cache: Path) -> Iterator[Victim]:
    """A server that served once and ended."""
    with victim(nobodys_cache) as server:
        server.admin()
        assert server.stop() == 0
        yield server


@pytest.fixture
def folder(stopped: Victim) -> Iterator[Victim]:
    """The same; what a test does to its data folder is undone."""
    kept = stopped.root / "kept"
    subprocess.run(["cp", "-a", stopped.data, kept], check=True)
    yield stopped
    if stopped.data.is_symlink():
        stopped.data.unlink()
    else:
        shutil.rmtree(stopped.data)
    kept.rename(stopped.data)


def refused(server: Victim, data: Path | None = None, listen: str = "127.0.0.1:0") -> str:
    """Why a server does not start on the folder: one line, no hang. AssertionError as soon as it serves."""
    popen = server.nobody.popen("server", "--listen", listen, "--data", data or server.data)
    assert popen.stdout is not None
    try:
        ready, _, _ = select.select([popen.stdout], [], [], patience(10))
        assert ready, "it hangs"
        line = popen.stdout.readline()
    finally:
        popen.kill()
        out, err = popen.communicate()
    assert not line, f"it serves: {line!r}"
    return Result(popen.returncode if popen.returncode > 0 else 1, out, err).refused(1)


root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@root_only
def test_a_folder_of_anothers(folder: Victim) -> None:
    """Its owner could read every key, and put in users of his own."""
    os.chown(folder.data, STRANGER, STRANGER)
    assert str(folder.data) in refused(folder)


@root_only
def test_an_empty_folder_of_anothers(folder: Victim, tmp_path: Path) -> None:
    """Before there was a server somebody could lay a trap: its keys would be his."""
    trap = tmp_path / "trap"
    trap.mkdir()
    os.chown(trap, STRANGER, STRANGER)
    assert str(trap) in refused(folder, trap)
    assert not list(trap.iterdir())


@pytest.mark.parametrize("mode", [0o777, 0o755])
def test_a_folder_of_ones_own_that_is_open(folder: Victim, mode: int) -> None:
    """As above, for as long as the server runs. Whoever opened it says what it is for: it is not closed again."""
    folder.data.chmod(mode)
    assert "chmod 700" in refused(folder)
    assert folder.data.stat().st_mode & 0o777 == mode


def test_a_folder_that_is_a_link(folder: Victim) -> None:
    """Whoever made the link leads keys to where he likes."""
    moved = folder.root / "moved"
    folder.data.rename(moved)
    folder.data.symlink_to(moved)
    try:
        assert str(folder.data) in refused(folder)
    finally:
        shutil.rmtree(moved)


def test_a_folder_that_is_a_file(folder: Victim) -> None:
    """A mistyped --data would end in a traceback."""
    shutil.rmtree(folder.data)
    folder.data.write_bytes(b"")
    refused(folder)
    folder.data.unlink()
    folder.data.mkdir()


FOREIGN = [how for how in SPOILED if how not in ("readable by all", "writable by its group", "1 GiB")]
TRIED = {
    "access-token-key.pem": list(SPOILED),
    "tls.pem": ["readable by all", "a link", "a fifo", "another user's"],
    "users.db": FOREIGN,
    "jobs.db": ["a link"],
    "lock": ["a link"],
    "audit.jsonl": FOREIGN,
}
"""Left out: what is harmless in a folder that nobody else may enter, and what other tests have for the certificate."""


@pytest.mark.parametrize(("name", "how"), [(name, how) for name, all_how in TRIED.items() for how in all_how])
def test_a_file_that_is_not_its_own(folder: Victim, name: str, how: str) -> None:
    """Keys that others read or chose sign tokens of admins; a fifo holds up the start for ever."""
    SPOILED[how](folder.data / name)
    error = refused(folder)
    assert name in error, error
    assert not (folder.root / "elsewhere").exists(), "it wrote through a link"


@root_only
@pytest.mark.parametrize("name", ["users.db-wal", "jobs.db", "jobs.db-wal"])
def test_a_database_that_somebody_else_left(folder: Victim, name: str) -> None:
    """Where the folder was open to others once, his users and jobs would be taken for the server's own."""
    path = folder.data / name
    path.touch()
    anothers_for_all(path)
    assert name in refused(folder)


def test_a_database_is_closed_to_others(folder: Victim) -> None:
    """What a careless copy opened would stay open."""
    (folder.data / "users.db").chmod(0o664)
    folder.start_again()
    assert (folder.data / "users.db").stat().st_mode & 0o777 == 0o600
    assert folder.stop() == 0


@pytest.mark.parametrize(
    "text", [b"", b"\0" * 100, b"-----BEGIN PRIVATE KEY-----\nAAAA\n"], ids=["empty", "NUL", "cut"]
)
@pytest.mark.parametrize("name", KEYS)
def test_a_damaged_key(folder: Victim, name: str, text: bytes) -> None:
    """A new one in its place would end all sessions, or all pins, without a word; a traceback says nothing."""
    (folder.data / name).write_bytes(text)
    error = refused(folder)
    assert name in error, error
    assert folder.read(name) == text, "what is left of it is kept"


def test_a_key_of_another_kind(folder: Victim) -> None:
    """A key for certificates would sign tokens, whose public half all clients have."""
    tls = folder.read("tls.pem")
    (folder.data / "access-token-key.pem").write_bytes(tls[: tls.index(b"-----BEGIN CERT")] or tls)
    assert "access-token-key.pem" in refused(folder)


def test_a_damaged_database(folder: Victim) -> None:
    """A fresh one in its place has an admin whose password is anew, or no users at all: fail closed."""
    (folder.data / "users.db").write_bytes(b"no database" * 1000)
    assert "users.db" in refused(folder)


def test_two_servers_on_one_folder(nobodys_cache: Path) -> None:
    """Both would rotate the same sessions and run the same jobs."""
    with victim(nobodys_cache) as first:
        admin = first.admin()
        error = refused(first)
        assert str(first.data) in error or str(first.pid) in error
        assert admin.who().username == "admin"
        assert first.read("ready").decode().split()[1] == first.address


def test_two_servers_on_one_port(nobodys_cache: Path, folder: Victim) -> None:
    """Every second connection would go to the other one."""
    with victim(nobodys_cache) as first:
        assert first.address in refused(folder, listen=first.address)
        assert first.admin().who().username == "admin"


def test_all_is_private(nobodys_cache: Path) -> None:
    """Under a careless umask everything would be readable."""
    before = os.umask(0)
    try:
        with victim(nobodys_cache) as server:
            server.admin().start("true")
            for path in (server.data, *server.data.rglob("*")):
                if not path.is_symlink() and "work" not in path.relative_to(server.root).parts:
                    with contextlib.suppress(FileNotFoundError):
                        assert path.stat().st_mode & 0o077 == 0, f"{path}: {path.stat().st_mode:o}"
    finally:
        os.umask(before)


def test_it_starts_again(folder: Victim) -> None:
    """All of the above would pass where a server never starts twice."""
    folder.start_again()
    assert folder.admin().who().username == "admin"
    assert folder.stop() == 0
