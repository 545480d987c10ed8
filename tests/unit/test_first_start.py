"""Starts of the built file on machines and in caches that are not as they should be: it just works, or says in one line
what is wrong. The code inside is a stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from builder import pack

from tests.stand_in import (
    MACHINE,
    MINOR,
    answer,
    cache,
    contents,
    entry,
    other_pythons,
    refusal,
    start,
    tree,
)

STRANGER = 12345
"""A uid that is nobody's."""

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounts, or gives files to another user: needs root")
OLD = sorted(version for version in other_pythons() if version < (3, 10))


def mounted(options: str, folder: Path) -> list[str]:
    """The words before a command that make it see an empty file system there."""
    folder.mkdir(exist_ok=True)
    script = 'mount -t tmpfs -o "$0" jobrun-test "$1" && shift && exec "$@"'
    return ["unshare", "-m", "/bin/sh", "-c", script, f"mode=0700,{options}", str(folder)]


# Which Python


@pytest.mark.parametrize("version", OLD, ids=str)
def test_a_python_that_is_too_old(version: tuple[int, int], tmp_path: Path, env: dict[str, str]) -> None:
    """A syntax error would tell nobody that his Python is too old."""
    file = tmp_path / "jobrun"
    pack.write_file(contents(minor=99), file)
    python = other_pythons()[version]
    (tmp_path / "bin" / "python3").unlink()
    (tmp_path / "bin" / "python3").symlink_to(python)
    for words in ([file], [python, file]) if version > (3, 3) else ([python, file],):  # no python3 is that old
        line = refusal(*words, env={**env, "PATH": f"{tmp_path}/bin:/usr/bin:/bin"})
        assert f"needs CPython 3.99 or newer, this is {version[0]}.{version[1]} ({python})" in line


