"""The built file: its form, and its first start, the only part of jobrun that must work before anything is installed.

The code inside is a stand-in that says how it was started, so that a first start takes a tenth of a second.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from builder import pack

ROOT = Path(__file__).resolve().parents[2]
MACHINE = os.uname().machine
MINOR = sys.version_info[1]
DEADLINE_S = 30.0
STAND_IN = b"""
def main(argv):
    import json, sys
    environ = open("/proc/self/environ", "rb").read().decode().split("\\0")[:-1]
    print(json.dumps({"argv": argv, "environ": environ, "python": sys.version_info[1], "module": __file__}))
    return 7
"""
Answer = dict[str, object]


def contents(version: str = "1.2.3", minor: int = MINOR) -> pack.Contents:
    """What goes into a small file for this machine."""
    header = (ROOT / "packaging" / "header.sh").read_bytes()
    scripts = {name: (ROOT / "packaging" / name).read_bytes() for name in pack.SCRIPTS}
    libraries = {
        "common": pack.compress([("library/text.txt", b"text")], preset=0),
        MACHINE: pack.compress([("library/any.so", b"abi3"), (f"library/own.cpython-3{minor}-x.so", b"own")], preset=0),
    }
    code = {"jobrun/__init__.py": b"", "jobrun/cli/__init__.py": b"", "jobrun/cli/main.py": STAND_IN}
    return pack.Contents(version, [pack.Target(MACHINE, minor)], header, scripts, libraries, code)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A built file in a folder with a space in its name."""
    path = tmp_path / "some where" / "jobrun"
    pack.write_file(contents(), path)
    return path


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Nothing but what a start needs, with a cache of the test's own; this Python is the first on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python3").symlink_to(Path(sys.executable).resolve())
    return {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path / "home")}


def start(*words: str | Path, env: Mapping[str, str], cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run to the end, output as text."""
    command = [str(word) for word in words]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def answer(*words: str | Path, env: Mapping[str, str], cwd: Path | None = None) -> Answer:
    """What the stand-in said; fails if anything else was said, or it was not reached."""
    done = start(*words, env=env, cwd=cwd)
    assert (done.returncode, done.stderr) == (7, "")
    said = json.loads(done.stdout)
    assert isinstance(said, dict)
    return said


def refusal(*words: str | Path, env: Mapping[str, str]) -> str:
    """The one line with which a start was refused."""
    done = start(*words, env=env)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith("jobrun: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def cache(env: Mapping[str, str]) -> Path:
    return Path(env["HOME"]) / ".cache" / "jobrun"


@pytest.mark.parametrize("launcher", [[], ["sh"], [sys.executable], [sys.executable, "-I", "-S"]], ids=" ".join)
def test_starts_first_and_again(launcher: list[str], file: Path, env: dict[str, str]) -> None:
    """Whatever way somebody starts the file, it runs, and his arguments arrive as they were."""
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
    (entry,) = [path for path in cache(env).iterdir() if path.is_dir()]
    tree = entry / f"cp3{MINOR}-{MACHINE}"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (cache(env), entry, tree)} == {0o700}
    assert [path for path in tree.rglob("*") if path.stat().st_mode & 0o077] == []
    assert (tree / "library" / f"own.cpython-3{MINOR}-x.so").read_bytes() == b"own"
    assert list((tree / "jobrun" / "cli" / "__pycache__").iterdir()), "not compiled: each start would compile anew"


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
    other = _other_python()
    file = tmp_path / "jobrun"
    pack.write_file(contents(minor=other[0]), file)
    (tmp_path / "bin" / f"python3.{other[0]}").symlink_to(other[1])
    for _ in ("cold", "warm"):
        assert answer(file, "x", env=env)["python"] == other[0]


def _other_python() -> tuple[int, Path]:
    installed = [*Path("/usr/bin").glob("python3.*"), *Path.home().glob(".pyenv/versions/*/bin/python3.*")]
    for path in sorted(installed):
        minor = path.name.partition(".")[2]
        if minor.isdigit() and int(minor) >= 10 and int(minor) != MINOR:
            return int(minor), path.resolve()
    pytest.skip("only one Python of 3.10 or newer is installed here")


def test_two_first_starts_at_once(file: Path, env: dict[str, str]) -> None:
    """A pipeline's parallel steps on a fresh machine all start."""
    both = [subprocess.Popen([file], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        out, errors = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, errors) == (7, b"")
        assert b'"argv"' in out
    assert len([path for path in cache(env).iterdir() if path.name != ".lock"]) == 1


@pytest.mark.parametrize("lost", ["boot.py", "python", f"cp3{MINOR}-{MACHINE}"])
def test_repairs_what_is_gone(lost: str, file: Path, env: dict[str, str]) -> None:
    """Somebody cleaned ~/.cache by age: the next start mends it."""
    answer(file, env=env)
    (entry,) = [path for path in cache(env).iterdir() if path.is_dir()]
    if (entry / lost).is_dir():
        shutil.rmtree(entry / lost)
    else:
        (entry / lost).unlink()
    answer(file, env=env)
    assert (entry / lost).exists()


def test_python_that_was_removed(file: Path, env: dict[str, str]) -> None:
    """An upgrade of Python leaves no start slow for ever: the new one is recorded."""
    answer(file, env=env)
    (record,) = cache(env).glob("*/python")
    known = record.read_text()
    record.write_text("/nowhere/python3\n")
    answer(file, env=env)
    assert record.read_text() == known


def test_refuses_a_cache_that_others_write(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """JOBRUN_CACHE in a folder that everybody may write would run everybody's code."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    line = refusal(file, env={**env, "JOBRUN_CACHE": str(tmp_path / "open")})
    assert f"{tmp_path}/open (others may write there)" in line
    assert "not an absolute path" in refusal(file, env={**env, "JOBRUN_CACHE": "relative"})


def test_old_builds_go_but_not_under_running_ones(file: Path, env: dict[str, str]) -> None:
    """Upgrades do not fill the disk, and a server that still runs from an old build keeps its files."""
    names = [f"{number:032x}" for number in range(7)]
    for age, name in enumerate(reversed(names)):
        (cache(env) / name).mkdir(parents=True, mode=0o700)
        os.utime(cache(env) / name, (1_600_000_000 - age, 1_600_000_000 - age))
    cache(env).chmod(0o700)
    with subprocess.Popen(["/bin/sh", "-c", "read x", f"{cache(env)}/{names[0]}/boot.py"], stdin=subprocess.PIPE):
        answer(file, env=env)
        left = {path.name for path in cache(env).iterdir() if path.name in names}
    assert left == {names[0], *names[3:]}


def test_form(file: Path) -> None:
    """Everybody can look inside with the tools he has, and nothing there depends on a zip library's compression."""
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        members = archive.infolist()
    packs = [f"packs/{name}.tar.xz" for name in ("common", "jobrun", MACHINE)]
    assert [member.filename for member in members] == ["__main__.py", "boot.py", "unpack.py", *packs]
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert file.read_bytes().startswith(b"#!/bin/sh\n# jobrun 1.2.3: ")


def test_same_input_same_bytes(file: Path, tmp_path: Path) -> None:
    """Anybody can check that a file comes from these sources; and a changed one has another BUILD, so another cache."""
    build = pack.write_file(contents(), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()
    assert pack.write_file(contents(version="1.2.4"), tmp_path / "other") != build
