"""The files of the audit record: put aside when full, kept from others, begun anew."""

from __future__ import annotations

import contextlib
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobrun.auth import audit_file, audit_search
from jobrun.auth.audit import Audit, jobs_path
from jobrun.auth.audit_file import MOST_ASIDE, aside
from jobrun.model.errors import StoreError
from tests.unit.audit_ground import ANN, ROBOT, events, lines
from tests.unit.auth_ground import (
    Times,
)


def test_a_full_record_is_put_aside_and_still_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would fill the disk in the end; or `audit show` would tell nothing of what was done a minute before."""
    monkeypatch.setattr(audit_file, "MOST_BYTES", 2000)
    path, times = tmp_path / "a", Times()
    audit = Audit(path, times.clocks())
    for number in range(200):
        audit.note(ANN, "", "token.create", f"{number}")
    places = [path, *(aside(path, place) for place in range(1, MOST_ASIDE + 1))]
    assert sorted(tmp_path.iterdir()) == sorted([*places, jobs_path(path)])
    assert max(place.stat().st_size for place in places) <= 2000
    assert all(place.stat().st_mode & 0o777 == 0o600 for place in places)
    told = [int(event.target) for event in events(audit, 1000)]
    assert told == [*range(told[0], 200)]
    assert len(told) > 2000 * MOST_ASIDE / 250
    assert [int(event.target) for event in events(audit, 30)] == [*range(170, 200)]
    monkeypatch.setattr(audit_search, "SEARCHED", 3000)
    assert events(audit, 1000)[-1].target == "199"
    assert len(events(audit, 1000)) < 30
    audit.close()


def test_a_record_that_is_put_aside_during_a_search_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events would be told twice, and look like two."""
    path = tmp_path / "a"
    audit = Audit(path, Times().clocks())
    audit.note(ANN, "", "login")
    found = audit_search._lines_backwards(path)
    first = [next(found), next(found)]
    monkeypatch.setattr(audit_file, "MOST_BYTES", 1)
    audit.note(ANN, "", "logout")
    assert [line for line in (*first, *found) if line] == aside(path, 1).read_bytes().splitlines()
    audit.close()


def audit_with_files_aside(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Audit, dict[Path, bytes]]:
    """A record in which every next line is one too many, and the files that were put aside before."""
    monkeypatch.setattr(audit_file, "MOST_BYTES", 1)
    before = {aside(path, place): b"%d" % place for place in range(1, MOST_ASIDE)}
    for place, data in before.items():
        place.write_bytes(data)
    audit = Audit(path, Times().clocks())
    audit.note(ANN, "", "login")
    return audit, before


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_record_that_can_not_be_put_aside_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What was decided meanwhile would be lost, and what was decided before: each try would take one more file away;
    or the server would run out of descriptors."""
    path = tmp_path / "a"
    audit, before = audit_with_files_aside(path, monkeypatch)
    aside(path, MOST_ASIDE).mkdir()  # no file takes the place of a folder: the first rename fails
    had = open_files()
    for number in range(2 * MOST_ASIDE):
        audit.note(ANN, "", "logout", f"{number}")
        audit.keep_up()
    assert open_files() == had
    assert {place: place.read_bytes() for place in before} == before
    assert len(lines(path)) == 1 + 2 * MOST_ASIDE
    assert "goes on" in caplog.text
    aside(path, MOST_ASIDE).rmdir()
    audit.note(ANN, "", "login", "last")
    assert [one["target"] for one in lines(path)] == ["last"]
    assert {int(place.read_bytes()) for place in tmp_path.glob("a.[2-8]")} == {*range(1, MOST_ASIDE)}
    audit.close()


def test_one_that_was_put_aside_and_has_no_fresh_one_goes_on_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As above, where the second step fails: no descriptor is free."""
    path = tmp_path / "a"
    audit, _ = audit_with_files_aside(path, monkeypatch)
    had, limit, free = open_files(), resource.getrlimit(resource.RLIMIT_NOFILE), os.dup(0)
    os.close(free)
    for number in range(2 * MOST_ASIDE):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limit[1]))
        try:
            audit.note(ANN, "", "logout", f"{number}")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        audit.keep_up()
    assert not path.exists()
    assert "goes on" in caplog.text
    assert {int(place.read_bytes()) for place in tmp_path.glob("a.[2-8]")} == {*range(1, MOST_ASIDE)}
    assert len(events(audit)) == 1 + 2 * MOST_ASIDE
    audit.note(ANN, "", "login", "last")
    assert [one["target"] for one in lines(path)] == ["last"]
    assert len(lines(aside(path, 1))) == 1 + 2 * MOST_ASIDE
    audit.sync()
    assert open_files() == had
    audit.close()