@pytest.mark.skipif(not OLD, reason="no old Python is installed here")
def test_an_old_python_comes_first_on_path(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """The right one lies elsewhere on PATH: it is found, and the next start goes there at once."""
    first = tmp_path / "first"
    first.mkdir()
    (first / "python3").symlink_to(other_pythons()[OLD[-1]])
    env["PATH"] = f"{first}:{env['PATH']}"
    for _ in ("cold", "warm"):
        assert answer(file, env=env)["python"] == MINOR


@pytest.mark.skipif(not OLD, reason="no old Python is installed here")
def test_the_recorded_python_does_not_fit_any_more(file: Path, env: dict[str, str]) -> None:
    """Replaced in place by one that is not supported: each start would search anew, for ever."""
    answer(file, env=env)
    record = entry(env) / "python"
    record.write_text(f"{other_pythons()[OLD[-1]]}\n")
    assert answer(file, env=env)["python"] == MINOR
    assert start(record.read_text().strip(), "-V", env=env).stdout.startswith(f"Python 3.{MINOR}.")


@needs_root
def test_no_python_at_all(file: Path, env: dict[str, str]) -> None:
    """A small container image has none."""
    found = {os.path.realpath(path) for path in ("/usr/bin/python3", "/usr/local/bin/python3") if os.path.exists(path)}
    hide = "".join(f"mount --bind /dev/null {path}; " for path in sorted(found))
    line = refusal("unshare", "-m", "sh", "-c", f'{hide}exec "$0"', file, env={**env, "PATH": "/usr/bin:/bin"})
    assert "found no python3 on PATH that runs: install CPython 3.10 or newer" in line


@pytest.mark.parametrize(
    ("confstr", "words"),
    [
        ("def confstr(name): raise ValueError(name)", "another libc such as musl"),
        ("def confstr(name): return 'glibc 2.17'", "needs glibc 2.28 or newer, this is glibc 2.17"),
    ],
    ids=["musl", "old glibc"],
)
def test_another_libc(confstr: str, words: str, file: Path, env: dict[str, str]) -> None:
    """A compiled module would fail to load with symbols that nobody knows. The libc's answer is made up here."""
    script = f"import os, runpy, sys\n{confstr}\nos.confstr = confstr\nsys.argv[:] = [{str(file)!r}]\n"
    script += "runpy.run_path(sys.argv[0], run_name='__main__')"
    assert words in refusal(sys.executable, "-c", script, env={**env, "JOBRUN_SEARCHED": "chosen"})


@pytest.mark.skipif(MACHINE != "x86_64", reason="only there can the kernel claim to be of another kind")
def test_an_unknown_cpu(file: Path, env: dict[str, str]) -> None:
    """The file for two machines was copied to a third."""
    assert "no build for this CPU (i686): there is one for x86_64" in refusal("setarch", "i686", file, env=env)


@needs_root
def test_no_libstdcxx(file: Path, env: dict[str, str]) -> None:
    """A small image has none: grpc's module would fail to load, at the first command that uses it."""
    (path,) = {os.path.realpath(path) for path in Path("/usr/lib").glob("*-linux-gnu/libstdc++.so.6")}
    line = refusal("unshare", "-m", "sh", "-c", f'mount --bind /dev/null {path} && exec "$0"', file, env=env)
    assert "needs libstdc++.so.6, which is not here: install it" in line


def test_a_file_cut_short_that_python_reads(file: Path, env: dict[str, str]) -> None:
    """`python3 jobrun` after a broken download: a syntax error in some shell script would tell nobody what to do."""
    os.truncate(file, file.stat().st_size - 1)
    for python in (Path(sys.executable), *other_pythons().values()):
        done = start(python, file, env=env)
        assert done.returncode == 1
        assert "does not find the end of this file: copy it again" in done.stderr


def test_foreign_modules_in_the_environment(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """PYTHONPATH of some project would bring its own lzma; PYTHONHOME of another Python, no module at all."""
    bad = tmp_path / "bad"
    bad.mkdir()
    for name in ("sitecustomize", "lzma", "zipfile", "json"):
        (bad / f"{name}.py").write_text("import os; os.write(1, b'foreign'); os._exit(9)")
    for _ in ("cold", "warm"):
        answer(file, env={**env, "PYTHONPATH": str(bad), "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "/nowhere"})


def test_what_the_environment_says_of_compiling(file: Path, env: dict[str, str]) -> None:
    """`python3 jobrun` in a build's environment: each later start would compile all that it imports, or hash it."""
    says = {"PYTHONOPTIMIZE": "2", "SOURCE_DATE_EPOCH": "1", "PYTHONWARNINGS": "error"}
    answer(sys.executable, file, env={**env, **says})
    (compiled,) = tree(env).rglob("main.*.pyc")
    assert compiled.name == f"main.cpython-3{MINOR}.pyc"
    assert compiled.read_bytes()[4:8] == bytes(4), "PEP 552: by date"


# Where to: F42


def test_home_is_no_folder(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """F42: a service has the home /dev/null."""
    (tmp_path / "scratch").mkdir()
    for home in ("/dev/null", "relative", "/nonexistent/none" if os.getuid() else "/proc/none"):
        said = answer(file, env={**env, "HOME": home, "TMPDIR": str(tmp_path / "scratch")}, cwd=Path("/"))
        assert str(said["module"]).startswith(f"{tmp_path}/scratch/jobrun-cache-{os.geteuid()}/")


@needs_root
def test_home_is_not_written_for_another(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """F42: `sudo jobrun` with the caller's HOME would leave a folder of root's there, and his own starts fail."""
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, STRANGER, STRANGER)
    answer(file, env={**env, "TMPDIR": str(tmp_path)})
    assert list(home.iterdir()) == []


@needs_root
def test_a_cache_of_another(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """F42: what sudo left is passed by; where the user named it, he is told."""
    cache(env).mkdir(parents=True, mode=0o700)
    os.chown(cache(env), STRANGER, STRANGER)
    assert str(answer(file, env={**env, "TMPDIR": str(tmp_path)})["module"]).startswith(f"{tmp_path}/jobrun-cache-0/")
    line = refusal(file, env={**env, "JOBRUN_CACHE": str(cache(env))})
    assert f"set JOBRUN_CACHE to one; tried {cache(env)} (belongs to uid {STRANGER})" in line


@needs_root
@pytest.mark.parametrize(
    ("options", "words"), [("noexec", "mounted noexec"), ("size=8k", "No space left on device"), ("ro", "Read-only")]
)
def test_a_file_system_that_does_not_do(
    options: str, words: str, file: Path, env: dict[str, str], tmp_path: Path
) -> None:
    """F42: noexec, full or read-only: the next place is tried; if none is left, the line says why and what helps."""
    there = tmp_path / "there"
    before = mounted(options, there)
    said = answer(*before, file, env={**env, "HOME": str(there), "TMPDIR": str(tmp_path)})
    assert str(said["module"]).startswith(f"{tmp_path}/jobrun-cache-0/")
    line = refusal(*before, file, env={**env, "JOBRUN_CACHE": f"{there}/cache"})
    assert "set JOBRUN_CACHE to one; tried" in line
    assert words in line


def test_the_usual_place_is_used_once_it_can_be(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """F42: the disk was full for a day: every later start would be a slow one from /tmp, and 41 MB stay there,
    also where somebody else runs the same build."""
    stands_in = {**env, "HOME": "/dev/null", "TMPDIR": str(tmp_path / "scratch")}
    answer(file, env=stands_in)
    (build,) = tmp_path.glob("scratch/jobrun-cache-*/*/")
    with subprocess.Popen(["/bin/sh", "-c", "read x", f"/home/ann/{build.name}/boot.py"], stdin=subprocess.PIPE):
        assert str(answer(file, env={**stands_in, "HOME": env["HOME"]})["module"]).startswith(str(cache(env)))
    assert not build.exists()


def test_what_runs_from_a_stand_in_stays(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """A server that was started then would find no module any more."""
    stands_in = {**env, "HOME": "/dev/null", "TMPDIR": str(tmp_path / "scratch")}
    answer(file, env=stands_in)
    (build,) = tmp_path.glob("scratch/jobrun-cache-*/*/")
    with subprocess.Popen(["/bin/sh", "-c", "read x", f"{build}/boot.py"], stdin=subprocess.PIPE):
        answer(file, env={**stands_in, "HOME": env["HOME"]})
        assert build.is_dir()


@needs_root
def test_a_full_disk_costs_nothing_once_there_is_another_place(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """F42: whether the usual place does is looked at each time, so it must not take an unpacking to see."""
    there = tmp_path / "there"
    before = mounted("size=40M", there)  # the stand-in would fit
    said = answer(*before, file, env={**env, "HOME": str(there), "TMPDIR": str(tmp_path)})
    assert str(said["module"]).startswith(f"{tmp_path}/jobrun-cache-0/")


@needs_root
def test_an_old_cache_that_is_read_only(file: Path, env: dict[str, str]) -> None:
    """An image that is a day old would not start any more where its root is read-only: it can not note its use."""
    unpacked = answer(file, env=env)["module"]
    os.utime(entry(env), (0, 0))
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
    assert answer("unshare", "-m", "sh", "-c", script, cache(env), file, env=env)["module"] == unpacked
    assert entry(env).stat().st_mtime == 0


# Whose it is


def test_a_cache_that_others_write(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """JOBRUN_CACHE in a folder that everybody may write would run everybody's code."""
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    line = refusal(file, env={**env, "JOBRUN_CACHE": str(tmp_path / "open")})
    assert f"{tmp_path}/open (others may write there)" in line
    assert "not an absolute path" in refusal(file, env={**env, "JOBRUN_CACHE": "relative"})


def test_links(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """What a link leads to may be changed by whoever made the link."""
    named = {**env, "JOBRUN_CACHE": str(tmp_path / "link")}
    (tmp_path / "link").symlink_to(tmp_path)
    assert f"{tmp_path}/link (a symbolic link)" in refusal(file, env=named)
    answer(file, env=env)
    build = entry(env)
    build.rename(tmp_path / "moved")
    build.symlink_to(tmp_path / "moved")
    assert "(a symbolic link)" in refusal(file, env={**env, "JOBRUN_CACHE": str(cache(env))})


@needs_root
@pytest.mark.parametrize("changed", ["boot.py", "python"])
def test_an_entry_that_others_changed(changed: str, file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """Somebody opened the entry to all, and another put his program there: it does not run."""
    answer(file, env=env)
    entry(env).chmod(0o777)
    evil = tmp_path / "evil"
    evil.write_text("#!/bin/sh\necho evil\n")
    evil.chmod(0o755)
    (entry(env) / changed).unlink()
    (entry(env) / changed).write_text({"boot.py": "print('evil')\n", "python": f"{evil}\n"}[changed])
    os.chown(entry(env) / changed, STRANGER, STRANGER)
    assert "(others may write there)" in refusal(file, env={**env, "JOBRUN_CACHE": str(cache(env))})


def test_an_entry_that_others_may_change(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """It is told, or passed by, before anything of it is imported."""
    answer(file, env=env)
    entry(env).chmod(0o770)
    assert "(others may write there)" in refusal(file, env={**env, "JOBRUN_CACHE": str(cache(env))})
    assert str(answer(file, env={**env, "TMPDIR": str(tmp_path)})["module"]).startswith(f"{tmp_path}/jobrun-cache-")
