"""Starts of the built file under circumstances that nobody plans for: limits, broken programs, a rival that stands
still. The code inside is a stand-in."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builder import pack

from tests.stand_in import DEADLINE_S, answer, cache, contents, entry, refusal, start

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="mounts: needs root")
needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace, to have a call fail")


def limited(*words: str) -> list[str]:
    """The words before a command that set a limit, as ulimit has it."""
    return ["/bin/sh", "-c", f'ulimit {" ".join(words)} && exec "$0" "$@"']


@pytest.mark.parametrize("script", ["echo 'pyenv: python3: command not found' >&2; exit 127", "\0\0"])
def test_a_python3_that_does_not_run(script: str, file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """A pyenv shim without a version comes first on PATH, or a program of another machine: the next one does."""
    (tmp_path / "first").mkdir()
    shim = tmp_path / "first" / "python3"
    shim.write_text(f"#!/bin/sh\n{script}\n" if script.isprintable() else script)
    shim.chmod(0o755)
    for _ in ("cold", "warm"):
        answer(file, env={**env, "PATH": f"{tmp_path}/first:{env['PATH']}"})


@needs_root
def test_an_unpacked_build_in_a_read_only_image(file: Path, env: dict[str, str]) -> None:
    """Started once when the image was made: from the second day on it would not start any more."""
    answer(file, env=env)
    os.utime(entry(env), (0, time.time() - 9 * 86400))
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$1"'
    answer("unshare", "-m", "/bin/sh", "-c", script, cache(env), file, env=env)


def test_little_memory(env: dict[str, str], tmp_path: Path) -> None:
    """`ulimit -v` of a login shell or a batch system: it was told that the file is damaged."""
    big = {"common": pack.compress([("library/text.txt", b"text")], preset=9)}  # unpacked with 64 MB
    made = contents()
    pack.write_file(dataclasses.replace(made, packs={**made.packs, **big}), tmp_path / "jobrun")
    assert "not enough memory" in refusal(*limited("-v", "70000"), tmp_path / "jobrun", env=env)


def test_small_files_only(file: Path, env: dict[str, str]) -> None:
    """`ulimit -f`: the line says what is in the way."""
    assert "(File too large)" in refusal(*limited("-f", "0"), file, env=env)


def test_few_open_files(file: Path, env: dict[str, str]) -> None:
    """`ulimit -n` of a tight service still lets it start."""
    answer(*limited("-n", "16"), file, env=env)


def test_a_folder_that_is_gone(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """The shell stands in a folder that somebody removed. Some shells say so themselves."""
    for _ in ("cold", "warm"):
        gone = tmp_path / "gone"
        gone.mkdir()
        assert start("/bin/sh", "-c", 'rmdir "$PWD" && exec "$0"', file, env=env, cwd=gone).returncode == 7


def test_a_folder_that_is_gone_and_a_pipe(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """`cat jobrun | sh` in such a folder ends in one line as elsewhere, not in a traceback. Some shells say more."""
    answer(file, env=env)
    gone = tmp_path / "gone"
    gone.mkdir()
    done = start("/bin/sh", "-c", 'rmdir "$PWD" && cat "$0" | sh', file, env=env, cwd=gone)
    assert done.returncode == 125
    assert done.stderr.endswith("jobrun: cannot find my own file 'sh': start me by my path, not through a pipe\n")
    assert "Traceback" not in done.stderr


def test_what_lies_where_the_lock_is(file: Path, env: dict[str, str], tmp_path: Path) -> None:
    """A FIFO would hold the first start for ever; a link would have it empty what that leads to."""
    cache(env).mkdir(parents=True, mode=0o700)
    os.mkfifo(cache(env) / ".lock")
    answer(file, env=env)
    (tmp_path / "precious").write_text("precious")
    shutil.rmtree(entry(env))
    (cache(env) / ".lock").unlink()
    (cache(env) / ".lock").symlink_to(tmp_path / "precious")
    answer(file, env={**env, "TMPDIR": str(tmp_path)})
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8", "xx_XX.nonsense"])
def test_names_that_are_no_ascii(locale: str, env: dict[str, str], tmp_path: Path) -> None:
    """The file, its cache and the Python lie below somebody's name; cron has the locale C."""
    odd = os.fsencode(tmp_path) + b"/J\xc3\xbcrgen \xff"
    os.makedirs(odd + b"/home")
    python = f"{os.fsdecode(odd)}/python3"
    Path(python).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    Path(python).chmod(0o755)
    file = Path(os.fsdecode(odd)) / "jobrun"
    pack.write_file(contents(), file)
    there = {**env, "HOME": f"{os.fsdecode(odd)}/home", "LC_ALL": locale, "PATH": f"{os.fsdecode(odd)}:/usr/bin:/bin"}
    for _ in ("cold", "warm"):
        done = subprocess.run([file, "x"], env=there, capture_output=True, timeout=DEADLINE_S, check=False)
        assert (done.returncode, done.stderr) == (7, b"")
    assert list((file.parent / "home/.cache/jobrun").glob("*/boot.py"))