@pytest.mark.parametrize("after", range(MOST_ASIDE))
def test_a_kill_while_a_record_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """A power cut at the wrong moment would take a file with it, or the server would not start."""
    path = tmp_path / "a"
    audit, before = audit_with_files_aside(path, monkeypatch)
    renames, rename = iter(range(after)), os.rename

    def killed(*names: Path) -> None:
        if next(renames, None) is None:
            raise KeyboardInterrupt
        rename(*names)

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            audit.note(ANN, "", "logout")
    audit = Audit(path, Times().clocks())
    audit.note(ANN, "", "logout")
    aside_now = [place.read_bytes() for place in tmp_path.glob("a.[1-8]")]
    assert {data for data in aside_now if data.isdigit()} == {*before.values()}
    assert [event.action for event in events(audit)] == ["login", "logout"]
    audit.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another group: needs root")
def test_a_group_that_reads_the_record_goes_on_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The collector of logs would stand still at the first 16 MiB; or another group would read it."""
    path, group = tmp_path / "a", 4711
    audit, _ = audit_with_files_aside(path, monkeypatch)
    os.chown(path, -1, group)
    path.chmod(0o640)
    audit.note(ANN, "", "logout")
    fresh = path.stat()
    assert (fresh.st_gid, fresh.st_mode & 0o777, lines(path)[0]["action"]) == (group, 0o640, "logout")
    audit.close()


@contextlib.contextmanager
def as_user(number: int) -> Iterator[Path]:
    """Without root's rights meanwhile, in a folder of his own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, number, number)
        os.setegid(number)
        os.seteuid(number)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)
            os.setegid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another group: needs root")
def test_a_group_that_can_not_be_given_is_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever is in the server's own group would read it."""
    with as_user(4712) as folder:
        path = folder / "a"
        audit, _ = audit_with_files_aside(path, monkeypatch)
        os.seteuid(0)
        os.chown(path, -1, 4711)
        path.chmod(0o640)
        os.seteuid(4712)
        audit.note(ANN, "", "logout")
        assert path.stat().st_mode & 0o777 == 0o600
        assert lines(path)[0]["action"] == "logout"
        assert "no group may read it" in caplog.text
        audit.close()


def test_what_jobs_do_drives_out_no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has a pipeline's token could erase by a night of jobs that he stole it."""
    monkeypatch.setattr(audit_file, "MOST_BYTES", 2000)
    audit = Audit(tmp_path / "a", Times().clocks())
    audit.note(ANN, "", "token.create", "m1")
    for number in range(400):
        audit.note(ROBOT, "", "job.stop", f"{number}")
    assert "m1" in {event.target for event in events(audit, 1000)}
    assert len({*tmp_path.iterdir()}) == 1 + 1 + MOST_ASIDE
    audit.close()


def test_a_record_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """logrotate would leave the server writing into a file that nobody looks at."""
    path = tmp_path / "a"
    audit = Audit(path, Times().clocks())
    audit.note(ANN, "", "login")
    path.rename(tmp_path / "old")
    audit.reopen()
    audit.note(ANN, "", "logout")
    assert [one["action"] for one in lines(path)] == ["logout"]
    assert [one["action"] for one in lines(tmp_path / "old")] == ["login"]
    audit.close()


@pytest.mark.parametrize("spoilt", ["symlink", "fifo", "mode", "folder"])
def test_a_record_that_others_could_write_is_refused(tmp_path: Path, spoilt: str) -> None:
    """It would say what they like, or be written over what they like."""
    path = tmp_path / "a"
    if spoilt == "symlink":
        path.symlink_to(tmp_path / "victim")
    elif spoilt == "fifo":
        os.mkfifo(path, 0o600)
    elif spoilt == "folder":
        path.mkdir()
    else:
        path.touch()
        path.chmod(0o662)
    with pytest.raises(StoreError, match=str(path)):
        Audit(path, Times().clocks())
