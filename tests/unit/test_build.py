"""The built file: its form, and the starts of it that go well. Those that do not: test_first_start.py."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from builder import pack

from tests.stand_in import (
    DEADLINE_S,
    MACHINE,
    MINOR,
    answer,
    cache,
    contents,
    entry,
    other_pythons,
    refusal,
    tree,
)


@pytest.mark.parametrize("launcher", [[], ["sh"], [sys.executable], [sys.executable, "-I", "-S"]], ids=" ".join)
def test_starts_first_and_again(launcher: list[str], file: Path, env: dict[str, str]) -> None:
    """Whatever way somebody starts the file, it runs, and his arguments arrive as they were; without its run bit too,
    which a download has not."""
    if launcher:
        file.chmod(0o644)
    for _ in ("cold", "warm"):
        said = answer(*launcher, file, "run", "a b", "", "*", env=env)
        assert said["argv"] == [str(file), "run", "a b", "", "*"]
        assert str(said["module"]).startswith(str(cache(env)))


def test_starts_by_link_by_path_and_from_its_folder(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """Installing is one `ln -s` or `cp` to a folder on PATH."""
    link = tmp_path / "bin" / "jr"
    link.symlink_to(file)
    assert answer(link, env=env)["argv"] == [str(link)]
    assert answer("sh", "-c", "exec jr x", env=env)["argv"] == [str(link), "x"]
    assert answer("./jobrun", env=env, cwd=file.parent)["argv"] == [str(file)]


def test_what_is_unpacked_is_for_its_owner_only(file: Path, env: dict[str, str]) -> None:
    """The header runs what lies in the cache, so nobody else may be able to put something there."""
    answer("sh", "-c", 'umask 0; exec "$0"', file, env=env)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (cache(env), entry(env), tree(env))} == {0o700}
    assert [path for path in tree(env).rglob("*") if path.stat().st_mode & 0o077] == []
    assert (tree(env) / "library" / f"own.cpython-3{MINOR}-x.so").read_bytes() == b"own"
    assert list((tree(env) / "jobrun" / "cli" / "__pycache__").iterdir()), "not compiled: each start would compile anew"


def test_home_that_cannot_be_written(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """A service or a container whose HOME does not exist runs all the same."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    said = answer(file, env={**env, "TMPDIR": str(scratch), "HOME": "/proc/none"})
    assert str(said["module"]).startswith(f"{scratch}/jobrun-cache-{os.geteuid()}/")


def test_job_environment_is_not_touched(file: Path, env: dict[str, str]) -> None:
    """A job of the private server gets the caller's environment; Python's LC_CTYPE and our marks are not his."""
    given = {**env, "ODD": "a=b\nc", "JOBRUN_SEARCHED": "chosen"}
    wanted = sorted(f"{name}={value}" for name, value in given.items() if name != "JOBRUN_SEARCHED")
    said = answer(sys.executable, file, env=given)
    assert isinstance(said["environ"], list)
    assert sorted(said["environ"]) == wanted


def test_cut_short(file: Path, env: dict[str, str]) -> None:
    """Half a download says that it is one, instead of failing somewhere later."""
    file.write_bytes(file.read_bytes()[:-1000])
    assert "not complete: copy it again" in refusal(file, env=env)


def test_damaged(file: Path, env: dict[str, str]) -> None:
    """A flipped bit is found before anything of it runs."""
    data = bytearray(file.read_bytes())
    data[data.index(b"\xfd7zXZ\x00") + 40] ^= 1
    file.write_bytes(data)
    assert "is damaged" in refusal(file, env=env)


def test_through_a_pipe(file: Path, env: dict[str, str]) -> None:
    """`cat jobrun | sh` cannot work: say so, warm or cold."""
    for _ in ("cold", "warm"):
        assert "not through a pipe" in refusal("/bin/sh", "-c", 'cat "$0" | sh -s version', file, env=env)
        answer(file, env=env)