@needs_strace
def test_a_file_system_without_locks(file: Path, env: dict[str, str]) -> None:
    """Some NFS: it starts, and removes nothing that a rival may be at."""
    rival = cache(env) / ".new-rival"
    rival.mkdir(parents=True)
    cache(env).chmod(0o700)
    answer("strace", "-f", "-o", "/dev/null", "-e", "inject=flock:error=ENOLCK", file, env=env)
    assert rival.is_dir()


@needs_strace
def test_a_first_start_that_stands_still(file: Path, env: dict[str, str]) -> None:
    """Somebody typed Ctrl-Z in its middle: all others on this machine would hang without a word."""
    command = ["strace", "-f", "-o", "/dev/null", "-e", "inject=fsync:signal=STOP:when=2", str(file)]
    with subprocess.Popen(command, env=env, start_new_session=True) as stopped:
        try:
            while not list(cache(env).glob(".new-*/sizes")):
                os.sched_yield()
            waited = start(file, env=env)
            assert waited.returncode == 7
            assert waited.stderr == f"jobrun: another first start is busy in '{cache(env)}': waiting for it\n"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(stopped.pid, signal.SIGKILL)


@needs_strace
def test_many_first_starts_without_locks(file: Path, env: dict[str, str]) -> None:
    """A pipeline's parallel steps with a home on such an NFS: each would step on what another is writing."""
    no_lock = ["strace", "-f", "-o", "/dev/null", "-e", "inject=flock:error=ENOLCK"]
    late = ["-e", "inject=rename:delay_enter=200000"]  # each has written before the first has put it in its place
    with contextlib.ExitStack() as stack:
        rivals = [
            stack.enter_context(
                subprocess.Popen([*no_lock, *late, file], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            )
            for _ in range(4)
        ]
        ends = [(*rival.communicate(timeout=DEADLINE_S), rival.returncode) for rival in rivals]
    assert [(errors, code) for _, errors, code in ends] == [(b"", 7)] * 4
    assert all(os.fsencode(cache(env)) in said for said, _, _ in ends)


def test_many_builds_at_once(env: dict[str, str], tmp_path: Path) -> None:
    """Pipelines of several branches on one machine: what one has just made is no old build to another."""
    for number in range(7):
        pack.write_file(contents(version=f"1.2.{number}"), tmp_path / f"jobrun{number}")
    files = sorted(tmp_path.glob("jobrun?")) * 2
    with contextlib.ExitStack() as stack:
        starts = [
            stack.enter_context(
                subprocess.Popen([file], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            )
            for file in files
        ]
        ends = [(one.communicate(timeout=DEADLINE_S)[1], one.returncode) for one in starts]
    assert ends == [("", 7)] * len(files)
    assert len([path for path in cache(env).iterdir() if path.is_dir()]) == 7


@needs_strace
def test_ctrl_c_in_a_first_start(file: Path, env: dict[str, str]) -> None:
    """It takes a second or two: whoever ends it is told nothing, above all no traceback."""
    for moment in ("umask", "fsync"):
        said = start("strace", "-f", "-o", "/dev/null", "-e", f"inject={moment}:signal=INT:when=1", file, env=env)
        assert (said.returncode, said.stdout, said.stderr) == (-signal.SIGINT, "", "")
    answer(file, env=env)


def test_nobody_hears_it(file: Path, env: dict[str, str]) -> None:
    """A caller that has closed stdout and stderr still gets the exit code."""
    assert start("/bin/sh", "-c", 'exec "$0" >&- 2>&- <&-', file, env={**env, "JOBRUN_CACHE": "x"}).returncode == 125
