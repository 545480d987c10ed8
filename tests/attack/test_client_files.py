"""What a client keeps on its disk, where somebody else had a hand in it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attack.caller import Caller
from tests.attack.spoil import SPOILED
from tests.attack.victim import PASSWORD, Victim
from tests.e2e.accounts import Account


@pytest.fixture(scope="module")
def account(cache: Path, server: Victim, admin: Caller) -> Iterator[Account]:
    """A user who is logged in, by files of his."""
    admin.make_user("filer", PASSWORD)
    user = Account(cache, server, "filer", PASSWORD)
    user.log_in().passed()
    yield user
    user.close()


@pytest.fixture
def config(account: Account) -> Iterator[Path]:
    """His config home; what a test does to it is undone."""
    kept = account.root / "kept"
    subprocess.run(["cp", "-a", account.config, kept], check=True)
    yield account.config
    if account.config.is_symlink():
        account.config.unlink()
    else:
        shutil.rmtree(account.config)
    kept.rename(account.config)


HOWS = [how for how in SPOILED if how not in ("a link to nothing", "another user's, for all to write")]
"""Left out: one is as no file, the other as another user's."""


def secret_files(config: Path) -> list[Path]:
    """Those with a secret of the session in them."""
    return [path for path in config.rglob("*") if path.is_file() and b"refresh" in path.read_bytes()]


@pytest.mark.parametrize("how", HOWS)
def test_a_session_file(account: Account, config: Path, how: str) -> None:
    """Others would have the session, or have put in one of theirs, whose owner then sees each command; a fifo would
    hold up every command for ever."""
    files = secret_files(config)
    assert files, "there is one"
    for path in files:
        SPOILED[how](path)
        error = account.jobrun("whoami").refused(4)
        assert path.name in error
        assert "whoami" not in error


@pytest.mark.parametrize("how", ["a link", "a fifo", "another user's"])
def test_the_file_of_known_servers(account: Account, config: Path, how: str) -> None:
    """Whoever writes it says whose certificate is the right one."""
    files = [path for path in config.rglob("*") if path.is_file() and account.fingerprint.encode() in path.read_bytes()]
    assert files, "there is one"
    for path in files:
        SPOILED[how](path)
    done = account.jobrun("whoami")
    assert done.code in (1, 4)
    done.refused(done.code)


def test_a_config_home_that_is_a_link(account: Account, config: Path) -> None:
    """Whoever made the link would have every session that is written there."""
    moved = account.root / "moved"
    config.rename(moved)
    config.symlink_to(moved)
    try:
        done = account.jobrun("whoami")
        assert done.code in (1, 4)
        done.refused(done.code)
    finally:
        shutil.rmtree(moved)


def test_a_config_home_of_anothers(account: Account, config: Path) -> None:
    """Its owner could put in a session of his, and see each command."""
    SPOILED["another user's"](config)
    done = account.jobrun("whoami")
    assert done.code in (1, 4)
    assert str(config) in done.refused(done.code)


def test_a_config_home_that_all_may_write(account: Account, config: Path) -> None:
    """Everybody could put in a session of his: it is closed, or refused."""
    config.chmod(0o777)
    done = account.jobrun("whoami")
    if done.code:
        done.refused(done.code)
    else:
        assert config.stat().st_mode & 0o077 == 0


def test_no_home(account: Account) -> None:
    """A traceback; or files in the root of the file system."""
    nowhere = {"HOME": None, "XDG_CONFIG_HOME": None, "XDG_STATE_HOME": None}
    done = account.jobrun("login", account.server_address, stdin=b"x\n", env=nowhere)
    done.refused(done.code)
    assert done.code in (1, 2)


def test_secrets_are_private(account: Account) -> None:
    """Under a careless umask they would be readable."""
    account.jobrun("logout").passed()
    words = ("login", "--user", account.name, "--fingerprint", account.fingerprint, "--password-stdin")
    account.jobrun(*words, account.server_address, stdin=f"{PASSWORD}\n".encode(), umask=0).passed()
    for path in (account.config, *account.config.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, f"{path}: {path.stat().st_mode:o}"
    assert not any(PASSWORD.encode() in path.read_bytes() for path in account.config.rglob("*") if path.is_file())