def test_other_build_for_other_python(tmp_path: Path, env: dict[str, str]) -> None:
    """A Python it was not built for is named, with what it was built for."""
    file = tmp_path / "jobrun"
    pack.write_file(contents(minor=99), file)
    line = refusal(sys.executable, file, env={**env, "PATH": str(tmp_path / "bin")})
    assert "needs CPython 3.99 or newer" in line


def test_goes_on_with_another_python(tmp_path: Path, env: dict[str, str]) -> None:
    """Started by the wrong Python, it finds the right one on PATH by itself."""
    fitting = {minor: path for (major, minor), path in other_pythons().items() if (major, minor) >= (3, 10)}
    if not fitting:
        pytest.skip("only one Python of 3.10 or newer is installed here")
    minor, python = min(fitting.items())
    file = tmp_path / "jobrun"
    pack.write_file(contents(minor=minor), file)
    (tmp_path / "bin" / f"python3.{minor}").symlink_to(python)
    for _ in ("cold", "warm"):
        assert answer(file, "x", env=env)["python"] == minor


def test_two_first_starts_at_once(file: Path, env: dict[str, str]) -> None:
    """A pipeline's parallel steps on a fresh machine all start."""
    both = [subprocess.Popen([file], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        out, errors = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, errors) == (7, b"")
        assert b'"argv"' in out
    assert len([path for path in cache(env).iterdir() if path.name != ".lock"]) == 1


def test_python_that_was_removed(file: Path, env: dict[str, str]) -> None:
    """An upgrade of Python leaves no start slow for ever: the new one is recorded."""
    answer(file, env=env)
    (record,) = cache(env).glob("*/python")
    known = record.read_text()
    record.write_text("/nowhere/python3\n")
    answer(file, env=env)
    assert record.read_text() == known


@pytest.mark.parametrize(
    ("days_idle", "kept"), [([0.1, 1, 2, 3, 4], [0.1, 1, 2, 3]), ([1, 8], [1]), ([8], [])], ids=["many", "old", "one"]
)
def test_old_builds_go(days_idle: list[float], kept: list[float], file: Path, env: dict[str, str]) -> None:
    """Upgrades do not fill the disk, and who goes back and forth between two versions does not unpack each time."""
    names = {f"{number:032x}": days for number, days in enumerate(days_idle)}
    for name, days in names.items():
        old_entry(cache(env) / name, days)
    answer(file, env=env)
    assert [names[path.name] for path in sorted(cache(env).iterdir()) if path.name in names] == kept


def test_a_build_that_runs_does_not_go(file: Path, env: dict[str, str]) -> None:
    """A server that still runs from an old build would find no module any more."""
    old = old_entry(cache(env) / ("a" * 32), days=900)
    with subprocess.Popen(["/bin/sh", "-c", "read x", f"{old}/boot.py"], stdin=subprocess.PIPE):
        answer(file, env=env)
        assert old.is_dir()


def old_entry(path: Path, days: float) -> Path:
    """An entry of another build that was not started for so long."""
    path.mkdir(parents=True, mode=0o700)
    path.parent.chmod(0o700)
    os.utime(path, (0, time.time() - days * 86400))
    return path


def test_a_start_notes_that_the_build_is_in_use(file: Path, env: dict[str, str]) -> None:
    """Its entry would go while somebody starts it every day."""
    answer(file, env=env)
    os.utime(entry(env), (0, time.time() - 2 * 86400))
    answer(file, env=env)
    assert entry(env).stat().st_mtime > time.time() - 60


def test_form(file: Path) -> None:
    """Everybody can look inside with the tools he has, and nothing there depends on a zip library's compression."""
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        members = archive.infolist()
    packs = [f"packs/{name}.tar.xz" for name in ("common", "jobrun", MACHINE)]
    assert [member.filename for member in members] == ["__main__.py", "boot.py", "start.py", "unpack.py", *packs]
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert file.read_bytes().startswith(b"#!/bin/sh\n# jobrun 1.2.3: ")


def test_same_input_same_bytes(file: Path, tmp_path: Path) -> None:
    """Anybody can check that a file comes from these sources; and a changed one has another BUILD, so another cache."""
    build = pack.write_file(contents(), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    assert pack.write_file(contents(version="1.2.4"), tmp_path / "other") != build
