"""The files of a login: nobody else's eyes, and nothing that is believed without a look."""

from __future__ import annotations

import os

from tests.e2e.accounts import Account


def test_the_files_of_a_login(member: Account) -> None:
    """Another user of the machine could read the session."""
    files = [path for path in member.config.rglob("*") if path.is_file()]
    folders = [member.config, *(path for path in member.config.rglob("*") if path.is_dir())]
    assert files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    readable = [path for path in files if member.server_address in path.read_text()]
    assert readable, "known servers lie in a readable file"


def test_a_session_file_that_others_may_read(member: Account) -> None:
    """A session that others could have taken would still be trusted."""
    file = member.session_file
    file.chmod(0o644)
    assert str(file) in member.jobrun("list").refused(4)
    member.jobrun("run", "true").refused(125)
    file.chmod(0o600)
    member.jobrun("list").passed()


def test_a_session_file_that_is_a_link_or_a_fifo(member: Account) -> None:
    """A link could lead anywhere, a FIFO hang for ever."""
    file = member.session_file
    real = file.rename(member.root / "real")
    file.symlink_to(real)
    assert member.jobrun("list").refused(4)
    file.unlink()
    os.mkfifo(file, 0o600)
    assert member.jobrun("list").refused(4)
    file.unlink()
    real.rename(file)
    member.jobrun("list").passed()


def test_a_damaged_session_file(member: Account) -> None:
    """A full disk of yesterday would be a traceback of today."""
    good = member.session_file.read_text()
    for text in ("", "{", good[:-1], good + good, good.replace(" ", "\0"), "user\n" * 9, "x" * 10_000_000):
        member.session_file.write_text(text)
        member.jobrun("list").refused(4)
    member.jobrun("run", "true").refused(125)
    member.log_in().passed()
    member.jobrun("list").passed()
